//! A machine in a folder, one boot of it, and what must hold afterwards.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use prefab_contract::boot_record::BootRecord;
use prefab_contract::engine::{MESSAGE_VERSION, PairKey};
use prefab_contract::roster::{self, RosterEntry};
use prefab_contract::sha256::Sha256;
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;

use crate::faults::{End, Fault};
use crate::services::{ADDRESS, BUCKET, Services};

pub(crate) const STACK_UUID: &str = "51af3dc0-da77-11e4-872e-1234567db123";
pub(crate) const NODE: &str = "Prefill0";

/// By how much waits are divided: a minute is half a second.
const HURRY: u32 = 120;

/// Larger than the smallest disk.
const ENGINE: &[u8] = &[0xe5; 64 << 10];

/// No boot of a test takes longer, whatever its fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a fault may change before a boot.
pub(crate) struct Setup {
    /// As the stand-in services read it.
    pub(crate) behaviour: Value,
    /// The NodeConfig; its digest becomes the tag unless the tags are set.
    pub(crate) config: Value,
    /// The task file.
    pub(crate) task: Value,
    /// The machine's root.
    pub(crate) root: PathBuf,
    /// A folder below the root that becomes a disk of so many KiB.
    pub(crate) small: Option<(&'static str, u32)>,
    /// The objects of these prefixes get a byte more than was reviewed.
    pub(crate) changed: Vec<&'static str>,
    /// What else lies in the bucket, by key.
    pub(crate) objects: Vec<(String, Vec<u8>)>,
    /// Where somebody answers who has no key.
    pub(crate) impostor: SocketAddr,
}

impl Setup {
    /// Puts another node into the configuration, and what stands for it into the roster.
    pub(crate) fn peer(&mut self, name: &str, entry: Vec<u8>) {
        self.config["nodes"][name] = json!({ "role": "decode", "instance_type": "p5.48xlarge" });
        self.config["peer_deadline_seconds"] = json!(120);
        self.objects.push((RosterEntry::key(STACK_UUID, name), entry));
    }
}

/// The roster's entry of a node that answers there.
pub(crate) fn entry(node: &str, address: SocketAddr, secret: [u8; 32]) -> RosterEntry {
    RosterEntry {
        schema_version: roster::SCHEMA_VERSION,
        node: node.to_owned(),
        instance_id: "i-0fedcba9876543210".to_owned(),
        boot_id: "a-boot".to_owned(),
        address,
        secret: PairKey::from_bytes(secret),
    }
}

pub(crate) struct Bed<'a> {
    services: &'a Services,
    folder: TempDir,
    pub(crate) setup: Setup,
}

/// What a boot left.
pub(crate) struct Boot {
    requests: Vec<Value>,
    signals: Vec<Value>,
    exit: Option<i32>,
    said: String,
    /// The record on the node's own disk.
    kept: Option<BootRecord>,
    instance_id: String,
    took: Duration,
}

fn digest(bytes: &[u8]) -> String {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into()).to_string()
}

fn program() -> PathBuf {
    match std::env::var_os("PREFAB_DIST") {
        Some(dist) => PathBuf::from(dist).join("prefab-bootstrap"),
        None => PathBuf::from(env!("CARGO_BIN_EXE_prefab-bootstrap")),
    }
}

impl<'a> Bed<'a> {
    pub(crate) fn new(services: &'a Services, number: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        // The engine of the bed is no program: what a good one would say of this machine stands in.
        let libfabric = json!({ "library": null, "unavailable": "not here", "providers": [], "devices": [] });
        let probe = json!({
            "version": MESSAGE_VERSION, "engine_version": "0.1.0", "libfabric": libfabric,
            "transports": [{ "transport": "builtin-tcp", "unavailable": null }],
        });
        for (file, text) in [
            (".programs/prefab-fabric-probe.out", probe.to_string().as_str()),
            ("sys/class/dmi/id/product_name", "p5.48xlarge\n"),
            ("etc/resolv.conf", "nameserver 127.0.0.1\n"),
            (".disk/root", "150000000000\n"),
            ("proc/net/fib_trie", "Local:\n     |-- 10.77.0.11\n        /32 host LOCAL\n"),
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let behaviour = json!({
            "boot": number, "bucket": BUCKET, "address": ADDRESS, "program_key": "none",
            "access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": "/+secret", "session_token": "session==",
            "imds_token": "metadata==", "region": "us-east-1", "instance_id": format!("i-{number:017x}"),
            "logical_id": NODE, "stack_id": stack_id(), "tags": {},
        });
        let config = json!({
            "schema_version": 1, "name": "nixl-dev",
            "nodes": { NODE: { "role": "prefill", "instance_type": "p5.48xlarge" } },
            "expected": { "p5.48xlarge": {
                "gpus": 0, "gpu_name": "none", "gpu_memory_mib_each": 0, "efa_interfaces": 0, "efa_gbps": 0,
                "rdma_read": true, "rdma_write": true, "gpudirect": false,
            } },
            "engine": digest(ENGINE), "tasks": [],
            "profile": "base", "ready": "peers", "peer_deadline_seconds": 2400,
            "ports": {}, "secrets": {},
            "benchmark": { "transports": [], "memory": [], "operations": [] },
        });
        let task = json!({ "version": 1, "name": "task", "tasks": [
            { "id": "01", "name": "One", "commands": ["true"] },
        ] });
        let setup = Setup {
            behaviour,
            config,
            task,
            root,
            small: None,
            changed: Vec::new(),
            objects: Vec::new(),
            impostor: services.impostor(),
        };
        Self { services, folder, setup }
    }

    /// Boots with the fault.
    pub(crate) fn boot(mut self, fault: &Fault, variant: u32) -> Boot {
        (fault.arrange)(&mut self.setup, variant);
        self.begin();
        let begun = Instant::now();
        let mut child = self.command("run").spawn().unwrap();
        if let Some((after, signal)) = (fault.ends_after)(variant) {
            // Once it says anything, it listens for signals.
            let said = self.folder.path().join("said");
            while begun.elapsed() < PATIENCE && fs::metadata(&said).is_ok_and(|file| file.len() == 0) {
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(after);
            let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            // It may have ended before.
            let _ended = rustix::process::kill_process(pid, signal);
        }
        let exit = wait(&mut child, begun, fault.name);
        let read = |name: &str| self.read(name);
        Boot {
            requests: self.services.requests(),
            signals: self.services.signals(),
            exit,
            said: read("said"),
            kept: serde_json::from_str(&read("root/var/lib/prefab/boot.json")).ok(),
            instance_id: self.setup.behaviour["instance_id"].as_str().unwrap().to_owned(),
            took: begun.elapsed(),
        }
    }

    /// A file of the bed's folder, as it is now: `said`, or what lies below `root/`.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Puts all that `apply` would have put there into the bucket.
    pub(crate) fn begin(&mut self) {
        let Setup { behaviour, config, task, changed, objects: others, .. } = &mut self.setup;
        let task = task.to_string().into_bytes();
        config["tasks"] = json!([{ "name": "task", "sha256": digest(&task) }]);
        let config = config.to_string().into_bytes();
        let tags = behaviour["tags"].as_object_mut().unwrap();
        tags.entry("prefab:config").or_insert_with(|| digest(&config).into());
        tags.retain(|_, value| !value.is_null());
        let engine = ENGINE.to_vec();
        let mut objects = [
            (format!("tasks/{}.json", digest(&task)), task),
            (format!("bootstrap/{}/prefab-fabric", digest(&engine)), engine),
            (format!("config/{}.json", digest(&config)), config),
        ];
        for (key, content) in &mut objects {
            if changed.iter().any(|prefix| key.starts_with(prefix)) {
                content.push(b' ');
            }
        }
        self.services.begin(behaviour, objects.iter().chain(&*others));
        let seed = json!({
            "stack_id": stack_id(), "region": "us-east-1", "url_suffix": "amazonaws.com", "bucket": BUCKET,
            "bootstrap_sha256": "0".repeat(64),
        });
        fs::write(self.folder.path().join("seed.json"), seed.to_string()).unwrap();
    }

    /// The program on this machine.
    pub(crate) fn command(&self, duty: &str) -> Command {
        let said = fs::File::create(self.folder.path().join("said")).unwrap();
        let mut command = match self.setup.small {
            None => self.services.command(&program()),
            Some((below, kib)) => {
                let place = self.setup.root.join(below);
                fs::create_dir_all(&place).unwrap();
                let mut command = self.services.command(Path::new("unshare"));
                command.args(["--mount", "--", "sh", "-c"]);
                // What of the small disk a person should read is copied to the folder that stays.
                command.arg(format!(
                    "mount -t tmpfs -o size={kib}k tmpfs {0} && {{ \"$@\"; code=$?; mkdir -p {1}; cp -r {0}/. {1}; exit $code; }}",
                    place.display(),
                    self.folder.path().join("copy").display()
                ));
                command.arg("sh").arg(program());
                command
            }
        };
        command.arg(duty).arg("--seed").arg(self.folder.path().join("seed.json"));
        command.arg("--root").arg(&self.setup.root).arg("--hurry").arg(HURRY.to_string());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_ENDPOINT_URL", self.services.endpoint());
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.services.endpoint());
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        command
    }
}

/// Its end, within the patience of a test.
pub(crate) fn wait(child: &mut Child, begun: Instant, name: &str) -> Option<i32> {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > PATIENCE {
            let _killed = child.kill();
            let _reaped = child.wait();
            panic!("{name}: still runs after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn stack_id() -> String {
    format!("arn:aws:cloudformation:us-east-1:111122223333:stack/nixl-dev-cluster/{STACK_UUID}")
}

fn says(text: &str, word: &str) -> bool {
    word.split('|').any(|one| text.contains(one))
}

impl Boot {
    /// One signal, it says how the boot ended, and the reason says why; none only where nobody could be told.
    pub(crate) fn assert_true(&self, fault: &Fault) {
        let context = format!("{}: exit {:?} after {:?}\n{}", fault.name, self.exit, self.took, self.said);
        let signals = &self.signals;
        let status = match fault.end {
            End::Ready => "SUCCESS",
            End::NotReady => "FAILURE",
            End::Unheard => {
                assert!(signals.is_empty(), "{signals:?} {context}");
                assert_eq!(self.exit, Some(1), "{context}");
                assert!(fault.words.iter().all(|word| says(&self.said, word)), "{context}");
                return;
            }
        };
        let [signal] = &signals[..] else { panic!("{signals:?} {context}") };
        assert_eq!(
            (&signal["LogicalResourceId"], &signal["UniqueId"], &signal["Status"]),
            (&json!(NODE), &json!(self.instance_id), &json!(status)),
            "{context}"
        );
        if status == "SUCCESS" {
            assert_eq!(self.exit, Some(0), "{context}");
            return;
        }
        assert!(self.exit.is_some_and(|code| code != 0), "{context}");
        let reason = format!("{:?}", self.reason());
        for word in fault.words {
            assert!(says(&self.said, word), "no {word}: {context}");
            assert!(says(&reason, word), "no {word} in {reason}: {context}");
        }
    }

    /// The last record in the bucket, else the one on disk.
    fn reason(&self) -> Option<String> {
        let key = format!("/{BUCKET}/{}", BootRecord::key(STACK_UUID, NODE));
        let puts = self.requests.iter().filter(|r| r["method"] == "PUT" && r["path"] == key.as_str());
        let mut records = puts.filter_map(|put| serde_json::from_str::<BootRecord>(put["body"].as_str()?).ok());
        let kept = self.kept.clone().filter(BootRecord::has_failed);
        records.rfind(BootRecord::has_failed).or(kept).map(|record| record.reason)
    }
}
