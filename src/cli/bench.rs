//! `prefab bench`: the node's benchmark, between nodes that run.

use anyhow::Context as _;
use clap::Args;
use prefab_contract::bench_report::BenchReport;

use super::Streams;
use super::account::{AccountOptions, run_id, stopped};
use super::cluster::Cluster;
use super::kept::Kept;
use super::node_run::{self, RunOptions, Work, printable, refuse};
use super::spec_file::SpecFile;
use super::terminal::Style;
use crate::deploy::operator::Stop;
use crate::deploy::run_command::script;
use crate::deploy::status::NodeStatus;
use crate::deploy::targets;
use crate::exit::Exit;

/// Options of the node's benchmark that this command sets itself.
const OURS: &[&str] = &["--json", "--csv", "--peer", "--local", "--progress", "--op", "--mlflow"];

/// Measure the KV-cache transfer between nodes, through Systems Manager and S3
///
/// The node at --to asks for the bytes, as vLLM's connector does on decode nodes; operations that only write start at --from.
#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    #[command(flatten)]
    run: RunOptions,
    /// Where the KV cache is, one node or several
    #[arg(long, value_name = "NODE,…", value_delimiter = ',', default_value = "prefill-0")]
    from: Vec<String>,
    /// Where it goes
    #[arg(long, value_name = "NODE,…", value_delimiter = ',', default_value = "decode-0")]
    to: Vec<String>,
    /// read, write, packed, auto [default: what the node's configuration says]
    #[arg(long = "op", value_name = "OP,…", value_delimiter = ',')]
    operations: Vec<String>,
    /// Log nothing to the spec's MLflow
    #[arg(long)]
    no_mlflow: bool,
    /// Print progress and result as a JSON value a line
    #[arg(long)]
    json: bool,
    /// More options of `prefab-bootstrap bench`, after `--`
    #[arg(last = true, value_name = "OPTION")]
    more: Vec<String>,
}

impl Bench {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, false)?;
        let wrong = self.wrong_options();
        if !wrong.is_empty() {
            return refuse(&terminal, &wrong);
        }
        let kept = Kept::in_folder(self.run.folder())?;
        let session = opened.session(&terminal);
        let run = run_id(&opened.spec);
        let ended = Cluster::find(session, &opened).and_then(|cluster| {
            let (node, peers) = self.ends(&cluster.nodes)?;
            let arguments = self.arguments(&peers, cluster.mlflow_arn.as_deref());
            let what = format!("{} with {}", node.name, peers.join(", "));
            session.say(format!("{what}: the report comes when the benchmark has ended"));
            let limit_seconds = self.run.limit_seconds();
            let scripts = vec![(node, script::bench(&run, &arguments, limit_seconds))];
            node_run::run(session, &cluster, Work { run: &run, kind: "bench", what, scripts, limit_seconds }, &kept)
        });
        let ended = match ended {
            Ok(ended) => ended,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let exit = ended.exit();
        let Some(node) = ended.ran.nodes.first() else { return Ok(Exit::Failed) };
        // A benchmark that says it is done and left no report did not measure.
        let report = serde_json::from_slice::<BenchReport>(&node.outputs.stdout.bytes).context("reading the report");
        let shown = printable(&node.outputs.stderr);
        let (next, exit) = match (report, exit) {
            (Ok(_), exit) => {
                let files: Vec<String> =
                    ended.files(&node.node).iter().map(|path| path.display().to_string()).collect();
                let file = files.iter().find(|file| file.ends_with(".json")).map_or("", String::as_str);
                (format!("Next: `prefab report {file}`."), exit)
            }
            (Err(error), Exit::Done | Exit::MeasuredNotLogged) => (format!("error: {error:#}"), Exit::Failed),
            (Err(_), exit) => {
                ("Nothing was measured. Next: mend the cause, then `prefab bench` again.".to_owned(), exit)
            }
        };
        let mut json = ended.json(&run, "bench");
        json["exit"] = (exit as u8).into();
        terminal.result(&format!("{shown}\n{}\n{next}", ended.table()), &json)?;
        Ok(exit)
    }

    fn wrong_options(&self) -> Vec<String> {
        let name = |option: &String| option.split('=').next().unwrap_or_default().to_owned();
        let ours = self.more.iter().filter(|option| OURS.contains(&name(option).as_str()));
        let mut findings: Vec<String> = ours
            .map(|option| {
                format!(
                    "found `{option}` after `--`, expected options of the node's benchmark that this command does not set \
                     itself; use --from, --to, --op and --no-mlflow"
                )
            })
            .collect();
        if self.more.first().is_some_and(|first| first == "bench") {
            findings.push("found `bench` after `--`, expected options alone; leave it out".to_owned());
        }
        findings
    }

    /// The node with the initiators, and those with the targets.
    fn ends(&self, nodes: &[NodeStatus]) -> Result<(NodeStatus, Vec<String>), Stop> {
        let (from, to) = match (targets::named(nodes, &self.from), targets::named(nodes, &self.to)) {
            (Ok(from), Ok(to)) => (from, to),
            (from, to) => {
                return Err(Stop::Refused([from.err(), to.err()].into_iter().flatten().flatten().collect()));
            }
        };
        let names = |nodes: &[NodeStatus]| nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
        let only_writes = !self.operations.is_empty() && self.operations.iter().all(|operation| operation == "write");
        let (ours, option, theirs) = if only_writes { (from, "--from", to) } else { (to, "--to", from) };
        let both: Vec<String> = names(&theirs).into_iter().filter(|name| names(&ours).contains(name)).collect();
        let mut findings = Vec::new();
        if !both.is_empty() {
            findings
                .push(format!("found {} at both ends, expected two nodes; correct --from or --to", both.join(", ")));
        }
        let [node] = ours.as_slice() else {
            findings.push(format!(
                "found {} nodes at `{option}`, expected one: it has the initiators of {}",
                ours.len(),
                if only_writes { "a write" } else { "a read" }
            ));
            return Err(Stop::Refused(findings));
        };
        if findings.is_empty() { Ok((node.clone(), names(&theirs))) } else { Err(Stop::Refused(findings)) }
    }

    fn arguments(&self, peers: &[String], mlflow: Option<&str>) -> Vec<String> {
        let mut arguments = self.more.clone();
        // A word such as `sweep` stands first; options may come in any order.
        arguments.extend(["--peer".to_owned(), peers.join(","), "--progress".to_owned(), "none".to_owned()]);
        if !self.operations.is_empty() {
            arguments.extend(["--op".to_owned(), self.operations.join(",")]);
        }
        if let Some(arn) = mlflow.filter(|_| !self.no_mlflow) {
            arguments.extend(["--mlflow".to_owned(), arn.to_owned()]);
        }
        arguments
    }
}
