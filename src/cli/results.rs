//! `prefab results`: everything that nodes and runs left, on this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};

use super::Streams;
use super::account::{AccountOptions, stopped};
use super::cluster::Cluster;
use super::kept::Kept;
use super::node_run::keep;
use super::spec_file::SpecFile;
use super::table::{plain, text};
use super::terminal::Style;
use crate::deploy::operator::Stop;
use crate::deploy::results::{self, Left};
use crate::deploy::run_command::{self, RunRecord};
use crate::deploy::session::Session;
use crate::exit::Exit;

/// The largest object that is brought, bytes.
const MOST_BYTES: usize = 256 << 20;

/// Collect what the nodes left in the bucket: check reports, benchmark reports, and all that runs printed
#[derive(Debug, Args)]
pub(super) struct Results {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// The folder of results
    #[arg(short = 'o', long = "output", value_name = "DIR", default_value = "results")]
    output: PathBuf,
    /// One run only
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Wait for runs that go on; Ctrl-C cancels them
    #[arg(long)]
    wait: bool,
    /// Print progress and result as a JSON value a line
    #[arg(long)]
    json: bool,
}

/// What became of the objects.
#[derive(Default)]
struct Collected {
    brought: Vec<PathBuf>,
    present: usize,
    /// Why some are not here.
    lacking: Vec<String>,
}

impl Results {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, false)?;
        let kept = Kept::in_folder(&self.output)?;
        let session = opened.session(&terminal);
        let done = Cluster::find(session, &opened).and_then(|cluster| self.collect(session, &cluster, &kept));
        let (left, collected) = match done {
            Ok(done) => done,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let Collected { brought, present, lacking } = collected;
        let mut lines = vec![runs(&left.runs), format!("{} files brought, {present} there already", brought.len())];
        lines.extend(lacking.iter().map(|line| format!("warning: {line}")));
        let reports =
            brought.iter().filter(|path| path.ends_with("report.json")).map(|path| path.display().to_string());
        let reports: Vec<String> = reports.collect();
        lines.push(if reports.is_empty() {
            format!("Next: look into {}.", self.output.display())
        } else {
            format!("Next: `prefab report {}`.", reports.join(" "))
        });
        let json = json!({
            "kind": "result", "brought": brought, "present": present, "lacking": lacking,
            "runs": left.runs.values().map(|run| serde_json::to_value(run).unwrap_or(Json::Null)).collect::<Vec<_>>(),
        });
        terminal.result(&lines.join("\n"), &json)?;
        Ok(if lacking.is_empty() { Exit::Done } else { Exit::Failed })
    }

    fn collect(&self, session: Session<'_>, cluster: &Cluster, kept: &Kept) -> Result<(Left, Collected), Stop> {
        let mut left = results::left(session, &cluster.bucket, &cluster.stack_uuid)?;
        if let Some(run) = &self.run {
            if !left.runs.contains_key(run) {
                let known: Vec<&str> = left.runs.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
                return Err(Stop::refused(format!("found no run `{run}`, expected one of: {known}")));
            }
            left.runs.retain(|name, _| name == run);
            let prefix = format!("{}/", RunRecord::prefix(&cluster.stack_uuid, run));
            left.keys.retain(|key| key.starts_with(&prefix));
        }
        if self.wait {
            for record in left.runs.values_mut().filter(|record| goes_on(record)) {
                let (run, kind) = (record.run.clone(), record.kind.clone());
                session.say(format!("run {run} goes on: {}", record.what));
                run_command::find_lost(session, record);
                let mut keep = |node: &run_command::NodeRun| {
                    keep(session, kept, &run, &kind, node);
                };
                let (bucket, uuid) = (&cluster.bucket, &cluster.stack_uuid);
                let ran = run_command::follow(session, bucket, uuid, record, None, &mut keep)?;
                if let Some(signal) = ran.interrupted {
                    return Err(Stop::Interrupted(signal, format!("run {run} was cancelled; what it left is here")));
                }
            }
        }
        let mut collected = Collected::default();
        for key in &left.keys {
            session.heed("interrupted; what was brought so far is here, whole")?;
            let Some(name) = results::place(&left, &cluster.stack_uuid, key) else {
                collected.lacking.push(format!("the object {key} has a name that no file should have"));
                continue;
            };
            bring(session, &cluster.bucket, key, &name, kept, &mut collected)?;
        }
        Ok((left, collected))
    }
}

fn bring(
    session: Session<'_>,
    bucket: &str,
    key: &str,
    name: &str,
    kept: &Kept,
    collected: &mut Collected,
) -> Result<(), Stop> {
    let doing = format!("bringing {key}");
    let Some(bytes) = session.call(&doing, |account| account.object_bytes(bucket, key))? else { return Ok(()) };
    // Streams do not change once they are there; small documents do.
    let is_stream = !name.ends_with("run.json") && !name.ends_with("check.json");
    if is_stream && kept.bytes(name) == Some(bytes) {
        collected.present += 1;
        return Ok(());
    }
    if usize::try_from(bytes).is_ok_and(|bytes| bytes > MOST_BYTES) {
        collected
            .lacking
            .push(format!("the object {key} has {bytes} bytes, more than {MOST_BYTES}; fetch it with `aws s3 cp`"));
        return Ok(());
    }
    let Some(content) = session.call(&doing, |account| account.object(bucket, key, MOST_BYTES))? else { return Ok(()) };
    match kept.write(name, &content) {
        Ok(()) => collected.brought.push(kept.path(name)),
        Err(error) => collected.lacking.push(format!("{error:#}")),
    }
    Ok(())
}

fn goes_on(record: &RunRecord) -> bool {
    record.nodes.values().any(|node| node.state.is_none())
}

fn runs(runs: &BTreeMap<String, RunRecord>) -> String {
    if runs.is_empty() {
        return "no run of `tasks`, `bench` or `connect --command` yet".to_owned();
    }
    let mut table = plain(&["run", "kind", "what", "nodes"], &[]);
    for run in runs.values() {
        let state = |(name, node): (&String, &run_command::NodeRecord)| {
            format!("{name}: {}", node.state.as_deref().unwrap_or("goes on, or was lost sight of"))
        };
        let nodes: Vec<String> = run.nodes.iter().map(state).collect();
        table.add_row([run.run.as_str(), &run.kind, &run.what, &nodes.join("; ")]);
    }
    text(&table)
}
