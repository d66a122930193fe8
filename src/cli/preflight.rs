//! `prefab preflight`: what would keep a deployment from its end.

use clap::Args;
use serde_json::json;

use super::Streams;
use super::account::{AccountOptions, stopped};
use super::materials;
use super::spec_file::SpecFile;
use super::table::{plain, text};
use super::terminal::Style;
use crate::deploy::plan;
use crate::deploy::preflight::{Job, Outcome, Row, preflight};
use crate::deploy::stack_state::DiffWay;
use crate::exit::Exit;

/// Look for what would keep a deployment from its end, before it begins: all findings at once
#[derive(Debug, Args)]
pub(super) struct Preflight {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

impl Preflight {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let materials = materials::read(&opened.spec, self.spec.folder())?;
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, false)?;
        let session = opened.session(&terminal);
        let rows = plan::view(session, &format!("{}-cluster", opened.spec.name)).and_then(|view| {
            let there = view.filter(|view| crate::deploy::stack_state::ways(Some(view.status)).diff != DiffWay::New);
            preflight(
                session,
                &Job {
                    spec: &opened.spec,
                    materials: &materials,
                    lock: opened.lock.as_ref(),
                    deployed: there.as_ref(),
                },
            )
        });
        let rows = match rows {
            Ok(rows) => rows,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let failed = rows.iter().filter(|row| row.outcome == Outcome::Fail).count();
        let next = match failed {
            0 => "Next: `prefab apply`.".to_owned(),
            1 => "1 check failed. Next: correct it, then `prefab preflight` again.".to_owned(),
            several => format!("{several} checks failed. Next: correct them, then `prefab preflight` again."),
        };
        terminal.result(&format!("{}\n{next}", shown(&rows)), &json!({ "kind": "preflight", "checks": rows }))?;
        Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
    }
}

fn shown(rows: &[Row]) -> String {
    let mut table = plain(&["check", "", "found", "needed"], &[]);
    for row in rows {
        let word = match row.outcome {
            Outcome::Pass => "ok",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
            Outcome::Skip => "skip",
        };
        table.add_row([row.id, word, &row.found, &row.expected]);
    }
    let hints = rows.iter().filter(|row| !row.hint.is_empty());
    let hints: String = hints.map(|row| format!("{}: {}\n", row.id, row.hint)).collect();
    format!("{}\n{hints}", text(&table))
}
