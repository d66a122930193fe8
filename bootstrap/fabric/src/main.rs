//! `prefab-fabric`: the engine that moves, verifies and measures. `prefab-bootstrap` runs it as a supervised child.
#![deny(unsafe_code)]

mod challenge;
mod commands;
mod control;
mod counters;
mod cpu_time;
mod events;
mod fault;
mod flow_plan;
mod gate;
mod initiator;
mod machine;
mod pattern;
mod pool_data;
mod probe;
mod run;
mod samples;
mod target;
mod transport;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The transfer engine of prefab: a child of `prefab-bootstrap`
#[derive(Parser)]
#[command(name = "prefab-fabric", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print which transports can run here, as JSON
    Probe,
    /// Run one case: a start command on standard input, events on standard output, both JSON lines
    Run,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Probe => probe::print(),
        Command::Run => run::run(),
    }
}
