//! `prefab logs NODE`: what a node said of its boot.

use clap::Args;
use serde_json::json;

use super::Streams;
use super::account::{AccountOptions, stopped};
use super::spec_file::SpecFile;
use super::status::{nodes_of, views};
use super::terminal::Style;
use crate::deploy::apply::whose;
use crate::deploy::operator::Stop;
use crate::exit::Exit;
use crate::stacks::StackKind;

/// Show what a node said of its boot: its verdict and its console
#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// The node, such as `Prefill0`
    node: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Logs {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, false)?;
        let session = opened.session(&terminal);
        let read = whose(session, &opened.spec, opened.lock.as_ref()).and_then(|_| {
            let views = views(session, &opened.spec)?;
            let nodes =
                views.get(&StackKind::Cluster).map_or(Ok(Vec::new()), |view| nodes_of(session, view, &views))?;
            let named = nodes.iter().find(|node| node.name.eq_ignore_ascii_case(&self.node)).cloned();
            let node = named.ok_or_else(|| {
                let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
                let all = if names.is_empty() { "there is none yet".to_owned() } else { names.join(", ") };
                Stop::refused(format!("found no node `{}`, expected one of: {all}", self.node))
            })?;
            let console = if node.instance_id.is_empty() {
                String::new()
            } else {
                session.call("reading the console", |account| account.console(&node.instance_id))?
            };
            Ok((node, console))
        });
        let (node, console) = match read {
            Ok(read) => read,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let verdict = match &node.boot {
            Some(boot) if boot.instance_id != node.instance_id => {
                format!("{} (an earlier instance, {}): {} {}", node.name, boot.instance_id, boot.stage, boot.reason)
            }
            Some(boot) => format!("{} ({}): {} {}", node.name, node.instance_id, boot.stage, boot.reason),
            None => format!("{} ({}) has left no verdict yet", node.name, node.instance_id),
        };
        let shown = if console.trim().is_empty() {
            "EC2 has no console output yet; it is some minutes behind.".to_owned()
        } else {
            console.trim_end().to_owned()
        };
        let json = json!({ "kind": "logs", "node": node, "console": console });
        terminal.result(&format!("{}\n\n{shown}", verdict.trim_end()), &json)?;
        Ok(Exit::Done)
    }
}
