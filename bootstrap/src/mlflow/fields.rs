//! What is logged: every field of a report, by a table. Pure.
//!
//! A case's params say what was asked for, its metrics what was measured, its tags how it ended; the environment's fields
//! are tags of both runs, `env.<field>`. Fields of fields have names of their own, so that each can be asked for. Fields that are
//! null were not measured and are left out.

use prefab_contract::bench_report::{BenchReport, Case};
use prefab_rest::mlflow::limits::{Metric, Pair};
use serde_json::Value;

/// Fields of a case that are params, by their names in the report.
pub(super) const PARAMS: &[&str] = &[
    "transport",
    "semantics",
    "mode",
    "q",
    "memory",
    "memory_path",
    "gpus",
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
    "requests",
    "window_s",
    "post_us_p50",
    "prep_us",
    "exposed_us",
    "start_ms",
    "load_ms",
    "first_transfer_ms",
    "registration_ms",
    "connect_ms",
    "initiator_cpu_ns_per_descriptor",
    "initiator_cpu_s_per_gb",
    "target_cpu_s_per_gb",
    "ceiling_gb_per_s",
    "ceiling_ratio",
    "link_gb_per_s",
    "link_share",
    "pack_ms",
    "to_host_ms",
    "wire_ms",
    "to_device_ms",
    "unpack_ms",
    "source_gpu_busy",
    "sink_gpu_busy",
    "to_host_link_gb_per_s",
    "to_device_link_gb_per_s",
    "staged_ratio",
    "decode_slowdown",
    "jit_ms",
    "blocks_verified",
    "verified",
];

/// Fields that are tags.
pub(super) const TAGS: &[&str] = &["path", "path_evidence", "provider", "waiting", "ceiling_kind", "ended", "failure"];

/// Fields with fields of their own: tags, `<field>.<field of it>`.
pub(super) const NESTED: &[&str] = &["facts"];

/// Lists with an entry a counter of a device: metrics, `<field>.<side>.<device>.<name>`.
pub(super) const COUNTERS: &[&str] = &["counters"];

/// Lists of buckets: metrics with a point a bucket for each of its fields, `<field>.<field of it>`.
pub(super) const BUCKETS: &[&str] = &["latencies"];

/// Fields that are metrics with a point a round, in the order in which they ran.
pub(super) const SERIES: &[&str] = &["rounds_us"];

/// What was asked for.
pub(super) fn params(case: &Case) -> Vec<Pair> {
    pairs(&document(case), PARAMS)
}

/// How it ended, and which way the bytes took.
pub(super) fn tags(case: &Case) -> Vec<Pair> {
    let document = document(case);
    let nested = NESTED.iter().flat_map(|name| prefixed(name, &document[*name]));
    pairs(&document, TAGS).into_iter().chain(nested).collect()
}

/// What was measured, at one moment.
pub(super) fn metrics(case: &Case, timestamp: i64) -> Vec<Metric> {
    let document = document(case);
    let single = METRICS.iter().filter_map(|name| Some(((*name).to_owned(), 0, number(&document[*name])?)));
    let counters = COUNTERS.iter().flat_map(|name| counters(name, list(&document[*name])));
    let series = SERIES.iter().flat_map(|name| points(name, list(&document[*name])));
    let buckets = BUCKETS.iter().flat_map(|name| buckets(name, list(&document[*name])));
    let all = single.chain(counters).chain(series).chain(buckets);
    all.map(|(key, step, value)| Metric { key, value, timestamp, step }).collect()
}

/// Where and with what it ran.
pub(super) fn environment(report: &BenchReport) -> Vec<Pair> {
    prefixed("env", &serde_json::to_value(&report.environment).unwrap_or_default()).collect()
}

/// Name, step and value.
type Point = (String, i64, f64);

fn document(case: &Case) -> Value {
    // A report that was read can be written.
    serde_json::to_value(case).unwrap_or_default()
}

fn pairs(document: &Value, names: &[&str]) -> Vec<Pair> {
    names.iter().filter_map(|name| Some(Pair::new(name, text(&document[*name])?))).collect()
}

/// The fields of a document as `<prefix>.<field>`.
fn prefixed(prefix: &str, document: &Value) -> impl Iterator<Item = Pair> {
    let fields = document.as_object().into_iter().flatten();
    fields.filter_map(move |(name, value)| Some(Pair::new(&format!("{prefix}.{name}"), text(value)?)))
}

/// How much each counter moved.
fn counters(field: &str, counters: &[Value]) -> Vec<Point> {
    let key = |counter: &Value| {
        let [side, device, name] = ["side", "device", "name"].map(|part| counter[part].as_str().unwrap_or_default());
        format!("{field}.{side}.{device}.{name}")
    };
    counters.iter().filter_map(|counter| Some((key(counter), 0, number(&counter["moved"])?))).collect()
}

/// A point a value.
fn points<'a>(key: &str, values: impl IntoIterator<Item = &'a Value>) -> Vec<Point> {
    let steps = (0..).zip(values);
    steps.filter_map(|(step, value)| Some((key.to_owned(), step, number(value)?))).collect()
}

/// A point a bucket for each field that buckets have.
fn buckets(field: &str, buckets: &[Value]) -> Vec<Point> {
    let names = buckets.first().and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name);
    names.flat_map(|name| points(&format!("{field}.{name}"), buckets.iter().map(|bucket| &bucket[name]))).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A number, or a truth as 0 or 1.
fn number(value: &Value) -> Option<f64> {
    value.as_bool().map(|is_true| f64::from(u8::from(is_true))).or_else(|| value.as_f64())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prefab_contract::bench_report::{LatencyBucket, SideCounter};
    use prefab_contract::engine::{PathFacts, Rdma};

    use super::*;
    use crate::mlflow::record::tests::report;

    const ALL: [&[&str]; 7] = [PARAMS, METRICS, TAGS, NESTED, COUNTERS, SERIES, BUCKETS];

    #[test]
    fn every_field_of_a_case_is_logged_exactly_once() {
        let mut case = report().cases[0].clone();
        // A field that is left out where it is empty.
        case.rounds_us = vec![1.0];
        let case = serde_json::to_value(&case).unwrap();
        let fields: BTreeSet<&str> = case.as_object().unwrap().keys().map(String::as_str).collect();
        let tables: Vec<&str> = ALL.concat();
        assert_eq!(tables.iter().copied().collect::<BTreeSet<_>>(), fields);
        assert_eq!(tables.len(), fields.len());
    }

    /// The table in the README is this one.
    #[test]
    fn each_field_is_documented() {
        let readme = include_str!("../../../README.md");
        let section = readme.split("## Results in MLflow").nth(1).unwrap().split("\n## ").next().unwrap();
        for name in ALL.concat() {
            assert!(section.contains(&format!("`{name}`")), "{name} is not in the README");
        }
    }

    #[test]
    fn fields_of_fields_have_names_of_their_own() {
        let mut case = report().cases[0].clone();
        let path = PathFacts {
            device: Some("rdmap0s6".to_owned()),
            depth: Some(512),
            rdma: Some(Rdma::Emulated),
            ..PathFacts::default()
        };
        case.facts = Some(PathFacts { memory_path: "host".to_owned(), ..path });
        let counter = |side: &str, moved| SideCounter {
            side: side.to_owned(),
            device: "rdmap0s6".to_owned(),
            name: "rdma_read_bytes".to_owned(),
            moved,
        };
        case.counters = vec![counter("target", 7), counter("initiator", 3)];
        let bucket = |up_to_us, requests| LatencyBucket { up_to_us, requests };
        case.latencies = vec![bucket(7080.5, 6), bucket(7944.0, 21)];
        let tags = tags(&case);
        for (key, value) in [
            ("facts.device", "rdmap0s6"),
            ("facts.depth", "512"),
            ("facts.rdma", "emulated"),
            ("facts.memory_path", "host"),
        ] {
            assert!(tags.contains(&Pair::new(key, value)), "{key}: {tags:?}");
        }
        assert!(!tags.iter().any(|tag| tag.key == "facts.library"), "{tags:?}");
        let metrics: Vec<Point> = metrics(&case, 1).into_iter().map(|it| (it.key, it.step, it.value)).collect();
        for (key, step, value) in [
            ("counters.initiator.rdmap0s6.rdma_read_bytes", 0, 3.0),
            ("counters.target.rdmap0s6.rdma_read_bytes", 0, 7.0),
            ("latencies.up_to_us", 0, 7080.5),
            ("latencies.up_to_us", 1, 7944.0),
            ("latencies.requests", 1, 21.0),
        ] {
            assert!(metrics.contains(&(key.to_owned(), step, value)), "{key}: {metrics:?}");
        }
    }
}
