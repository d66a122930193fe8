//! The command line: one file a command, each with its options and its run.

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::exit::Exit;

mod demo;
mod folder;
mod init;
mod instance_types;
mod mlflow;
mod option_finding;
mod schema;
mod size;
mod spec_file;
mod synth;
mod table;
mod validate;

/// Builds, proves and measures AWS clusters for disaggregated LLM inference.
#[derive(Debug, Parser)]
#[command(name = "prefab", version, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Validate(validate::Validate),
    Synth(synth::Synth),
    Size(size::Size),
    InstanceTypes(instance_types::InstanceTypes),
    Mlflow(mlflow::Mlflow),
    Demo(demo::Demo),
    Schema(schema::Schema),
}

/// Where a command writes: results to `out`, everything meant for a person beside them to `err`.
pub struct Streams<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
}

impl Cli {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// Whatever stopped the command, as a chain that a person reads.
    pub fn run(self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        match self.command {
            Command::Init(command) => command.run(streams),
            Command::Validate(command) => command.run(streams),
            Command::Synth(command) => command.run(streams),
            Command::Size(command) => command.run(streams),
            Command::InstanceTypes(command) => command.run(streams),
            Command::Mlflow(command) => command.run(streams),
            Command::Demo(command) => command.run(streams),
            Command::Schema(command) => command.run(streams),
        }
    }
}
