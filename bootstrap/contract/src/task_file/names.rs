//! Which names variables, environment entries, tasks and users may have.

/// Names that would change how bash or the loader works, whoever set them.
const FORBIDDEN: [&str; 14] = [
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "ENV",
    "GLOBIGNORE",
    "IFS",
    "LD_AUDIT",
    "POSIXLY_CORRECT",
    "PROMPT_COMMAND",
    "PS4",
    "SHELLOPTS",
    "TMOUT",
    "UID",
    "EUID",
];

/// Names that the runner sets itself; `env` may replace them, a variable may not.
const SET_BY_RUNNER: [&str; 8] = ["HOME", "LANG", "LD_PRELOAD", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "USER"];

/// How names of variables look, for messages.
pub(super) const NAME_FORM: &str = "a letter or `_`, then letters, digits and `_`, 64 at most";

/// Whether a text is a variable's name in bash.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 64
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Why a variable of the file may not have this name.
pub(super) fn variable_refusal(name: &str) -> Option<String> {
    if SET_BY_RUNNER.contains(&name) {
        return Some(format!("`{name}` is set by the runner; choose another name, or set it for a task with `env`"));
    }
    environment_refusal(name)
}

/// Why an entry of `env` may not have this name.
pub(super) fn environment_refusal(name: &str) -> Option<String> {
    if !is_name(name) {
        return Some(format!("found `{name}`, expected {NAME_FORM}"));
    }
    let is_reserved = ["PREFAB_", "BASH_FUNC_"].iter().any(|prefix| name.starts_with(prefix));
    (is_reserved || FORBIDDEN.contains(&name))
        .then(|| format!("`{name}` would change how commands run; choose another name"))
}

/// Whether a text can name a task: it becomes part of a file name.
pub(super) fn is_task_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a text can name a user of the machine.
pub(super) fn is_user(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}
