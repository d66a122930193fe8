//! `prefab mlflow`: the record of experiments, from a person's machine.

use clap::{Args, Subcommand};

use super::Streams;
use crate::exit::Exit;

mod check;
mod open;
mod power;
mod runs;
mod target;

pub(super) use runs::{Reports, RunName};
pub(super) use target::TargetOptions;

/// Look after the record of experiments: check, open, start, stop
#[derive(Debug, Args)]
pub(super) struct Mlflow {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Open(open::Open),
    Start(power::Start),
    Stop(power::Stop),
}

impl Mlflow {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        match &self.command {
            Command::Check(command) => command.run(streams),
            Command::Open(command) => command.run(streams),
            Command::Start(command) => command.run(streams),
            Command::Stop(command) => command.run(streams),
        }
    }
}
