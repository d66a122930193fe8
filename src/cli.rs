//! The command line: one file a command, each with its options and its run.

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
use crate::table;

mod account;
mod apply;
mod bench;
mod capacity;
mod cluster;
mod compare;
mod connect;
mod demo;
mod destroy;
mod diff;
mod folder;
mod init;
mod instance_types;
mod kept;
mod logs;
mod materials;
mod mlflow;
mod node_run;
mod option_finding;
mod outputs;
mod preflight;
mod progress;
mod recover;
mod report;
mod report_files;
mod results;
mod schema;
mod size;
mod spec_file;
mod status;
mod synth;
mod tasks;
mod terminal;
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
    Report(report::Report),
    Compare(compare::Compare),
    Mlflow(mlflow::Mlflow),
    Demo(demo::Demo),
    Schema(schema::Schema),
    Preflight(preflight::Preflight),
    Capacity(capacity::Capacity),
    Diff(diff::Diff),
    Apply(apply::Apply),
    Status(status::Status),
    Outputs(outputs::Outputs),
    Logs(logs::Logs),
    Connect(connect::Connect),
    Tasks(tasks::Tasks),
    Bench(bench::Bench),
    Results(results::Results),
    Recover(recover::Recover),
    Destroy(destroy::Destroy),
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
            Command::Report(command) => command.run(streams),
            Command::Compare(command) => command.run(streams),
            Command::Mlflow(command) => command.run(streams),
            Command::Demo(command) => command.run(streams),
            Command::Schema(command) => command.run(streams),
            Command::Preflight(command) => command.run(streams),
            Command::Capacity(command) => command.run(streams),
            Command::Diff(command) => command.run(streams),
            Command::Apply(command) => command.run(streams),
            Command::Status(command) => command.run(streams),
            Command::Outputs(command) => command.run(streams),
            Command::Logs(command) => command.run(streams),
            Command::Connect(command) => command.run(streams),
            Command::Tasks(command) => command.run(streams),
            Command::Bench(command) => command.run(streams),
            Command::Results(command) => command.run(streams),
            Command::Recover(command) => command.run(streams),
            Command::Destroy(command) => command.run(streams),
        }
    }
}
