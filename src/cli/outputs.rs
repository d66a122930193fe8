//! `prefab outputs`: what the stacks give, for other programs.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Streams;
use super::account::{AccountOptions, stopped};
use super::spec_file::SpecFile;
use super::status::{nodes_of, views};
use super::terminal::Style;
use crate::deploy::apply::whose;
use crate::deploy::operator::Stop;
use crate::deploy::status::NodeStatus;
use crate::exit::Exit;
use crate::spec::Spec;
use crate::spec::mlflow::Mlflow;
use crate::stacks::{StackKind, artifacts, mlflow};

/// Print what the stacks give: for programs, shells and launchers
#[derive(Debug, Args)]
pub(super) struct Outputs {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// What it is printed as
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Stacks, nodes and outputs
    Json,
    /// Assignments for a shell
    Env,
    /// An address and its name a line
    Hostfile,
}

impl Outputs {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let terminal = self.account.terminal(streams, Style::Silent, false)?;
        let session = opened.session(&terminal);
        let read = whose(session, &opened.spec, opened.lock.as_ref()).and_then(|_| {
            let views = views(session, &opened.spec)?;
            let cluster = views.get(&StackKind::Cluster).ok_or_else(|| {
                Stop::refused(format!(
                    "found no stack {}-cluster in {}, expected one; `prefab apply` makes it",
                    opened.spec.name,
                    opened.spec.region.as_str()
                ))
            })?;
            let nodes = nodes_of(session, cluster, &views)?;
            Ok((views, nodes))
        });
        let (views, nodes) = match read {
            Ok(read) => read,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let output = |kind, id: &crate::template::LogicalId| {
            views.get(&kind).and_then(|view| view.outputs.get(id.as_str())).cloned().unwrap_or_default()
        };
        let arn = match &opened.spec.mlflow {
            Mlflow::Existing { arn, .. } => arn.as_str().to_owned(),
            _ => output(StackKind::Mlflow, &mlflow::ARN),
        };
        let bucket = output(StackKind::Artifacts, &artifacts::BUCKET_NAME);
        let printed = match self.format {
            Format::Json => format!(
                "{:#}",
                json!({
                    "name": opened.spec.name, "region": opened.spec.region.as_str(), "bucket": bucket, "mlflow_arn": arn,
                    "nodes": nodes,
                    "stacks": views.values().map(|view| (view.name.clone(), json!(view.outputs))).collect::<serde_json::Map<_, _>>(),
                })
            ),
            Format::Env => env(&opened.spec, &nodes, &bucket, &arn),
            Format::Hostfile => hostfile(&nodes),
        };
        terminal.result(printed.trim_end(), &json!(null))?;
        Ok(Exit::Done)
    }
}

/// Values that a shell takes as they are: names, ids, ARNs and addresses hold no quote.
fn env(spec: &Spec, nodes: &[NodeStatus], bucket: &str, arn: &str) -> String {
    let of = |prefix: &str| {
        let named = nodes.iter().filter(|node| node.name.starts_with(prefix) && !node.private_address.is_empty());
        named.map(|node| node.private_address.clone()).collect::<Vec<_>>().join(",")
    };
    let pairs = [
        ("AWS_REGION", spec.region.as_str().to_owned()),
        ("PREFAB_NAME", spec.name.clone()),
        ("PREFAB_BUCKET", bucket.to_owned()),
        ("PREFAB_PREFILL_HOSTS", of("Prefill")),
        ("PREFAB_DECODE_HOSTS", of("Decode")),
        ("MLFLOW_TRACKING_URI", arn.to_owned()),
    ];
    pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect()
}

fn hostfile(nodes: &[NodeStatus]) -> String {
    let there = nodes.iter().filter(|node| !node.private_address.is_empty());
    there.map(|node| format!("{} {}\n", node.private_address, node.name)).collect()
}
