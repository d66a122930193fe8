//! `--dry-run` and `--list`: what would run, and how far a suite got. Values of secrets never come here.

use std::fmt::Write;

use prefab_contract::task_file::{BoundOutput, Program, Suite, Value};
use serde::Serialize;

use super::console::plain;
use super::plan::Action;
use super::state::{State, Status};

/// One task of `--list`.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    id: &'a str,
    name: &'a str,
    status: &'static str,
    reason: Option<&'a str>,
}

/// The tasks and how far they got.
pub(super) fn list(suite: &Suite, state: &State, is_json: bool) -> Result<String, serde_json::Error> {
    let tasks: Vec<_> = suite
        .tasks
        .iter()
        .map(|task| {
            let record = state.tasks.get(&task.id);
            let status = match record.map(|record| record.status) {
                None => "not begun",
                Some(Status::Running) => "begun",
                Some(Status::Done) => "done",
                Some(Status::Failed) => "failed",
                Some(Status::Skipped) => "nothing to do",
            };
            Listed {
                id: &task.id,
                name: &task.name,
                status,
                reason: record.and_then(|record| record.reason.as_deref()),
            }
        })
        .collect();
    if is_json {
        return Ok(serde_json::to_string_pretty(&tasks)? + "\n");
    }
    let width = tasks.iter().map(|task| task.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for task in tasks {
        let reason = task.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let _written = writeln!(text, "{:width$}  {:13}  {}{reason}", task.id, task.status, plain(task.name));
    }
    Ok(text)
}

/// A task of `--dry-run`.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    id: &'a str,
    action: &'static str,
    run_as: Option<&'a str>,
    timeout_seconds: u32,
    retries: u32,
    skip_if: Option<&'a str>,
    commands: Vec<&'a str>,
    outputs: Vec<&'a str>,
}

/// What would run, with the values that are known.
pub(super) fn dry_run(
    suite: &Suite,
    actions: &[Action],
    digest: &str,
    is_json: bool,
) -> Result<String, serde_json::Error> {
    let variables: Vec<_> = suite.values.iter().map(|(name, value)| (name.as_str(), shown(value))).collect();
    let tasks: Vec<_> = suite
        .tasks
        .iter()
        .zip(actions)
        .map(|(task, action)| Planned {
            id: &task.id,
            action: match action {
                Action::Run => "runs",
                Action::Done => "done before",
                Action::LeftOut => "left out",
            },
            run_as: task.run_as.as_deref(),
            timeout_seconds: task.timeout_seconds,
            retries: task.retries,
            skip_if: task.skip_if.as_ref().map(|program| program.text.as_str()),
            commands: task.commands.iter().map(|program: &Program| program.text.as_str()).collect(),
            outputs: task
                .outputs
                .iter()
                .map(|(name, output)| match output {
                    BoundOutput::Stdout | BoundOutput::File(_) => name.as_str(),
                })
                .collect(),
        })
        .collect();
    if is_json {
        let document = serde_json::json!({
            "suite": digest, "name": suite.file.name,
            "variables": variables.into_iter().collect::<std::collections::BTreeMap<_, _>>(), "tasks": tasks,
        });
        return Ok(serde_json::to_string_pretty(&document)? + "\n");
    }
    let mut text = format!("{} (suite {})\n", plain(&suite.file.name), &digest[..12]);
    for (name, value) in variables {
        let _written = writeln!(text, "  {name} = {}", plain(&value).chars().take(200).collect::<String>());
    }
    for task in tasks {
        let _written = writeln!(text, "{}: {}{}", task.id, task.action, surroundings(&task));
        if task.action == "runs" {
            for (word, program) in task
                .skip_if
                .iter()
                .map(|program| ("skip if", program))
                .chain(task.commands.iter().map(|program| ("run", program)))
            {
                for (number, line) in program.lines().enumerate() {
                    let word = if number == 0 { word } else { "" };
                    let _written = writeln!(text, "  {word:>7} | {}", plain(line));
                }
            }
        }
    }
    text.push_str("Nothing was run. Run it without --dry-run.\n");
    Ok(text)
}

fn surroundings(task: &Planned) -> String {
    let user = task.run_as.map(|user| format!(" as {user}")).unwrap_or_default();
    let retries = if task.retries == 0 { String::new() } else { format!(", tried {} times", task.retries + 1) };
    let outputs = if task.outputs.is_empty() { String::new() } else { format!(", makes {}", task.outputs.join(", ")) };
    format!("{user}, at most {} s{retries}{outputs}", task.timeout_seconds)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Secret(reference) => format!("[secret {reference}]"),
        Value::Output { task } => format!("[made by {task}]"),
    }
}
