//! What `prefab-bootstrap check --json` prints, and what a node leaves for the person and for its peers.

use serde::{Deserialize, Serialize};

/// The version of this document.
pub const SCHEMA_VERSION: u32 = 1;

/// Every check that ran, in the order of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The results.
    pub checks: Vec<CheckResult>,
}

/// One check's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Such as `efa.devices`. Stable: scripts rely on it.
    pub id: String,
    /// The part of the id before the point.
    pub group: String,
    /// The verdict.
    pub outcome: CheckOutcome,
    /// What is there; of a skipped check, why it did not look.
    pub found: String,
    /// What should be there; null when it is, or when nobody looked.
    pub expected: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// How long it took, wall clock.
    pub milliseconds: u64,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// As it should be.
    Pass,
    /// It will work, and something costs speed or may surprise.
    Warn,
    /// It will not work.
    Fail,
    /// Not applicable to this machine, or not possible yet.
    Skip,
}

impl CheckOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Fail, Self::Skip];

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

impl CheckReport {
    /// How many checks ended so.
    pub fn count(&self, outcome: CheckOutcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }

    /// This report with the results of a later one in their places.
    #[must_use]
    pub fn updated(mut self, later: &Self) -> Self {
        for result in &mut self.checks {
            if let Some(found) = later.checks.iter().find(|found| found.id == result.id) {
                *result = found.clone();
            }
        }
        self
    }

    /// The overall rule: one failed check fails the machine; warnings and skipped checks do not.
    pub fn has_failed(&self) -> bool {
        self.count(CheckOutcome::Fail) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A contract with scripts: these names and words do not change within a version.
    const REPORT: &str = concat!(
        r#"{"schema_version":1,"checks":[{"id":"efa.memlock","group":"efa","outcome":"fail","found":"65536","#,
        r#""expected":"unlimited","hint":"raise it","milliseconds":1}]}"#
    );

    #[test]
    fn the_document_keeps_its_names_and_words() {
        let report: CheckReport = serde_json::from_str(REPORT).unwrap();
        assert_eq!(serde_json::to_string(&report).unwrap(), REPORT);
        assert!(report.has_failed());
        for outcome in CheckOutcome::ALL {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{}\"", outcome.name()));
        }
    }

    #[test]
    fn later_results_take_the_place_of_earlier_ones() {
        let report: CheckReport = serde_json::from_str(REPORT).unwrap();
        let later: CheckReport = serde_json::from_str(&REPORT.replace("fail", "pass")).unwrap();
        assert_eq!(report.clone().updated(&later), later);
        let other: CheckReport = serde_json::from_str(&REPORT.replace("efa.memlock", "efa.ports")).unwrap();
        assert_eq!(report.clone().updated(&other), report);
    }

    #[test]
    fn warnings_and_skipped_checks_do_not_fail_a_machine() {
        for outcome in [CheckOutcome::Pass, CheckOutcome::Warn, CheckOutcome::Skip] {
            let mut report: CheckReport = serde_json::from_str(REPORT).unwrap();
            report.checks[0].outcome = outcome;
            assert!(!report.has_failed(), "{outcome:?}");
        }
    }
}
