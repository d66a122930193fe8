//! Asks bash itself whether it can read every program of a suite, before anything runs.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use prefab_contract::task_file::{Program, Suite};

/// What bash does not understand, one line each.
///
/// # Errors
/// There is no bash.
pub(super) fn check(suite: &Suite) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (number, task) in suite.tasks.iter().enumerate() {
        let commands = task.commands.iter().enumerate().map(|(index, program)| (format!("commands[{index}]"), program));
        let skip_if = task.skip_if.iter().map(|program| ("skip_if".to_owned(), program));
        for (place, program) in skip_if.chain(commands) {
            if let Some(message) = refusal(program)? {
                findings.push(format!("tasks[{number}] ({}).{place}: {message}", task.id));
            }
        }
    }
    Ok(findings)
}

fn refusal(program: &Program) -> Result<Option<String>> {
    // -n reads and runs nothing.
    let output = Command::new("/bin/bash")
        .args(["-n", "-c", &program.text])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .context("starting /bin/bash, which runs every command; install it")?;
    if output.status.success() {
        return Ok(None);
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let first = message.lines().next().unwrap_or("bash cannot read it");
    Ok(Some(first.trim_start_matches("/bin/bash: ").trim_start_matches("-c: ").to_owned()))
}
