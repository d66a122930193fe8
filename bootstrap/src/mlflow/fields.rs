//! What is logged: every field of a report, by a table. Pure.
//!
//! A case's params say what was asked for, its metrics what was measured, its tags how it ended; the environment's fields
//! are tags of both runs, `env.<field>`. Fields that are null were not measured and are left out.

use prefab_contract::bench_report::{BenchReport, Case, Ended};
use prefab_rest::mlflow::limits::{Metric, Pair};
use prefab_rest::mlflow::upload::{Artifact, Record, RunRecord};
use serde_json::Value;
use sha2::Digest as _;

/// Fields of a case that are params, by their names in the report.
pub(super) const PARAMS: &[&str] = &[
    "transport",
    "semantics",
    "mode",
    "q",
    "memory",
    "layout",
    "operation",
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
    "blocks_verified",
    "verified",
];

/// Fields that are tags.
pub(super) const TAGS: &[&str] = &["path", "provider", "ended", "failure"];

/// When the benchmark ran, and what only this machine knows.
pub(super) struct Around {
    /// Milliseconds since 1970.
    pub(super) start_ms: i64,
    /// Milliseconds since 1970.
    pub(super) end_ms: i64,
    /// Facts of the machine, `node.<fact>`.
    pub(super) facts: Vec<Pair>,
}

/// The record of a report, whose text is `json`.
pub(super) fn record(report: &BenchReport, json: &str, experiment: &str, around: &Around) -> Record {
    let content = format!("{experiment}\n{}\n{:?}\n{json}", around.start_ms, around.facts);
    let digest = sha2::Sha256::digest(content.as_bytes());
    let key: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut tags = environment(report);
    tags.extend(around.facts.iter().cloned());
    let Around { start_ms, end_ms, .. } = *around;
    let children = report.cases.iter().enumerate().map(|(number, case)| RunRecord {
        key: format!("{key}-{number}"),
        name: format!("{} {} {} tokens", case.transport, case.operation, case.prompt_tokens),
        start_ms,
        end_ms,
        is_complete: case.ended == Ended::Complete && case.verified,
        params: pairs(case, PARAMS),
        metrics: metrics(case, end_ms),
        tags: pairs(case, TAGS).into_iter().chain(tags.iter().cloned()).collect(),
        artifacts: Vec::new(),
    });
    let children: Vec<RunRecord> = children.collect();
    let parent = RunRecord {
        name: format!("bench {} {} cases", report.environment.model, report.cases.len()),
        key,
        start_ms,
        end_ms,
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

    /// A report of one complete and one failed case.
    pub(crate) fn report() -> BenchReport {
        serde_json::from_str(include_str!("../../tests/fixtures/mlflow/report.json")).unwrap()
    }

    fn around() -> Around {
        Around { start_ms: 1_000, end_ms: 2_000, facts: vec![Pair::new("node.instance_type", "p5.48xlarge")] }
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
    fn equal_results_have_equal_keys_and_others_do_not() {
        let report = report();
        let json = serde_json::to_string(&report).unwrap();
        let one = record(&report, &json, "e", &around());
        assert_eq!(one, record(&report, &json, "e", &around()));
        assert_ne!(one.parent.key, record(&report, &json, "other", &around()).parent.key);
        let keys: BTreeSet<&String> = one.children.iter().map(|child| &child.key).collect();
        assert_eq!(keys.len(), report.cases.len());
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
