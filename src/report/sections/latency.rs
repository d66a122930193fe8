//! How the durations of requests are spread.

use prefab_contract::bench_report::LatencyBucket;

use super::{Context, MOST_PLOTS, left_out, row};
use crate::report::input::Located;
use crate::report::label::{Line, in_order};
use crate::report::model::{Axis, Column, Exhibit, Form, Plot, Point, Role, Scale, Section, Series, Table};
use crate::report::number::{as_f64, figure, milliseconds, optional};
use crate::units::grouped;

/// Durations further apart than by this factor need a logarithmic axis.
const WIDE: f64 = 30.0;

/// Points of a line, at most: a step each.
const STEPS: usize = 100;

pub(super) fn section(context: &Context<'_>) -> Section {
    let measured: Vec<Located<'_>> = context.transfers().filter(|it| it.case.max_us.is_some()).collect();
    let facets = context.labels.facets(measured.iter().copied());
    // Requests of unequal size do not belong into one distribution.
    let groups: Vec<(String, Vec<Located<'_>>)> = facets
        .into_iter()
        .flat_map(|facet| {
            let sized = in_order(facet.cases, |it| it.case.prompt_tokens);
            sized.into_iter().map(move |(tokens, cases)| {
                let tokens = format!("{} tokens", grouped(tokens));
                let title = if facet.title.is_empty() { tokens } else { format!("{tokens}, {}", facet.title) };
                (title, cases)
            })
        })
        .collect();
    let mut text = Vec::new();
    if measured.is_empty() {
        text.push("No request was measured.".to_owned());
    } else {
        text.push(
            "A quantile is told only where enough samples lie beyond it: p50 of 20, p90 of 100, p99 of 1,000, p99.9 of \
             10,000."
                .to_owned(),
        );
    }
    let (one_by_one, bucketed) = (|it: &Located<'_>| !it.requests_us().is_empty(), |it: &Located<'_>| is_bucketed(it));
    if !measured.is_empty() && !measured.iter().any(|it| one_by_one(it) || bucketed(it)) {
        text.push("No distribution is drawn: the reports hold no samples of single requests.".to_owned());
    }
    if measured.iter().any(bucketed) {
        text.push(
            "Requests of steady flows, and those that ran beside others, are told in buckets: a step lies at the upper end of \
             its bucket, which is about a tenth wide."
                .to_owned(),
        );
    }
    text.extend(left_out(groups.len()));
    let exhibits = groups.into_iter().take(MOST_PLOTS).map(|(title, cases)| exhibit(context, &title, cases)).collect();
    Section { id: "latency", title: "Latency", text, exhibits }
}

fn exhibit(context: &Context<'_>, title: &str, cases: Vec<Located<'_>>) -> Exhibit {
    let lines = context.labels.lines(cases);
    let numbers = numbers(&lines, title);
    let series: Vec<Series> = lines.iter().filter_map(series).collect();
    if series.is_empty() {
        return Exhibit::Table(numbers);
    }
    let all = || series.iter().flat_map(|line| line.points.iter().map(|point| point.x));
    let spread = all().fold(0.0, f64::max) / all().fold(f64::INFINITY, f64::min).max(f64::MIN_POSITIVE);
    let plot = Plot {
        title: format!("Durations of requests: {title}"),
        description: described(&lines),
        form: Form::Steps,
        x: Axis { label: "ms", scale: if spread > WIDE { Scale::Logarithmic } else { Scale::Linear } },
        y: Axis { label: "% of requests done", scale: Scale::Linear },
        series,
    };
    Exhibit::Plot { plot, numbers }
}

/// Told in buckets alone.
fn is_bucketed(it: &Located<'_>) -> bool {
    it.requests_us().is_empty() && !it.case.latencies.is_empty()
}

fn series(line: &Line<'_>) -> Option<Series> {
    let it = line.cases.first()?;
    let steps = if is_bucketed(it) { of_buckets(it) } else { of_requests(it) };
    let points = steps.into_iter().map(|(us, share)| {
        let (ms, done) = (us / 1e3, share * 100.0);
        Point { x: ms, y: done, note: format!("{} % within {} ms ({})", figure(done), figure(ms), it.source()) }
    });
    let points: Vec<Point> = points.collect();
    (!points.is_empty()).then(|| Series {
        label: line.label.clone(),
        role: Role::Measured,
        colour: line.colour,
        points,
    })
}

/// Durations in microseconds, each with the share of requests that it holds.
fn of_requests(it: &Located<'_>) -> Vec<(f64, f64)> {
    let mut samples = it.requests_us().to_vec();
    samples.sort_by(f64::total_cmp);
    let every = samples.len().div_ceil(STEPS).max(1);
    let steps = samples.iter().enumerate().filter(|(place, _)| place % every == 0 || place + 1 == samples.len());
    steps.map(|(place, us)| (*us, as_f64(place as u64 + 1) / as_f64(samples.len() as u64))).collect()
}

/// The same of buckets, at their upper ends; the last one ends with the longest request.
fn of_buckets(it: &Located<'_>) -> Vec<(f64, f64)> {
    let all = it.case.latencies.iter().map(|bucket| bucket.requests).sum();
    let longest = it.case.max_us.unwrap_or(f64::INFINITY);
    let mut done = 0;
    let step = |bucket: &LatencyBucket| {
        done += bucket.requests;
        (bucket.up_to_us.min(longest), as_f64(done) / as_f64(all))
    };
    it.case.latencies.iter().map(step).collect()
}

fn described(lines: &[Line<'_>]) -> String {
    let parts = lines.iter().filter_map(|line| {
        let it = line.cases.first()?;
        let median = figure(it.median_ms()?);
        let longest = milliseconds(it.case.max_us);
        Some(format!("{} half within {median} ms, all within {longest} ms", line.label))
    });
    format!("Distribution of durations: {}.", parts.collect::<Vec<_>>().join("; "))
}

fn numbers(lines: &[Line<'_>], title: &str) -> Table {
    let rows = lines.iter().flat_map(|line| {
        line.cases.iter().map(|it| {
            let least = it.requests_us().iter().copied().reduce(f64::min);
            let cells = vec![
                line.label.clone(),
                grouped(it.requests()),
                milliseconds(least),
                optional(it.median_ms()),
                milliseconds(it.case.p90_us),
                milliseconds(it.case.p99_us),
                milliseconds(it.case.p999_us),
                milliseconds(it.case.max_us),
                optional(it.case.post_us_p50),
            ];
            row(it, cells)
        })
    });
    Table {
        caption: format!("Durations in ms: {title}"),
        columns: vec![
            Column::text("Transport"),
            Column::number("Requests"),
            Column::number("Least"),
            Column::number("p50"),
            Column::number("p90"),
            Column::number("p99"),
            Column::number("p99.9"),
            Column::number("Most"),
            Column::number("Post call, µs"),
            Column::text("Source"),
        ],
        rows: rows.collect(),
        folded: false,
    }
}
