//! All cases with all figures.

use super::overview::ended;
use super::{Context, row};
use crate::report::input::Located;
use crate::report::label;
use crate::report::model::{Column, Exhibit, Section, Table};
use crate::report::number::{NOT_MEASURED, bytes, figure, milliseconds, optional};
use crate::units::{binary, grouped};

/// A field of a case.
struct Field {
    column: Column,
    of: fn(&Located<'_>) -> String,
}

const fn text(name: &'static str, of: fn(&Located<'_>) -> String) -> Field {
    Field { column: Column::text(name), of }
}

const fn number(name: &'static str, of: fn(&Located<'_>) -> String) -> Field {
    Field { column: Column::number(name), of }
}

const FIELDS: &[Field] = &[
    text("Transport", |it| it.case.transport.clone()),
    text("Provider", |it| it.case.provider.clone().unwrap_or_else(|| NOT_MEASURED.to_owned())),
    text("Path", |it| it.case.path.clone()),
    text("Operation", |it| {
        let chosen = if it.case.chosen { ", chosen by auto" } else { "" };
        format!("{}{chosen}", it.case.operation.name())
    }),
    text("Semantics", |it| label::semantics(it.case.semantics).to_owned()),
    text("Mode", |it| label::mode(it.case.mode).to_owned()),
    number("Outstanding", |it| it.case.q.to_string()),
    text("Memory", |it| it.case.memory.clone()),
    text("Layout", |it| it.case.layout.clone()),
    number("Tokens", |it| grouped(it.case.prompt_tokens)),
    number("Hit tokens", |it| grouped(it.case.hit_tokens)),
    number("Fragmentation", |it| figure(it.case.fragmentation)),
    number("Payload", |it| bytes(it.case.payload_bytes)),
    number("Descriptors", |it| grouped(it.case.descriptors)),
    number("of size", |it| binary(it.case.descriptor_bytes)),
    number("Runs", |it| optional(it.case.runs_per_request)),
    number("Working set", |it| binary(it.case.working_set_bytes)),
    number("Threads", |it| format!("{} + {}", it.case.threads_initiator, it.case.threads_target)),
    number("Pairs", |it| it.case.pairs.to_string()),
    text("Scheme", |it| it.case.scheme.clone()),
    text("Schedule", |it| it.schedule()),
    number("Requests/s", |it| optional(it.case.rate_per_s)),
    number("Rounds", |it| grouped(it.case.rounds)),
    number("Requests", |it| grouped(it.requests())),
    number("Window s", |it| optional(it.case.window_s)),
    number("GB/s", |it| optional(it.case.gb_per_s)),
    number("Descriptors/s", |it| optional(it.case.descriptors_per_s)),
    number("p50 ms", |it| milliseconds(it.case.p50_us)),
    number("p90 ms", |it| milliseconds(it.case.p90_us)),
    number("p99 ms", |it| milliseconds(it.case.p99_us)),
    number("p99.9 ms", |it| milliseconds(it.case.p999_us)),
    number("Most ms", |it| milliseconds(it.case.max_us)),
    number("Post p50 µs", |it| optional(it.case.post_us_p50)),
    number("Tables ms", |it| milliseconds(it.case.prep_us)),
    number("Exposed ms", |it| milliseconds(it.case.exposed_us)),
    number("Initiator CPU s/GB", |it| optional(it.case.initiator_cpu_s_per_gb)),
    number("Target CPU s/GB", |it| optional(it.case.target_cpu_s_per_gb)),
    number("CPU ns/descriptor", |it| optional(it.case.initiator_cpu_ns_per_descriptor)),
    number("Start ms", |it| optional(it.case.start_ms)),
    number("Load ms", |it| optional(it.case.load_ms)),
    number("Connect ms", |it| optional(it.case.connect_ms)),
    number("Register ms", |it| optional(it.case.registration_ms)),
    number("First ms", |it| optional(it.case.first_transfer_ms)),
    number("Ceiling GB/s", |it| optional(it.case.ceiling_gb_per_s)),
    text("of", |it| it.case.ceiling_kind.clone().unwrap_or_else(|| NOT_MEASURED.to_owned())),
    number("Ratio to it", |it| optional(it.case.ceiling_ratio)),
    number("Link GB/s", |it| optional(it.case.link_gb_per_s)),
    number("Share of it", |it| optional(it.case.link_share)),
    number("Blocks right", |it| grouped(it.case.blocks_verified)),
    text("Ended", ended),
];

pub(super) fn section(context: &Context<'_>) -> Section {
    let rows = context.cases.iter().map(|it| row(it, FIELDS.iter().map(|field| (field.of)(it)).collect()));
    let mut columns: Vec<Column> = FIELDS.iter().map(|field| field.column.clone()).collect();
    columns.push(Column::text("Source"));
    let table = Table { caption: "All cases".to_owned(), columns, rows: rows.collect(), folded: true };
    let (text, exhibits) = if context.cases.is_empty() {
        (vec!["There is no case.".to_owned()], Vec::new())
    } else {
        let text = "Every figure of every case. The table is wider than paper, so it is not printed.";
        (vec![text.to_owned()], vec![Exhibit::Table(table)])
    };
    Section { id: "cases", title: "All cases", text, exhibits }
}
