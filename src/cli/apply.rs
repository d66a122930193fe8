//! `prefab apply`: from a spec to its stacks.

mod zone;

use std::collections::BTreeSet;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Streams;
use super::account::{AccountOptions, Only, Opened, run_id, stopped};
use super::spec_file::SpecFile;
use super::terminal::{Style, Terminal};
use super::{materials, status};
use crate::deploy::apply::{self, Applied, Job};
use crate::deploy::choices::Refresh;
use crate::deploy::guard::Permits;
use crate::deploy::lifetime::{self, Lifetime};
use crate::deploy::operator::{Notice, Operator as _, Question, Stop};
use crate::deploy::session::Session;
use crate::deploy::status::NodeStatus;
use crate::exit::Exit;
use crate::lock::Lock;
use crate::spec::Spec;
use crate::spec::cluster::Capacity;
use crate::spec::network::Choice;
use crate::stacks::{self, StackKind};

/// Create or update the stacks of a spec, exactly as reviewed
#[derive(Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// One stack only
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Agree beforehand to what the review shows
    #[arg(long)]
    yes: bool,
    /// Show the review and change nothing
    #[arg(long)]
    plan_only: bool,
    /// A node, bucket or MLflow that may be replaced, by logical id; may be given several times
    #[arg(long, value_name = "ID")]
    allow_replace: Vec<String>,
    /// A node, bucket or MLflow that may be removed, by logical id; may be given several times
    #[arg(long, value_name = "ID")]
    allow_remove: Vec<String>,
    /// What is resolved anew although that replaces every node; may be given several times
    #[arg(long, value_enum)]
    refresh: Vec<Refreshed>,
    /// A node that goes out of the stack and comes in again, such as a broken one; may be given several times
    #[arg(long, value_name = "ID")]
    roll: Vec<String>,
    /// Apply the other stacks now, and the cluster when its capacity block begins
    #[arg(long)]
    wait_for_block: bool,
    /// Agree beforehand to another zone where the spec's has no room: the spec is changed, what failed is deleted
    #[arg(long)]
    any_zone: bool,
    /// When the nodes end themselves, from now on: 90m, 8h, 2d, or `off`
    #[arg(long, value_name = "TIME", value_parser = Lifetime::read)]
    ttl: Option<Lifetime>,
    /// Delete what is left of a creation that failed and was rolled back, then create
    #[arg(long)]
    recreate: bool,
    /// Print progress and result as a JSON value a line
    #[arg(long)]
    json: bool,
}

/// What is resolved anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Refreshed {
    /// What the image parameter names now
    Image,
    /// The node programs that are here
    Bootstrap,
}

/// Both kinds of `--refresh`.
pub(super) fn refresh(of: &[Refreshed]) -> Refresh {
    Refresh { image: of.contains(&Refreshed::Image), bootstrap: of.contains(&Refreshed::Bootstrap) }
}

/// How an attempt ended.
enum Attempt {
    /// For good.
    Ended(Exit),
    /// The spec names another zone now.
    Elsewhere {
        /// The one that had no room.
        left: String,
    },
}

/// Whether another zone is possible at all: a named subnet or a reservation lies in one.
fn may_move(spec: &Spec) -> bool {
    spec.network.subnet == Choice::Default && spec.cluster.capacity == Capacity::OnDemand
}

impl Apply {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let mut tried = BTreeSet::new();
        loop {
            match self.attempt(&tried, streams)? {
                Attempt::Ended(exit) => return Ok(exit),
                Attempt::Elsewhere { left } => {
                    tried.insert(left);
                }
            }
        }
    }

    /// One attempt in the zone of the spec; `tried` are the zones that had no room before.
    fn attempt(&self, tried: &BTreeSet<String>, streams: &mut Streams<'_>) -> anyhow::Result<Attempt> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Attempt::Ended(Exit::Failed)) };
        let stacks = stacks::of(&opened.spec)?;
        let materials = materials::read(&opened.spec, self.spec.folder())?;
        let set = |ids: &[String]| ids.iter().cloned().collect::<BTreeSet<_>>();
        let roll = set(&self.roll);
        // Who names a node to roll permits that another takes its place.
        let replace = set(&self.allow_replace).union(&roll).cloned().collect();
        let permits = Permits { replace, remove: set(&self.allow_remove) };
        let run = run_id(&opened.spec);
        let job = Job {
            spec: &opened.spec,
            stacks: &stacks,
            materials: &materials,
            only: self.only.map(StackKind::from),
            permits: &permits,
            refresh: refresh(&self.refresh),
            roll: &roll,
            wait_for_block: self.wait_for_block,
            recreate: self.recreate || !tried.is_empty(),
            anew: !tried.is_empty(),
            plan_only: self.plan_only,
            lock: opened.lock.as_ref(),
            run: &run,
        };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, self.yes)?;
        match apply::apply(opened.session(&terminal), &job) {
            Ok(applied) => self.end(&opened, &terminal, &applied, &run).map(Attempt::Ended),
            Err(stop) => {
                let exit = stopped(&stop, &terminal)?;
                let Stop::NoRoom { zones, .. } = &stop else { return Ok(Attempt::Ended(exit)) };
                let here = opened.spec.availability_zone.as_str();
                let other = zones.iter().find(|zone| *zone != here && !tried.contains(*zone));
                let Some(other) = other.filter(|_| may_move(&opened.spec)) else { return Ok(Attempt::Ended(exit)) };
                self.move_to(other, here, &terminal, exit)
            }
        }
    }

    /// Writes another zone into the spec, where the person agrees to it.
    fn move_to(&self, zone: &str, here: &str, terminal: &Terminal<'_>, exit: Exit) -> anyhow::Result<Attempt> {
        let text = format!(
            "Write `availability_zone: {zone}` into {}, delete what failed, and apply there?",
            self.spec.name()
        );
        let question = Question { text, answer: zone.to_owned(), foreseen: false };
        if !(self.any_zone || terminal.agrees(&question)) {
            return Ok(Attempt::Ended(exit));
        }
        let text =
            std::fs::read_to_string(self.spec.path()).with_context(|| format!("reading {}", self.spec.name()))?;
        match zone::moved(&text, here, zone) {
            Ok(moved) => {
                self.spec.replace(&moved)?;
                terminal
                    .tell(Notice::Said(format!("{}: the zone is {zone} now, {here} had no room", self.spec.name())));
                Ok(Attempt::Elsewhere { left: here.to_owned() })
            }
            Err(finding) => {
                terminal.end("error", &[finding], Exit::Failed)?;
                Ok(Attempt::Ended(Exit::Failed))
            }
        }
    }

    /// What was done, the nodes, how to reach them, what to do next.
    fn end(&self, opened: &Opened, terminal: &Terminal<'_>, applied: &Applied, run: &str) -> anyhow::Result<Exit> {
        if applied.planned_only {
            terminal
                .result("Nothing was changed. Next: `prefab apply`.", &json!({ "kind": "result", "changed": false }))?;
            return Ok(Exit::Done);
        }
        if let Some(lock) = &applied.lock {
            self.keep(lock)?;
        }
        let session = opened.session(terminal);
        let cluster = applied.views.get(&StackKind::Cluster);
        let nodes = match cluster.map(|view| status::nodes_of(session, view, &applied.views)) {
            Some(Ok(nodes)) => nodes,
            Some(Err(stop)) => {
                // The stacks are what they should be; only the list of nodes is missing.
                terminal.end("warning", &[format!("the nodes could not be listed: {stop}")], Exit::Done)?;
                Vec::new()
            }
            None => Vec::new(),
        };
        if let Some(stop) = self.limit(session, applied, &nodes, run) {
            return stopped(&stop, terminal);
        }
        let done = if applied.changed {
            "The stacks are what the spec gives."
        } else {
            "No changes: the stacks are what the spec gives."
        };
        let mut text = done.to_owned();
        if !nodes.is_empty() {
            text.push_str(&format!("\n\n{}", status::table(&nodes)));
        }
        for orphan in &applied.orphans {
            text.push_str(&format!("\nwarning: it still exists, outside every stack: {orphan}"));
        }
        text.push_str(match nodes.first() {
            Some(_) => "\nConnect: `prefab connect prefill-0`. Next: `prefab bench`, or `prefab outputs --format env`.",
            None => "\nNext: `prefab status`.",
        });
        let json = json!({
            "kind": "result", "changed": applied.changed, "nodes": nodes, "orphans": applied.orphans,
            "account": applied.identity.account,
        });
        terminal.result(&text, &json)?;
        // What was replaced and could not be deleted differs from the spec, and may bill.
        Ok(if applied.orphans.is_empty() { Exit::Done } else { Exit::Differs })
    }

    /// Sets when the nodes end themselves, where that was asked for. The stacks are applied in any case.
    fn limit(&self, session: Session<'_>, applied: &Applied, nodes: &[NodeStatus], run: &str) -> Option<Stop> {
        let lifetime = self.ttl?;
        let cluster = applied.views.get(&StackKind::Cluster);
        let (Some(view), Some(bucket), false) = (cluster, status::bucket(&applied.views), nodes.is_empty()) else {
            return Some(Stop::refused(
                "found no node whose lifetime could be set, expected some; apply without `--only`",
            ));
        };
        let place = lifetime::Place { run, nodes, bucket, stack_uuid: view.uuid() };
        lifetime::set(session, &place, lifetime).err().map(|stop| match stop {
            Stop::Interrupted(signal, text) => Stop::Interrupted(signal, text),
            stop => Stop::Failed(format!(
                "{stop}\nThe stacks are what the spec gives, but not every node ends by itself; run `prefab apply --ttl` again"
            )),
        })
    }

    /// Whole or not at all, and only when it says something new.
    fn keep(&self, lock: &Lock) -> anyhow::Result<()> {
        let path = self.spec.lock_path();
        let text = lock.text();
        if std::fs::read_to_string(&path).is_ok_and(|known| known == text) {
            return Ok(());
        }
        self.spec.beside(&path, &text).with_context(|| {
            format!(
                "the stacks are what the spec gives, but {} could not be written; run `prefab apply` again",
                path.display()
            )
        })
    }
}
