//! `prefab connect NODE`: a shell, a command or a port of a node, without a key and without an open port.

mod plugin;

use std::path::PathBuf;

use clap::Args;

use super::Streams;
use super::account::{AccountOptions, Opened, run_id, stopped};
use super::cluster::Cluster;
use super::kept::Kept;
use super::node_run::{self, Work, printable, refuse};
use super::spec_file::SpecFile;
use super::terminal::{Style, Terminal};
use crate::deploy::commands::SessionKind;
use crate::deploy::operator::Stop;
use crate::deploy::run_command::{reachable, script};
use crate::deploy::session::Session;
use crate::deploy::status::NodeStatus;
use crate::deploy::targets;
use crate::exit::Exit;
use crate::spec::network::Ports;

/// Open a shell on a node, run a command there, or bring one of its ports to this machine
#[derive(Debug, Args)]
pub(super) struct Connect {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// The node, such as `prefill-0`
    node: String,
    /// Run this there, as root, and print what it prints
    #[arg(long, value_name = "TEXT", conflicts_with = "forward")]
    command: Option<String>,
    /// Bring a port of the node here: its number, or its name in the spec's `ports`; `:LOCAL` gives it another one here
    #[arg(long, value_name = "PORT[:LOCAL]")]
    forward: Option<String>,
    /// How long a command may take, minutes
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=2_870))]
    timeout_minutes: u32,
    /// The folder in which a command's output is kept
    #[arg(short = 'o', long = "output", value_name = "DIR", default_value = "results")]
    output: PathBuf,
    /// Print the end of a command as a JSON value
    #[arg(long, requires = "command")]
    json: bool,
}

impl Connect {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        match &self.command {
            Some(text) => self.command(&opened, text, streams),
            None => self.session(&opened, streams),
        }
    }

    /// A command ends by itself, so that it needs no plugin, has an exit code, and leaves its output.
    fn command(&self, opened: &Opened, text: &str, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let kept = Kept::in_folder(&self.output)?;
        let style = if self.json { Style::Json } else { Style::Silent };
        let terminal = self.account.terminal(streams, style, false)?;
        let session = opened.session(&terminal);
        let run = run_id(&opened.spec);
        let limit_seconds = self.timeout_minutes * 60;
        let ended = Cluster::find(session, opened).and_then(|cluster| {
            let node = one(&cluster.nodes, &self.node).map_err(Stop::Refused)?;
            let scripts = vec![(node, script::command(&run, text, limit_seconds))];
            let work = Work { run: &run, kind: "command", what: text.to_owned(), scripts, limit_seconds };
            node_run::run(session, &cluster, work, &kept)
        });
        let ended = match ended {
            Ok(ended) => ended,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let json = ended.json(&run, "command");
        if self.json {
            terminal.result("", &json)?;
            return Ok(ended.exit());
        }
        drop(terminal);
        for node in &ended.ran.nodes {
            // To a person without what would steer the terminal, to a program as it is.
            if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
                streams.out.write_all(printable(&node.outputs.stdout).as_bytes())?;
            } else {
                streams.out.write_all(&node.outputs.stdout.bytes)?;
            }
            streams.err.write_all(printable(&node.outputs.stderr).as_bytes())?;
            for key in [&node.outputs.stdout.cut, &node.outputs.stderr.cut].into_iter().flatten() {
                writeln!(streams.err, "warning: this is the beginning only; all of it is the object {key}")?;
            }
            if !node.succeeded() {
                writeln!(streams.err, "error: the command {} on {}", node.ending(), node.node)?;
            }
        }
        Ok(ended.exit())
    }

    fn session(&self, opened: &Opened, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let terminal = self.account.terminal(streams, Style::Person, false)?;
        let mut findings = Vec::new();
        let kind = self.kind(&opened.spec.ports).unwrap_or_else(|found| {
            findings.push(found);
            SessionKind::Shell
        });
        let plugin = plugin::find().map_err(|found| findings.push(found)).ok();
        let session = opened.session(&terminal);
        let node = match Cluster::find(session, opened) {
            Ok(cluster) => one(&cluster.nodes, &self.node).map_err(|found| findings.extend(found)).ok(),
            Err(Stop::Refused(found)) => {
                findings.extend(found);
                None
            }
            Err(stop) => return stopped(&stop, &terminal),
        };
        let (Some(plugin), Some(node), true) = (plugin, node, findings.is_empty()) else {
            return refuse(&terminal, &findings);
        };
        let opened_session = match open(session, &node, &kind) {
            Ok(found) => found,
            Err(stop) => return stopped(&stop, &terminal),
        };
        terminal.say(&match &kind {
            SessionKind::Shell => format!("{} ({}): `exit` ends the session", node.name, node.instance_id),
            SessionKind::Forward { port, local_port } => format!(
                "http://127.0.0.1:{local_port} leads to port {port} of {} ({}); Ctrl-C ends it",
                node.name, node.instance_id
            ),
        });
        let region = opened.spec.region.as_str();
        let failed = plugin.become_it(&opened_session, &node.instance_id, &kind, region, self.account.profile());
        self.end(session, &terminal, &opened_session.id, &failed)
    }

    /// The client could not be started: nobody will use the session, which must not stay open on the node.
    fn end(
        &self,
        session: Session<'_>,
        terminal: &Terminal<'_>,
        id: &str,
        why: &anyhow::Error,
    ) -> anyhow::Result<Exit> {
        let mut texts = vec![format!("{why:#}")];
        if let Err(problem) = session.clean(|account| account.end_session(id)) {
            texts.push(format!("the session {id} could not be ended: {problem}; it ends by itself after 20 minutes"));
        }
        terminal.end("error", &texts, Exit::Failed)?;
        Ok(Exit::Failed)
    }

    fn kind(&self, ports: &Ports) -> Result<SessionKind, String> {
        let Some(text) = &self.forward else { return Ok(SessionKind::Shell) };
        let (remote, local) =
            text.split_once(':').map_or((text.as_str(), None), |(remote, local)| (remote, Some(local)));
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let known = [
            ("vllm", ports.vllm),
            ("proxy", ports.proxy),
            ("decode", ports.decode),
            ("side_channel", ports.side_channel),
        ];
        let port = number(remote).or_else(|| known.iter().find(|(name, _)| *name == remote).map(|(_, port)| *port));
        let local_port = local.map_or(port, number);
        match (port, local_port) {
            (Some(port), Some(local_port)) => Ok(SessionKind::Forward { port, local_port }),
            _ => {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                Err(format!(
                    "found `--forward {text}`, expected a port from 1 to 65535 or one of {}, and for this machine `:LOCAL`",
                    names.join(", ")
                ))
            }
        }
    }
}

fn one(nodes: &[NodeStatus], word: &str) -> Result<NodeStatus, Vec<String>> {
    let found = targets::named(nodes, &[word.to_owned()])?;
    match found.as_slice() {
        [node] => Ok(node.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|node| node.name.as_str()).collect();
            Err(vec![format!("found `{word}`, which names {}, expected one node", names.join(", "))])
        }
    }
}

fn open(
    session: Session<'_>,
    node: &NodeStatus,
    kind: &SessionKind,
) -> Result<crate::deploy::commands::OpenSession, Stop> {
    reachable(session, &[node])?;
    session
        .call(&format!("opening a session on {}", node.name), |account| account.open_session(&node.instance_id, kind))
}
