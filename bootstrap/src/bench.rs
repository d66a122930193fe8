//! `bench`: cases one after another, a report that is whole after each of them.

mod figures;
mod local;
mod machine;
mod options;
mod progress;
mod table;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use prefab_contract::bench_report::{BenchProgress, BenchReport, Case, Ended, Environment, SCHEMA_VERSION};
use prefab_contract::engine::{CaseSpec, Mode, Round, Until};

use crate::exit::Outcome;
use crate::interrupt::Interrupt;
use crate::mlflow::Recording;
use figures::{as_f64, figures};
use local::Engines;
pub(crate) use options::Options;
use options::Plan;
use progress::Progress;

/// Runs every case and prints the report.
///
/// # Errors
/// Options that cannot be, an engine that cannot be started, or a report that cannot be written.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let plan = options.plan()?;
    let mut report = BenchReport { schema_version: SCHEMA_VERSION, environment: environment(&plan), cases: Vec::new() };
    // Written before anything runs: a path that cannot be written fails now, and a case never gets lost.
    let file = options.json.as_deref().filter(|path| *path != Path::new("-"));
    save(file, &report)?;
    let mut recording = Recording::begin(&options.destination)?;
    let interrupt = Interrupt::watch()?;
    let mut progress = Progress::new(options.progress);
    for number in 0..plan.cases.len() {
        let (case, rounds) = run_case(&plan, number, &interrupt, &mut progress, &mut report.environment)?;
        report.cases.push(case);
        report.environment.load_after = machine::load();
        save(file, &report)?;
        if let Some(recording) = &mut recording {
            recording.samples(&rounds);
            recording.keep(&report)?;
        }
        if interrupt.signal().is_some() {
            break;
        }
    }
    print(&report, options.json.as_deref() == Some(Path::new("-")))?;
    let is_complete = report.cases.iter().all(|case| case.ended == Ended::Complete && case.verified);
    // Whoever interrupts does not want to wait: what was measured is kept, and logged by the next one.
    let logged = match recording.filter(|_| interrupt.signal().is_none()) {
        Some(recording) => recording.log(&options.destination)?,
        None => Outcome::Done,
    };
    Ok(match interrupt.signal() {
        Some(signal) => Outcome::Interrupted(signal),
        None if is_complete => logged,
        None => Outcome::Failed,
    })
}

fn run_case(
    plan: &Plan,
    number: usize,
    interrupt: &Interrupt,
    progress: &mut Progress,
    environment: &mut Environment,
) -> Result<(Case, Vec<Round>)> {
    let spec = &plan.cases[number];
    progress.show(&began(plan, number, spec));
    let engines = Engines { program: &plan.engine, deadline_divisor: plan.deadline_divisor, interrupt };
    let rounds = match spec.mode {
        Mode::Request { until: Until::Rounds(rounds), .. } => Some(rounds),
        Mode::Request { .. } | Mode::Steady { .. } => None,
    };
    let mut blocks_verified = 0;
    let outcome = local::run_case(&engines, spec, &mut |round| {
        blocks_verified += round.blocks_verified;
        let gb_per_s = as_f64(spec.shape.payload_bytes()) / as_f64(round.request_ns.max(1));
        let (case, round) = (number + 1, round.number);
        progress.show(&BenchProgress::Round { case, round, rounds, gb_per_s, blocks_verified });
    })?;
    let case = figures(plan, spec, &outcome);
    environment.engine_version = environment.engine_version.take().or(outcome.engine_version);
    progress.show(&BenchProgress::CaseEnded { case: number + 1, ended: case.ended, gb_per_s: case.gb_per_s });
    Ok((case, outcome.rounds))
}

fn began(plan: &Plan, number: usize, spec: &CaseSpec) -> BenchProgress {
    BenchProgress::CaseBegan {
        case: number + 1,
        cases: plan.cases.len(),
        transport: spec.transport.name().to_owned(),
        operation: spec.operation,
        payload_bytes: spec.shape.payload_bytes(),
    }
}

fn environment(plan: &Plan) -> Environment {
    Environment {
        bootstrap_version: env!("CARGO_PKG_VERSION").to_owned(),
        engine_version: None,
        loopback: true,
        kernel: machine::kernel(),
        cpu_model: machine::cpu_model(),
        cpus: machine::cpus(),
        last_level_cache_bytes: machine::last_level_cache_bytes(),
        memory_bytes: machine::memory_bytes(),
        load_before: machine::load(),
        load_after: None,
        model: plan.model.clone(),
        tensor_parallel: plan.tensor_parallel,
        block_tokens: plan.block_tokens,
        seed: plan.seed,
    }
}

fn save(file: Option<&Path>, report: &BenchReport) -> Result<()> {
    let Some(path) = file else { return Ok(()) };
    let mut text = serde_json::to_string_pretty(report).context("writing the report")?;
    text.push('\n');
    let written = File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .with_context(|| format!("cannot write the report to {}; choose a file in an existing folder", path.display()))
}

/// The table to standard output; with `--json -` the document goes there and the table to standard error.
fn print(report: &BenchReport, is_json_on_stdout: bool) -> Result<()> {
    let table = table::render(report);
    if is_json_on_stdout {
        let text = serde_json::to_string_pretty(report).context("writing the report")?;
        writeln!(std::io::stdout(), "{text}").context("writing to standard output")?;
        // Whoever closed standard error does not want the table.
        let _unread = std::io::stderr().write_all(table.as_bytes());
        return Ok(());
    }
    std::io::stdout().write_all(table.as_bytes()).context("writing to standard output")
}
