//! What a boot left behind, as plain data that outlives the lab, and what is said of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use prefab_contract::boot_record::BootRecord;
use prefab_contract::sha256::Sha256;
use serde_json::Value;

use super::node::Node;
use super::{STACK_UUID, stack_id};

#[derive(Debug)]
pub(super) struct Boot {
    logical_id: String,
    instance_id: String,
    bootstrap_sha256: Sha256,
    /// How long cloud-init's final stage took, in which the script runs.
    pub(super) final_stage: Duration,
    /// What `cloud-init status --long` says.
    pub(super) status: String,
    /// What a person sees.
    pub(super) console: String,
    pub(super) requests: Vec<Value>,
    /// How the program was started, each time.
    pub(super) started: Vec<Value>,
    /// The names of the files where the program is installed.
    pub(super) programs: Vec<String>,
    /// Secrets of the services' that some file of the node or log shows, with the file.
    shown: Vec<String>,
}

impl Boot {
    pub(super) fn read(node: &Node<'_>, final_stage: Duration) -> Self {
        let read = |name: &str| fs::read_to_string(node.path(name)).unwrap_or_default();
        let lines = |text: String| text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let mut shown = Vec::new();
        search(&node.disk(""), node.secrets(), &mut shown);
        for name in ["console", "local.log", "network.log", "config.log", "final.log", "status"] {
            search(&node.path(name), node.secrets(), &mut shown);
        }
        Self {
            logical_id: node.logical_id.clone(),
            instance_id: node.instance_id.clone(),
            bootstrap_sha256: node.seed.bootstrap_sha256.clone(),
            final_stage,
            status: read("status"),
            console: read("console"),
            requests: lines(read("requests.jsonl")),
            started: lines(read("upper/started.jsonl")),
            programs: names_in(&node.disk("usr/local/bin")),
            shown,
        }
    }

    pub(super) fn to<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Value> {
        self.requests.iter().filter(move |request| request["service"] == service)
    }

    /// Signals that CloudFormation took.
    pub(super) fn signals(&self) -> Vec<String> {
        let taken = self.to("cloudformation").filter(|request| request["fault"].is_null());
        taken.map(|request| in_order(request["body"].as_str().expect("a body"))).collect()
    }

    pub(super) fn signal(&self, status: &str) -> String {
        let stack = stack_id().replace(':', "%3A").replace('/', "%2F");
        in_order(&format!(
            "Action=SignalResource&Version=2010-05-15&StackName={stack}&LogicalResourceId={}&UniqueId={}&Status={status}",
            self.logical_id, self.instance_id
        ))
    }

    pub(super) fn reason(&self) -> Option<BootRecord> {
        let puts: Vec<_> = self.to("s3").filter(|r| r["method"] == "PUT" && r["fault"].is_null()).collect();
        assert!(puts.len() < 2, "{puts:?}");
        let put = puts.first()?;
        let failure: BootRecord = serde_json::from_str(put["body"].as_str().expect("a body")).expect("a reason");
        assert_eq!(put["path"], format!("/{}", BootRecord::key(STACK_UUID, &failure.node)));
        Some(failure)
    }

    /// The records of the boot that the bucket took, in order.
    pub(super) fn records(&self) -> Vec<BootRecord> {
        let key = format!("/{}", BootRecord::key(STACK_UUID, &self.logical_id));
        let puts = self.to("s3").filter(|r| r["method"] == "PUT" && r["path"] == key && r["fault"].is_null());
        puts.map(|put| serde_json::from_str(put["body"].as_str().expect("a body")).expect("a record")).collect()
    }

    /// The program ran once, as it should, and the one signal is its own (K039).
    #[track_caller]
    pub(super) fn assert_handed_over(&self) {
        assert!(self.status.contains("status: done"), "{}\n{}", self.status, self.console);
        assert_eq!(self.signals(), [self.signal("SUCCESS")], "{}", self.console);
        assert_eq!(self.reason(), None);
        let [started] = &self.started[..] else { panic!("{:?}\n{}", self.started, self.console) };
        let arguments = ["/usr/local/bin/prefab-bootstrap", "run", "--seed", "/etc/prefab/node-seed.json"];
        assert_eq!(started["arguments"], serde_json::json!(arguments));
        assert_eq!(started["sha256"], self.bootstrap_sha256.as_str());
        let environment = started["environment"].as_object().expect("an object");
        // SHLVL is bash's own; it puts it there whatever it is told.
        assert_eq!(environment.keys().collect::<Vec<_>>(), ["LC_ALL", "PATH", "SHLVL"]);
        assert_eq!((&started["umask"], &started["folder"]), (&0o077.into(), &"/".into()));
        self.assert_said(&[&format!("this is {}, {}", self.logical_id, self.instance_id), "verified prefab-bootstrap"]);
        self.assert_no_secret_shown();
    }

    /// Ready and said once, last; nothing was told by halves on the way there.
    #[track_caller]
    pub(super) fn assert_ready(&self) {
        assert!(self.status.contains("status: done"), "{}\n{}", self.status, self.console);
        assert_eq!(self.signals(), [self.signal("SUCCESS")], "{}", self.console);
        // Besides the roster, in which a node that is ready goes on to answer its peers.
        let told = |request: &&Value| {
            let path = request["path"].as_str().unwrap_or_default();
            request["service"] != "imds" && request["method"] != "GET" && !path.starts_with("/roster/")
        };
        let last = self.requests.iter().rfind(told);
        assert!(last.is_some_and(|last| last["service"] == "cloudformation"), "the signal is the last word");
        self.assert_went_well();
    }

    /// The phases in the bucket are those of a good boot, as far as the bucket takes any.
    #[track_caller]
    pub(super) fn assert_went_well(&self) {
        let records = self.records();
        let stages: Vec<_> = records.iter().map(|record| record.stage.as_str()).collect();
        assert_eq!(stages, ["devices", "checks", "tasks", "peers", "cluster-tasks", "ready"], "{}", self.console);
        assert!(records.iter().all(|record| record.exit_code == (record.stage == "ready").then_some(0)));
        self.assert_no_secret_shown();
    }

    /// Nothing ran, one FAILURE was signalled for this instance, and its reason is where a person looks (K030).
    #[track_caller]
    pub(super) fn assert_failed(&self, stage: &str, words: &[&str]) {
        self.assert_nothing_ran();
        assert_eq!(self.signals(), [self.signal("FAILURE")], "{}", self.console);
        let reason = self.reason().unwrap_or_else(|| panic!("no reason was kept: {}", self.console));
        assert_eq!((&reason.node, &reason.instance_id), (&self.logical_id, &self.instance_id));
        assert_eq!(reason.stage, stage, "{}", reason.reason);
        assert!(words.iter().all(|word| reason.reason.contains(word)), "{} lacks one of {words:?}", reason.reason);
        self.assert_said(words);
    }

    /// The end came in time, cloud-init knows that it was a bad one, and no byte of what was fetched had its way.
    #[track_caller]
    pub(super) fn assert_nothing_ran(&self) {
        assert!(self.started.is_empty(), "{:?}\n{}", self.started, self.console);
        assert!(self.status.contains("status: error"), "{}\n{}", self.status, self.console);
        assert!(self.final_stage < Duration::from_secs(120), "{:?}\n{}", self.final_stage, self.console);
        self.assert_no_secret_shown();
    }

    #[track_caller]
    pub(super) fn assert_silent(&self) {
        assert!(self.signals().is_empty());
        assert_eq!(self.reason(), None);
    }

    #[track_caller]
    pub(super) fn assert_said(&self, words: &[&str]) {
        for word in words {
            assert!(self.console.contains(word), "{word}: {}", self.console);
        }
    }

    #[track_caller]
    pub(super) fn assert_no_secret_shown(&self) {
        assert_eq!(self.shown, [""; 0]);
        for request in &self.requests {
            assert_eq!(request["public_secrets"], serde_json::json!([]));
        }
    }
}

/// A form whose fields are sorted: script and program write them in different orders.
fn in_order(form: &str) -> String {
    let mut fields: Vec<_> = form.split('&').collect();
    fields.sort_unstable();
    fields.join("&")
}

/// Every file below a folder, or the file itself.
fn search(path: &Path, secrets: &[String], shown: &mut Vec<String>) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).expect("a folder of the node") {
            search(&entry.expect("entry").path(), secrets, shown);
        }
    // Its own token, which this is, cloud-init keeps in a file of its own that only root reads.
    } else if metadata.is_file() && !path.ends_with("obj.pkl") {
        let content = String::from_utf8_lossy(&fs::read(path).expect("a file of the node")).into_owned();
        for secret in secrets.iter().filter(|secret| content.contains(secret.as_str())) {
            shown.push(format!("{}: {secret}", path.display()));
        }
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
