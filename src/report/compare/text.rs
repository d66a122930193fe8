//! A comparison for a person.

use std::fmt::Write as _;

use super::{Comparison, Contrast, Metric, Named, Verdict, View};
use crate::report::number::{NOT_MEASURED, count, figure, optional};
use crate::report::plain::visible;
use crate::report::statistics::LEAST_SAMPLES;
use crate::table;
use crate::units::grouped;

/// Sentences of one kind beyond these are counted.
const MOST_SENTENCES: usize = 8;

/// Everything that a comparison says.
pub fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    let _infallible = writeln!(text, "{}\n", heading(comparison));
    for other in comparison.sides.iter().skip(1) {
        text.push_str(&side(comparison, other));
        text.push('\n');
    }
    sentences(&mut text, "They differ in other things too", &comparison.also_differs);
    sentences(&mut text, "Not compared", &comparison.unmatched);
    let _infallible = writeln!(text, "{}", noise(comparison));
    let _infallible = writeln!(text, "{}", conclusion(comparison));
    text
}

fn heading(comparison: &Comparison) -> String {
    match (comparison.view, comparison.sides.as_slice()) {
        (View::Transports, [baseline, others @ ..]) => {
            let others: Vec<String> = others.iter().map(|it| visible(&it.name)).collect();
            let efa = if others.iter().any(|name| name.starts_with("efa")) { "" } else { " This run has no EFA." };
            format!("{} against {}, in one run.{efa}", others.join(", "), visible(&baseline.name))
        }
        (_, sides) => {
            let named = sides.iter().map(|it| {
                let runs = if it.runs > 1 { format!(" ({})", count(it.runs, "run")) } else { String::new() };
                format!("{} is {}{runs}", it.letter, visible(&it.name))
            });
            format!("{}.", named.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The table of one side against the first.
fn side(comparison: &Comparison, other: &Named) -> String {
    let baseline = comparison.sides.first().map_or("", |it| &it.letter);
    let ratio = format!("{} / {baseline}", other.letter);
    let header = ["", "", baseline, &other.letter, &ratio, "interval", ""];
    let mut aligned = table::plain(&header, &[baseline, &other.letter, &ratio, "interval"]);
    let mut last = String::new();
    let several_layouts = comparison.several_layouts();
    for contrast in comparison.contrasts.iter().filter(|it| it.other_side == other.letter && is_shown(comparison, it)) {
        let name = visible(&contrast.case.named(several_layouts));
        // A case is named once; its further figures follow.
        let shown = if name == last { String::new() } else { name.clone() };
        last = name;
        aligned.add_row([
            shown,
            contrast.metric.name().to_owned(),
            optional(contrast.baseline),
            optional(contrast.other),
            optional(contrast.ratio),
            interval(contrast),
            visible(&verdict(contrast)),
        ]);
    }
    table::text(&aligned)
}

/// A figure that cannot be judged is of interest only where it differs at all.
fn is_shown(comparison: &Comparison, contrast: &Contrast) -> bool {
    let differs = contrast.ratio.is_none_or(|ratio| (ratio - 1.0).abs() >= comparison.tolerance);
    contrast.metric != Metric::Cpu || differs
}

/// The interval of a ratio.
pub(in crate::report) fn interval(contrast: &Contrast) -> String {
    contrast
        .ratio_low
        .zip(contrast.ratio_high)
        .map_or_else(|| NOT_MEASURED.to_owned(), |(low, high)| format!("{} to {}", figure(low), figure(high)))
}

/// What a contrast means, in words.
pub(in crate::report) fn verdict(contrast: &Contrast) -> String {
    let by = contrast.ratio.map_or_else(String::new, |ratio| factor(ratio, contrast.metric.more_is_better()));
    match &contrast.verdict {
        Verdict::Better => format!("better, {by}"),
        Verdict::Worse => format!("WORSE, {by}"),
        Verdict::Same => "no difference beyond noise".to_owned(),
        Verdict::AnotherPath { from, to } => format!("ANOTHER PATH: {from}, now {to}"),
        Verdict::Broken { why } => format!("BROKEN: {why}"),
        Verdict::NotJudged { why } => format!("not judged: {why}"),
    }
}

/// `1.30 × as much` above a factor of two, else `30 % more`.
fn factor(ratio: f64, of_amount: bool) -> String {
    let (more, less) = if of_amount { ("more", "less") } else { ("longer", "shorter") };
    match ratio {
        r if r >= 2.0 => format!("{} × as {}", figure(r), if of_amount { "much" } else { "long" }),
        r if r >= 1.0 => format!("{} % {more}", figure((r - 1.0) * 100.0)),
        r => format!("{} % {less}", figure((1.0 - r) * 100.0)),
    }
}

fn sentences(text: &mut String, title: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "{title}:");
    for sentence in sentences.iter().take(MOST_SENTENCES) {
        let _infallible = writeln!(text, "  {}", visible(sentence));
    }
    if let Some(more) = sentences.len().checked_sub(MOST_SENTENCES).filter(|more| *more > 0) {
        let _infallible = writeln!(text, "  and {} more", grouped(more as u64));
    }
    text.push('\n');
}

fn noise(comparison: &Comparison) -> String {
    let judged = comparison.contrasts.iter().filter(|it| it.ratio_low.is_some()).count();
    let together = if judged > 1 { format!(", all {judged} together") } else { String::new() };
    let one_run = comparison.view == View::Runs && comparison.sides.iter().any(|it| it.runs < 2);
    let between = if one_run {
        "They hold the noise within a run; folders with several runs of a side bring in the noise between runs."
    } else {
        "They hold the noise within runs, and between those of a side."
    };
    format!(
        "Intervals: {} %{together}, by resampling requests with a fixed seed. {between} Below {} % nothing counts. What a run \
         tells once is judged from {LEAST_SAMPLES} runs of each side on.",
        (comparison.confidence * 1000.0).round() / 10.0,
        (comparison.tolerance * 1000.0).round() / 10.0
    )
}

fn conclusion(comparison: &Comparison) -> String {
    let regressions: Vec<String> = comparison
        .regressions()
        .map(|it| format!("  {}: {} {}", visible(&it.case.name()), it.metric.name(), visible(&verdict(it))))
        .collect();
    match (comparison.view, regressions.as_slice()) {
        _ if !comparison.says_something() => {
            "Nothing could be judged. Next: measure both again with this version, with at least 20 rounds.".to_owned()
        }
        (View::Transports, _) => {
            "Next: `prefab report` shows the whole run; a second report here is compared with this one.".to_owned()
        }
        (View::Runs, []) => "No regression beyond noise.".to_owned(),
        (View::Runs, regressions) => {
            format!("{} beyond noise:\n{}", count(regressions.len(), "regression"), regressions.join("\n"))
        }
    }
}
