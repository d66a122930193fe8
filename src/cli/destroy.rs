//! `prefab destroy`: removes the nodes, and further only when asked.

use clap::Args;
use serde_json::json;

use super::Streams;
use super::account::{AccountOptions, run_id, stopped};
use super::spec_file::SpecFile;
use super::terminal::Style;
use crate::deploy::apply::whose;
use crate::deploy::destroy::{Extent, Job, destroy};
use crate::exit::Exit;

/// Remove the nodes; the record and the buckets stay unless they are named
#[derive(Debug, Args)]
pub(super) struct Destroy {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// The MLflow stack too: its run records are lost
    #[arg(long)]
    mlflow: bool,
    /// Everything: the buckets too, with all versions of all that they hold
    #[arg(long)]
    all: bool,
    /// Lift termination protection without a person who types the name
    #[arg(long)]
    lift_protection: bool,
    /// Agree beforehand
    #[arg(long)]
    yes: bool,
    /// Print progress and result as a JSON value a line
    #[arg(long)]
    json: bool,
}

impl Destroy {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, self.yes)?;
        let session = opened.session(&terminal);
        let run = run_id(&opened.spec);
        let job = Job {
            name: &opened.spec.name,
            region: opened.spec.region.as_str(),
            extent: match (self.all, self.mlflow) {
                (true, _) => Extent::All,
                (false, true) => Extent::Mlflow,
                (false, false) => Extent::Cluster,
            },
            lift_protection: self.lift_protection,
            run: &run,
        };
        let done = match whose(session, &opened.spec, opened.lock.as_ref()).and_then(|_| destroy(session, &job)) {
            Ok(done) => done,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let mut lines: Vec<String> = done.gone.iter().map(|name| format!("gone: {name}")).collect();
        lines.extend(done.stays.iter().map(|line| format!("stays: {line}")));
        lines.extend(done.left.iter().map(|line| format!("still there, and may bill: {line}")));
        lines.push(if done.left.is_empty() {
            "Nothing of it is left that bills, but for what stays.".to_owned()
        } else {
            "Next: remove what is still there, or run `prefab destroy` again.".to_owned()
        });
        let json = json!({ "kind": "result", "gone": done.gone, "stays": done.stays, "left": done.left });
        terminal.result(&lines.join("\n"), &json)?;
        Ok(if done.left.is_empty() { Exit::Done } else { Exit::Failed })
    }
}
