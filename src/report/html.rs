//! The report as one page that opens from disk: styles, scripts and data are inside, and its content security policy
//! names the scripts by their hashes and forbids everything else. A text that came through the escaping would still find
//! no way to run or to call home.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use handlebars::Handlebars;
use serde::Serialize;
use sha2::Digest as _;

use super::model::{Exhibit, Headline, Plot, ReportModel, Section, Severity, Table};
use super::plain::{self, Piece};

const STYLE: &str = include_str!("html/style.css");
const CHARTS: &str = include_str!("html/charts.js");

/// Chart.js as it is published, with its notice and without the last line, which names a source map: a browser's tools
/// would look for that file.
static LIBRARY: LazyLock<&str> = LazyLock::new(|| {
    let published = include_str!("html/chartjs/chart.umd.min.js");
    published.split_once("\n//# sourceMappingURL").map_or(published, |(code, _)| code)
});

static PAGE: LazyLock<Handlebars<'_>> = LazyLock::new(|| {
    let mut page = Handlebars::new();
    page.set_strict_mode(true);
    for (name, text) in [
        ("page", include_str!("html/page.hbs")),
        ("section", include_str!("html/section.hbs")),
        ("table", include_str!("html/table.hbs")),
        ("words", include_str!("html/words.hbs")),
    ] {
        // Part of the program: a test renders it.
        #[allow(clippy::expect_used)]
        page.register_template_string(name, text).expect("the page's template is sound");
    }
    page
});

/// A whole page.
pub fn render(report: &ReportModel) -> String {
    let page = Page::of(report);
    // Equal types make equal pages; a test renders each of them.
    #[allow(clippy::expect_used)]
    PAGE.render("page", &page).expect("the page's template knows its data")
}

#[derive(Serialize)]
struct Page<'a> {
    policy: String,
    version: &'static str,
    style: &'static str,
    library: &'static str,
    charts: &'static str,
    /// JSON in which nothing ends a script.
    plots: String,
    title: String,
    lead: Vec<Word>,
    headlines: Vec<HeadlineView>,
    notices: Vec<NoticeView>,
    sections: Vec<SectionView>,
    sources: Vec<SourceView<'a>>,
}

#[derive(Serialize)]
struct HeadlineView {
    label: String,
    value: String,
    detail: String,
}

#[derive(Serialize)]
struct NoticeView {
    class: &'static str,
    name: &'static str,
    words: Vec<Word>,
}

#[derive(Serialize)]
struct SectionView {
    id: &'static str,
    title: &'static str,
    text: Vec<Vec<Word>>,
    exhibits: Vec<ExhibitView>,
}

#[derive(Serialize)]
struct ExhibitView {
    plot: Option<PlotView>,
    table: TableView,
}

#[derive(Serialize)]
struct PlotView {
    number: usize,
    title: String,
    description: String,
}

#[derive(Serialize)]
struct TableView {
    /// From 1, over the whole page: captions may repeat.
    number: usize,
    caption: String,
    folded: bool,
    rows_told: String,
    columns: Vec<ColumnView>,
    rows: Vec<RowView>,
}

#[derive(Serialize)]
struct ColumnView {
    name: String,
    numeric: bool,
}

#[derive(Serialize)]
struct RowView {
    class: &'static str,
    head: String,
    cells: Vec<CellView>,
}

#[derive(Serialize)]
struct CellView {
    text: String,
    numeric: bool,
}

#[derive(Serialize)]
struct SourceView<'a> {
    letter: &'a str,
    name: String,
    sha256: &'a str,
    kind: &'static str,
}

/// A piece of a text.
#[derive(Serialize)]
struct Word {
    code: bool,
    text: String,
}

impl<'a> Page<'a> {
    fn of(report: &'a ReportModel) -> Self {
        let mut plots = Vec::new();
        let mut tables = 0;
        let sections = std::iter::once(&report.overview).chain(&report.sections);
        let sections = sections.map(|section| section_view(section, &mut plots, &mut tables)).collect();
        let headline = |it: &Headline| HeadlineView {
            label: shown(&it.label),
            value: shown(&it.value),
            detail: shown(&it.detail),
        };
        Self {
            policy: policy(),
            version: env!("CARGO_PKG_VERSION"),
            style: STYLE,
            library: *LIBRARY,
            charts: CHARTS,
            plots: script_json(&plots),
            title: shown(&report.title),
            lead: words(&report.lead),
            headlines: report.headlines.iter().map(headline).collect(),
            notices: report
                .notices
                .iter()
                .map(|it| NoticeView {
                    class: class(Some(it.severity)),
                    name: it.severity.name(),
                    words: words(&it.text),
                })
                .collect(),
            sections,
            sources: report
                .sources
                .iter()
                .map(|it| SourceView { letter: &it.letter, name: shown(&it.name), sha256: &it.sha256, kind: it.kind })
                .collect(),
        }
    }
}

fn section_view<'a>(section: &'a Section, plots: &mut Vec<&'a Plot>, tables: &mut usize) -> SectionView {
    let exhibits = section.exhibits.iter().map(|exhibit| {
        let plot = match exhibit {
            Exhibit::Plot { plot, .. } => {
                plots.push(plot);
                let (title, description) = (shown(&plot.title), shown(&plot.description));
                Some(PlotView { number: plots.len() - 1, title, description })
            }
            Exhibit::Table(_) => None,
        };
        *tables += 1;
        ExhibitView { plot, table: table_view(*tables, exhibit.table()) }
    });
    SectionView {
        id: section.id,
        title: section.title,
        exhibits: exhibits.collect(),
        text: section.text.iter().map(|text| words(text)).collect(),
    }
}

fn table_view(number: usize, table: &Table) -> TableView {
    let row = |row: &super::model::Row| {
        let mut cells = row
            .cells
            .iter()
            .zip(&table.columns)
            .map(|(text, column)| CellView { text: shown(text), numeric: column.numeric });
        let head = cells.next().map(|cell| cell.text).unwrap_or_default();
        RowView { class: class(row.severity), head, cells: cells.collect() }
    };
    TableView {
        number,
        caption: shown(&table.caption),
        folded: table.folded,
        rows_told: super::number::count(table.rows.len(), "row"),
        columns: table.columns.iter().map(|it| ColumnView { name: shown(&it.name), numeric: it.numeric }).collect(),
        rows: table.rows.iter().map(row).collect(),
    }
}

fn words(text: &str) -> Vec<Word> {
    let pieces = plain::pieces(text).into_iter();
    let word = |piece| match piece {
        Piece::Words(text) => Word { code: false, text: shown(text) },
        Piece::Code(text) => Word { code: true, text: shown(text) },
    };
    pieces.map(word).collect()
}

/// Text from outside, made harmless, in which a percent sign stays with its number.
fn shown(text: &str) -> String {
    plain::visible(text).replace(" %", "\u{a0}%")
}

fn class(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Fault) => "fault",
        Some(Severity::Caution) => "caution",
        Some(Severity::Remark) => "remark",
        None => "",
    }
}

/// JSON for a script element: nothing in it ends the element, begins a comment, or is a line end only for scripts.
fn script_json(plots: &[&Plot]) -> String {
    // Plots are strings and numbers; those that are not finite become null.
    let json = serde_json::to_string(plots).unwrap_or_else(|_| "[]".to_owned());
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                safe.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => safe.push(character),
        }
    }
    safe
}

/// Only what is inside, known by its hash; no request of any kind.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(sha2::Sha256::digest(text.as_bytes())));
    let (library, charts, style) = (hash(*LIBRARY), hash(CHARTS), hash(STYLE));
    format!("default-src 'none'; script-src {library} {charts}; style-src {style}; base-uri 'none'; form-action 'none'")
}
