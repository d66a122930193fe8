//! `prefab diff`: what an apply would change.

use std::collections::BTreeSet;

use clap::Args;

use super::Streams;
use super::account::{AccountOptions, Only, run_id, stopped};
use super::apply::{Refreshed, refresh};
use super::materials;
use super::progress::Lines;
use super::spec_file::SpecFile;
use super::terminal::Style;
use crate::deploy::apply::{Job, compare};
use crate::deploy::guard::Permits;
use crate::exit::Exit;
use crate::stacks::{self, StackKind};

/// Show what apply would change: access first, then what is replaced and why (exit code 3 when anything differs)
#[derive(Debug, Args)]
pub(super) struct Diff {
    #[command(flatten)]
    spec: SpecFile,
    #[command(flatten)]
    account: AccountOptions,
    /// One stack only
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Ask CloudFormation too, by change sets that are thrown away
    #[arg(long)]
    change_set: bool,
    /// As if this were resolved anew; may be given several times
    #[arg(long, value_enum)]
    refresh: Vec<Refreshed>,
    /// Print the difference as JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(opened) = self.account.open(&self.spec, streams)? else { return Ok(Exit::Failed) };
        let stacks = stacks::of(&opened.spec)?;
        let materials = materials::read(&opened.spec, self.spec.folder())?;
        let (permits, run, roll) = (Permits::default(), run_id(&opened.spec), BTreeSet::new());
        let job = Job {
            spec: &opened.spec,
            stacks: &stacks,
            materials: &materials,
            only: self.only.map(StackKind::from),
            permits: &permits,
            refresh: refresh(&self.refresh),
            roll: &roll,
            wait_for_block: false,
            recreate: false,
            anew: false,
            plan_only: true,
            lock: opened.lock.as_ref(),
            run: &run,
        };
        let style = if self.json { Style::Json } else { Style::Person };
        let terminal = self.account.terminal(streams, style, false)?;
        match compare(opened.session(&terminal), &job, self.change_set) {
            Ok(review) => {
                let differs = review.changes_anything();
                let next = if differs { "Next: `prefab apply`." } else { "Nothing differs." };
                terminal.result(&format!("{review}\n{next}"), &Lines::review(&review))?;
                Ok(if differs { Exit::Differs } else { Exit::Done })
            }
            Err(stop) => stopped(&stop, &terminal),
        }
    }
}
