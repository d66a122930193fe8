//! What the nodes' checks found.

use prefab_contract::check_report::{CheckOutcome, CheckReport, CheckResult};

use super::Context;
use crate::report::input::{Document, letter};
use crate::report::model::{Column, Exhibit, Row, Section, Severity, Table};
use crate::report::number::{NOT_MEASURED, count};

pub(super) fn section(context: &Context<'_>) -> Section {
    let benches = context.inputs.benches.len();
    let documents: Vec<_> = context.inputs.checks.iter().zip(benches..).collect();
    let mut text: Vec<String> =
        documents.iter().map(|(document, number)| summary(document, &letter(*number))).collect();
    if documents.is_empty() {
        text.push(
            "No check report was given, so nothing here says whether the machine was in order. `prefab-bootstrap check \
             --json` writes one, `prefab report … --checks FILE` shows it."
                .to_owned(),
        );
    }
    let exhibits = documents.iter().flat_map(|(document, number)| exhibits(document, &letter(*number)));
    Section { id: "checks", title: "Checks", text, exhibits: exhibits.collect() }
}

fn summary(document: &Document<CheckReport>, letter: &str) -> String {
    let counts = CheckOutcome::ALL.map(|outcome| (document.content.count(outcome), outcome.name()));
    let told: Vec<String> =
        counts.iter().filter(|(number, _)| *number > 0).map(|(number, name)| format!("{number} {name}")).collect();
    let checks = count(document.content.checks.len(), "check");
    let told = if told.is_empty() { "none".to_owned() } else { told.join(", ") };
    format!("{letter}, {}: {checks}: {told}.", document.name)
}

/// What needs attention, in sight; everything, on demand.
fn exhibits(document: &Document<CheckReport>, letter: &str) -> Vec<Exhibit> {
    let grave = |check: &&CheckResult| matches!(check.outcome, CheckOutcome::Fail | CheckOutcome::Warn);
    let mut attention: Vec<&CheckResult> = document.content.checks.iter().filter(grave).collect();
    attention.sort_by_key(|check| check.outcome != CheckOutcome::Fail);
    let all: Vec<&CheckResult> = document.content.checks.iter().collect();
    let mut exhibits = Vec::new();
    if !attention.is_empty() {
        exhibits.push(table(format!("What needs attention in {}", document.name), &attention, letter, false));
    }
    if !all.is_empty() {
        exhibits.push(table(format!("All checks of {}", document.name), &all, letter, true));
    }
    exhibits
}

fn table(caption: String, checks: &[&CheckResult], letter: &str, folded: bool) -> Exhibit {
    let rows = checks.iter().map(|check| Row {
        cells: vec![
            check.id.clone(),
            check.outcome.name().to_owned(),
            check.found.clone(),
            check.expected.clone().unwrap_or_else(|| NOT_MEASURED.to_owned()),
            check.hint.clone().unwrap_or_else(|| NOT_MEASURED.to_owned()),
            letter.to_owned(),
        ],
        severity: match check.outcome {
            CheckOutcome::Fail => Some(Severity::Fault),
            CheckOutcome::Warn => Some(Severity::Caution),
            CheckOutcome::Pass | CheckOutcome::Skip => None,
        },
    });
    let columns = ["Check", "Outcome", "Found", "Expected", "Do", "Source"].map(Column::text);
    Exhibit::Table(Table { caption, columns: columns.to_vec(), rows: rows.collect(), folded })
}
