//! The table that a person reads at a hundred columns, and the lines below it. Cells of one shape stand together below it.

use prefab_contract::bench_report::{BenchReport, Case, Ended, Environment, Mode, SLOW_LINK_SHARE};

use super::figures::as_f64;
use super::values::in_units;

const HEAD: [&str; 9] = ["transport", "op", "GB/s", "ceiling", "ratio", "p50 ms", "p99 ms", "CPU s/GB", "verified"];

/// Columns that hold words; the others hold numbers and are aligned to the right.
const WORD_COLUMNS: usize = 2;

/// The whole text, with a line at the end that says what to do next.
pub(crate) fn render(report: &BenchReport) -> String {
    let BenchReport { environment, cases, .. } = report;
    let rows: Vec<[String; 9]> = cases.iter().map(row).collect();
    let mut lines = Vec::new();
    let mut title = String::new();
    let mut all = aligned(&rows).into_iter();
    let head = all.next().unwrap_or_default();
    for (case, line) in cases.iter().zip(all) {
        let shape = shape(environment, case);
        if shape != title {
            lines.extend((!title.is_empty()).then(String::new));
            lines.extend([shape.clone(), head.clone()]);
            title = shape;
        }
        lines.push(line);
    }
    lines.push(String::new());
    lines.extend(cases.iter().flat_map(remarks));
    lines.extend(environment.remarks.iter().cloned());
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
        vec![descriptors, scatter]
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

fn row(case: &Case) -> [String; 9] {
    let number = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    // Small times in microseconds would not fit a column of milliseconds.
    let ms = |us: Option<f64>| number(us.map(|us| us / 1e3), if us.is_some_and(|us| us < 10_000.0) { 3 } else { 1 });
    let cpu = case.initiator_cpu_s_per_gb.zip(case.target_cpu_s_per_gb).map(|(initiator, target)| initiator + target);
    let ratio = if case.ceiling_is_invalid() { "invalid".to_owned() } else { number(case.ceiling_ratio, 2) };
    let path = if case.path == case.transport { String::new() } else { format!(" ({})", case.path) };
    [
        format!("{}{path}", case.transport),
        format!("{}{}", case.operation.name(), if case.chosen { ", chosen" } else { "" }),
        number(case.gb_per_s, 2),
        number(case.ceiling_gb_per_s, 2),
        ratio,
        ms(case.p50_us),
        ms(case.p99_us),
        number(cpu, 2),
        match (case.ended, case.verified) {
            (Ended::Complete, true) => "all",
            (Ended::Partial, true) => "partial",
            (_, false) => "no",
        }
        .to_owned(),
    ]
}

fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 { format!("{bytes} B") } else { format!("{:.1} MB", as_f64(bytes) / 1e6) }
}

fn aligned(rows: &[[String; 9]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; 9] = std::array::from_fn(width);
    let line = |cells: [&str; 9]| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if column < WORD_COLUMNS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        format!("  {}", padded.collect::<Vec<_>>().join("  ").trim_end())
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
    if let (Some(exposed), Some(p50)) = (case.exposed_us, case.p50_us) {
        remarks.push(format!(
            "{name} was exposed for {:.1} ms after the prefill, of {:.1} ms",
            exposed / 1e3,
            p50 / 1e3
        ));
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
