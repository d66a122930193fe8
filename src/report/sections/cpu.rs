//! What a transfer costs in processor time.

use super::{Context, row};
use crate::report::input::Located;
use crate::report::model::{Axis, BarLayout, Column, Exhibit, Form, Plot, Point, Role, Scale, Section, Series, Table};
use crate::report::number::{as_f64, figure, optional};

/// Bars of a plot that can still be told apart.
const MOST_BARS: usize = 24;

pub(super) fn section(context: &Context<'_>) -> Section {
    let costed: Vec<Located<'_>> = context.transfers().filter(|it| total(it).is_some()).collect();
    let (text, exhibits) = if costed.is_empty() {
        ("No case tells its processor time.".to_owned(), Vec::new())
    } else {
        let exhibit = Exhibit::Plot { plot: plot(context, &costed), numbers: numbers(context, &costed) };
        let text =
            "Processor seconds of each end for a GB moved, all threads and the kernel's work for them included. A \
                    vLLM worker has this much less for everything else."
                .to_owned();
        (text, vec![exhibit])
    };
    let mut text = vec![text];
    if costed.len() > MOST_BARS {
        text.push(format!("The plot shows the first {MOST_BARS} of {} cases, the table all.", costed.len()));
    }
    Section { id: "cpu", title: "Processor time", text, exhibits }
}

fn total(it: &Located<'_>) -> Option<f64> {
    Some(it.case.initiator_cpu_s_per_gb? + it.case.target_cpu_s_per_gb?)
}

fn plot(context: &Context<'_>, cases: &[Located<'_>]) -> Plot {
    let drawn = &cases[..cases.len().min(MOST_BARS)];
    let series = |label: &str, colour, of: fn(&Located<'_>) -> Option<f64>| {
        let points = drawn.iter().enumerate().filter_map(|(place, it)| {
            let x = of(it)?;
            Some(Point { x, y: as_f64(place as u64), note: format!("{label} {} s/GB ({})", figure(x), it.source()) })
        });
        Series { label: label.to_owned(), role: Role::Measured, colour, points: points.collect() }
    };
    let parts = drawn.iter().filter_map(|it| Some(format!("{} {} s/GB", context.labels.whole(it), figure(total(it)?))));
    Plot {
        title: "Processor seconds for a GB".to_owned(),
        description: format!("Both ends together: {}.", parts.collect::<Vec<_>>().join("; ")),
        form: Form::Bars {
            categories: drawn.iter().map(|it| context.labels.whole(it)).collect(),
            layout: BarLayout::Stacked,
        },
        x: Axis { label: "processor seconds a GB", scale: Scale::Linear },
        y: Axis { label: "", scale: Scale::Linear },
        series: vec![
            series("initiator", 0, |it| it.case.initiator_cpu_s_per_gb),
            series("target", 1, |it| it.case.target_cpu_s_per_gb),
        ],
    }
}

fn numbers(context: &Context<'_>, cases: &[Located<'_>]) -> Table {
    let rows = cases.iter().map(|it| {
        let cells = vec![
            context.labels.whole(it),
            optional(it.case.initiator_cpu_s_per_gb),
            optional(it.case.target_cpu_s_per_gb),
            optional(total(it)),
        ];
        row(it, cells)
    });
    Table {
        caption: "Processor seconds for a GB".to_owned(),
        columns: vec![
            Column::text("Case"),
            Column::number("Initiator"),
            Column::number("Target"),
            Column::number("Both"),
            Column::text("Source"),
        ],
        rows: rows.collect(),
        folded: cases.len() > MOST_BARS,
    }
}
