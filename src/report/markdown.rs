//! The report as Markdown, for a pull request or a wiki: everything but the plots, whose numbers are tables anyway.

use std::fmt::Write as _;

use super::model::{Headline, Notice, ReportModel, Section, Source, Table};
use super::plain::{self, Piece};

/// A whole document.
pub fn render(report: &ReportModel) -> String {
    let mut text = String::new();
    let _infallible = writeln!(text, "# {}\n\n{}", escaped(&report.title), paragraph(&report.lead));
    if !report.notices.is_empty() {
        text.push('\n');
    }
    for Notice { severity, text: sentence } in &report.notices {
        let _infallible = writeln!(text, "- **{}:** {}", severity.name(), paragraph(sentence));
    }
    if !report.headlines.is_empty() {
        text.push('\n');
    }
    for Headline { label, value, detail } in &report.headlines {
        let (label, value, detail) = (escaped(label), escaped(value), escaped(detail));
        let _infallible = writeln!(text, "- {label}: **{value}**. {detail}");
    }
    for part in std::iter::once(&report.overview).chain(&report.sections) {
        section(&mut text, part);
    }
    sources(&mut text, &report.sources);
    text
}

fn section(text: &mut String, section: &Section) {
    let _infallible = writeln!(text, "\n## {}", section.title);
    for sentence in &section.text {
        let _infallible = writeln!(text, "\n{}", paragraph(sentence));
    }
    for exhibit in &section.exhibits {
        table(text, exhibit.table());
    }
}

fn table(text: &mut String, table: &Table) {
    let _infallible = writeln!(text, "\n{}\n", escaped(&table.caption));
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(table.columns.iter().map(|column| escaped(column.name)).collect()));
    let rule = |numeric| if numeric { "---:" } else { "---" }.to_owned();
    text.push_str(&line(table.columns.iter().map(|column| rule(column.numeric)).collect()));
    for row in &table.rows {
        text.push_str(&line(row.cells.iter().map(|cell| escaped(cell)).collect()));
    }
}

fn sources(text: &mut String, sources: &[Source]) {
    let _infallible = writeln!(text, "\n## Sources\n");
    for Source { letter, name, sha256, kind } in sources {
        let _infallible = writeln!(text, "- {letter}: {kind} {}, SHA-256 `{sha256}`", escaped(name));
    }
}

/// A text of the model: its commands as code, everything else escaped.
fn paragraph(text: &str) -> String {
    let pieces = plain::pieces(text).into_iter().map(|piece| match piece {
        Piece::Words(words) => escaped(words),
        Piece::Code(code) => format!("`{}`", plain::visible(code)),
    });
    pieces.collect()
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in plain::visible(text).chars() {
        if matches!(character, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '&' | '#' | '~' | '$') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
