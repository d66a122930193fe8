//! Lists of commands: where one begins and ends, and which commands take a value as program text or as a name.

use super::Lexer;
use super::expansion::IN_ARITHMETIC;
use super::here_document::HereDocument;
use super::word::Word;

/// What ends a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    End,
    Parenthesis,
}

/// Where in a `case` the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Subject,
    In,
    Pattern,
    Body,
}

/// The command at hand.
#[derive(Debug, Default)]
struct Simple {
    words: Vec<Word>,
    cases: Vec<Case>,
    is_condition: bool,
    is_array: bool,
    next_is_redirection: bool,
    may_be_loop: bool,
}

/// Words after which a command begins.
const BEFORE_A_COMMAND: [&str; 16] =
    ["if", "then", "else", "elif", "do", "while", "until", "time", "!", "{", "}", "fi", "done", "esac", "coproc", "-p"];

/// Programs that read a program from an argument or from their input.
const INTERPRETERS: [&str; 11] =
    ["bash", "dash", "ksh", "node", "perl", "php", "python", "python3", "ruby", "sh", "zsh"];

/// Builtins whose arguments are program text or arithmetic.
const READ_AS_PROGRAM: [&str; 4] = ["alias", "eval", "let", "trap"];

/// Builtins whose arguments are names of variables, which may hold subscripts and so commands.
const TAKE_NAMES: [&str; 5] = ["getopts", "mapfile", "read", "readarray", "unset"];

/// Builtins whose arguments are names, or names with values.
const DECLARE: [&str; 5] = ["declare", "export", "local", "readonly", "typeset"];

/// Comparisons of `[[` that evaluate both sides as arithmetic, and tests of names.
const EVALUATING_TESTS: [&str; 8] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"];

const AS_PROGRAM: &str = "would be read as program text; pass it as an argument or through the environment";
const AS_NAME: &str = "would be read as a variable's name, and a subscript in it would run; write the name itself";

impl Lexer<'_> {
    /// Reads commands up to the end of this part, or behind the `)` that closes it.
    pub(super) fn commands(&mut self, until: Until) {
        self.list(until, false);
    }

    fn list(&mut self, until: Until, is_array: bool) {
        let begin = self.at;
        let mut simple = Simple { is_array, ..Simple::default() };
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' => self.at += 1,
                b'\\' if self.peek(1) == Some(b'\n') => self.at += 2,
                b'#' => self.at += self.bytes[self.at..self.end].iter().take_while(|&&byte| byte != b'\n').count(),
                b'\n' => {
                    self.at += 1;
                    self.end_command(&mut simple);
                    self.here_document_bodies();
                }
                b')' if simple.cases.last() == Some(&Case::Pattern) => {
                    self.at += 1;
                    set_case(&mut simple, Case::Body);
                }
                b')' if simple.is_condition => self.at += 1,
                b')' => {
                    self.at += 1;
                    if until == Until::Parenthesis {
                        self.end_command(&mut simple);
                        self.close_list();
                        return;
                    }
                    self.doubt(self.at - 1, "`)` without `(`");
                }
                b'(' => self.open_parenthesis(&mut simple),
                b'<' | b'>' if self.peek(1) != Some(b'(') => self.redirection(&mut simple),
                b'&' if self.peek(1) == Some(b'>') => {
                    self.at += 1;
                    self.redirection(&mut simple);
                }
                b';' | b'&' | b'|' => self.operator(&mut simple),
                _ => {
                    let word = self.word(is_array);
                    self.take_word(&mut simple, word);
                }
            }
        }
        self.end_command(&mut simple);
        if simple.is_condition {
            self.doubt(begin, "`[[` without `]]`");
        }
        if until == Until::Parenthesis {
            self.unclosed(begin, "parenthesis");
        } else if let Some(at) = self.here_documents.first().map(HereDocument::at) {
            let message = "this here-document has no lines; each element of `commands` is a whole program, so join its lines with \\n";
            self.refuse(at, message);
        }
    }

    fn close_list(&mut self) {
        if let Some(at) = self.here_documents.first().map(HereDocument::at) {
            self.doubt(at, "a here-document whose lines come after the `)` around it; close it before the `)`");
        }
    }

    fn open_parenthesis(&mut self, simple: &mut Simple) {
        let is_pattern = simple.cases.last() == Some(&Case::Pattern);
        if is_pattern || simple.is_condition {
            self.at += 1;
        } else if self.peek(1) == Some(b'(') && (simple.words.is_empty() || simple.may_be_loop) && !simple.is_array {
            self.at += 2;
            self.arithmetic();
        } else {
            let previous = self.bytes[..self.at].last().copied();
            self.at += 1;
            let assigns = previous == Some(b'=') && !simple.is_array;
            if assigns {
                if self.descend() {
                    self.list(Until::Parenthesis, true);
                    self.depth -= 1;
                }
            } else {
                self.nested_commands();
                // A function's body is a command, and so is what follows a group.
                self.end_command(simple);
            }
        }
    }

    fn redirection(&mut self, simple: &mut Simple) {
        if simple.is_condition {
            self.at += 1;
        } else if self.begins("<<<") {
            self.at += 3;
            simple.next_is_redirection = true;
        } else if self.begins("<<") {
            let is_program = reads_program_from_input(&simple.words);
            self.announce_here_document(is_program);
        } else {
            self.at += 1;
            while matches!(self.peek(0), Some(b'>' | b'|' | b'&')) {
                self.at += 1;
            }
            simple.next_is_redirection = true;
        }
    }

    fn operator(&mut self, simple: &mut Simple) {
        if simple.is_condition {
            self.at += 1;
            return;
        }
        let ends_case = [";;&", ";;", ";&"].into_iter().find(|end| self.begins(end));
        self.at += ends_case.map_or(1, str::len);
        self.end_command(simple);
        if ends_case.is_some() {
            set_case(simple, Case::Pattern);
        }
    }

    fn take_word(&mut self, simple: &mut Simple, word: Word) {
        if std::mem::take(&mut simple.next_is_redirection) || simple.is_array {
            return;
        }
        let plain = word.plain.as_deref();
        match (simple.cases.last(), plain) {
            (Some(Case::Subject), _) => return set_case(simple, Case::In),
            (Some(Case::In), Some("in")) => return set_case(simple, Case::Pattern),
            (Some(Case::Pattern), Some("esac")) => {
                simple.cases.pop();
                return;
            }
            (Some(Case::Pattern), _) => return,
            _ => {}
        }
        if simple.is_condition {
            let ends = plain == Some("]]");
            simple.words.push(word);
            if ends {
                simple.is_condition = false;
                self.end_command(simple);
            }
            return;
        }
        if simple.words.is_empty() {
            if let Some(equals) = word.equals {
                let named = word.references.clone().filter(|&number| self.reading.references[number].at.start < equals);
                if let Some(number) = named.max() {
                    self.refuse_references(
                        number..number + 1,
                        "would be part of a variable's name; write the name itself",
                    );
                }
                if is_assignment(&self.bytes[..equals]) {
                    return;
                }
            }
            let is_descriptor = matches!(self.peek(0), Some(b'<' | b'>'))
                && plain.is_some_and(|plain| plain.bytes().all(|byte| byte.is_ascii_digit()));
            match plain {
                Some("case") => return simple.cases.push(Case::Subject),
                Some("esac") => {
                    simple.cases.pop();
                    return;
                }
                Some("[[") => simple.is_condition = true,
                Some("for") => simple.may_be_loop = true,
                Some(plain) if BEFORE_A_COMMAND.contains(&plain) || is_descriptor => return,
                _ => {}
            }
        } else {
            simple.may_be_loop = false;
        }
        simple.words.push(word);
    }

    /// Judges the command that ends here, and begins another.
    fn end_command(&mut self, simple: &mut Simple) {
        simple.next_is_redirection = false;
        simple.may_be_loop = false;
        if simple.is_condition {
            return;
        }
        let words = std::mem::take(&mut simple.words);
        let skipped =
            words.iter().take_while(|word| matches!(word.plain.as_deref(), Some("builtin" | "command"))).count();
        let Some((first, arguments)) = words[skipped..].split_first() else { return };
        let name = first.plain.as_deref().unwrap_or_default();
        let has = |options: &[&str]| {
            arguments.iter().any(|word| word.plain.as_deref().is_some_and(|plain| options.contains(&plain)))
        };
        let all = arguments.first().map_or(0, |word| word.references.start)
            ..arguments.last().map_or(0, |word| word.references.end);
        if READ_AS_PROGRAM.contains(&name) {
            self.refuse_references(all, AS_PROGRAM);
        } else if name == "[[" && has(&EVALUATING_TESTS) {
            self.refuse_references(all, IN_ARITHMETIC);
        } else if TAKE_NAMES.contains(&name)
            || (matches!(name, "[" | "test") && has(&["-v", "-R"]))
            || (matches!(name, "printf" | "wait") && has(&["-v", "-p"]))
        {
            self.refuse_references(all, AS_NAME);
        } else if DECLARE.contains(&name) {
            let is_integer = arguments.iter().any(|word| {
                word.plain.as_deref().is_some_and(|plain| plain.starts_with('-') && plain.contains(['i', 'n']))
            });
            for word in arguments {
                let named = word.references.clone().filter(|&number| {
                    is_integer || word.equals.is_none_or(|equals| self.reading.references[number].at.start < equals)
                });
                for number in named.collect::<Vec<_>>() {
                    self.refuse_references(number..number + 1, AS_NAME);
                }
            }
        }
        self.judge_interpreter(&words);
    }

    /// `bash -c "…"` and `python3 -c "…"`: the one word after the option is a program.
    fn judge_interpreter(&mut self, words: &[Word]) {
        let Some(interpreter) = words.iter().position(is_interpreter) else { return };
        for pair in words[interpreter..].windows(2) {
            let option = pair[0].plain.as_deref().unwrap_or_default();
            if option.starts_with('-') && !option.starts_with("--") && option.ends_with(['c', 'e', 'E']) {
                self.refuse_references(pair[1].references.clone(), AS_PROGRAM);
                return;
            }
        }
    }
}

fn set_case(simple: &mut Simple, state: Case) {
    if let Some(case) = simple.cases.last_mut() {
        *case = state;
    }
}

/// Whether an assignment's name, perhaps with a subscript, ends here: `NAME=`, `NAME+=`, `NAME[…]=`.
fn is_assignment(until_equals: &[u8]) -> bool {
    let name = until_equals.rsplit(|byte| b" \t\n;&|(".contains(byte)).next().unwrap_or_default();
    let name = name.strip_suffix(b"+").unwrap_or(name);
    let name = name.split(|&byte| byte == b'[').next().unwrap_or_default();
    name.first().is_some_and(|first| !first.is_ascii_digit())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn is_interpreter(word: &Word) -> bool {
    let Some(plain) = word.plain.as_deref() else { return false };
    let name = plain.rsplit('/').next().unwrap_or(plain);
    INTERPRETERS.contains(&name)
        || name.strip_prefix("python3.").is_some_and(|minor| minor.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a command so far is an interpreter without a script: its input is its program.
fn reads_program_from_input(words: &[Word]) -> bool {
    let Some(interpreter) = words.iter().position(is_interpreter) else { return false };
    let mut rest = words[interpreter + 1..].iter().map(|word| word.plain.as_deref());
    let first_plain =
        rest.find(|plain| !plain.is_some_and(|plain| plain.starts_with('-') && plain.len() > 1 && plain != "-s"));
    matches!(first_plain, None | Some(Some("-" | "-s")))
}
