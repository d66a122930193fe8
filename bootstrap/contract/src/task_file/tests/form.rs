use proptest::prelude::*;

use super::texts;
use crate::task_file::{Output, TaskFile, Variable};

fn findings(document: &str) -> Vec<String> {
    texts(&TaskFile::parse(document.as_bytes()).expect_err(document))
}

#[test]
fn the_reference_form_is_read_as_it_is() {
    for name in [r#""name": "Setup""#, r#""metadata": {"name": "Setup", "version": "1.0.0"}"#] {
        let document = format!(
            r#"{{{name}, "description": "d", "variables": {{"VERSION": "0.16.0"}}, "tasks": [{{"id": "01-verify-gpu",
            "name": "Verify", "description": "d", "skip_if": "nvidia-smi", "commands": ["echo a", "exit 1"]}}]}}"#
        );
        let file = TaskFile::parse(document.as_bytes()).unwrap();
        assert_eq!((file.name.as_str(), file.version), ("Setup", 1));
        assert_eq!(file.variables["VERSION"], Variable::Text("0.16.0".to_owned()));
        assert_eq!(file.tasks[0].commands, ["echo a", "exit 1"]);
        assert_eq!(file.tasks[0].skip_if.as_deref(), Some("nvidia-smi"));
    }
}

#[test]
fn what_is_added_is_read() {
    let document = r#"{"version": 1, "name": "s", "timeout_seconds": 60, "retries": 2, "run_as": "ubuntu", "env": {"A": "1"},
        "variables": {"TOKEN": {"secret": "hf_token"}, "PEER": null},
        "tasks": [{"id": "a", "name": "A", "commands": ["true"], "timeout_seconds": 5, "retries": 0, "run_as": "root",
                   "env": {"LD_PRELOAD": "/lib/x.so"}, "outputs": {"OUT": "stdout", "REPORT": {"file": "/tmp/x"}}}]}"#;
    let file = TaskFile::parse(document.as_bytes()).unwrap();
    assert_eq!(file.variables["TOKEN"], Variable::Secret("hf_token".to_owned()));
    assert_eq!(file.variables["PEER"], Variable::Required);
    assert_eq!(file.settings.timeout_seconds, Some(60));
    assert_eq!(file.tasks[0].settings.run_as.as_deref(), Some("root"));
    assert_eq!(file.tasks[0].outputs["OUT"], Output::Stdout);
    assert_eq!(file.tasks[0].outputs["REPORT"], Output::File("/tmp/x".to_owned()));
}

#[test]
fn everything_wrong_comes_at_once_with_its_place() {
    let document = r#"{"name": "s", "name": "t", "variabels": {}, "retries": 99, "version": 2, "env": {"LD_PRELOAD": "x"},
        "variables": {"PATH": "x", "1A": "x", "N": 5},
        "tasks": [{"id": "../x", "name": "A", "commands": [], "timeout": 3},
                  {"id": "b", "name": "", "commands": ["true", 7, " "], "outputs": {"O": "stderr"}},
                  {"id": "b", "commands": "true", "run_as": "Root!"}]}"#;
    let found = findings(document);
    for (place, part) in [
        ("name", "stands twice"),
        ("variabels", "did you mean `variables`"),
        ("retries", "found 99, expected a whole number from 0 to 10"),
        ("version", "found 2, expected 1"),
        ("env.LD_PRELOAD", "set it for the task"),
        ("variables.PATH", "set by the runner"),
        ("variables.\"1A\"", "expected a letter"),
        ("variables.N", "found a number"),
        ("tasks[0].id", "it becomes a file name"),
        ("tasks[0].commands", "found an empty list"),
        ("tasks[0].timeout", "unknown field"),
        ("tasks[1].name", "empty"),
        ("tasks[1].commands[1]", "found a number"),
        ("tasks[1].commands[2]", "empty program"),
        ("tasks[1].outputs.O", "expected \"stdout\""),
        ("tasks[2].id", "stands twice"),
        ("tasks[2].name", "missing"),
        ("tasks[2].commands", "found a text, expected a list"),
        ("tasks[2].run_as", "a user's name"),
    ] {
        assert!(
            found.iter().any(|one| one.starts_with(&format!("{place}: ")) && one.contains(part)),
            "{place}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 19, "{found:#?}");
}

#[test]
fn depth_size_and_ids_have_caps() {
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    assert!(findings(&deep)[0].contains("levels of nesting"));
    assert!(findings(&" ".repeat(1 << 21))[0].contains("split the suite"));
    for id in ["", ".", "..", ".hidden", "a/b", "a b", "ü", &"a".repeat(65)] {
        let document = format!(r#"{{"name": "s", "tasks": [{{"id": "{id}", "name": "A", "commands": ["true"]}}]}}"#);
        assert!(findings(&document).iter().any(|one| one.starts_with("tasks[0].id: ")), "{id}");
    }
}

#[test]
fn what_is_no_task_file_is_said_in_one_line() {
    assert!(findings("{")[0].contains("line 1 column"));
    assert!(findings("[]").iter().any(|one| one == "document: found a list, expected an object"));
    assert!(findings(r#"{"name": "s", "tasks": []} x"#)[0].contains("trailing"));
    assert!(findings(r#"{"tasks": [1]}"#).contains(&"tasks[0]: found a number, expected an object".to_owned()));
}

proptest! {
    #[test]
    fn no_document_makes_it_panic(document in ".{0,200}") {
        let _findings = TaskFile::parse(document.as_bytes());
    }

    #[test]
    fn a_broken_document_is_an_error_or_a_file(at in 0_usize..400, byte in any::<u8>()) {
        let mut document = br#"{"version": 1, "name": "s", "variables": {"A": "x{{B}}", "B": null, "C": {"secret": "n"}},
            "tasks": [{"id": "a", "name": "A", "skip_if": "test {{A}}", "commands": ["echo {{B}} \"{{C}}\""],
            "timeout_seconds": 5, "env": {"E": "{{A}}"}, "outputs": {"O": {"file": "/x"}}}]}"#.to_vec();
        let at = at % document.len();
        document[at] = byte;
        if let Ok(file) = TaskFile::parse(&document) {
            let _bound = crate::task_file::Suite::bind(file, std::collections::BTreeMap::new());
        }
    }
}
