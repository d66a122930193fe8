//! A comparison for a spreadsheet: a line a figure.

use super::text::verdict;
use super::{Comparison, Contrast};

const HEADER: [&str; 17] = [
    "transport",
    "operation",
    "mode",
    "q",
    "memory",
    "layout",
    "prompt_tokens",
    "hit_tokens",
    "occurrence",
    "metric",
    "baseline_side",
    "other_side",
    "baseline",
    "other",
    "ratio",
    "ratio_interval",
    "verdict",
];

/// The whole comparison, with a header.
pub fn render(comparison: &Comparison) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    // Memory takes every byte, and lines are equally long.
    let _infallible = writer.write_record(HEADER);
    for contrast in &comparison.contrasts {
        let _infallible = writer.write_record(record(contrast));
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

fn record(contrast: &Contrast) -> [String; 17] {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let case = &contrast.case;
    let interval = contrast.ratio_low.zip(contrast.ratio_high).map(|(low, high)| format!("{low} {high}"));
    [
        text(&case.transport),
        text(&case.operation),
        text(&case.mode),
        case.q.to_string(),
        text(&case.memory),
        text(&case.layout),
        case.prompt_tokens.to_string(),
        case.hit_tokens.to_string(),
        case.occurrence.to_string(),
        contrast.metric.name().to_owned(),
        text(&contrast.baseline_side),
        text(&contrast.other_side),
        number(contrast.baseline),
        number(contrast.other),
        number(contrast.ratio),
        interval.unwrap_or_default(),
        text(&verdict(contrast)),
    ]
}

/// A spreadsheet takes a text that begins so for a formula and runs it.
fn text(value: &str) -> String {
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{value}") } else { value.to_owned() }
}
