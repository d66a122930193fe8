//! `prefab-fabric`: the engine that moves, verifies and measures. `prefab-bootstrap` runs it as a supervised child.
#![deny(unsafe_code)]

mod challenge;
mod commands;
mod control;
mod counters;
mod cpu_time;
mod cuda;
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
mod store;
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
    /// Measure the limits of a GPU: its memory, its link, and packing over it, as JSON
    GpuLimits(cuda::limits::Options),
    /// Print what the driver and NVML know of the GPUs, as JSON
    Gpus,
    /// Run one case: a start command on standard input, events on standard output, both JSON lines
    Run,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::GpuLimits(options) => cuda::limits::run(&options),
        Command::Gpus => cuda::inventory::print(),
        Command::Probe => probe::print(),
        Command::Run => run::run(),
    }
}
