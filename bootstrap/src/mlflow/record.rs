//! A report as the record that is logged: one run of the benchmark, one run a case, the report and the raw rounds as files.
//! Pure.

use prefab_contract::bench_report::{BenchReport, Ended};
use prefab_contract::engine::Round;
use prefab_rest::mlflow::limits::Pair;
use prefab_rest::mlflow::record::REPORT;
use prefab_rest::mlflow::upload::{Artifact, Record, RunRecord};

use super::fields;

/// The most rounds of a case in its file of raw samples, taken evenly: a record stays some megabytes.
const MOST_SAMPLES: usize = 2_000;

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
    let mut tags = fields::environment(report);
    tags.push(Pair::new("mlflow.source.name", "prefab-bootstrap"));
    tags.extend(facts.iter().cloned());
    let children = report.cases.iter().enumerate().map(|(number, case)| RunRecord {
        key: format!("{key}-{number}"),
        name: format!("{} {} {} tokens", case.transport, case.operation, case.prompt_tokens),
        start_ms: *start_ms,
        end_ms: *end_ms,
        is_complete: case.ended == Ended::Complete && case.verified,
        params: fields::params(case),
        // The moment of the start, because it is the same in each state of the record: a point with another one would be
        // a second point.
        metrics: fields::metrics(case, *start_ms),
        tags: fields::tags(case).into_iter().chain(tags.iter().cloned()).collect(),
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
            path: REPORT.to_owned(),
            kind: "application/json".to_owned(),
            text: json.to_owned(),
        }],
    };
    Record { experiment: experiment.to_owned(), parent, children }
}

/// The rounds of a case as the engine told them: one line a round, all times in nanoseconds. Where a round has several requests,
/// the last cell holds them, with blanks between.
fn raw(rounds: &[Round]) -> Artifact {
    let mut text = "round,prep_ns,post_ns,request_ns,exposed_ns,runs,initiator_bytes,target_bytes,initiator_cpu_ns,\
                    target_cpu_ns,blocks_verified,requests_ns\n"
        .to_owned();
    let step = rounds.len().div_ceil(MOST_SAMPLES).max(1);
    for round in rounds.iter().step_by(step) {
        let exposed = round.exposed_ns.map(|ns| ns.to_string()).unwrap_or_default();
        let Round { number, prep_ns, post_ns, request_ns, runs, initiator_bytes, target_bytes, .. } = round;
        let Round { initiator_cpu_ns, target_cpu_ns, blocks_verified, .. } = round;
        let requests: Vec<String> = round.requests_ns.iter().map(u64::to_string).collect();
        text.push_str(&format!(
            "{number},{prep_ns},{post_ns},{request_ns},{exposed},{runs},{initiator_bytes},{target_bytes},\
             {initiator_cpu_ns},{target_cpu_ns},{blocks_verified},{}\n",
            requests.join(" ")
        ));
    }
    // The file's own name says where rounds are left out.
    let path = if step == 1 { "samples.csv".to_owned() } else { format!("samples-every-{step}.csv") };
    Artifact { path, kind: "text/csv".to_owned(), text }
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
        let samples = vec![vec![Round { number: 1, request_ns: 7, requests_ns: vec![5, 7], ..Round::default() }]];
        Around { key: "k".to_owned(), facts, samples, end_ms: 2_000, ..Around::at(1_000) }
    }

    /// What waits under a key.
    pub(crate) fn entry(key: &str) -> Entry {
        let around = Around { key: key.to_owned(), ..around() };
        Entry::new("http://127.0.0.1:1".to_owned(), record(&report(), "{}", "e", &around))
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
        assert!(
            samples.path == "samples.csv" && samples.text.ends_with("\n1,0,0,7,,0,0,0,0,0,0,5 7\n"),
            "{}",
            samples.text
        );
        let many: Vec<Round> = (0..5_000).map(|number| Round { number, ..Round::default() }).collect();
        assert_eq!((raw(&many).path.as_str(), raw(&many).text.lines().count()), ("samples-every-3.csv", 1 + 1_667));
        // Nothing is known of the other case's rounds.
        assert!(record.children[1].artifacts.is_empty());
    }

    #[test]
    fn each_round_is_a_point_of_its_own() {
        let mut report = report();
        report.cases[0].rounds_us = vec![3.5, 4.5];
        let record = record(&report, "{}", "e", &around());
        let points = record.children[0].metrics.iter().filter(|metric| metric.key == "rounds_us");
        assert_eq!(points.map(|point| (point.step, point.value)).collect::<Vec<_>>(), [(0, 3.5), (1, 4.5)]);
    }

    /// Read with a cheaper algorithm, these lose their last digit, and with it a record its truth.
    #[test]
    fn figures_keep_their_last_digit() {
        let mut report = report();
        let told = [0.029358278915519186, 0.030381033564763234, 0.42429533477760484];
        report.cases[0].rounds_us = told.to_vec();
        let read: BenchReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        let record = record(&read, "{}", "e", &around());
        let kept: Record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        let points = kept.children[0].metrics.iter().filter(|metric| metric.key == "rounds_us");
        assert_eq!(points.map(|point| point.value).collect::<Vec<_>>(), told);
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
