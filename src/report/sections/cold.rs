//! What the first request pays, once for each pair of nodes.

use super::{Context, row};
use crate::report::input::Located;
use crate::report::model::{Column, Exhibit, Section, Table};
use crate::report::number::{NOT_MEASURED, figure, optional};

/// Beyond this, the table is shown on demand.
const MOST_ROWS: usize = 24;

pub(super) fn section(context: &Context<'_>) -> Section {
    let told = |it: &Located<'_>| it.case.first_transfer_ms.is_some() || it.case.connect_ms.is_some();
    let cases: Vec<Located<'_>> = context.transfers().filter(told).collect();
    let rows = cases.iter().map(|it| {
        let times = it.case.first_transfer_ms.zip(it.median_ms()).map(|(first, median)| first / median);
        let cells = vec![
            context.labels.whole(it),
            optional(it.case.start_ms),
            optional(it.case.load_ms),
            optional(it.case.connect_ms),
            optional(it.case.registration_ms),
            optional(it.case.first_transfer_ms),
            optional(it.median_ms()),
            times.map_or_else(|| NOT_MEASURED.to_owned(), |times| format!("{} ×", figure(times))),
        ];
        row(it, cells)
    });
    let table = Table {
        caption: "Before and with the first request, in ms".to_owned(),
        columns: vec![
            Column::text("Case"),
            Column::number("Start engine"),
            Column::number("Load libraries"),
            Column::number("Connect"),
            Column::number("Register"),
            Column::number("First request"),
            Column::number("Later, p50"),
            Column::number("First / later"),
            Column::text("Source"),
        ],
        rows: rows.collect(),
        folded: cases.len() > MOST_ROWS,
    };
    let (text, exhibits) = if cases.is_empty() {
        ("No case came as far as its first request.", Vec::new())
    } else {
        ("The first request is in no other figure of this report.", vec![Exhibit::Table(table)])
    };
    Section { id: "cold", title: "The first request", text: vec![text.to_owned()], exhibits }
}
