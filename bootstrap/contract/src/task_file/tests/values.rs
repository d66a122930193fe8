use std::collections::BTreeMap;

use super::{one_command, texts};
use crate::task_file::{Suite, TaskFile, Value};

fn bind(variables: &str, tasks: &str, set: &[(&str, &str)]) -> Result<Suite, Vec<String>> {
    let document = format!(r#"{{"name": "s", "variables": {variables}, "tasks": {tasks}}}"#);
    let file = TaskFile::parse(document.as_bytes()).unwrap_or_else(|findings| panic!("{:?}", texts(&findings)));
    let set: BTreeMap<_, _> = set.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Suite::bind(file, set).map_err(|findings| texts(&findings))
}

const USES_A: &str = r#"[{"id": "t", "name": "T", "commands": ["echo {{A}}"]}]"#;

#[test]
fn a_text_may_refer_to_other_texts_in_any_order() {
    let suite = bind(r#"{"A": "http://{{B}}:{{C}}", "B": "node{{C}}", "C": "1"}"#, USES_A, &[("C", "2379")]).unwrap();
    assert_eq!(suite.values["A"], Value::Text("http://node2379:2379".to_owned()));
}

#[test]
fn what_is_set_is_taken_literally() {
    let suite = bind(r#"{"A": null}"#, USES_A, &[("A", "{{B}} $(x) 'q'")]).unwrap();
    assert_eq!(suite.values["A"], Value::Text("{{B}} $(x) 'q'".to_owned()));
    assert_ne!(suite.canonical().unwrap(), bind(r#"{"A": null}"#, USES_A, &[("A", "b")]).unwrap().canonical().unwrap());
}

#[test]
fn circles_unknown_unused_and_missing_names_are_errors() {
    for (variables, set, part) in [
        (r#"{"A": "{{B}}", "B": "{{A}}"}"#, None, "goes round in a circle"),
        (r#"{"A": "{{A}}"}"#, None, "goes round in a circle: A → A"),
        (r#"{"A": "{{BC}}", "BCD": "x"}"#, None, "`{{BC}}` is unknown; did you mean `BCD`?"),
        (r#"{"A": "x", "NIXL_VERSION": "0.10.0"}"#, None, "variables.NIXL_VERSION: no task uses it"),
        (r#"{"A": null}"#, None, "variables.A: has no value; give it with --set A=…"),
        (r#"{"B": "x"}"#, None, "`{{A}}` is unknown"),
        (r#"{"A": "x"}"#, Some(("AB", "1")), "--set AB: the file has no such variable; did you mean `A`?"),
        (r#"{"A": {"secret": "n"}}"#, Some(("A", "1")), "a secret cannot be set here"),
        (r#"{"A": "x{{B}}", "B": {"secret": "n"}}"#, None, "is a secret"),
        (r#"{"A": "x"}"#, Some(("A", "a\0b")), "NUL"),
    ] {
        let findings = bind(variables, USES_A, set.as_slice()).unwrap_err();
        assert!(findings.iter().any(|one| one.contains(part)), "{variables}: {findings:?}");
    }
    let findings = bind(r#"{"A": null}"#, USES_A, &[("A", &"x".repeat(64 * 1024 + 1))]).unwrap_err();
    assert!(findings[0].contains("expected 65536 at most"), "{findings:?}");
}

#[test]
fn texts_that_double_each_other_end_in_a_finding_not_in_all_memory() {
    let names: Vec<_> =
        (0..60).map(|number| format!(r#""A{number}": "{0}{0}{0}{0}""#, format!("{{{{A{}}}}}", number + 1))).collect();
    let variables = format!(r#"{{"A": "{{{{A0}}}}", {}, "A60": "0123456789abcdef"}}"#, names.join(", "));
    let findings = bind(&variables, USES_A, &[]).unwrap_err();
    assert!(findings.iter().any(|one| one.contains("bytes with its variables")), "{findings:?}");
}

#[test]
fn an_output_exists_behind_its_task_only() {
    let tasks = r#"[{"id": "a", "name": "A", "commands": ["echo 1"], "outputs": {"A": "stdout"}},
                    {"id": "b", "name": "B", "commands": ["echo {{A}}"], "env": {"E": "{{A}}"}}]"#;
    let suite = bind("{}", tasks, &[]).unwrap();
    assert_eq!(suite.values["A"], Value::Output { task: "a".to_owned() });
    assert!(suite.tasks[1].names().contains("A"));
    let findings = bind("{}", &tasks.replace("echo 1", "echo {{A}}"), &[]).unwrap_err();
    assert!(findings[0].contains("has not run by then"), "{findings:?}");
    let findings = bind(r#"{"A": "x"}"#, tasks, &[]).unwrap_err();
    assert!(findings[0].contains("stands twice among variables and outputs"), "{findings:?}");
}

#[test]
fn a_bare_name_counts_as_use_and_blanks_inside_braces_are_told() {
    let program =
        &one_command("python3 - <<'E'\nimport os; os.environ['V']\nE", &[("V", "x")]).unwrap().tasks[0].commands[0];
    assert!(program.names.contains("V"));
    let findings = texts(&one_command("echo {{ V }}", &[("V", "x")]).unwrap_err());
    assert!(findings[0].contains("write `{{V}}`"), "{findings:?}");
    assert!(one_command("docker ps --format '{{ json }}'", &[]).is_ok());
}
