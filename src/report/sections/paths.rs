//! What really carried the bytes, and what shows it.

use prefab_contract::bench_report::Case;
use prefab_contract::engine::PathFacts;

use super::{Context, row};
use crate::report::input::Located;
use crate::report::label::{self, in_order};
use crate::report::model::{Column, Exhibit, Section, Table};
use crate::report::number::NOT_MEASURED;
use crate::units::{binary, grouped};

/// More counters than these are shown on demand.
const MOST_ROWS: usize = 24;

/// A fact of the way.
struct Fact {
    name: &'static str,
    of: fn(&PathFacts) -> Option<String>,
}

/// How bytes moved, and what the end of a request rests on.
const WAY: &[Fact] = &[
    Fact { name: "RDMA", of: |it| it.rdma.map(|rdma| label::rdma(rdma).to_owned()) },
    Fact { name: "Memory path", of: |it| Some(it.memory_path.clone()) },
    Fact { name: "Completion", of: |it| Some(it.completion.clone()) },
    Fact { name: "Waiting", of: |it| Some(it.waiting.clone()) },
];

/// What was opened of libfabric.
const LIBFABRIC: &[Fact] = &[
    Fact { name: "Provider", of: |it| it.provider.clone() },
    Fact { name: "Fabric", of: |it| it.fabric.clone() },
    Fact { name: "Domain", of: |it| it.domain.clone() },
    Fact { name: "Device", of: |it| it.device.clone() },
    Fact { name: "Library", of: |it| it.library.clone() },
    Fact { name: "API", of: |it| it.api.clone() },
    Fact { name: "Depth", of: |it| it.depth.map(grouped) },
    Fact { name: "Most of one operation", of: |it| it.operation_bytes.map(binary) },
    Fact { name: "Pieces", of: |it| it.pieces.map(grouped) },
    Fact { name: "Refused options", of: |it| (!it.refused_options.is_empty()).then(|| it.refused_options.join("; ")) },
];

pub(super) fn section(context: &Context<'_>) -> Section {
    let known: Vec<Located<'_>> = context.cases.iter().filter(|it| it.case.facts.is_some()).copied().collect();
    let mut text = vec![
        "The path is what carried the bytes; the transport is what was asked to. A path by EFA is told only where counters of \
         its device moved by the payload."
            .to_owned(),
    ];
    if known.is_empty() {
        text.push("The reports tell no more of the way than its path.".to_owned());
    }
    let ways = table(context, "What carried the bytes, and what shows it", &context.cases, WAY, &PROOF);
    let opened: Vec<Located<'_>> = known.into_iter().filter(|it| facts(it.case, LIBFABRIC).is_some()).collect();
    let mut exhibits = Vec::new();
    if !context.cases.is_empty() {
        exhibits.push(Exhibit::Table(ways));
    }
    if !opened.is_empty() {
        exhibits.push(Exhibit::Table(Table {
            folded: true,
            ..table(context, "Opened of libfabric", &opened, LIBFABRIC, &[])
        }));
    }
    exhibits.extend(counters(context).map(Exhibit::Table));
    Section { id: "paths", title: "What carried the bytes", text, exhibits }
}

/// A column that every case has.
type Always = (&'static str, fn(&Case) -> String);

/// The path and its proof.
const PROOF: [Always; 2] = [
    ("Path", |it| it.path.clone()),
    ("Evidence", |it| it.path_evidence.clone().unwrap_or_else(|| NOT_MEASURED.to_owned())),
];

/// A row for each way, however many cases went it; the first of them is its source.
fn table(context: &Context<'_>, caption: &str, cases: &[Located<'_>], facts_of: &[Fact], always: &[Always]) -> Table {
    let cells = |it: &Located<'_>| -> Vec<String> {
        let told = always.iter().map(|(_, of)| of(it.case));
        let unknown = || facts_of.iter().map(|_| NOT_MEASURED.to_owned()).collect();
        let facts = it.case.facts.as_ref().map_or_else(unknown, |facts| {
            facts_of.iter().map(|fact| (fact.of)(facts).unwrap_or_else(|| NOT_MEASURED.to_owned())).collect::<Vec<_>>()
        });
        std::iter::once(context.labels.line(it)).chain(told).chain(facts).collect()
    };
    let rows = in_order(cases.iter().copied(), cells).into_iter().filter_map(|(mut cells, alike)| {
        cells.push(grouped(alike.len() as u64));
        alike.first().map(|first| row(first, cells))
    });
    let mut columns = vec![Column::text("Transport")];
    columns.extend(always.iter().map(|(name, _)| Column::text(name)));
    columns.extend(facts_of.iter().map(|fact| Column::text(fact.name)));
    columns.extend([Column::number("Cases"), Column::text("Source")]);
    Table { caption: caption.to_owned(), columns, rows: rows.collect(), folded: false }
}

/// Whether any of these facts is told.
fn facts(case: &Case, facts_of: &[Fact]) -> Option<String> {
    facts_of.iter().find_map(|fact| (fact.of)(case.facts.as_ref()?))
}

/// How much counters of devices moved, beside what they should have; nothing where there are none.
fn counters(context: &Context<'_>) -> Option<Table> {
    let rows: Vec<_> = context
        .cases
        .iter()
        .flat_map(|it| {
            it.case.counters.iter().map(|counter| {
                let cells = [&counter.side, &counter.device, &counter.name].map(String::clone);
                let moved = grouped(counter.moved);
                row(it, std::iter::once(context.labels.whole(it)).chain(cells).chain([moved]).collect())
            })
        })
        .collect();
    let folded = rows.len() > MOST_ROWS;
    (!rows.is_empty()).then(|| Table {
        caption: "Counters of the devices over a whole case".to_owned(),
        columns: vec![
            Column::text("Case"),
            Column::text("Side"),
            Column::text("Device"),
            Column::text("Counter"),
            Column::number("Moved by"),
            Column::text("Source"),
        ],
        rows,
        folded,
    })
}
