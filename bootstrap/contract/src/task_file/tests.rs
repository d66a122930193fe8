//! The form, the names, and where a value may stand in a program.

mod form;
mod programs;
mod values;

use std::collections::BTreeMap;

use super::{Finding, Suite, TaskFile};

/// A suite of one command over these variables.
fn one_command(command: &str, variables: &[(&str, &str)]) -> Result<Suite, Vec<Finding>> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let document = serde_json::json!({
        "name": "suite", "variables": variables,
        "tasks": [{"id": "only", "name": "Only", "commands": [command]}],
    });
    Suite::bind(TaskFile::parse(document.to_string().as_bytes())?, BTreeMap::new())
}

fn texts(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
