//! `prefab-bootstrap`: the static node program. `run` proves a node and signals it; `serve` answers its peers; `check`,
//! `tasks` and `bench` are its parts, each a command of its own.
#![forbid(unsafe_code)]

mod bench;
mod boot;
mod checks;
mod cloud;
mod engine;
mod exit;
mod host;
mod interrupt;
mod mlflow;
mod roster;
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
    Bench(Box<bench::Options>),
    /// Look at this machine: is it what the plan says, and will it serve?
    Check(checks::Options),
    /// Go through all that logging to MLflow needs, step by step
    MlflowCheck(mlflow::CheckOptions),
    /// Log a report to MLflow
    MlflowLog(mlflow::LogOptions),
    /// Log what waits, because MLflow could not be reached before
    MlflowSync(mlflow::SyncOptions),
    /// Prove this node for `run`, which started this and has the last words
    #[command(hide = true)]
    Prove(boot::command::Options),
    /// Prove this node and tell CloudFormation, once: what cloud-init starts
    Run(boot::command::Options),
    /// Answer the peers of this node: what its systemd unit runs
    Serve(boot::command::Options),
    /// Run a task file, step by step, from where it stopped
    Tasks(tasks::Options),
    /// Keep one command of a task: started by `tasks`, ends with it
    #[command(hide = true)]
    TaskStep(tasks::KeeperOptions),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Check(options) => checks::run(&options),
        Command::MlflowCheck(options) => mlflow::check(&options),
        Command::MlflowLog(options) => mlflow::log(&options),
        Command::MlflowSync(options) => mlflow::sync(&options),
        Command::Prove(options) => boot::command::prove(&options),
        Command::Run(options) => boot::command::run(&options),
        Command::Serve(options) => boot::command::serve(&options),
        Command::Tasks(options) => tasks::run(&options),
        Command::TaskStep(options) => tasks::keep(&options),
    };
    exit::report(result)
}
