use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use prefab_contract::sha256::Sha256;
use sha2::Digest as _;

use super::*;
use crate::roster::reach_all;

/// A NodeConfig of two nodes that expects nothing of the hardware.
pub(crate) fn config() -> serde_json::Value {
    serde_json::json!({
        "schema_version": 1, "name": "nixl-dev",
        "nodes": {
            "Prefill0": { "role": "prefill", "instance_type": "g6e.12xlarge" },
            "Decode0": { "role": "decode", "instance_type": "g6e.12xlarge" },
        },
        "expected": { "g6e.12xlarge": {
            "gpus": 4, "gpu_name": "L40S", "gpu_memory_mib_each": 45776, "efa_interfaces": 0, "efa_gbps": 100,
            "rdma_read": true, "rdma_write": true, "gpudirect": false,
        } },
        "engine": digest(ENGINE).to_string(), "tasks": [{ "name": "setup", "sha256": digest(TASK).to_string() }],
        "profile": "base", "ready": "peers", "peer_deadline_seconds": 2400,
        "ports": { "side_channel": 5600 }, "secrets": {},
        "benchmark": { "transports": ["efa"], "memory": ["host"], "operations": ["read"] },
    })
}

const ENGINE: &[u8] = b"an engine";
const TASK: &[u8] = b"{}";

fn digest(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// A bucket and a CloudFormation that two nodes share.
#[derive(Default)]
struct Account {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    signals: Mutex<Vec<(String, String, bool)>>,
}

/// The account as one node sees it.
struct Seen<'a> {
    account: &'a Account,
    tags: BTreeMap<&'static str, String>,
    instance_id: &'a str,
    network_is_dead: bool,
}

impl Cloud for Seen<'_> {
    fn identity(&self) -> Result<Identity> {
        Ok(Identity {
            instance_id: self.instance_id.to_owned(),
            instance_type: "g6e.12xlarge".to_owned(),
            address: IpAddr::from([127, 0, 0, 1]),
        })
    }

    fn tag(&self, key: &str) -> Result<Option<String>> {
        Ok(self.tags.get(key).cloned())
    }

    fn object(&self, key: &str, _at_most: usize) -> Result<Vec<u8>> {
        ensure!(!self.network_is_dead, "no route");
        self.account.objects.lock().unwrap().get(key).cloned().context("absent")
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let objects = self.account.objects.lock().unwrap();
        Ok(objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }

    fn put(&self, key: &str, body: &[u8]) -> Result<()> {
        ensure!(!self.network_is_dead, "no route");
        self.account.objects.lock().unwrap().insert(key.to_owned(), body.to_vec());
        Ok(())
    }

    fn put_once(&self, key: &str, body: &[u8]) -> Result<()> {
        self.put(key, body)
    }

    fn signal(&self, node: &str, instance_id: &str, success: bool) -> Result<()> {
        self.account.signals.lock().unwrap().push((node.to_owned(), instance_id.to_owned(), success));
        Ok(())
    }
}

impl Account {
    fn with(config: &serde_json::Value) -> (Self, Sha256) {
        let text = config.to_string();
        let sha256 = digest(text.as_bytes());
        let account = Self::default();
        let objects = [
            (format!("config/{sha256}.json"), text.into_bytes()),
            (format!("bootstrap/{}/prefab-fabric", digest(ENGINE)), ENGINE.to_vec()),
            (format!("tasks/{}.json", digest(TASK)), TASK.to_vec()),
        ];
        account.objects.lock().unwrap().extend(objects);
        (account, sha256)
    }

    fn seen_by<'a>(&'a self, node: &str, config: &Sha256, instance_id: &'a str) -> Seen<'a> {
        let tags = BTreeMap::from([(NODE_TAG, node.to_owned()), (CONFIG_TAG, config.to_string())]);
        Seen { account: self, tags, instance_id, network_is_dead: false }
    }

    fn signals(&self) -> Vec<(String, String, bool)> {
        self.signals.lock().unwrap().clone()
    }
}

pub(crate) fn seed() -> NodeSeed {
    serde_json::from_value(serde_json::json!({
        "stack_id": "arn:aws:cloudformation:us-east-1:111122223333:stack/nixl-dev-cluster/0f1e", "region": "us-east-1",
        "url_suffix": "amazonaws.com", "bucket": "b", "bootstrap_sha256": "0".repeat(64),
    }))
    .unwrap()
}

fn boot(cloud: &dyn Cloud, root: &Path, check: &Check<'_>) -> Result<Verdict> {
    let (seed, place) = (seed(), Place { root, hurry: 100 });
    let steps = Steps { check, try_ways: &|_, _, _, _| Ok(()), run_tasks: &|_, _, _| Ok(()) };
    run(&seed, cloud, place, &|progress| prove(&seed, cloud, place, &steps, progress))
}

const FINE: &Check<'_> = &|_, _, _| Ok(());

#[test]
fn two_nodes_prove_themselves_to_each_other_and_signal_once_each_even_when_run_again() {
    let (account, config) = Account::with(&config());
    let roots = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for (root, (node, id)) in roots.iter().zip([("Prefill0", "i-1"), ("Decode0", "i-2")]) {
                let cloud = account.seen_by(node, &config, id);
                scope.spawn(move || assert_eq!(boot(&cloud, root.path(), FINE).unwrap(), Verdict::Ready));
            }
        });
    }
    let mut signals = account.signals();
    signals.sort();
    assert_eq!(signals, [("Decode0".into(), "i-2".into(), true), ("Prefill0".into(), "i-1".into(), true)]);
    assert_eq!(std::fs::read(roots[0].path().join("usr/local/bin/prefab-fabric")).unwrap(), ENGINE);
}

#[test]
fn a_missing_peer_is_a_failure_that_names_it_and_says_why() {
    let mut text = config();
    text["peer_deadline_seconds"] = 100.into();
    let (account, config) = Account::with(&text);
    let root = tempfile::tempdir().unwrap();
    let verdict = boot(&account.seen_by("Prefill0", &config, "i-1"), root.path(), FINE).unwrap();
    let Verdict::NotReady { phase: Phase::Peers, reason } = verdict else { panic!("{verdict:?}") };
    assert!(reason.contains("Decode0") && reason.contains("no roster entry"), "{reason}");
    assert_eq!(account.signals(), [("Prefill0".into(), "i-1".into(), false)]);
    let kept = account.objects.lock().unwrap()["boot/0f1e/Prefill0.json"].clone();
    assert!(String::from_utf8(kept).unwrap().contains("Decode0"));
}

#[test]
fn a_failed_check_a_panic_and_a_dead_network_are_each_one_failure_signal_with_the_reason_kept() {
    let rows: [(&Check<'_>, bool, &str); 3] = [
        (&|_, _, _| bail!("memlock is 65536"), false, "memlock is 65536"),
        (&|_, _, _| panic!("index out of bounds"), false, "a fault of prefab itself: index out of bounds"),
        (FINE, true, "no route"),
    ];
    for (check, network_is_dead, expected) in rows {
        let (account, config) = Account::with(&config());
        let root = tempfile::tempdir().unwrap();
        let cloud = Seen { network_is_dead, ..account.seen_by("Prefill0", &config, "i-1") };
        let Verdict::NotReady { reason, .. } = boot(&cloud, root.path(), check).unwrap() else { panic!("{expected}") };
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(account.signals(), [("Prefill0".into(), "i-1".into(), false)]);
        let kept = std::fs::read_to_string(root.path().join("var/lib/prefab/boot.json")).unwrap();
        assert!(kept.contains(expected), "{kept}");
    }
}

#[test]
fn what_was_not_reviewed_is_not_used() {
    for key in ["config/", "bootstrap/", "tasks/"] {
        let (account, config) = Account::with(&config());
        for (name, bytes) in account.objects.lock().unwrap().iter_mut() {
            if name.starts_with(key) {
                bytes.push(b' ');
            }
        }
        let root = tempfile::tempdir().unwrap();
        let Verdict::NotReady { reason, .. } =
            boot(&account.seen_by("Prefill0", &config, "i-1"), root.path(), FINE).unwrap()
        else {
            panic!("{key} was used")
        };
        assert!(reason.contains("not what was reviewed"), "{reason}");
        assert!(!root.path().join("usr/local/bin/prefab-fabric").exists() || key == "tasks/");
    }
}

#[test]
fn a_node_without_its_tag_does_not_signal_for_another() {
    let (account, config) = Account::with(&config());
    let root = tempfile::tempdir().unwrap();
    let mut cloud = account.seen_by("Prefill0", &config, "i-1");
    cloud.tags.remove(NODE_TAG);
    let error = format!("{:#}", boot(&cloud, root.path(), FINE).unwrap_err());
    assert!(error.contains("does not know its own name"), "{error}");
    assert!(account.signals().is_empty());
}

#[test]
fn a_peer_without_the_roster_is_not_answered() {
    let (account, config) = Account::with(&config());
    let cloud = account.seen_by("Prefill0", &config, "i-1");
    let root = tempfile::tempdir().unwrap();
    let announce = |node: &str, id: &str| {
        Presence::announce(&cloud, "0f1e", node, id, IpAddr::from([127, 0, 0, 1]), root.path()).unwrap()
    };
    let own = announce("Prefill0", "i-1");
    let stranger = announce("Stranger", "i-9");
    let nodes = ["Prefill0".to_owned(), "Decode0".to_owned()];
    let end = AtomicBool::new(false);
    let answering = Answering { cloud: &cloud, stack_uuid: "0f1e", nodes: &nodes, own: &own.entry, host: None };
    let unreached = std::thread::scope(|scope| {
        scope.spawn(|| answering.until(&own.listener, &end));
        let deadline = Instant::now() + Duration::from_millis(200);
        let (_, unreached) =
            reach_all(&cloud, "0f1e", &stranger.entry, &nodes[..1], deadline, Duration::from_millis(20));
        end.store(true, Ordering::Relaxed);
        unreached
    });
    assert_eq!(unreached.len(), 1);
}

#[test]
fn a_profile_beyond_the_images_is_judged_after_the_tasks_that_install_it() {
    for (profile, expected) in [("base", vec!["machine", "tasks"]), ("serving", vec!["machine", "tasks", "profile"])] {
        let mut text = config();
        text["profile"] = profile.into();
        text["ready"] = "self".into();
        let (account, config) = Account::with(&text);
        let root = tempfile::tempdir().unwrap();
        let cloud = account.seen_by("Prefill0", &config, "i-1");
        let said = Mutex::new(Vec::new());
        let check = |judged, _: &NodeConfig, _: &str| {
            said.lock().unwrap().push(if judged == Judged::Machine { "machine" } else { "profile" });
            Ok(())
        };
        let run_tasks = |files: &[TaskText], _: &NodeConfig, _: &Values| {
            if !files.is_empty() {
                said.lock().unwrap().push("tasks");
            }
            Ok(())
        };
        let (seed, place) = (seed(), Place { root: root.path(), hurry: 100 });
        let steps = Steps { check: &check, try_ways: &|_, _, _, _| Ok(()), run_tasks: &run_tasks };
        let verdict = run(&seed, &cloud, place, &|progress| prove(&seed, &cloud, place, &steps, progress));
        assert_eq!(verdict.unwrap(), Verdict::Ready);
        assert_eq!(*said.lock().unwrap(), expected);
    }
}
