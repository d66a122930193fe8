//! What we write as YAML is read as the same document by PyYAML (YAML 1.1, as CloudFormation has it) and by a YAML 1.2
//! reader, whatever the texts in it look like.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use prefab::template::yaml;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value as Json, json};

use crate::prefab::root;
use crate::python;

/// One Python process that reads many documents.
struct PyYaml {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl PyYaml {
    fn start() -> Self {
        let mut process = Command::new(python::program("python3"))
            .arg(root().join("tests/standins/yaml_1_1.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (requests, answers) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, requests, answers }
    }

    /// `same`, or how PyYAML reads the text otherwise.
    fn read(&mut self, text: &str, expected: &Json) -> String {
        let requests = self.requests.as_mut().unwrap();
        writeln!(requests, "{}", json!({ "text": text, "expected": expected })).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("PyYAML ended; run `make setup`"))
    }
}

impl Drop for PyYaml {
    fn drop(&mut self) {
        // Without more requests the program ends by itself.
        drop(self.requests.take());
        let _ = self.process.wait();
    }
}

/// What YAML 1.2 reads, with short tags as their long forms.
fn read_1_2(text: &str) -> Result<Json, String> {
    serde_yaml::from_str::<serde_yaml::Value>(text).map_err(|error| error.to_string()).and_then(|value| long(&value))
}

fn long(value: &serde_yaml::Value) -> Result<Json, String> {
    use serde_yaml::Value;
    Ok(match value {
        Value::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                "Ref" => "Ref".to_owned(),
                other => format!("Fn::{other}"),
            };
            // The tag makes a text of what would be a number or a word without it; ours are all texts or lists.
            let argument = match (name.as_str(), long(&tagged.value)?) {
                ("Fn::GetAtt", Json::String(text)) => {
                    let (id, attribute) = text.split_once('.').ok_or("!GetAtt without a dot")?;
                    json!([id, attribute])
                }
                (_, argument) => argument,
            };
            json!({ name: argument })
        }
        Value::Sequence(items) => items.iter().map(long).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = key.as_str().ok_or_else(|| format!("the key {key:?} is no text"))?;
                map.insert(key.to_owned(), long(value)?);
            }
            map.into()
        }
        plain => serde_json::to_value(plain).map_err(|error| error.to_string())?,
    })
}

/// Texts that some reader takes for something else, or for the end of something.
const NASTY: &[&str] = &[
    "",
    " ",
    "  two",
    "trailing ",
    "\t",
    "tab\tinside",
    "\ttab first",
    "tab last\t",
    "no",
    "No",
    "NO",
    "n",
    "N",
    "y",
    "Yes",
    "on",
    "On",
    "OFF",
    "true",
    "True",
    "false",
    "null",
    "Null",
    "~",
    "nan",
    ".nan",
    ".inf",
    "-.inf",
    "12:30",
    "12:30:45",
    "190:20:30",
    "1_000",
    "0x1F",
    "0o17",
    "017",
    "08",
    "0b101",
    "1e3",
    "1E3",
    "1.",
    ".5",
    "+1",
    "-1",
    "1.0",
    "1e400",
    "6.02e+23",
    "2012-10-17",
    "2001-12-14t21:59:43.10-05:00",
    "2001-1-1",
    "=",
    "<<",
    "-",
    "- a",
    "--",
    "---",
    "...",
    "--- a",
    "? a",
    "?",
    ":",
    ": ",
    "a: b",
    "a:b",
    "a:",
    ":a",
    "a :b",
    "#",
    "# a",
    "a # b",
    "a#b",
    "a #",
    "|",
    ">",
    "|-",
    "> a",
    "!",
    "!Ref",
    "!Ref a",
    "!!str a",
    "&a",
    "*a",
    "* a",
    "%",
    "%YAML 1.1",
    "@",
    "@a",
    "`",
    "`a`",
    "{",
    "}",
    "{}",
    "[",
    "]",
    "[]",
    "[a, b]",
    "{a: b}",
    ",",
    ", a",
    "'",
    "''",
    "'a'",
    "it's",
    "\"",
    "\"a\"",
    "\\",
    "\\n",
    "a\\",
    "$",
    "${A}",
    "a\nb",
    "a\nb\n",
    "a\nb\n\n",
    "\na",
    "\n",
    "\n\n",
    "a\n",
    "a\n\nb",
    "a\n  b\nc",
    "  a\nb",
    "a \nb ",
    "a\n \nb",
    "a\n\tb",
    "a\nb\n ",
    "a\n#b\n",
    "a\n---\nb",
    "a\n...\n",
    "- a\n- b\n",
    "a: b\nc: d\n",
    "\r",
    "a\rb",
    "a\r\nb",
    "\r\n",
    "é",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "\u{fffe}",
    "a\u{85}b\nc",
    "日本語",
    "😀",
    "👩‍👩‍👧",
    "\0",
    "\u{1}",
    "\u{1b}[0m",
    "\u{7f}",
    "\u{80}",
    "\u{9f}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{10ffff}",
    "/dev/sda1",
    "s3:*",
    "arn:aws:s3:::b/*",
    "a/b",
    "0.0.0.0/0",
    "-1",
    "AWS::Region",
    "Ref",
    "Fn::Join",
    "yes ",
    "no\n",
    "x: |",
    "key: !Ref A",
    "-\n-",
    "NaN",
    "Infinity",
    "1:2",
    "1-2",
    "+.inf",
    "0.",
    "1__0",
    "685_230.15",
    "1e+3",
    "0x",
    "0b",
    "_",
    "1 000",
    "1,000",
    "true ",
    " true",
    "NULL",
    "tRUE",
];

fn text() -> impl Strategy<Value = String> {
    let nasty = proptest::sample::select(NASTY).prop_map(str::to_owned);
    prop_oneof![
        6 => nasty.clone(),
        2 => (nasty.clone(), nasty.clone()).prop_map(|(first, second)| first + &second),
        2 => "[a-zA-Z0-9 :#'\"\\-_.,/\\\\!&*?|>%@`{}\\[\\]\n\t]{0,24}",
        2 => any::<String>(),
        1 => proptest::collection::vec(nasty.clone(), 1..6).prop_map(|lines| lines.join("\n")),
        1 => (nasty, 900_usize..1_200).prop_map(|(text, times)| format!("{text}{}", "long ".repeat(times / 5))),
    ]
}

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        8 => text().prop_map(Json::from),
        1 => any::<bool>().prop_map(Json::from),
        1 => any::<i64>().prop_map(Json::from),
        1 => any::<u64>().prop_map(Json::from),
        1 => any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(Json::from),
        1 => Just(Json::Null),
    ]
}

/// A document of nested lists and maps, some of them functions of CloudFormation, well-formed or not.
fn document() -> impl Strategy<Value = Json> {
    const FUNCTIONS: &[&str] =
        &["Ref", "Fn::GetAtt", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::Base64", "Fn::Sub", "Fn::If", "Condition"];
    scalar().prop_recursive(5, 40, 5, |inner| {
        let function = (proptest::sample::select(FUNCTIONS), inner.clone());
        let attribute = (text(), text()).prop_map(|(id, name)| json!({ "Fn::GetAtt": [id, name] }));
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            4 => proptest::collection::btree_map(text(), inner, 0..5)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
            2 => function.prop_map(|(name, argument)| json!({ name: argument })),
            1 => attribute,
            1 => text().prop_map(|id| json!({ "Ref": id })),
        ]
    })
}

fn check(python: &mut PyYaml, written: &str, expected: &Json) -> Result<(), String> {
    match python.read(written, expected).as_str() {
        "same" => {}
        difference => return Err(format!("PyYAML: {difference}\n{written}")),
    }
    let found = read_1_2(written).map_err(|error| format!("YAML 1.2: {error}\n{written}"))?;
    if found == *expected { Ok(()) } else { Err(format!("YAML 1.2: {found}\ninstead of {expected}\n{written}")) }
}

#[test]
fn each_nasty_text_is_read_back_as_value_and_as_key() {
    let mut python = PyYaml::start();
    let mut wrong = Vec::new();
    for text in NASTY {
        for document in [
            json!(text),
            json!({ "key": text }),
            json!([text, [text, text], { *text: text }]),
            json!({ *text: { *text: [text] } }),
            json!({ "Ref": text }),
            json!({ "Fn::Base64": text }),
            json!([{ "Fn::Join": ["", [text, { "Ref": text }]] }]),
        ] {
            wrong.extend(check(&mut python, &yaml::document(&document), &document).err());
        }
    }
    assert!(wrong.is_empty(), "{} documents, the first: {}", wrong.len(), wrong[0]);
}

/// `1e20` is text in YAML 1.1, and JSON writes large numbers so.
#[test]
fn each_number_is_read_back_as_a_number() {
    let mut python = PyYaml::start();
    let floats = [0.1, -0.0, 1e15, 1e16, 1e20, -1e21, 2e-7, 1.5e300, 1e308, 5e-324, f64::MIN_POSITIVE].map(Json::from);
    let whole = [json!(0), json!(-1), json!(i64::MIN), json!(i64::MAX), json!(u64::MAX), json!(60), json!(0o17)];
    for number in floats.into_iter().chain(whole) {
        let document = json!({ "number": number, "list": [number] });
        check(&mut python, &yaml::document(&document), &document).unwrap();
    }
}

#[test]
fn any_document_is_read_back_as_itself() {
    let python = RefCell::new(PyYaml::start());
    // Always the same documents: a failure is found on every machine or on none.
    let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&document(), |document| {
        let written = yaml::document(&document);
        check(&mut python.borrow_mut(), &written, &document).map_err(TestCaseError::fail)
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn every_template_says_the_same_in_yaml_and_in_json() {
    let mut python = PyYaml::start();
    let mut read = 0;
    for (name, yaml, json) in crate::cfn_lint::templates() {
        let document: Json = serde_json::from_str(&json).unwrap();
        check(&mut python, &yaml, &document).unwrap_or_else(|difference| panic!("{name}: {difference}"));
        check(&mut python, &json, &document).unwrap_or_else(|difference| panic!("{name}, JSON: {difference}"));
        read += 1;
    }
    assert!(read >= 30, "{read} templates");
}
