//! `bench`: cells one batch after another, a report that is whole after each of them.

mod available;
mod barrier;
mod batch;
mod case_lines;
mod cells;
mod choice;
mod figures;
mod machine;
mod member;
mod mistakes;
mod mix;
mod options;
mod outcome;
mod pacing;
mod pair;
pub(crate) mod peer;
mod plan;
mod planned;
mod progress;
mod reader;
mod reports;
mod rules;
mod shape;
mod table;
mod values;
mod visit;

use anyhow::Result;
use prefab_contract::bench_report::{BenchProgress, BenchReport, Case, Ended, Environment, PeerNode, SCHEMA_VERSION};
use prefab_contract::engine::{Mode, Round, Until};
use prefab_contract::path::Path;

use crate::exit::Outcome;
use crate::interrupt::Interrupt;
use crate::mlflow::Recording;
use figures::{as_f64, figures};
pub(crate) use mistakes::WrongOptions;
pub(crate) use options::Options;
use outcome::Step;
use pair::Engines;
use plan::{Batch, Cell, Plan};
use progress::Progress;
use reports::Reports;
use visit::Visit;

/// Runs every cell and prints the report.
///
/// # Errors
/// Options that cannot be, a peer that does not host this, or a report that cannot be written.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let plan = plan::plan(options)?;
    let interrupt = Interrupt::watch()?;
    let (mut visit, peers) = Visit::enter(&plan, options)?;
    let environment = environment(&plan, peers);
    let mut report = BenchReport { schema_version: SCHEMA_VERSION, environment, cases: Vec::new() };
    // Written before anything runs: a path that cannot be written fails now, and a case never gets lost.
    let reports = Reports::open(options, &report)?;
    let mut recording = Recording::begin(&options.destination)?;
    let progress = Progress::new(options.progress);
    let mut bench = Bench { plan: &plan, interrupt: &interrupt, progress, rounds: Vec::new() };
    for batch in &plan.batches {
        let batch = choice::settled(batch, &mut |trial| bench.batch(trial, &mut visit, &mut report));
        let cases = bench.batch(&batch, &mut visit, &mut report);
        report.cases.extend(cases);
        report.environment.load_after = machine::load();
        reports.save(&report)?;
        if let Some(recording) = &mut recording {
            recording.keep(&report, std::mem::take(&mut bench.rounds))?;
        }
        if interrupt.signal().is_some() {
            break;
        }
    }
    reports.print(&report)?;
    // Where nothing moves, there is nothing to verify; where nothing shows the way, the figure is not of what was asked for.
    let is_right =
        |case: &Case| (case.verified || case.path == Path::Null.name()) && case.path != Path::Inconclusive.name();
    let is_complete = report.cases.iter().all(|case| case.ended == Ended::Complete && is_right(case));
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

struct Bench<'a> {
    plan: &'a Plan,
    interrupt: &'a Interrupt,
    progress: Progress,
    /// The raw rounds of each case of the last batch.
    rounds: Vec<Vec<Round>>,
}

impl Bench<'_> {
    /// Runs the cells of a batch together. Whatever goes wrong is part of their cases.
    fn batch(&mut self, batch: &Batch, visit: &mut Visit, report: &mut BenchReport) -> Vec<Case> {
        let Plan { engine, deadline_divisor, gpus, .. } = self.plan;
        let engines = Engines { program: engine, deadline_divisor: *deadline_divisor, gpus, interrupt: self.interrupt };
        let first = report.cases.len() + 1;
        for (number, cell) in batch.cells.iter().enumerate() {
            self.progress.show(&began(self.plan, first + number, cell));
        }
        let outcomes = match visit.places(&batch.cells, *deadline_divisor) {
            Ok(places) => {
                let mut shown: Vec<_> = (0..batch.cells.len()).map(|number| Shown::of(first + number)).collect();
                batch::run(&engines, &batch.cells, places, &mut |number, step| {
                    self.progress.show(&shown[number].next(&batch.cells[number], &step));
                })
            }
            Err(failed) => batch.cells.iter().map(|_| vec![(*failed).clone()]).collect(),
        };
        let mut cases = Vec::new();
        for (number, (cell, pairs)) in batch.cells.iter().zip(&outcomes).enumerate() {
            let version = pairs.iter().find_map(|pair| pair.engine_version.clone());
            report.environment.engine_version = report.environment.engine_version.take().or(version);
            let case = figures(batch, cell, pairs, self.plan.link_gb_per_s(cell.spec.transport));
            let (ended, gb_per_s) = (case.ended, case.gb_per_s);
            self.progress.show(&BenchProgress::CaseEnded { case: first + number, ended, gb_per_s });
            cases.push(case);
        }
        let rounds = |pairs: &Vec<outcome::Outcome>| pairs.iter().flat_map(|pair| pair.rounds.clone()).collect();
        self.rounds = outcomes.iter().map(rounds).collect();
        cases
    }
}

/// What has been shown of a case that runs.
struct Shown {
    case: usize,
    blocks_verified: u64,
}

impl Shown {
    fn of(case: usize) -> Self {
        Self { case, blocks_verified: 0 }
    }

    fn next(&mut self, cell: &Cell, step: &Step) -> BenchProgress {
        let payload = if cell.spec.transport.moves_bytes() { cell.spec.shape.payload_bytes() } else { 0 };
        let gb_per_s = |requests: u64, ns: u64| as_f64(payload * requests) / as_f64(ns.max(1));
        let case = self.case;
        match step {
            Step::Round(round) => {
                self.blocks_verified += round.blocks_verified;
                let gb_per_s = gb_per_s(u64::from(cell.spec.mode.outstanding()), round.request_ns);
                let (round, rounds, blocks_verified) = (round.number, rounds(cell), self.blocks_verified);
                BenchProgress::Round { case, round, rounds, gb_per_s, blocks_verified }
            }
            &Step::Requests { count, elapsed_ns } => {
                let window_s = match cell.spec.mode {
                    Mode::Steady { window_ms, .. } => as_f64(window_ms) / 1e3,
                    Mode::Request { .. } => 0.0,
                };
                let (elapsed_s, gb_per_s) = (as_f64(elapsed_ns) / 1e9, gb_per_s(count, elapsed_ns));
                BenchProgress::Flow { case, elapsed_s, window_s, requests: count, gb_per_s }
            }
        }
    }
}

fn rounds(cell: &Cell) -> Option<u64> {
    match cell.spec.mode {
        Mode::Request { until: Until::Rounds(rounds), .. } => Some(rounds),
        Mode::Request { .. } | Mode::Steady { .. } => None,
    }
}

fn began(plan: &Plan, number: usize, cell: &Cell) -> BenchProgress {
    BenchProgress::CaseBegan {
        case: number,
        cases: plan.batches.iter().map(|batch| batch.cells.len()).sum(),
        transport: cell.spec.transport.name().to_owned(),
        operation: cell.spec.operation,
        payload_bytes: cell.spec.shape.payload_bytes(),
    }
}

fn environment(plan: &Plan, peers: Vec<PeerNode>) -> Environment {
    Environment {
        bootstrap_version: env!("CARGO_PKG_VERSION").to_owned(),
        engine_version: None,
        loopback: peers.is_empty(),
        kernel: machine::kernel(),
        cpu_model: machine::cpu_model(),
        cpus: machine::cpus(),
        last_level_cache_bytes: machine::last_level_cache_bytes(),
        memory_bytes: machine::memory_bytes(),
        load_before: machine::load(),
        load_after: None,
        model: plan.workload.model.clone(),
        tensor_parallel: plan.workload.ranks.decode,
        prefill_tensor_parallel: Some(plan.workload.ranks.prefill),
        block_tokens: plan.workload.block_tokens,
        seed: plan.seed,
        peers,
        remarks: plan.remarks.clone(),
    }
}
