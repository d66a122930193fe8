//! The table that a person reads at a hundred columns, and the lines below it. Cells of one shape stand together below it.

use prefab_contract::bench_report::{BenchReport, Case, Ended, Environment, Mode, SLOW_LINK_SHARE};
use prefab_contract::engine::Rdma;
use prefab_contract::path::Path;

use super::figures::as_f64;
use super::values::in_units;

/// What a column shows of a case.
struct Column {
    head: &'static str,
    cell: fn(&Case) -> String,
}

/// The width of lines.
const COLUMNS: usize = 100;

/// Columns that hold words; the others hold numbers and are aligned to the right.
const WORDS: usize = 2;

const REQUESTS: &[Column] = &[
    Column { head: "transport", cell: path },
    Column { head: "op", cell: operation },
    Column { head: "GB/s", cell: |case| number(case.gb_per_s, 2) },
    Column { head: "ceiling", cell: |case| number(case.ceiling_gb_per_s, 2) },
    Column { head: "ratio", cell: ratio },
    Column { head: "p50 ms", cell: |case| milliseconds(case.p50_us) },
    Column { head: "p99 ms", cell: |case| milliseconds(case.p99_us) },
    Column { head: "CPU s/GB", cell: |case| number(cpu_s_per_gb(case), 2) },
    Column { head: "verified", cell: verified },
];

const DESCRIPTORS: &[Column] = &[
    Column { head: "transport", cell: path },
    Column { head: "op", cell: operation },
    Column { head: "size", cell: |case| in_units(case.descriptor_bytes) },
    Column { head: "window", cell: |case| case.descriptors.to_string() },
    Column { head: "GB/s", cell: |case| number(case.gb_per_s, 3) },
    Column { head: "ratio", cell: ratio },
    Column { head: "descriptors/s", cell: |case| number(case.descriptors_per_s, 0) },
    Column { head: "p50 us", cell: |case| number(case.p50_us, 1) },
    Column { head: "p99 us", cell: |case| number(case.p99_us, 1) },
    Column { head: "verified", cell: verified },
];

/// The whole text, with a line at the end that says what to do next.
pub(crate) fn render(report: &BenchReport) -> String {
    let BenchReport { environment, cases, .. } = report;
    let is_of_requests = cases.iter().any(|case| case.prompt_tokens > 0);
    let mut rows = aligned(if is_of_requests { REQUESTS } else { DESCRIPTORS }, cases).into_iter();
    let head = rows.next().unwrap_or_default();
    let mut lines = Vec::new();
    let mut title = None;
    for (case, row) in cases.iter().zip(rows) {
        let shape = shape(environment, case);
        if title.as_ref() != Some(&shape) {
            lines.extend(title.is_some().then(String::new));
            lines.extend(wrapped(&shape));
            lines.push(head.clone());
            title = Some(shape);
        }
        lines.push(row);
    }
    lines.push(String::new());
    lines.extend(cases.iter().flat_map(remarks).chain(environment.remarks.iter().cloned()).flat_map(|it| wrapped(&it)));
    let verified: u64 = cases.iter().map(|case| case.blocks_verified).sum();
    lines.push(format!("{verified} blocks compared and right."));
    if environment.loopback {
        lines.push("Loopback figures rank loops on this machine; they predict no EFA rate.".to_owned());
    }
    lines.push(next_step(report));
    lines.join("\n") + "\n"
}

/// What one request is: the same for all rows below it.
fn shape(environment: &Environment, case: &Case) -> String {
    let descriptors = format!(
        "{} x {} = {} a request",
        case.descriptors,
        in_units(case.descriptor_bytes),
        megabytes(case.payload_bytes)
    );
    let scatter = format!("fragmentation {}", case.fragmentation);
    let mut parts = if case.prompt_tokens > 0 {
        let ranks = match environment.prefill_tensor_parallel {
            Some(prefill) if prefill != environment.tensor_parallel => {
                format!("TP {prefill} to {}", environment.tensor_parallel)
            }
            _ => format!("TP {}", environment.tensor_parallel),
        };
        let hit = if case.hit_tokens > 0 { format!(" after {} held", case.hit_tokens) } else { String::new() };
        let model = format!("{} {ranks}: {} tokens{hit}", environment.model, case.prompt_tokens);
        vec![model, case.layout.clone(), scatter, descriptors]
    } else {
        vec!["Descriptors of one size".to_owned(), scatter]
    };
    match (case.mode, case.rate_per_s) {
        (Mode::Request, _) => {}
        (Mode::Steady, Some(rate)) => parts.push(format!("steady, {rate} requests/s")),
        (Mode::Steady, None) => parts.push("steady".to_owned()),
    }
    parts.extend((case.q > 1).then(|| format!("{} at a time", case.q)));
    parts.extend((case.pairs > 1).then(|| format!("{} pairs, {}", case.pairs, case.scheme)));
    parts.extend((case.threads_initiator > 1).then(|| format!("{} threads", case.threads_initiator)));
    parts.extend((case.memory != "host").then(|| format!("{} memory", case.memory)));
    let prefill = case.schedule.as_ref().zip(case.prefill_ms);
    parts.extend(prefill.map(|(schedule, ms)| format!("{schedule} within {ms} ms of prefill")));
    parts.join(", ")
}

/// What was asked for, and what carried the bytes where that is not the same.
fn path(case: &Case) -> String {
    if case.path == case.transport { case.transport.clone() } else { format!("{} ({})", case.transport, case.path) }
}

fn operation(case: &Case) -> String {
    format!("{}{}", case.operation.name(), if case.chosen { ", chosen" } else { "" })
}

fn ratio(case: &Case) -> String {
    if case.ceiling_is_invalid() { "invalid".to_owned() } else { number(case.ceiling_ratio, 2) }
}

fn cpu_s_per_gb(case: &Case) -> Option<f64> {
    case.initiator_cpu_s_per_gb.zip(case.target_cpu_s_per_gb).map(|(initiator, target)| initiator + target)
}

fn verified(case: &Case) -> String {
    let word = match (case.ended, case.verified) {
        (Ended::Complete, true) => "all",
        (Ended::Partial, true) => "partial",
        (_, false) => "no",
    };
    word.to_owned()
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Three digits where a tenth would say too little.
fn milliseconds(us: Option<f64>) -> String {
    number(us.map(|us| us / 1e3), if us.is_some_and(|us| us < 10_000.0) { 3 } else { 1 })
}

fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 { format!("{bytes} B") } else { format!("{:.1} MB", as_f64(bytes) / 1e6) }
}

/// A sentence in lines that fit, all but the first indented.
fn wrapped(sentence: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in sentence.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > COLUMNS {
            lines.push(format!("    {word}"));
        } else if let Some(last) = lines.last_mut() {
            if line > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

fn aligned(columns: &[Column], cases: &[Case]) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|column| column.head.to_owned()).collect()];
    rows.extend(cases.iter().map(|case| columns.iter().map(|column| (column.cell)(case)).collect()));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < WORDS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        format!("  {}", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
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
    if case.facts.as_ref().is_some_and(|facts| facts.rdma == Some(Rdma::Emulated)) {
        let operation = case.operation;
        remarks.push(format!(
            "{name} is emulated: libfabric's software moves the bytes of each {operation} as messages, which a device with RDMA \
             {operation} does not need"
        ));
    }
    if let Some(ns) = case.initiator_cpu_ns_per_descriptor.filter(|_| case.path == Path::Null.name()) {
        remarks
            .push(format!("{name} moves nothing: posting and polling cost {ns:.0} ns of processor time a descriptor"));
    }
    if case.ceiling_is_invalid() {
        remarks
            .push(format!("{name} was faster than its plain loop: that ceiling is wrong, so the ratio says nothing"));
    }
    if let (Some(share), Some(link)) = (case.link_share, case.link_gb_per_s)
        && share < SLOW_LINK_SHARE
    {
        remarks.push(format!(
            "{name} used {:.0} % of a link of {link:.1} GB/s, with {} descriptors of {} a request, {} at a time and {} threads: \
             try more of them, larger blocks (--layout block), or see whether this is the path that was meant",
            share * 100.0,
            case.descriptors,
            in_units(case.descriptor_bytes),
            case.q,
            case.threads_initiator
        ));
    }
    remarks.extend(stages(case).map(|stages| format!("{name}: {stages}")));
    if let (Some(exposed), Some(p50)) = (case.exposed_us, case.p50_us) {
        remarks.push(format!(
            "{name} was exposed for {:.1} ms after the prefill, of {:.1} ms",
            exposed / 1e3,
            p50 / 1e3
        ));
    }
    remarks
}

/// What each stage of a GPU's memory path took, beside what its links carry.
fn stages(case: &Case) -> Option<String> {
    let (path, gpus) = (case.memory_path.as_ref()?, case.gpus.as_ref()?);
    let stage = |ms: Option<f64>| number(ms, 2);
    let request = case.gb_per_s.map(|rate| as_f64(case.payload_bytes) * f64::from(case.q * case.pairs) / rate / 1e6);
    let percent = |share: Option<f64>| number(share.map(|share| share * 100.0), 1);
    let is_staged = case.to_host_ms.is_some_and(|ms| ms > 0.0);
    let stages = if is_staged {
        format!(
            ": pack {}, to host {}, wire {}, to device {}, unpack {} ms",
            stage(case.pack_ms),
            stage(case.to_host_ms),
            stage(case.wire_ms),
            stage(case.to_device_ms),
            stage(case.unpack_ms)
        )
    } else {
        String::new()
    };
    let mut text = format!(
        "{path}, GPU {gpus}, of {} ms{stages}; kernels take {} % of the source and {} % of the sink",
        stage(request),
        percent(case.source_gpu_busy),
        percent(case.sink_gpu_busy)
    );
    if let (Some(to_host), Some(to_device)) = (case.to_host_link_gb_per_s, case.to_device_link_gb_per_s) {
        text.push_str(&format!("; the links carry {to_host:.1} GB/s to the host and {to_device:.1} to the device"));
    }
    if let Some(slowdown) = case.decode_slowdown {
        text.push_str(&format!("; decoding on the target took {slowdown:.2} times as long"));
    }
    if let Some(share) = case.staged_ratio {
        text.push_str(&format!(", and {:.0} % of the slowest stage was reached", share * 100.0));
    }
    Some(text)
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

#[cfg(test)]
mod tests;
