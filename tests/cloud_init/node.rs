//! One node of a lab: its disk, how the services behave towards it, and its boots.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prefab_contract::node_seed::NodeSeed;
use prefab_contract::sha256::Sha256;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::lab::{Lab, standin};
use super::record::Boot;
use super::{BUCKET, REGION, stack_id};

/// A whole boot is one of cloud-init, a few seconds of two cores, and the script, which the tests hold to 120 seconds.
const PATIENCE: Duration = Duration::from_secs(240);

/// Cloud-init's own stages are work; what the final stage does is mostly to wait. So many do the former at once.
static WORKING: (Mutex<u32>, Condvar) = (Mutex::new(3), Condvar::new());

struct Turn;

impl Turn {
    fn take() -> Self {
        let (left, freed) = &WORKING;
        let left = left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = freed.wait_while(left, |left| *left == 0).unwrap_or_else(PoisonError::into_inner);
        *left -= 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *WORKING.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        WORKING.1.notify_one();
    }
}

fn sha256_of(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// A program of more than the MiB of a small disk, so that a cut or slow one is that for long enough.
pub(super) fn program() -> Vec<u8> {
    let mut program = fs::read(standin("node_program.py")).expect("the stand-in of the program");
    program.extend_from_slice(b"# ");
    program.resize(1_500_000, b'x');
    program.push(b'\n');
    program
}

pub(super) struct Node<'a> {
    lab: &'a Lab,
    address: String,
    pub(super) logical_id: String,
    pub(super) instance_id: String,
    pub(super) seed: NodeSeed,
    /// Secret key, session token and IMDS token.
    secrets: [String; 3],
    behaviour: Value,
    /// How it changes when the node script is about to start.
    late: Value,
    /// Ends with a node that is dropped while it boots.
    powered: Mutex<Option<Child>>,
}

impl<'a> Node<'a> {
    /// The lab's node `number`, from 1, which will run `program`.
    pub(super) fn new(lab: &'a Lab, number: u8, program: &[u8]) -> Self {
        let address = format!("10.77.0.{}", 10 + number);
        let seed = NodeSeed {
            stack_id: stack_id(),
            region: REGION.into(),
            url_suffix: "amazonaws.com".into(),
            bucket: BUCKET.into(),
            bootstrap_sha256: sha256_of(program),
        };
        let logical_id = format!("Prefill{}", number - 1);
        let instance_id = format!("i-{:017x}", 0xabc0_0000_u64 + u64::from(number));
        // Secrets of its own, since what it shows is searched for them.
        let own = sha256_of(format!("{}{address}", lab.name()).as_bytes()).to_string();
        let secrets = [format!("/+{}", &own[..38]), format!("session-{own}=="), format!("metadata-{own}==")];
        let behaviour = json!({
            "access_key": "AKIAIOSFODNN7EXAMPLE",
            "secret_key": secrets[0],
            "session_token": secrets[1],
            "imds_token": secrets[2],
            "region": REGION,
            "address": address,
            "mac": format!("02:00:00:00:00:{number:02x}"),
            "instance_id": instance_id,
            "logical_id": logical_id,
            "stack_id": stack_id(),
            "program_key": NodeSeed::bootstrap_key(&seed.bootstrap_sha256),
            "user_data": prefab::user_data::render(&seed),
        });
        let powered = Mutex::new(None);
        let node = Self { lab, address, logical_id, instance_id, seed, secrets, behaviour, late: json!({}), powered };
        fs::create_dir_all(node.path("upper")).expect("the node's folder");
        fs::write(node.path("program"), program).expect("program");
        node.put("etc/resolv.conf", b"nameserver 10.77.0.254\n");
        // Of all authorities only the lab's.
        node.put("etc/ssl/certs/ca-certificates.crt", &fs::read(lab.path("tls/ca.pem")).expect("the lab's authority"));
        node
    }

    /// Another node of the cluster than its number says.
    pub(super) fn called(mut self, logical_id: &str) -> Self {
        self.logical_id = logical_id.into();
        self.behaviour["logical_id"] = logical_id.into();
        self
    }

    /// Has these tags besides its name.
    pub(super) fn tagged(mut self, tags: Value) -> Self {
        self.behaviour["tags"] = tags;
        self
    }

    /// Services behave as `changes` say from the moment the node script starts. Cloud-init itself meets nothing of it.
    pub(super) fn then(mut self, changes: Value) -> Self {
        self.late = changes;
        self
    }

    /// Its user data is not quite what it should be.
    pub(super) fn told(mut self, change: impl Fn(&str) -> String) -> Self {
        self.behaviour["user_data"] = change(&prefab::user_data::render(&self.seed)).into();
        self
    }

    /// Its image knows other authorities than the lab's.
    pub(super) fn with_the_images_authorities(self) -> Self {
        fs::remove_file(self.disk("etc/ssl/certs/ca-certificates.crt")).expect("the lab's authority");
        self
    }

    /// The same machine, replaced by another instance as far as cloud-init can tell.
    pub(super) fn become_instance(&mut self, instance_id: &str) {
        self.instance_id = instance_id.into();
        self.behaviour["instance_id"] = instance_id.into();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.lab.path(&format!("nodes/{}/{name}", self.address))
    }

    /// A file on its disk, as it is after a boot.
    pub(super) fn disk(&self, name: &str) -> PathBuf {
        self.path("upper").join(name)
    }

    /// Puts a file on its disk.
    pub(super) fn put(&self, name: &str, content: &[u8]) {
        self.folder_of(name);
        fs::write(self.disk(name), content).expect("a file on the node's disk");
    }

    /// The folder for a file, readable to all as on any disk.
    pub(super) fn folder_of(&self, name: &str) {
        let folder = self.disk(name).parent().expect("a file").to_owned();
        fs::create_dir_all(&folder).expect("a folder on the node's disk");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// Files that its image lacks.
    pub(super) fn without(self, names: &[&str]) -> Self {
        fs::write(self.path("removed"), names.join("\n") + "\n").expect("list");
        self
    }

    /// A folder on a disk of its own, of 1 MiB.
    pub(super) fn small(self, name: &str) -> Self {
        fs::write(self.path("small"), format!("{name}\n")).expect("list");
        self
    }

    /// Tells the services how to behave, now or in the final stage.
    pub(super) fn behave(&self, late: bool) {
        let mut behaviour = self.behaviour.clone();
        if late {
            behaviour.as_object_mut().expect("an object").extend(self.late.as_object().expect("an object").clone());
        }
        // The services read it whole or as it was.
        let new = self.path("behaviour.new");
        fs::write(&new, behaviour.to_string()).expect("behaviour");
        fs::rename(new, self.path("behaviour.json")).expect("behaviour");
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Forgets what was asked and said. Whoever writes to its console goes on.
    pub(super) fn forget(&self) {
        let _ = fs::remove_file(self.path("requests.jsonl"));
        fs::write(self.path("console"), "").expect("its console");
    }

    /// Powers it on, lets cloud-init do all its stages, and powers it off.
    pub(super) fn boot(&self) -> Boot {
        self.forget();
        self.behave(false);
        let turn = Turn::take();
        let mut process = self.lab.power_on(&self.address);
        let mut input = process.stdin.take().expect("piped");
        let mut said = BufReader::new(process.stdout.take().expect("piped"));
        *self.powered.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        let mut line = String::new();
        said.read_line(&mut line).expect("the node says when it is ready");
        drop(turn);
        assert_eq!(line, "final\n", "{}", self.logs());
        self.behave(true);
        let begun = Instant::now();
        writeln!(input, "go").expect("the node waits for this");
        self.wait(begun);
        Boot::read(self, begun.elapsed())
    }

    /// What its last boot has left, without a machine to ask.
    pub(super) fn left(&self) -> Boot {
        Boot::read(self, Duration::ZERO)
    }

    fn wait(&self, begun: Instant) {
        loop {
            let mut powered = self.powered.lock().unwrap_or_else(PoisonError::into_inner);
            if powered.as_mut().is_none_or(|child| child.try_wait().expect("wait").is_some()) {
                *powered = None;
                return;
            }
            drop(powered);
            assert!(begun.elapsed() < PATIENCE, "the node still boots after {PATIENCE:?}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What cloud-init's stages said.
    pub(super) fn logs(&self) -> String {
        let logs = ["local", "network", "config", "final"].map(|stage| self.path(stage).with_extension("log"));
        logs.map(|log| fs::read_to_string(log).unwrap_or_default()).concat()
    }

    pub(super) fn secrets(&self) -> &[String; 3] {
        &self.secrets
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.powered.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
