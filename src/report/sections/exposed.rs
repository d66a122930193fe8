//! What of a transfer a schedule leaves after the end of prefill.

use super::{Context, MOST_PLOTS, row};
use crate::report::input::Located;
use crate::report::label::in_order;
use crate::report::model::{Axis, BarLayout, Column, Exhibit, Form, Plot, Point, Role, Scale, Section, Series, Table};
use crate::report::number::{as_f64, figure, milliseconds, optional};
use crate::units::grouped;

pub(super) fn section(context: &Context<'_>) -> Section {
    let exposed: Vec<Located<'_>> = context.cases.iter().filter(|it| it.case.exposed_us.is_some()).copied().collect();
    let text = if exposed.is_empty() {
        "No case ran beside a prefill, so all of a transfer comes after it. `prefab-bootstrap bench --schedule \
         whole,layerwise,chunked --prefill-ms N` measures how much of it a schedule hides."
    } else {
        "The time from the end of prefill until the last byte is in its place, by when parts of the request may leave: \
         all at the end (`whole`), or layer by layer or chunk by chunk as prefill makes them."
    };
    let facets = context.labels.facets_of_any_schedule(exposed);
    let groups: Vec<_> = facets
        .into_iter()
        .flat_map(|facet| {
            let sized = in_order(facet.cases, |it| it.case.prompt_tokens);
            sized.into_iter().map(move |(tokens, cases)| (subject(tokens, &facet.title), cases))
        })
        .collect();
    let mut text = vec![text.to_owned()];
    text.extend(super::left_out(groups.len()));
    let exhibits = groups.into_iter().take(MOST_PLOTS).map(|(subject, cases)| exhibit(context, &subject, &cases));
    Section { id: "exposed", title: "Exposed time", text, exhibits: exhibits.collect() }
}

fn subject(tokens: u64, title: &str) -> String {
    let tokens = format!("{} tokens", grouped(tokens));
    if title.is_empty() { tokens } else { format!("{tokens}, {title}") }
}

fn exhibit(context: &Context<'_>, subject: &str, cases: &[Located<'_>]) -> Exhibit {
    let schedules: Vec<String> =
        in_order(cases.iter().copied(), Located::schedule).into_iter().map(|(schedule, _)| schedule).collect();
    let lines = context.labels.lines(cases.iter().copied());
    let series = lines.iter().map(|line| {
        let points = line.cases.iter().filter_map(|it| {
            let place = schedules.iter().position(|schedule| *schedule == it.schedule())?;
            let x = it.case.exposed_us? / 1e3;
            Some(Point { x, y: as_f64(place as u64), note: format!("{} ms exposed ({})", figure(x), it.source()) })
        });
        Series { label: line.label.clone(), role: Role::Measured, colour: line.colour, points: points.collect() }
    });
    let series: Vec<Series> = series.collect();
    let parts = lines
        .iter()
        .flat_map(|line| &line.cases)
        .map(|it| format!("{} {} {} ms", context.labels.line(it), it.schedule(), milliseconds(it.case.exposed_us)));
    let plot = Plot {
        title: format!("Exposed time by schedule: {subject}"),
        description: format!("Exposed time: {}.", parts.collect::<Vec<_>>().join("; ")),
        form: Form::Bars { categories: schedules, layout: BarLayout::Grouped },
        x: Axis { label: "ms after the end of prefill", scale: Scale::Linear },
        y: Axis { label: "", scale: Scale::Linear },
        series,
    };
    let rows = cases.iter().map(|it| {
        let cells =
            vec![context.labels.line(it), it.schedule(), milliseconds(it.case.exposed_us), optional(it.median_ms())];
        row(it, cells)
    });
    let numbers = Table {
        caption: format!("Exposed time: {subject}"),
        columns: vec![
            Column::text("Transport"),
            Column::text("Schedule"),
            Column::number("Exposed ms"),
            Column::number("Request ms"),
            Column::text("Source"),
        ],
        rows: rows.collect(),
        folded: false,
    };
    Exhibit::Plot { plot, numbers }
}
