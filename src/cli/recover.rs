//! `prefab recover`: the legal way out of the state that a stack is in.

use clap::Args;
use serde_json::json;

use super::Streams;
use super::account::{AccountOptions, Only, run_id, stopped};
use super::spec_file::SpecFile;
use super::terminal::Style;
use crate::deploy::apply::whose;
use crate::deploy::recover::{Consent, Recovered, recover};
use crate::exit::Exit;
use crate::stacks::StackKind;

/// Take stacks out of a failed state, or say why there is no way; nothing is deleted without consent
#[derive(Debug, Args)]
pub(super) struct Recover {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// One stack only
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// A resource that a continued roll-back leaves as it is; may be given several times
    #[arg(long, value_name = "ID")]
    skip: Vec<String>,
    /// A resource that a repeated deletion leaves behind; may be given several times
    #[arg(long, value_name = "ID")]
    retain: Vec<String>,
    /// Cancel a running update and roll it back
    #[arg(long)]
    cancel: bool,
    /// Delete a stack that can only be deleted
    #[arg(long)]
    delete: bool,
    /// Agree beforehand to everything but a deletion
    #[arg(long)]
    yes: bool,
    /// Print progress and result as a JSON value a line
    #[arg(long)]
    json: bool,
}

impl Recover {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, self.yes)?;
        let session = opened.session(&terminal);
        let consent =
            Consent { skip: self.skip.clone(), retain: self.retain.clone(), cancel: self.cancel, delete: self.delete };
        if let Err(stop) = whose(session, &opened.spec, opened.lock.as_ref()) {
            return stopped(&stop, &terminal);
        }
        let run = run_id(&opened.spec);
        let mut lines = Vec::new();
        let only = self.only.map(StackKind::from);
        // What was built last is put right first.
        for kind in [StackKind::Cluster, StackKind::Mlflow, StackKind::Artifacts] {
            if only.is_some_and(|only| only != kind) {
                continue;
            }
            let name = format!("{}-{}", opened.spec.name, kind.name());
            let token = format!("{run}-{}-recover", kind.name());
            match recover(session, &name, opened.spec.region.as_str(), &consent, &token) {
                Ok(Recovered::Whole) => lines.push(format!("{name}: nothing to recover")),
                Ok(Recovered::Now(status)) => lines.push(format!("{name}: {status}")),
                Err(stop) => return stopped(&stop, &terminal),
            }
        }
        let text = format!("{}\nNext: correct the cause, then `prefab apply`.", lines.join("\n"));
        terminal.result(&text, &json!({ "kind": "result", "stacks": lines }))?;
        Ok(Exit::Done)
    }
}
