//! Nodes that run the real program from real cloud-init, up to their signal.

use std::fs;
use std::time::Duration;

use prefab_contract::check_report::CheckReport;
use prefab_contract::roster::RosterEntry;
use serde_json::{Value, json};

use super::STACK_UUID;
use super::cluster::Cluster;
use super::lab::Lab;
use super::node::Node;
use super::record::Boot;

/// Boots both at once.
fn boot_all(nodes: &[Node<'_>]) -> Vec<Boot> {
    std::thread::scope(|scope| {
        let boots: Vec<_> = nodes.iter().map(|node| scope.spawn(|| node.boot())).collect();
        boots.into_iter().map(|boot| boot.join().expect("a boot")).collect()
    })
}

fn json_of(node: &Node<'_>, file: &str) -> Value {
    let text = fs::read_to_string(node.disk(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// Ready, said once, and everything that led there is where it belongs.
#[track_caller]
fn assert_ready(boot: &Boot) {
    assert!(boot.status.contains("status: done"), "{}\n{}", boot.status, boot.console);
    assert_eq!(boot.signals(), [boot.signal("SUCCESS")], "{}", boot.console);
    let last = boot.requests.iter().rfind(|request| request["service"] != "imds").unwrap();
    assert_eq!(last["service"], "cloudformation", "the signal is the last word");
    let records = boot.records();
    let stages: Vec<_> = records.iter().map(|record| record.stage.as_str()).collect();
    assert_eq!(stages, ["devices", "checks", "tasks", "peers", "cluster-tasks", "ready"]);
    assert!(records.iter().all(|record| record.exit_code == (record.stage == "ready").then_some(0)));
    boot.assert_no_secret_shown();
}

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

/// K033, K039: the whole way of two nodes, from user data to the proof that each reaches the other.
#[test]
fn two_nodes_prove_themselves_to_each_other_and_a_second_boot_says_nothing_new() {
    let Some(lab) = Lab::start() else { return };
    let nodes = Cluster::new().nodes(&lab);
    for boot in boot_all(&nodes) {
        assert_ready(&boot);
        boot.assert_said(&["verified prefab-bootstrap", "checks begins", "peers begins", "signal sent: SUCCESS"]);
    }
    for (node, peer, rank) in [(&nodes[0], "Decode0", 0), (&nodes[1], "Prefill0", 1)] {
        assert!(node.disk("opt/marks/marked").exists());
        let met = fs::read_to_string(node.disk("opt/met")).unwrap();
        assert_eq!(met, format!("{rank} of 2 at 10.77.0.11\n"));
        let facts = json_of(node, "var/lib/prefab/facts.json");
        assert_eq!(facts["peers"][0]["node"], peer);
        let checks: CheckReport = serde_json::from_value(json_of(node, "var/lib/prefab/check.json")).unwrap();
        let found = |id: &str| checks.checks.iter().find(|check| check.id == id).unwrap().found.clone();
        assert_eq!(found("network.peers"), "TCP reaches 1 peer");
        assert!(node.disk(&format!("var/lib/prefab/peers/{peer}.json")).exists());
        assert!(lab.object(&format!("results/{STACK_UUID}/{}/check.json", node.logical_id)).exists());
        let environment = fs::read_to_string(node.disk("etc/prefab/environment")).unwrap();
        assert!(environment.contains("VLLM_NIXL_SIDE_CHANNEL_HOST=\"10.77.0.1"), "{environment}");
    }
    // The roster holds secrets: nobody but the nodes' role reads it, and each boot takes a fresh one.
    let entry = |node: &Node<'_>| -> RosterEntry {
        let object = lab.object(&RosterEntry::key(STACK_UUID, &node.logical_id));
        serde_json::from_slice(&fs::read(object).unwrap()).unwrap()
    };
    assert_ne!(entry(&nodes[0]).secret, entry(&nodes[1]).secret);
}

/// What ends a node's proof, in which phase, with which words; and how the services behave, or what the node is told.
struct Row {
    name: &'static str,
    stage: &'static str,
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
                assert_not_ready(&boot, row.stage, row.words);
                assert!(boot.final_stage < Duration::from_secs(120), "{}: {:?}", row.name, boot.final_stage);
            });
        }
    });
}
