//! What is logged: every field of a report, by a table. Pure.
//!
//! A case's params say what was asked for, its metrics what was measured, its tags how it ended; the environment's fields
//! are tags of both runs, `env.<field>`. Fields that are null were not measured and are left out.

use prefab_contract::bench_report::{BenchReport, Case, Ended};
use prefab_contract::engine::Round;
use prefab_rest::mlflow::limits::{Metric, Pair};
use prefab_rest::mlflow::upload::{Artifact, Record, RunRecord};
use serde_json::Value;

/// Fields of a case that are params, by their names in the report.
pub(super) const PARAMS: &[&str] = &[
    "transport",
    "semantics",
    "mode",
    "q",
    "memory",
    "layout",
    "operation",
    "chosen",
    "pairs",
    "scheme",
    "schedule",
    "prefill_ms",
    "rate_per_s",
    "prompt_tokens",
    "hit_tokens",
    "fragmentation",
    "payload_bytes",
    "descriptor_bytes",
    "descriptors",
    "working_set_bytes",
    "threads_initiator",
    "threads_target",
];

/// Fields that are metrics: numbers, and truths as 0 and 1.
pub(super) const METRICS: &[&str] = &[
    "runs_per_request",
    "rounds",
    "gb_per_s",
    "descriptors_per_s",
    "p50_us",
    "p90_us",
    "p99_us",
    "p999_us",
    "max_us",
    "post_us_p50",
    "prep_us",
    "exposed_us",
    "first_transfer_ms",
    "registration_ms",
    "connect_ms",
    "initiator_cpu_s_per_gb",
    "target_cpu_s_per_gb",
    "ceiling_gb_per_s",
    "ceiling_ratio",
    "link_gb_per_s",
    "link_share",
    "blocks_verified",
    "verified",
];

/// Fields that are tags.
pub(super) const TAGS: &[&str] = &["path", "provider", "ended", "failure"];

/// Which benchmark it was, when it ran, and what only this machine knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// What tells this benchmark from every other: the same at each attempt to log it.
    pub(super) key: String,
    /// Milliseconds since 1970.
    pub(super) start_ms: i64,
    /// Milliseconds since 1970.
    pub(super) end_ms: i64,
    /// Facts of the machine, `node.<fact>`, and tags of the user's.
    pub(super) facts: Vec<Pair>,
    /// The rounds of each case, as far as they are known.
    pub(super) samples: Vec<Vec<Round>>,
}

impl Around {
    /// A benchmark that began at this moment, milliseconds since 1970.
    pub(super) fn at(start_ms: i64) -> Self {
        Self { start_ms, end_ms: start_ms, ..Self::default() }
    }
}

/// The record of a report, whose text is `json`.
pub(super) fn record(report: &BenchReport, json: &str, experiment: &str, around: &Around) -> Record {
    let Around { key, start_ms, end_ms, facts, samples } = around;
    let mut tags = environment(report);
    tags.push(Pair::new("mlflow.source.name", "prefab-bootstrap"));
    tags.extend(facts.iter().cloned());
    let children = report.cases.iter().enumerate().map(|(number, case)| RunRecord {
        key: format!("{key}-{number}"),
        name: format!("{} {} {} tokens", case.transport, case.operation, case.prompt_tokens),
        start_ms: *start_ms,
        end_ms: *end_ms,
        is_complete: case.ended == Ended::Complete && case.verified,
        params: pairs(case, PARAMS),
        // The moment of the start, because it is the same in each state of the record: a point with another one would be
        // a second point.
        metrics: metrics(case, *start_ms),
        tags: pairs(case, TAGS).into_iter().chain(tags.iter().cloned()).collect(),
        artifacts: samples.get(number).map(|rounds| raw(rounds)).into_iter().collect(),
    });
    let children: Vec<RunRecord> = children.collect();
    let parent = RunRecord {
        key: key.clone(),
        name: format!("bench {} {} cases", report.environment.model, report.cases.len()),
        start_ms: *start_ms,
        end_ms: *end_ms,
        is_complete: children.iter().all(|child| child.is_complete),
        params: Vec::new(),
        metrics: Vec::new(),
        tags,
        artifacts: vec![Artifact {
            path: "report.json".to_owned(),
            kind: "application/json".to_owned(),
            text: json.to_owned(),
        }],
    };
    Record { experiment: experiment.to_owned(), parent, children }
}

/// The rounds of a case as the engine told them, one JSON document a line.
fn raw(rounds: &[Round]) -> Artifact {
    let lines = rounds.iter().filter_map(|round| serde_json::to_string(round).ok());
    Artifact {
        path: "samples.jsonl".to_owned(),
        kind: "application/x-ndjson".to_owned(),
        text: lines.fold(String::new(), |text, line| text + &line + "\n"),
    }
}

fn document(case: &Case) -> Value {
    // A report that was read can be written.
    serde_json::to_value(case).unwrap_or_default()
}

fn pairs(case: &Case, names: &[&str]) -> Vec<Pair> {
    let document = document(case);
    let pair = |name: &&str| Some(Pair::new(name, text(&document[*name])?));
    names.iter().filter_map(pair).collect()
}

fn metrics(case: &Case, timestamp: i64) -> Vec<Metric> {
    let document = document(case);
    let metric = |name: &&str| {
        let value = match &document[*name] {
            Value::Bool(is_true) => f64::from(u8::from(*is_true)),
            value => value.as_f64()?,
        };
        Some(Metric { key: (*name).to_owned(), value, timestamp, step: 0 })
    };
    METRICS.iter().filter_map(metric).collect()
}

fn environment(report: &BenchReport) -> Vec<Pair> {
    let document = serde_json::to_value(&report.environment).unwrap_or_default();
    let fields = document.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some(Pair::new(&format!("env.{name}"), text(value)?))).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::mlflow::spool::Entry;

    /// A report of one complete and one failed case.
    pub(crate) fn report() -> BenchReport {
        serde_json::from_str(include_str!("../../tests/fixtures/mlflow/report.json")).unwrap()
    }

    fn around() -> Around {
        let facts = vec![Pair::new("node.instance_type", "p5.48xlarge")];
        let samples = vec![vec![Round { number: 1, request_ns: 7, ..Round::default() }]];
        Around { key: "k".to_owned(), facts, samples, end_ms: 2_000, ..Around::at(1_000) }
    }

    /// What waits under a key.
    pub(crate) fn entry(key: &str) -> Entry {
        let around = Around { key: key.to_owned(), ..around() };
        Entry::new("http://127.0.0.1:1".to_owned(), record(&report(), "{}", "e", &around))
    }

    #[test]
    fn every_field_of_a_case_is_logged_exactly_once() {
        let case = serde_json::to_value(&report().cases[0]).unwrap();
        let fields: BTreeSet<&str> = case.as_object().unwrap().keys().map(String::as_str).collect();
        let tables: Vec<&str> = [PARAMS, METRICS, TAGS].concat();
        assert_eq!(tables.iter().copied().collect::<BTreeSet<_>>(), fields);
        assert_eq!(tables.len(), fields.len());
    }

    #[test]
    fn a_later_state_of_a_benchmark_says_the_same_of_what_was_there_before() {
        let whole = report();
        let mut first = whole.clone();
        first.cases.truncate(1);
        let before = record(&first, "{}", "e", &around());
        let after = record(&whole, "{}", "e", &Around { end_ms: 9_000, ..around() });
        assert_eq!(before.parent.key, after.parent.key);
        let (one, other) = (&before.children[0], &after.children[0]);
        assert_eq!((&one.key, &one.params, &one.metrics), (&other.key, &other.params, &other.metrics));
        let keys: BTreeSet<&String> = after.children.iter().map(|child| &child.key).collect();
        assert_eq!(keys.len(), whole.cases.len());
    }

    #[test]
    fn the_report_and_the_raw_samples_are_files() {
        let record = record(&report(), "{\"a\": 1}", "e", &around());
        assert_eq!(record.parent.artifacts[0].text, "{\"a\": 1}");
        let samples = &record.children[0].artifacts[0];
        assert!(samples.path == "samples.jsonl" && samples.text.contains("\"request_ns\":7"), "{}", samples.text);
        // Nothing is known of the other case's rounds.
        assert!(record.children[1].artifacts.is_empty());
    }

    #[test]
    fn a_failed_case_is_a_failed_run_with_its_reason() {
        let report = report();
        let record = record(&report, "{}", "e", &around());
        assert!(record.children[0].is_complete && !record.children[1].is_complete && !record.parent.is_complete);
        let failure = record.children[1].tags.iter().find(|tag| tag.key == "failure").unwrap();
        assert!(failure.value.contains("the peer was killed"), "{}", failure.value);
        assert!(record.parent.tags.contains(&Pair::new("env.model", "Qwen2.5-32B-Instruct")));
        assert!(record.children[0].tags.contains(&Pair::new("node.instance_type", "p5.48xlarge")));
    }
}
