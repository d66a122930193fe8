//! What a report says, before anybody decides how it looks.
//!
//! Texts are plain. A pair of backticks marks a command or a name; each renderer shows it in its own way and escapes
//! everything else, because file names, models and errors come from outside.

use serde::Serialize;

/// A whole report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportModel {
    /// What it is about.
    pub title: String,
    /// What was measured where, in a sentence or two.
    pub lead: String,
    /// What a reader must know before reading figures, the gravest first.
    pub notices: Vec<Notice>,
    /// The few figures that most readers came for.
    pub headlines: Vec<Headline>,
    /// Every case in a line, or as many as are worth a glance; all that a terminal shows.
    pub overview: Section,
    /// The rest, in reading order.
    pub sections: Vec<Section>,
    /// The files that the figures come from.
    pub sources: Vec<Source>,
}

/// Something to know before reading figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How grave.
    pub severity: Severity,
    /// What it is, in a sentence.
    pub text: String,
}

/// How grave a notice or a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something failed: a figure is missing or may be wrong.
    Fault,
    /// A figure means less than it seems.
    Caution,
    /// Good to know.
    Remark,
}

impl Severity {
    /// The word before a notice.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fault => "Fault",
            Self::Caution => "Caution",
            Self::Remark => "Note",
        }
    }
}

/// A figure to be seen first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// Of what.
    pub label: String,
    /// With its unit.
    pub value: String,
    /// What it is to be seen beside.
    pub detail: String,
}

/// A part of the report with a heading.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Stable: links point at it.
    pub id: &'static str,
    /// The heading.
    pub title: &'static str,
    /// Paragraphs before the exhibits: how figures were made, or why there are none.
    pub text: Vec<String>,
    /// What is shown.
    pub exhibits: Vec<Exhibit>,
}

/// Something shown. A plot never stands without the table of its numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Exhibit {
    /// A plot and its numbers.
    Plot {
        /// The plot.
        plot: Plot,
        /// The same numbers.
        numbers: Table,
    },
    /// Numbers or facts alone.
    Table(Table),
}

impl Exhibit {
    /// The table, which each exhibit has.
    pub fn table(&self) -> &Table {
        match self {
            Self::Plot { numbers, .. } => numbers,
            Self::Table(table) => table,
        }
    }
}

/// A table. Cells are text: the model decides about digits, so that all renderers show the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What the table holds.
    pub caption: String,
    /// Its columns; the first one names the row.
    pub columns: Vec<Column>,
    /// Each has a cell a column.
    pub rows: Vec<Row>,
    /// Long or seldom read: a page shows it on demand.
    pub folded: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The heading, its unit included.
    pub name: &'static str,
    /// Numbers are aligned to the right.
    pub numeric: bool,
}

impl Column {
    /// A column of words.
    pub const fn text(name: &'static str) -> Self {
        Self { name, numeric: false }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str) -> Self {
        Self { name, numeric: true }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// One a column.
    pub cells: Vec<String>,
    /// Set where the row stands out.
    pub severity: Option<Severity>,
}

impl Row {
    /// A row like the others.
    pub fn plain(cells: Vec<String>) -> Self {
        Self { cells, severity: None }
    }
}

/// A file that figures come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// How the report names it: `A`, `B` …; `A 3` is the case `cases[3]` of it, counted from 0.
    pub letter: String,
    /// The name that was given.
    pub name: String,
    /// The content's SHA-256, as hex.
    pub sha256: String,
    /// What the file is.
    pub kind: &'static str,
}

/// A plot, as data: a renderer's library draws it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plot {
    /// The heading.
    pub title: String,
    /// What somebody who cannot see the plot is told.
    pub description: String,
    /// What lies along the axes and how the points are drawn.
    pub form: Form,
    /// The horizontal axis; of bars, that of their lengths.
    pub x: Axis,
    /// The vertical axis; of bars it has only a label.
    pub y: Axis,
    /// What is drawn, in the order of the legend.
    pub series: Vec<Series>,
}

/// How the points of a plot are drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Form {
    /// Points joined by lines.
    Lines,
    /// A distribution: steps up to the right.
    Steps,
    /// Lying bars, one group a category; a point's `x` is the length, its `y` the category's number.
    Bars {
        /// The categories from the top.
        categories: Vec<String>,
        /// How the bars of a category lie.
        layout: BarLayout,
    },
}

/// How the bars of a category lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BarLayout {
    /// A category has one bar.
    Single,
    /// Beside each other.
    Grouped,
    /// End to end.
    Stacked,
}

/// An axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Axis {
    /// With the unit.
    pub label: &'static str,
    /// How values lie along it.
    pub scale: Scale,
}

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Equal steps, from zero.
    Linear,
    /// Equal factors.
    Logarithmic,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// In the legend.
    pub label: String,
    /// What the points are.
    pub role: Role,
    /// The number of its colour; equal numbers are of one colour in the whole report.
    pub colour: usize,
    /// In the order in which they are joined.
    pub points: Vec<Point>,
}

/// What points are: a reader tells them apart at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Measured.
    Measured,
    /// Computed from measured figures for what was not measured.
    Predicted,
    /// The plain loop of the same shape, in the same run.
    Ceiling,
    /// A limit that nobody measured here: a line rate or a budget.
    Limit,
}

/// A point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Along the horizontal axis.
    pub x: f64,
    /// Along the vertical axis.
    pub y: f64,
    /// What is said of it on demand; where it comes from, too.
    pub note: String,
}
