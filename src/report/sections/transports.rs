//! EFA against TCP, or what there is instead, case by case.

use super::Context;
use crate::report::compare::{Comparison, Contrast, Metric, Settings, text, within};
use crate::report::input::letter;
use crate::report::model::{Column, Exhibit, Headline, Row, Section, Severity, Table};
use crate::report::number::{figure, optional};

/// More contrasts than these are shown on demand.
const MOST_ROWS: usize = 24;

pub(super) fn section(context: &Context<'_>) -> Section {
    let all = comparisons(context);
    let mut text = Vec::new();
    let has_efa = all.iter().any(|(_, it)| it.contrasts.iter().any(|it| is_efa(&it.other_side)));
    if !has_efa {
        text.push("No case ran over EFA with its like over TCP beside it.".to_owned());
    }
    if !all.is_empty() {
        text.push(
            "Like cases of one run, which differ in their transport alone. Intervals hold together, with 95 % for all of them; \
             a difference within its interval, or below 3 %, is none."
                .to_owned(),
        );
    }
    let title = if has_efa { "EFA against TCP" } else { "Transports against each other" };
    Section { id: "transports", title, text, exhibits: all.iter().map(|(source, it)| table(source, it)).collect() }
}

/// The largest prompt of the default operation by EFA and by TCP.
pub(super) fn headline(context: &Context<'_>) -> Option<Headline> {
    let all = comparisons(context);
    let contrasts = all.iter().flat_map(|(_, it)| &it.contrasts);
    let best = contrasts
        .filter(|it| it.metric == Metric::Bandwidth && is_efa(&it.other_side) && it.ratio.is_some())
        .max_by_key(|it| (it.case.operation == "read", it.case.prompt_tokens))?;
    Some(Headline {
        label: format!("{} against {}", best.other_side, best.baseline_side),
        value: format!("{} ×", figure(best.ratio?)),
        detail: format!("{} and {} GB/s: {}", optional(best.other), optional(best.baseline), best.case.name()),
    })
}

fn is_efa(transport: &str) -> bool {
    transport.starts_with("efa")
}

/// Of each document that has more than one transport.
fn comparisons(context: &Context<'_>) -> Vec<(String, Comparison)> {
    let documents = context.inputs.benches.iter().enumerate();
    let compared = documents.filter_map(|(number, bench)| {
        let runs = std::slice::from_ref(bench);
        within::of_runs(&bench.name, runs, Settings::default()).ok().map(|comparison| (letter(number), comparison))
    });
    compared.collect()
}

fn table(source: &str, comparison: &Comparison) -> Exhibit {
    let of_interest = |it: &&Contrast| it.ratio_low.is_some() || it.verdict.is_regression();
    let shown: Vec<&Contrast> = comparison.contrasts.iter().filter(of_interest).collect();
    let rows = shown.iter().map(|it| Row {
        cells: vec![
            format!("{} against {}", it.case.name(), it.baseline_side),
            it.metric.name().to_owned(),
            optional(it.baseline),
            optional(it.other),
            it.ratio.map_or_else(|| optional(None), |ratio| format!("{} ×", figure(ratio))),
            text::interval(it),
            text::verdict(it),
            source.to_owned(),
        ],
        severity: it.verdict.is_regression().then_some(Severity::Caution),
    });
    let baseline = comparison.sides.first().map_or("", |it| &it.name);
    Exhibit::Table(Table {
        caption: format!("Against {baseline} in {source}"),
        columns: vec![
            Column::text("Case"),
            Column::text("Figure"),
            Column::number("There"),
            Column::number("Here"),
            Column::number("Ratio"),
            Column::number("Interval"),
            Column::text("Verdict"),
            Column::text("Source"),
        ],
        rows: rows.collect(),
        folded: shown.len() > MOST_ROWS,
    })
}
