//! `prefab tasks FILE`: a task file on nodes that run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use prefab_contract::task_file::{Suite, TaskFile, Value};

use super::account::{AccountOptions, run_id, stopped};
use super::cluster::Cluster;
use super::kept::Kept;
use super::node_run::{self, RunOptions, Work, last_lines, refuse};
use super::spec_file::SpecFile;
use super::terminal::Style;
use super::{Streams, materials};
use crate::deploy::operator::Stop;
use crate::deploy::run_command::script::{self, TaskObject};
use crate::deploy::run_command::{DELIVERY_SECONDS, reachable};
use crate::deploy::session::Session;
use crate::deploy::status::NodeStatus;
use crate::deploy::upload::{self, Material};
use crate::deploy::{rendezvous, targets};
use crate::exit::Exit;
use crate::spec::Spec;

/// How long the link to a task file lives beyond its delivery, seconds.
const LINK_SECONDS: u32 = 300;

/// Run a task file on nodes, through S3 and Systems Manager; it goes on where it stopped before
#[derive(Debug, Args)]
pub(super) struct Tasks {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    #[command(flatten)]
    run: RunOptions,
    /// A task file, or the name of one that is shipped or beside the spec
    file: String,
    /// Nodes: `prefill-0`, a role, or `all`
    #[arg(long, value_name = "NODE,…", value_delimiter = ',', default_value = "all")]
    nodes: Vec<String>,
    /// Give a variable of the file its value; Systems Manager keeps it for 30 days
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Forget what was done before
    #[arg(long)]
    force: bool,
    /// Print progress and result as a JSON value a line
    #[arg(long)]
    json: bool,
}

impl Tasks {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let style = if self.json { Style::Json } else { Style::Person };
        let file = self.read(self.spec.folder())?;
        let terminal = self.account.terminal(streams, style, false)?;
        let (material, suite) = match file {
            Ok(read) => read,
            Err(findings) => return refuse(&terminal, &findings),
        };
        let kept = Kept::in_folder(self.run.folder())?;
        let session = opened.session(&terminal);
        let run = run_id(&opened.spec);
        let ended = Cluster::find(session, &opened).and_then(|cluster| {
            let nodes = targets::named(&cluster.nodes, &self.nodes).map_err(Stop::Refused)?;
            reachable(session, &nodes.iter().collect::<Vec<_>>())?;
            let object = bring(session, &cluster, &material)?;
            let secrets = secrets(&opened.spec, &suite);
            let script = |node: &NodeStatus| {
                let arguments = self.arguments(&suite, &secrets, &nodes, node);
                (node.clone(), script::tasks(&run, &object, &arguments, self.run.limit_seconds()))
            };
            let scripts = nodes.iter().map(script).collect();
            let (what, limit_seconds) = (material.name.clone(), self.run.limit_seconds());
            node_run::run(session, &cluster, Work { run: &run, kind: "tasks", what, scripts, limit_seconds }, &kept)
        });
        let ended = match ended {
            Ok(ended) => ended,
            Err(stop) => return stopped(&stop, &terminal),
        };
        let mut shown = String::new();
        for node in &ended.ran.nodes {
            shown += &format!("{}\n{}\n", node.node, last_lines(&node.outputs.stdout));
            if !node.succeeded() {
                shown += &format!("{}\n", last_lines(&node.outputs.stderr));
            }
            shown.push('\n');
        }
        let next = match ended.exit() {
            Exit::Done => "Next: `prefab bench`, or `prefab connect NODE`.".to_owned(),
            _ => format!(
                "Next: mend the cause, then `prefab tasks {}` again: each node goes on where it stopped.",
                self.file
            ),
        };
        terminal.result(&format!("{shown}{}\n{next}", ended.table()), &ended.json(&run, "tasks"))?;
        Ok(ended.exit())
    }

    /// The file, every mistake in it and in what is set at once.
    fn read(&self, folder: &Path) -> anyhow::Result<Result<(Material, Suite), Vec<String>>> {
        let path = PathBuf::from(&self.file);
        let is_name = path.extension().is_none() && path.components().count() == 1;
        let material = match (is_name, std::fs::read(&path)) {
            (_, Ok(content)) => {
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("tasks");
                Material::new(stem, content)
            }
            (true, Err(_)) => match materials::task(&self.file, folder)? {
                Ok(material) => material,
                Err(findings) => return Ok(Err(findings)),
            },
            (false, Err(error)) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let mut findings = Vec::new();
        let mut set = BTreeMap::new();
        for text in &self.set {
            match text.split_once('=') {
                Some((name, _)) if set.contains_key(name) => {
                    findings.push(format!("found `--set {name}` twice, expected it once; leave one out"));
                }
                Some((name, value)) => {
                    set.insert(name.to_owned(), value.to_owned());
                }
                None => findings.push(format!("found `--set {text}`, expected NAME=VALUE")),
            }
        }
        let suite = TaskFile::parse(&material.content).and_then(|file| Suite::bind(file, set));
        match suite {
            Ok(suite) if findings.is_empty() => Ok(Ok((material, suite))),
            Ok(_) => Ok(Err(findings)),
            Err(found) => {
                findings.extend(found.iter().map(|finding| format!("{}: {finding}", self.file)));
                Ok(Err(findings))
            }
        }
    }

    /// What the node's program is given beside the file.
    fn arguments(
        &self,
        suite: &Suite,
        secrets: &[(String, String)],
        nodes: &[NodeStatus],
        node: &NodeStatus,
    ) -> Vec<String> {
        let named = |name: &str| self.set.iter().any(|text| text.starts_with(&format!("{name}=")));
        let meeting = rendezvous::values(&suite.file, nodes, node);
        let meeting =
            meeting.into_iter().filter(|(name, _)| !named(name)).map(|(name, value)| format!("{name}={value}"));
        let set = self.set.iter().cloned().chain(meeting).flat_map(|text| ["--set".to_owned(), text]);
        let secrets = secrets.iter().flat_map(|(name, arn)| ["--secret".to_owned(), format!("{name}={arn}")]);
        let force = self.force.then(|| "--force".to_owned());
        set.chain(secrets).chain(force).collect()
    }
}

/// The ARNs of the secrets that the file names.
fn secrets(spec: &Spec, suite: &Suite) -> Vec<(String, String)> {
    let is_used = |name: &String| suite.values.values().any(|value| matches!(value, Value::Secret(of) if of == name));
    let used = spec.secrets.iter().filter(|(name, _)| is_used(name));
    used.map(|(name, arn)| (name.clone(), arn.as_str().to_owned())).collect()
}

/// Puts the file into the bucket under its digest, and gives out a link that soon dies.
fn bring(session: Session<'_>, cluster: &Cluster, material: &Material) -> Result<TaskObject, Stop> {
    let sha256 = material.sha256.as_str().to_owned();
    let key = format!("tasks/{sha256}.json");
    upload::bring(session, &cluster.bucket, &BTreeMap::from([(key.clone(), material.content.clone())]))?;
    let seconds = DELIVERY_SECONDS + LINK_SECONDS;
    let link =
        session.call("making a link to the task file", |account| account.link(&cluster.bucket, &key, seconds))?;
    Ok(TaskObject { link, sha256 })
}
