//! Nodes that run the real program from real cloud-init and meet a fault.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::lab::Lab;
use super::record::Boot;

/// One FAILURE, whose reason is in the bucket and before a person's eyes.
#[track_caller]
fn assert_not_ready(boot: &Boot, stage: &str, words: &[&str]) {
    assert!(boot.status.contains("status: error"), "{}\n{}", boot.status, boot.console);
    assert_eq!(boot.signals(), [boot.signal("FAILURE")], "{}", boot.console);
    let records = boot.records();
    let Some(last) = records.last() else { panic!("no record: {}", boot.console) };
    assert!(last.has_failed() && last.stage == stage, "{last:?}\n{}", boot.console);
    assert!(words.iter().all(|word| last.reason.contains(word)), "{} lacks one of {words:?}", last.reason);
    boot.assert_said(words);
    boot.assert_no_secret_shown();
}

/// What happens to a node, how the services behave, or what it is told.
struct Row {
    name: &'static str,
    /// The phase that ends it; `ready` where none does.
    stage: &'static str,
    /// What the reason says, or a person sees.
    words: &'static [&'static str],
    late: fn() -> Value,
    cluster: fn() -> Cluster,
}

const ROWS: &[Row] = &[
    Row {
        name: "the other node never comes",
        stage: "peers",
        words: &["1 of 1 peers did not answer", "Decode0", "no roster entry"],
        late: || json!({}),
        cluster: || Cluster::new().peers_within(12),
    },
    Row {
        name: "a task fails",
        stage: "tasks",
        words: &["the tasks of mark ended with exit status: 1"],
        late: || json!({}),
        cluster: || {
            Cluster::new().with_task(
                r#"{"version":1,"name":"mark","tasks":[{"id":"01-no","name":"No","commands":["echo is broken >&2; false"]}]}"#,
            )
        },
    },
    Row {
        name: "the machine is not what was planned",
        stage: "checks",
        words: &["checks failed", "gpu.count"],
        late: || json!({}),
        cluster: || {
            let mut cluster = Cluster::new();
            cluster.config["expected"]["p5.48xlarge"]["gpus"] = 8.into();
            cluster
        },
    },
    Row {
        name: "the roster cannot be written",
        stage: "peers",
        words: &["writing the roster entry", "AccessDenied"],
        late: || json!({ "forbidden": ["PUT roster/"] }),
        cluster: Cluster::new,
    },
    Row {
        name: "the NodeConfig cannot be read",
        stage: "configuration",
        words: &["config/", "AccessDenied"],
        late: || json!({ "forbidden": ["GET config/"] }),
        cluster: Cluster::new,
    },
    Row {
        name: "the NodeConfig is another than its tag says",
        stage: "configuration",
        words: &["not what was reviewed"],
        late: || json!({}),
        cluster: Cluster::new,
    },
    Row {
        name: "the tag of the NodeConfig never comes",
        stage: "configuration",
        words: &["no tag prefab:config"],
        late: || json!({ "tags": {} }),
        cluster: Cluster::new,
    },
    Row {
        name: "the tag of the NodeConfig comes late",
        stage: "ready",
        words: &["configuration begins", "signal sent: SUCCESS"],
        // Counted anew from here on: cloud-init itself looks at the tags, too.
        late: || json!({ "boot": "final", "late_tags": { "prefab:config": 20 } }),
        cluster: || Cluster::new().alone(),
    },
    Row {
        name: "its results cannot be written",
        stage: "ready",
        words: &["the check report stays on this node only", "AccessDenied", "signal sent: SUCCESS"],
        late: || json!({ "forbidden": ["PUT results/"] }),
        cluster: || Cluster::new().alone(),
    },
];

/// K030: whatever ends a proof is one signal, and its reason is told.
#[test]
fn whatever_ends_a_proof_is_signalled_once_with_its_reason() {
    std::thread::scope(|scope| {
        for row in ROWS {
            scope.spawn(move || {
                let Some(lab) = Lab::start() else { return };
                let [node, _absent] = (row.cluster)().nodes(&lab);
                if row.name.contains("another than its tag") {
                    lab.change_objects("config/");
                }
                let boot = node.then((row.late)()).boot();
                if row.stage == "ready" {
                    boot.assert_ready();
                    boot.assert_said(row.words);
                } else {
                    assert_not_ready(&boot, row.stage, row.words);
                }
                assert!(boot.final_stage < Duration::from_secs(120), "{}: {:?}", row.name, boot.final_stage);
            });
        }
    });
}
