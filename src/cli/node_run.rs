//! A run on nodes as a command: what it printed becomes files, its end a table and an exit code.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use serde_json::{Value as Json, json};

use super::cluster::Cluster;
use super::kept::Kept;
use super::table::{plain, text};
use super::terminal::Terminal;
use crate::deploy::operator::{Signal, Stop};
use crate::deploy::run_command::{self, Job, NodeRun, Output, Ran};
use crate::deploy::session::Session;
use crate::deploy::status::NodeStatus;
use crate::exit::Exit;

/// Lines of a node's output that are shown; all of them are kept.
const SHOWN_LINES: usize = 40;

/// What the node's benchmark ends with when it measured and MLflow did not take the result.
const MEASURED_NOT_LOGGED: i32 = 5;

/// Options of a run on nodes
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// How long it may take on a node, minutes
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=2_870))]
    timeout_minutes: u32,
    /// The folder in which everything that the nodes print is kept
    #[arg(short = 'o', long = "output", value_name = "DIR", default_value = "results")]
    output: PathBuf,
}

impl RunOptions {
    /// How long it may take, seconds.
    pub(super) fn limit_seconds(&self) -> u32 {
        self.timeout_minutes * 60
    }

    /// The folder of results.
    pub(super) fn folder(&self) -> &Path {
        &self.output
    }
}

/// What is run.
pub(super) struct Work<'a> {
    pub(super) run: &'a str,
    pub(super) kind: &'static str,
    pub(super) what: String,
    pub(super) scripts: Vec<(NodeStatus, String)>,
    pub(super) limit_seconds: u32,
}

/// A run that has ended, and where its output is.
pub(super) struct Ended {
    pub(super) ran: Ran,
    files: Vec<(String, Vec<PathBuf>)>,
}

/// Runs it; every node's output is kept as soon as the node has ended.
pub(super) fn run(session: Session<'_>, cluster: &Cluster, work: Work<'_>, kept: &Kept) -> Result<Ended, Stop> {
    let Work { run, kind, what, scripts, limit_seconds } = work;
    let job = Job { run, kind, what, scripts, stack_uuid: &cluster.stack_uuid, bucket: &cluster.bucket, limit_seconds };
    let files = RefCell::new(Vec::new());
    let mut keep = |node: &NodeRun| files.borrow_mut().push((node.node.clone(), keep(session, kept, run, kind, node)));
    let ran = run_command::run(session, &job, &mut keep)?;
    Ok(Ended { ran, files: files.into_inner() })
}

/// Writes what a node printed. What cannot be written is told: it is in the bucket still.
pub(super) fn keep(session: Session<'_>, kept: &Kept, run: &str, kind: &str, node: &NodeRun) -> Vec<PathBuf> {
    let report = if kind == "bench" { "report.json" } else { "stdout" };
    let mut files = Vec::new();
    for (name, output) in [(report, &node.outputs.stdout), ("stderr", &node.outputs.stderr)] {
        if output.bytes.is_empty() {
            continue;
        }
        let name = format!("{run}/{}/{name}", node.node);
        match kept.write(&name, &output.bytes) {
            Ok(()) => files.push(kept.path(&name)),
            Err(error) => session.warn(format!("{error:#}; `prefab results` brings it again")),
        }
        if let Some(key) = &output.cut {
            session
                .warn(format!("{} is its beginning only; all of it is the object {key}", kept.path(&name).display()));
        }
    }
    files
}

impl Ended {
    /// How the command ends.
    pub(super) fn exit(&self) -> Exit {
        match self.ran.interrupted {
            Some(Signal::Interrupt) => return Exit::Interrupted,
            Some(Signal::Terminate) => return Exit::Terminated,
            None => {}
        }
        let failed: Vec<&NodeRun> = self.ran.nodes.iter().filter(|node| !node.succeeded()).collect();
        match failed.as_slice() {
            [] => Exit::Done,
            failed if failed.iter().all(|node| node.invocation.exit_code == MEASURED_NOT_LOGGED) => {
                Exit::MeasuredNotLogged
            }
            _ => Exit::Failed,
        }
    }

    /// The files of a node.
    pub(super) fn files(&self, node: &str) -> &[PathBuf] {
        self.files.iter().find(|(name, _)| name == node).map_or(&[], |(_, files)| files)
    }

    /// The nodes as a table.
    pub(super) fn table(&self) -> String {
        let mut table = plain(&["node", "ended", "output"], &[]);
        for node in &self.ran.nodes {
            let files: Vec<String> = self.files(&node.node).iter().map(|path| path.display().to_string()).collect();
            table.add_row([node.node.clone(), node.ending(), files.join(" ")]);
        }
        text(&table)
    }

    /// The end for programs.
    pub(super) fn json(&self, run: &str, kind: &str) -> Json {
        let node = |node: &NodeRun| {
            json!({
                "node": node.node, "state": node.invocation.state.name(), "details": node.invocation.details,
                "exit_code": node.invocation.exit_code, "files": self.files(&node.node),
                "cut": node.outputs.stdout.cut.is_some() || node.outputs.stderr.cut.is_some(),
            })
        };
        json!({
            "kind": "result", "run": run, "of": kind, "exit": self.exit() as u8,
            "nodes": self.ran.nodes.iter().map(node).collect::<Vec<_>>(),
        })
    }
}

/// The end of what a node printed.
pub(super) fn last_lines(output: &Output) -> String {
    let text = printable(output);
    let lines: Vec<&str> = text.lines().collect();
    let hidden = lines.len().saturating_sub(SHOWN_LINES);
    let lead = if hidden > 0 { format!("… {hidden} lines before\n") } else { String::new() };
    lead + &lines[hidden..].join("\n")
}

/// What a node printed, without what would steer a terminal.
pub(super) fn printable(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.bytes);
    text.replace(|character: char| character.is_control() && !matches!(character, '\n' | '\t'), "")
}

/// All findings at once, before anything is sent.
pub(super) fn refuse(terminal: &Terminal<'_>, findings: &[String]) -> anyhow::Result<Exit> {
    ensure!(!findings.is_empty(), "a refusal without a finding");
    terminal.end("error", findings, Exit::Failed)?;
    Ok(Exit::Failed)
}
