//! Documents as they are given: benchmark reports and check reports, told apart by what is in them.

use std::fmt;

use prefab_contract::bench_report::{self, BenchReport, Case, Ended, Mode};
use prefab_contract::check_report::{self, CheckReport};
use prefab_contract::sha256::Sha256;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use sha2::Digest as _;

use super::number::as_f64;
use super::plain;
use super::statistics::{self, Bootstrap, Interval};
use crate::units::grouped;

/// Everything that one report is made from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inputs {
    /// Benchmark reports, in the order given.
    pub benches: Vec<Document<BenchReport>>,
    /// Check reports, in the order given.
    pub checks: Vec<Document<CheckReport>>,
}

/// A document with where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<T> {
    /// The name that was given, such as a path.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub sha256: Sha256,
    /// What it says.
    pub content: T,
}

/// A document that is neither report, or one of another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which one.
    pub name: String,
    /// What was found, what was expected and what to do.
    pub cause: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.cause)
    }
}

impl std::error::Error for Unreadable {}

impl Inputs {
    /// Adds a document; what it holds says which kind it is.
    ///
    /// # Errors
    /// Neither kind, another version, or a document that breaks the schema.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Unreadable> {
        let refuse = |cause: String| Unreadable { name: name.to_owned(), cause };
        let json: Json = serde_json::from_slice(bytes).map_err(|error| {
            refuse(format!(
                "found no JSON ({error}), expected a report of `prefab-bootstrap bench --json` or `check --json`; \
                 write it anew"
            ))
        })?;
        let json = plain::tamed(json);
        let name = &plain::tamed_text(name);
        let sha256 = Sha256::from_bytes(sha2::Sha256::digest(bytes).into());
        if json.get("cases").is_some() {
            let content = typed(json, bench_report::SCHEMA_VERSION).map_err(refuse)?;
            self.benches.push(Document { name: name.clone(), sha256, content });
        } else if json.get("checks").is_some() {
            let content = typed(json, check_report::SCHEMA_VERSION).map_err(refuse)?;
            self.checks.push(Document { name: name.clone(), sha256, content });
        } else {
            return Err(refuse(
                "found JSON with neither `cases` nor `checks`, expected a report of `prefab-bootstrap bench --json` or \
                 `check --json`; name such a file"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Every case of every document, in order.
    pub(super) fn cases(&self) -> Vec<Located<'_>> {
        let documents = self.benches.iter().enumerate();
        let cases = documents.flat_map(|(document, bench)| {
            let cases = bench.content.cases.iter().enumerate();
            cases.map(move |(index, case)| Located { document, index, report: &bench.content, case })
        });
        cases.collect()
    }
}

/// A document of this version.
fn typed<T: DeserializeOwned>(json: Json, version: u32) -> Result<T, String> {
    match json.get("schema_version").and_then(Json::as_u64) {
        Some(found) if found == u64::from(version) => {}
        found => {
            let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
            return Err(format!(
                "found `schema_version` {found}, expected {version}; use the `prefab` of the release that wrote it, or \
                 measure again"
            ));
        }
    }
    serde_json::from_value(json).map_err(|error| {
        format!(
            "found a document of version {version} with a fault ({error}); use a `prefab` at least as new as the \
             program that wrote it"
        )
    })
}

/// A case with its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located<'a> {
    /// The number of its document.
    pub(super) document: usize,
    /// Its number within, from 0.
    pub(super) index: usize,
    /// The document's content.
    pub(super) report: &'a BenchReport,
    /// Itself.
    pub(super) case: &'a Case,
}

impl Located<'_> {
    /// Where its figures come from, as every table tells it.
    pub(super) fn source(&self) -> String {
        format!("{} {}", letter(self.document), self.index)
    }

    /// Durations of requests, in microseconds; empty where the report does not tell them one by one. Where a round has
    /// several requests, its rounds are no requests.
    pub(super) fn requests_us(&self) -> &[f64] {
        if self.case.q == 1 { &self.case.rounds_us } else { &[] }
    }

    /// Requests that were timed. Reports that do not count them have as many as rounds.
    pub(super) fn requests(&self) -> u64 {
        if self.case.requests > 0 { self.case.requests } else { self.case.rounds }
    }

    /// The median duration of a request, in milliseconds.
    pub(super) fn median_ms(&self) -> Option<f64> {
        let requests = as_f64(u64::from(self.case.q)) * as_f64(u64::from(self.case.pairs));
        let from_rate = |rate: f64| (rate > 0.0).then(|| as_f64(self.case.payload_bytes) * requests / rate / 1e6);
        let of_rounds = self.case.gb_per_s.filter(|_| self.case.mode == Mode::Request).and_then(from_rate);
        self.case.p50_us.map(|us| us / 1e3).or(of_rounds)
    }

    /// Bandwidth with its interval, in GB/s, where there are rounds enough.
    pub(super) fn bandwidth(&self, bootstrap: Bootstrap) -> Option<Interval> {
        let told = self.case.gb_per_s?;
        let median_us = statistics::quantile_interval(&[&self.case.rounds_us], 0.5, bootstrap)?;
        Some(median_us.map_decreasing(|us| told * median_us.estimate / us))
    }

    /// The clock of its requests begins with a prefill, so that their durations and rates are not those of transfers.
    pub(super) fn has_prefill(&self) -> bool {
        self.case.prefill_ms.is_some()
    }

    /// When parts of a request may leave.
    pub(super) fn schedule(&self) -> String {
        let schedule = self.case.schedule.as_deref().unwrap_or("whole");
        match self.case.prefill_ms {
            Some(prefill) => format!("{schedule}, prefill of {} ms", grouped(prefill)),
            None => "none".to_owned(),
        }
    }

    /// Whether the case ran to its end, or why not.
    pub(super) fn state(&self) -> State {
        match (&self.case.ended, &self.case.failure) {
            (Ended::Complete, _) => State::Complete,
            (Ended::Partial, Some(failure)) if failure.unavailable => State::Unavailable,
            (Ended::Partial, _) => State::Partial,
        }
    }
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// All rounds ran.
    Complete,
    /// Cut short by a fault.
    Partial,
    /// Cannot run on this machine.
    Unavailable,
}

impl State {
    /// The word in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Unavailable => "not available",
        }
    }
}

/// The name of the document with this number: `A` to `Z`, then `A2` to `Z2` and on.
pub(super) fn letter(number: usize) -> String {
    const LETTERS: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = char::from(LETTERS[number % LETTERS.len()]);
    match number / LETTERS.len() {
        0 => letter.to_string(),
        round => format!("{letter}{}", round + 1),
    }
}

#[cfg(test)]
mod tests;
