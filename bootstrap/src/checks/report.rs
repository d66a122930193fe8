//! The report for a person: groups, aligned columns, what to do next.

use prefab_contract::check_report::{CheckOutcome, CheckReport, CheckResult};

/// The text of a whole report. Colour only marks the outcome, never carries it.
pub(super) fn text(report: &CheckReport, has_colour: bool) -> String {
    let width = report.checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut group = "";
    for check in &report.checks {
        if check.group != group {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.push(check.group.clone());
            group = &check.group;
        }
        lines.extend(block(check, width, has_colour));
    }
    lines.push(String::new());
    lines.push(summary(report));
    lines.push(next(report));
    lines.join("\n") + "\n"
}

fn block(check: &CheckResult, width: usize, has_colour: bool) -> Vec<String> {
    let outcome = coloured(check.outcome, has_colour);
    let mut lines = vec![format!("  {outcome}  {:width$}  {}", check.id, check.found)];
    let indent = " ".repeat(width + 10);
    lines.extend(check.expected.as_ref().map(|expected| format!("{indent}expected {expected}")));
    lines.extend(check.hint.as_ref().map(|hint| format!("{indent}hint: {hint}")));
    lines
}

fn coloured(outcome: CheckOutcome, has_colour: bool) -> String {
    let (word, colour) = match outcome {
        CheckOutcome::Pass => ("pass", 32),
        CheckOutcome::Warn => ("WARN", 33),
        CheckOutcome::Fail => ("FAIL", 31),
        CheckOutcome::Skip => ("skip", 2),
    };
    if has_colour { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
}

fn summary(report: &CheckReport) -> String {
    let words = ["passed", "warned", "failed", "skipped"];
    let counts = CheckOutcome::ALL.into_iter().zip(words).map(|(outcome, word)| (report.count(outcome), word));
    counts.filter(|&(count, _)| count > 0).map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

fn next(report: &CheckReport) -> String {
    match report.checks.iter().find(|check| check.outcome == CheckOutcome::Fail) {
        Some(check) => format!("next: fix the failures, then `prefab-bootstrap check --only {}` and so on", check.id),
        None => "next: `prefab-bootstrap bench` measures the transfer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, outcome: CheckOutcome, wrong: Option<&str>) -> CheckResult {
        CheckResult {
            id: id.to_owned(),
            group: id.split('.').next().unwrap().to_owned(),
            outcome,
            found: "this".to_owned(),
            expected: wrong.map(str::to_owned),
            hint: wrong.map(|_| "do it".to_owned()),
            milliseconds: 0,
        }
    }

    #[test]
    fn the_text_is_grouped_aligned_and_ends_with_the_next_step() {
        let checks = vec![
            check("efa.devices", CheckOutcome::Pass, None),
            check("efa.ports", CheckOutcome::Fail, Some("that")),
            check("gpu.count", CheckOutcome::Skip, None),
        ];
        let report = CheckReport { schema_version: 1, checks };
        let expected = "efa
  pass  efa.devices  this
  FAIL  efa.ports    this
                     expected that
                     hint: do it

gpu
  skip  gpu.count    this

1 passed, 1 failed, 1 skipped
next: fix the failures, then `prefab-bootstrap check --only efa.ports` and so on
";
        assert_eq!(text(&report, false), expected);
        assert!(text(&report, true).contains("\x1b[31mFAIL\x1b[0m"));
    }
}
