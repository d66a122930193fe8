//! The report for a terminal: what to know first and every case in a line. The rest is in the page.

use std::fmt::Write as _;

use super::model::{Notice, ReportModel, Section, Table};
use super::plain;
use crate::table;

/// The summary, without a last word: the command knows what comes next.
pub fn render(report: &ReportModel) -> String {
    let mut text = String::new();
    let _infallible = writeln!(text, "{}\n", plain::visible(&report.lead));
    text.push_str(&section(&report.overview));
    if !report.notices.is_empty() {
        text.push('\n');
    }
    for Notice { severity, text: sentence } in &report.notices {
        let _infallible = writeln!(text, "{}: {}", severity.name(), plain::visible(sentence));
    }
    text
}

fn section(section: &Section) -> String {
    let tables = section.exhibits.iter().map(|exhibit| aligned(exhibit.table()));
    let notes = section.text.iter().map(|paragraph| format!("{}\n", plain::visible(paragraph)));
    tables.chain(notes).collect()
}

fn aligned(rows: &Table) -> String {
    let header: Vec<&str> = rows.columns.iter().map(|column| column.name).collect();
    let numbers: Vec<&str> = rows.columns.iter().filter(|column| column.numeric).map(|column| column.name).collect();
    let mut aligned = table::plain(&header, &numbers);
    aligned.add_rows(rows.rows.iter().map(|row| row.cells.iter().map(|cell| plain::visible(cell)).collect::<Vec<_>>()));
    table::text(&aligned)
}
