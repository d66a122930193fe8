//! Bandwidth against the size of a request, with what it could be at best.

use super::overview::{interval, of_ceiling, of_line_rate};
use super::{Context, LineRate, MOST_PLOTS, left_out, row};
use crate::report::input::Located;
use crate::report::label::{Facet, Line};
use crate::report::model::{Axis, BarLayout, Column, Exhibit, Form, Plot, Point, Role, Scale, Section, Series, Table};
use crate::report::number::{as_f64, bytes, figure, optional};
use crate::units::grouped;

pub(super) fn section(context: &Context<'_>) -> Section {
    let measured = context.transfers().filter(|it| it.case.gb_per_s.is_some());
    let facets = context.labels.facets(measured);
    let mut text = Vec::new();
    if facets.is_empty() {
        text.push("No case has a bandwidth.".to_owned());
    } else {
        text.push(
            "Bytes of a request over its median duration; of requests that run together, the sum. A ceiling is the best plain loop of the same shape in the same \
             run; one that a transport beat is invalid and not drawn."
                .to_owned(),
        );
        text.push(
            "`read` and `write` are one-sided: each run of adjacent blocks is an operation of its own, and the target posts \
             nothing. In `packed` the receiver assists: the source gathers, the target places."
                .to_owned(),
        );
        text.push(line_rates(context));
    }
    text.extend(left_out(facets.len()));
    let exhibits = facets.iter().take(MOST_PLOTS).map(|facet| exhibit(context, facet)).collect();
    Section { id: "bandwidth", title: "Bandwidth", text, exhibits }
}

fn line_rates(context: &Context<'_>) -> String {
    let known = known_line_rates(context, &context.transfers().collect::<Vec<_>>());
    if !known.is_empty() {
        let named: Vec<String> =
            known.iter().map(|rate| format!("{} GB/s of {}", figure(rate.gb_per_s), rate.of)).collect();
        format!("The line rate is for everything that a node does at once: {}.", named.join(", "))
    } else if context.cases.iter().all(|it| it.report.environment.loopback) {
        "No line rate is drawn: on loopback there is none.".to_owned()
    } else {
        "No line rate is drawn: the report does not tell what the link carries. `--instance-type` names the nodes' type."
            .to_owned()
    }
}

fn exhibit(context: &Context<'_>, facet: &Facet<'_>) -> Exhibit {
    let lines = context.labels.lines(facet.cases.iter().copied());
    let subject = if facet.title.is_empty() { String::new() } else { format!(": {}", facet.title) };
    let several_sizes = lines.iter().any(|line| sizes(line) > 1);
    let rates = known_line_rates(context, &facet.cases);
    let plot = if several_sizes { by_size(&lines, &rates, &subject) } else { at_one_size(&lines, &rates, &subject) };
    Exhibit::Plot { plot, numbers: numbers(context, &lines, &subject) }
}

fn sizes(line: &Line<'_>) -> usize {
    let mut sizes: Vec<u64> = line.cases.iter().map(|it| it.case.payload_bytes).collect();
    sizes.dedup();
    sizes.len()
}

fn by_size(lines: &[Line<'_>], rates: &[LineRate], subject: &str) -> Plot {
    let x = |it: &Located<'_>| as_f64(it.case.payload_bytes) / 1e6;
    let mut series: Vec<Series> = Vec::new();
    for line in lines {
        let points = |value: fn(&Located<'_>) -> Option<f64>, what: &str| -> Vec<Point> {
            let point = |it: &Located<'_>| value(it).map(|y| Point { x: x(it), y, note: note(it, what) });
            line.cases.iter().filter_map(point).collect()
        };
        let (label, colour) = (line.label.clone(), line.colour);
        series.push(Series { label, role: Role::Measured, colour, points: points(|it| it.case.gb_per_s, "median") });
        let ceilings = points(valid_ceiling, "ceiling");
        if !ceilings.is_empty() {
            series.push(Series {
                label: format!("{}, ceiling", line.label),
                role: Role::Ceiling,
                colour,
                points: ceilings,
            });
        }
    }
    let all = || lines.iter().flat_map(|line| &line.cases);
    let ends = [f64::min, f64::max].map(|better| all().map(x).reduce(better).unwrap_or(1.0));
    series.extend(limits(rates, &|rate, note| {
        ends.iter().map(|x| Point { x: *x, y: rate, note: note.clone() }).collect()
    }));
    Plot {
        title: format!("Bandwidth against size{subject}"),
        description: described(lines),
        form: Form::Lines,
        x: Axis { label: "MB of a request", scale: Scale::Logarithmic },
        y: Axis { label: "GB/s", scale: Scale::Linear },
        series,
    }
}

fn at_one_size(lines: &[Line<'_>], rates: &[LineRate], subject: &str) -> Plot {
    let mut series: Vec<Series> = Vec::new();
    let mut ceilings = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let y = as_f64(number as u64);
        for it in &line.cases {
            let Some(x) = it.case.gb_per_s else { continue };
            let points = vec![Point { x, y, note: note(it, "median") }];
            series.push(Series { label: line.label.clone(), role: Role::Measured, colour: line.colour, points });
            ceilings.extend(valid_ceiling(it).map(|x| Point { x, y, note: note(it, "ceiling") }));
        }
    }
    if !ceilings.is_empty() {
        series.push(Series { label: "ceiling".to_owned(), role: Role::Ceiling, colour: 0, points: ceilings });
    }
    series.extend(limits(rates, &|rate, note| vec![Point { x: rate, y: 0.0, note }]));
    let payload = lines
        .first()
        .and_then(|line| line.cases.first())
        .map(|it| format!(", {}", bytes(it.case.payload_bytes)))
        .unwrap_or_default();
    Plot {
        title: format!("Bandwidth{payload}{subject}"),
        description: described(lines),
        form: Form::Bars {
            categories: lines.iter().map(|line| line.label.clone()).collect(),
            layout: BarLayout::Single,
        },
        x: Axis { label: "GB/s", scale: Scale::Linear },
        y: Axis { label: "", scale: Scale::Linear },
        series,
    }
}

fn valid_ceiling(it: &Located<'_>) -> Option<f64> {
    it.case.ceiling_gb_per_s.filter(|_| !it.case.ceiling_is_invalid())
}

/// A line for each line rate that is known.
fn limits(rates: &[LineRate], points: &dyn Fn(f64, String) -> Vec<Point>) -> Vec<Series> {
    let series = rates.iter().map(|rate| {
        let label = format!("line rate of {}, {} GB/s", rate.of, figure(rate.gb_per_s));
        Series { points: points(rate.gb_per_s, label.clone()), label, role: Role::Limit, colour: 0 }
    });
    series.collect()
}

/// Each once, ascending.
fn known_line_rates(context: &Context<'_>, cases: &[Located<'_>]) -> Vec<LineRate> {
    let mut known: Vec<LineRate> = cases.iter().filter_map(|it| context.line_rate(it)).collect();
    known.sort_by(|a, b| a.gb_per_s.total_cmp(&b.gb_per_s).then(a.of.cmp(&b.of)));
    known.dedup();
    known
}

fn note(it: &Located<'_>, what: &str) -> String {
    format!("{what}, {} tokens, {} ({})", grouped(it.case.prompt_tokens), bytes(it.case.payload_bytes), it.source())
}

/// The gist in words.
fn described(lines: &[Line<'_>]) -> String {
    let parts = lines.iter().map(|line| {
        let values = line.cases.iter().filter_map(|it| it.case.gb_per_s);
        let (least, most) = (values.clone().reduce(f64::min), values.reduce(f64::max));
        match (least, most) {
            (Some(least), Some(most)) if least < most => {
                format!("{} from {} to {} GB/s", line.label, figure(least), figure(most))
            }
            (Some(value), _) => format!("{} {} GB/s", line.label, figure(value)),
            _ => format!("{} without a figure", line.label),
        }
    });
    format!("Bandwidth: {}.", parts.collect::<Vec<_>>().join("; "))
}

fn numbers(context: &Context<'_>, lines: &[Line<'_>], subject: &str) -> Table {
    let rows = lines.iter().flat_map(|line| {
        line.cases.iter().map(|it| {
            let cells = vec![
                line.label.clone(),
                grouped(it.case.prompt_tokens),
                bytes(it.case.payload_bytes),
                optional(it.case.gb_per_s),
                interval(it),
                optional(it.case.descriptors_per_s),
                optional(it.case.ceiling_gb_per_s),
                of_ceiling(it),
                of_line_rate(context, it),
            ];
            row(it, cells)
        })
    });
    Table {
        caption: format!("Bandwidth{subject}"),
        columns: vec![
            Column::text("Transport"),
            Column::number("Tokens"),
            Column::number("Payload"),
            Column::number("GB/s"),
            Column::number("95 % interval"),
            Column::number("Descriptors/s"),
            Column::number("Ceiling GB/s"),
            Column::number("of ceiling"),
            Column::number("of line rate"),
            Column::text("Source"),
        ],
        rows: rows.collect(),
        folded: false,
    }
}
