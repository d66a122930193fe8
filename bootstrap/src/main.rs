//! `prefab-bootstrap`: the static node program. It measures (`bench --local` supervises two engines) and runs task files.
#![forbid(unsafe_code)]

mod bench;
mod engine;
mod exit;
mod interrupt;
mod tasks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The node program of prefab
#[derive(Parser)]
#[command(name = "prefab-bootstrap", version, args_override_self = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the KV-cache transfer, verified block by block
    Bench(bench::Options),
    /// Run a task file, step by step, from where it stopped
    Tasks(tasks::Options),
    /// Keep one command of a task: started by `tasks`, ends with it
    #[command(hide = true)]
    TaskStep(tasks::KeeperOptions),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Tasks(options) => tasks::run(&options),
        Command::TaskStep(options) => tasks::keep(&options),
    };
    exit::report(result)
}
