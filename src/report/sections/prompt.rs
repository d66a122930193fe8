//! What a transfer adds to the time to first token, by the length of the prompt.
//!
//! What was measured is shown as such. For usual lengths that were not measured, a figure is predicted from the nearest
//! one that was, and marked; on loopback nothing is predicted, because nothing there says anything of a network.

mod prediction;

use self::prediction::predicted;
use super::{Context, MOST_PLOTS, left_out};
use crate::report::input::State;
use crate::report::label::{Facet, Line, in_order};
use crate::report::model::{
    Axis, BarLayout, Column, Exhibit, Form, Plot, Point, Role, Row, Scale, Section, Series, Severity, Table,
};
use crate::report::number::{as_f64, figure, percent};
use crate::units::grouped;

/// The time of one prompt by one transport.
struct Transfer {
    tokens: u64,
    ms: f64,
    role: Role,
    /// Where it comes from.
    source: String,
}

/// A line with its times, ascending by tokens.
struct Times {
    label: String,
    colour: usize,
    transfers: Vec<Transfer>,
}

pub(super) fn section(context: &Context<'_>) -> Section {
    let budget_ms = context.settings.ttft_budget_ms;
    let sound = context.transfers().filter(|it| it.state() == State::Complete && it.median_ms().is_some());
    let facets = context.labels.facets(sound);
    let mut text = Vec::new();
    if facets.is_empty() {
        text.push("No case is complete, so there is no transfer time to tell.".to_owned());
    } else {
        text.push(format!(
            "The median transfer of one rank's KV cache, alone on its way, and its share of a time to first token of {} ms \
             (`--ttft-budget-ms` sets another). Without a schedule that overlaps it with prefill, all of it is added to \
             the time to first token.",
            figure(budget_ms)
        ));
        text.push(prediction::explained(context));
    }
    text.extend(left_out(facets.len()));
    let exhibits = facets.iter().take(MOST_PLOTS).flat_map(|facet| exhibits(context, facet)).collect();
    Section { id: "prompt", title: "Time to first token", text, exhibits }
}

fn exhibits(context: &Context<'_>, facet: &Facet<'_>) -> Vec<Exhibit> {
    let subject = if facet.title.is_empty() { String::new() } else { format!(": {}", facet.title) };
    let lines: Vec<Times> = context.labels.lines(facet.cases.iter().copied()).iter().map(times).collect();
    let budget_ms = context.settings.ttft_budget_ms;
    let share =
        Exhibit::Plot { plot: shares(&lines, budget_ms, &subject), numbers: numbers(&lines, budget_ms, &subject) };
    let several = lines.iter().any(|line| line.transfers.len() > 1);
    let mut exhibits = Vec::new();
    if several {
        let numbers = Table { folded: true, ..numbers(&lines, budget_ms, &subject) };
        exhibits.push(Exhibit::Plot { plot: by_length(&lines, budget_ms, &subject), numbers });
    }
    exhibits.push(share);
    exhibits
}

fn times(line: &Line<'_>) -> Times {
    let measured = line.cases.iter().filter_map(|it| {
        Some(Transfer { tokens: it.case.prompt_tokens, ms: it.median_ms()?, role: Role::Measured, source: it.source() })
    });
    let mut transfers: Vec<Transfer> = measured.collect();
    transfers.extend(predicted(&line.cases));
    transfers.sort_by_key(|transfer| transfer.tokens);
    Times { label: line.label.clone(), colour: line.colour, transfers }
}

fn by_length(lines: &[Times], budget_ms: f64, subject: &str) -> Plot {
    let mut series = Vec::new();
    for line in lines {
        for role in [Role::Measured, Role::Predicted] {
            let points = line.transfers.iter().filter(|it| it.role == role).map(|it| Point {
                x: as_f64(it.tokens),
                y: it.ms,
                note: format!("{}, {} tokens ({})", role_name(role), grouped(it.tokens), it.source),
            });
            series.extend(of_role(line, role, points.collect()));
        }
    }
    let tokens = lines.iter().flat_map(|line| line.transfers.iter().map(|it| as_f64(it.tokens)));
    let ends = [tokens.clone().reduce(f64::min), tokens.reduce(f64::max)];
    let label = format!("budget, {} ms", figure(budget_ms));
    let points = ends.into_iter().flatten().map(|x| Point { x, y: budget_ms, note: label.clone() }).collect();
    series.push(Series { label, role: Role::Limit, colour: 0, points });
    Plot {
        title: format!("Transfer time against prompt length{subject}"),
        description: described(lines, budget_ms),
        form: Form::Lines,
        x: Axis { label: "tokens of the prompt", scale: Scale::Logarithmic },
        y: Axis { label: "ms", scale: Scale::Logarithmic },
        series,
    }
}

fn shares(lines: &[Times], budget_ms: f64, subject: &str) -> Plot {
    let all = lines.iter().flat_map(|line| line.transfers.iter().map(|it| it.tokens));
    let mut lengths: Vec<u64> = in_order(all, |tokens| *tokens).into_iter().map(|(tokens, _)| tokens).collect();
    lengths.sort_unstable();
    let mut series = Vec::new();
    for line in lines {
        for role in [Role::Measured, Role::Predicted] {
            let points = line.transfers.iter().filter(|it| it.role == role).filter_map(|it| {
                let place = lengths.iter().position(|tokens| *tokens == it.tokens)?;
                let note = format!("{}, {} ms ({})", role_name(role), figure(it.ms), it.source);
                Some(Point { x: it.ms / budget_ms * 100.0, y: as_f64(place as u64), note })
            });
            series.extend(of_role(line, role, points.collect()));
        }
    }
    let label = "the whole budget".to_owned();
    let worst = series.iter().flat_map(|line| &line.points).map(|point| point.x).fold(0.0, f64::max);
    // A budget far beyond every bar would press them against the axis.
    if worst > 50.0 {
        let points = vec![Point { x: 100.0, y: 0.0, note: label.clone() }];
        series.push(Series { label, role: Role::Limit, colour: 0, points });
    }
    Plot {
        title: format!("Share of a time to first token of {} ms{subject}", figure(budget_ms)),
        description: described(lines, budget_ms),
        form: Form::Bars {
            categories: lengths.iter().map(|tokens| format!("{} tokens", grouped(*tokens))).collect(),
            layout: BarLayout::Grouped,
        },
        x: Axis { label: "% of the budget", scale: Scale::Linear },
        y: Axis { label: "", scale: Scale::Linear },
        series,
    }
}

fn of_role(line: &Times, role: Role, points: Vec<Point>) -> Option<Series> {
    let label = if role == Role::Predicted { format!("{}, predicted", line.label) } else { line.label.clone() };
    (!points.is_empty()).then_some(Series { label, role, colour: line.colour, points })
}

fn role_name(role: Role) -> &'static str {
    if role == Role::Predicted { "predicted" } else { "measured" }
}

fn described(lines: &[Times], budget_ms: f64) -> String {
    let parts = lines.iter().filter_map(|line| {
        let longest = line.transfers.iter().rfind(|it| it.role == Role::Measured)?;
        let (ms, share) = (figure(longest.ms), percent(longest.ms / budget_ms));
        Some(format!("{} {} tokens in {ms} ms, {share} of the budget", line.label, grouped(longest.tokens)))
    });
    format!("Longest prompt measured: {}.", parts.collect::<Vec<_>>().join("; "))
}

fn numbers(lines: &[Times], budget_ms: f64, subject: &str) -> Table {
    let rows = lines.iter().flat_map(|line| {
        line.transfers.iter().map(|it| {
            let cells = vec![
                line.label.clone(),
                grouped(it.tokens),
                role_name(it.role).to_owned(),
                figure(it.ms),
                percent(it.ms / budget_ms),
                it.source.clone(),
            ];
            Row { cells, severity: (it.role == Role::Predicted).then_some(Severity::Remark) }
        })
    });
    Table {
        caption: format!("Transfer time and share of {} ms{subject}", figure(budget_ms)),
        columns: vec![
            Column::text("Transport"),
            Column::number("Tokens"),
            Column::text("Figure"),
            Column::number("Transfer ms"),
            Column::number("Share"),
            Column::text("Source"),
        ],
        rows: rows.collect(),
        folded: false,
    }
}
