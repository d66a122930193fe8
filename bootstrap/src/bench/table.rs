//! The table that a person reads, and the lines below it.

use prefab_contract::bench_report::{BenchReport, Case, Ended};
use prefab_contract::path::Path;

use super::figures::as_f64;

const HEAD: [&str; 10] = [
    "transport",
    "operation",
    "payload",
    "descriptors",
    "runs",
    "GB/s",
    "ceiling",
    "ratio",
    "p50 ms",
    "verified blocks",
];

/// Columns that hold words; the others hold numbers and are aligned to the right.
const WORD_COLUMNS: usize = 2;

/// The whole text, with a line at the end that says what to do next.
pub(crate) fn render(report: &BenchReport) -> String {
    let rows: Vec<[String; 10]> = report.cases.iter().map(row).collect();
    let mut lines = aligned(&rows);
    for case in &report.cases {
        lines.extend(remarks(case));
    }
    lines.push(String::new());
    lines.push("Loopback figures rank loops on this machine; they predict no EFA rate.".to_owned());
    lines.push(next_step(report));
    lines.join("\n") + "\n"
}

fn row(case: &Case) -> [String; 10] {
    let number = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let ratio = if case.ceiling_is_invalid() { "ceiling invalid".to_owned() } else { number(case.ceiling_ratio, 2) };
    [
        case.transport.clone(),
        case.operation.name().to_owned(),
        format!("{:.1} MB", as_f64(case.payload_bytes) / 1e6),
        format!("{} x {}", case.descriptors, bytes(case.descriptor_bytes)),
        number(case.runs_per_request, 0),
        number(case.gb_per_s, 2),
        number(case.ceiling_gb_per_s, 2),
        ratio,
        number(case.p50_us.map(|us| us / 1e3), 1),
        if case.verified { format!("{} of {}", case.blocks_verified, case.blocks_verified) } else { "none".to_owned() },
    ]
}

fn bytes(bytes: u64) -> String {
    match bytes {
        whole if whole >= 1 << 20 && whole.is_multiple_of(1 << 20) => format!("{} MiB", whole >> 20),
        whole if whole >= 1 << 10 && whole.is_multiple_of(1 << 10) => format!("{} KiB", whole >> 10),
        other => format!("{other} B"),
    }
}

fn aligned(rows: &[[String; 10]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; 10] = std::array::from_fn(width);
    let line = |cells: [&str; 10]| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if column < WORD_COLUMNS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = std::iter::once(line(HEAD));
    head.chain(rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str())))).collect()
}

fn remarks(case: &Case) -> Vec<String> {
    let name = format!("{} {}", case.transport, case.operation);
    let mut remarks = Vec::new();
    if let Some(failure) = &case.failure {
        let what = if failure.unavailable { "is unavailable here" } else { "ended early" };
        let rounds = case.rounds;
        remarks.push(format!(
            "{name} {what} after {rounds} measured rounds: the {}, in stage {}: {}",
            failure.side, failure.stage, failure.cause
        ));
    }
    if let Some(evidence) = case.path_evidence.as_ref().filter(|_| case.path == Path::Inconclusive.name()) {
        remarks.push(format!("{name} took no way that could be proved: {evidence}"));
    }
    if let Some(ns) = case.initiator_cpu_ns_per_descriptor.filter(|_| case.path == Path::Null.name()) {
        remarks
            .push(format!("{name} moves nothing: posting and polling cost {ns:.0} ns of processor time a descriptor"));
    }
    if case.ceiling_is_invalid() {
        remarks
            .push(format!("{name} was faster than its plain loop: that ceiling is wrong, so the ratio says nothing"));
    }
    remarks
}

fn next_step(report: &BenchReport) -> String {
    if report.cases.iter().any(|case| case.ended == Ended::Partial) {
        return "Next: remove the cause named above and run the same command again.".to_owned();
    }
    if report.environment.load_before.is_some_and(|load| load > 1.0) {
        return "Next: this machine was busy before the start; run the same command again when it is quiet.".to_owned();
    }
    "Next: compare with `--fragmentation 0` and `--layout layer`; keep a report with `--json FILE`.".to_owned()
}
