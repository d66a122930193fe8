//! Every case in a line.

use super::{Context, row};
use crate::report::input::{Located, State};
use crate::report::model::{Column, Exhibit, Section, Table};
use crate::report::number::{NOT_MEASURED, bytes, figure, optional, percent};

/// What a person looks through; the table of all cases has the others.
const MOST_ROWS: usize = 40;

pub(super) fn section(context: &Context<'_>) -> Section {
    let cases = &context.cases;
    let with_line_rate = cases.iter().any(|it| context.line_rate(it).is_some());
    let mut columns = vec![
        Column::text("Case"),
        Column::number("Payload"),
        Column::number("GB/s"),
        Column::number("95 % interval"),
        Column::number("p50 ms"),
        Column::number("of ceiling"),
    ];
    if with_line_rate {
        columns.push(Column::number("of line rate"));
    }
    columns.extend([Column::text("Ended"), Column::text("Source")]);
    let cells = |it: &Located<'_>| {
        let mut cells = vec![
            context.labels.whole(it),
            bytes(it.case.payload_bytes),
            // With a prefill the clock begins long before anything moves.
            optional(it.case.gb_per_s.filter(|_| !it.has_prefill())),
            interval(it),
            optional(it.median_ms()),
            if it.has_prefill() { NOT_MEASURED.to_owned() } else { of_ceiling(it) },
        ];
        if with_line_rate {
            cells.push(of_line_rate(context, it));
        }
        cells.push(ended(it));
        cells
    };
    let rows = cases.iter().take(MOST_ROWS).map(|it| row(it, cells(it))).collect();
    let mut text = Vec::new();
    if cases.len() > MOST_ROWS {
        text.push(format!("The first {MOST_ROWS} of {} cases; the table of all cases has every one.", cases.len()));
    }
    let table = Table { caption: "Cases".to_owned(), columns, rows, folded: false };
    Section { id: "overview", title: "At a glance", text, exhibits: vec![Exhibit::Table(table)] }
}

/// The interval of a bandwidth.
pub(super) fn interval(it: &Located<'_>) -> String {
    it.bandwidth().filter(|_| !it.has_prefill()).map_or_else(
        || NOT_MEASURED.to_owned(),
        |bandwidth| format!("{} to {}", figure(bandwidth.low), figure(bandwidth.high)),
    )
}

/// How near a case came to its plain loop.
pub(super) fn of_ceiling(it: &Located<'_>) -> String {
    match it.case.ceiling_ratio {
        Some(_) if it.case.ceiling_is_invalid() => "ceiling invalid".to_owned(),
        Some(ratio) => percent(ratio),
        None => NOT_MEASURED.to_owned(),
    }
}

/// How near a case came to the line rate of its node.
pub(super) fn of_line_rate(context: &Context<'_>, it: &Located<'_>) -> String {
    let bandwidth = it.case.gb_per_s.filter(|_| !it.has_prefill());
    let share = bandwidth.zip(context.line_rate(it)).map(|(bandwidth, rate)| bandwidth / rate.gb_per_s);
    share.map_or_else(|| NOT_MEASURED.to_owned(), percent)
}

/// How a case ended and whether its blocks were right.
pub(super) fn ended(it: &Located<'_>) -> String {
    match it.state() {
        State::Complete if it.case.verified => "verified".to_owned(),
        State::Complete => "not verified".to_owned(),
        state => state.name().to_owned(),
    }
}
