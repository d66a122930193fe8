//! The node script, run for real against what a node talks to: `tests/standins/node_services.py` on loopback.

mod boot;
mod faults;
mod script;
mod signer;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use prefab::user_data::Surroundings;
use prefab_contract::boot_record::BootRecord;
use prefab_contract::node_seed::NodeSeed;
use prefab_contract::sha256::Sha256;
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;

// The example keys of AWS's own documentation, which open nothing.
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+a+b/c/d==";
const INSTANCE_ID: &str = "i-0123456789abcdef0";
const LOGICAL_ID: &str = "Prefill0";
const REGION: &str = "us-east-1";
const BUCKET: &str = "nixl-dev-artifacts-programs-1a2b3c4d";
const STACK_UUID: &str = "51af3dc0-da77-11e4-872e-1234567db123";

/// No script of these tests may live longer: their waits are scaled down to a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

fn stack_id() -> String {
    format!("arn:aws:cloudformation:{REGION}:111122223333:stack/nixl-dev-cluster/{STACK_UUID}")
}

fn sha256_of(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

fn seed(bootstrap: &[u8]) -> NodeSeed {
    NodeSeed {
        stack_id: stack_id(),
        region: REGION.into(),
        url_suffix: "amazonaws.com".into(),
        bucket: BUCKET.into(),
        bootstrap_sha256: sha256_of(bootstrap),
    }
}

/// Python with botocore: the project's own environment, or whatever python3 has it.
fn python() -> PathBuf {
    let own = std::env::var_os("PREFAB_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv"), PathBuf::from)
        .join("bin/python3");
    if own.exists() { own } else { "python3".into() }
}

fn standin(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standins").join(name)
}

/// One node: its folder, what it talks to, and its script.
struct Node {
    folder: TempDir,
    surroundings: Surroundings,
    seed: NodeSeed,
    /// Secret key, session token and IMDS token.
    secrets: [String; 3],
    server: Child,
    /// The server ends when this closes.
    _server_input: ChildStdin,
}

/// What a boot left behind.
struct Boot {
    code: Option<i32>,
    output: String,
    console: String,
    requests: Vec<Value>,
    secrets: [String; 3],
    /// The arguments of the program, if it ran.
    ran: Option<String>,
}

impl Node {
    /// A node whose services behave as `changes` say; without any, all is well.
    fn new(changes: Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ran = folder.path().join("ran");
        let program = format!(
            "#!/bin/bash\nprintf '%s\\n' \"$@\" >'{ran}'\nprintenv >'{ran}.environment'\numask >'{ran}.umask'\n# {padding}\n",
            ran = ran.display(),
            padding = "x".repeat(20_000)
        );
        Self::with_program(folder, program.as_bytes(), changes)
    }

    fn with_program(folder: TempDir, program: &[u8], changes: Value) -> Self {
        // Each node has secrets of its own, since every process of the machine is searched for them.
        let own = sha256_of(folder.path().as_os_str().as_encoded_bytes()).to_string();
        let secrets = [format!("/+{}", &own[..38]), format!("{SESSION_TOKEN}{own}=="), format!("metadata-{own}==")];
        let mut behaviour = json!({
            "access_key": ACCESS_KEY,
            "secret_key": secrets[0],
            "session_token": secrets[1],
            "imds_token": secrets[2],
            "region": REGION,
            "instance_id": INSTANCE_ID,
            "logical_id": LOGICAL_ID,
            "stack_id": stack_id(),
            "program_key": NodeSeed::bootstrap_key(&sha256_of(program)),
        });
        let Value::Object(changes) = changes else { panic!("changes are an object") };
        behaviour.as_object_mut().expect("an object").extend(changes);
        let path = folder.path();
        fs::write(path.join("behaviour.json"), behaviour.to_string()).expect("behaviour");
        fs::write(path.join("program"), program).expect("program");
        fs::write(path.join("console"), "").expect("console");
        fs::create_dir_all(path.join("usr/local/bin")).expect("folder of the program");
        fs::create_dir(path.join("etc")).expect("folder of settings");

        let mut server = Command::new(python())
            .arg(standin("node_services.py"))
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs tests/standins; `make setup` installs it");
        let mut port = String::new();
        BufReader::new(server.stdout.take().expect("piped")).read_line(&mut port).expect("the port");
        let origin = format!("http://127.0.0.1:{}", port.trim());
        let surroundings = Surroundings {
            imds: origin.clone(),
            s3: origin.clone(),
            cloudformation: origin,
            protocol: "=http".into(),
            program: path.join("usr/local/bin/prefab-bootstrap").display().to_string(),
            seed_file: path.join("etc/prefab/node-seed.json").display().to_string(),
            console: path.join("console").display().to_string(),
            retry_delays_ms: vec![50, 100],
            // Generous, because a busy machine is slow; what ends by a deadline is `impatient`.
            settle_seconds: 30,
            program_seconds: 30,
            report_seconds: 20,
            stall_seconds: 20,
            program_kib: 1_024,
            ..Surroundings::default()
        };
        let input = server.stdin.take().expect("piped");
        Self { folder, surroundings, seed: seed(program), secrets, server, _server_input: input }
    }

    /// For boots that end because a deadline passes.
    fn impatient(mut self) -> Self {
        self.surroundings.settle_seconds = 2;
        self.surroundings.program_seconds = 3;
        self.surroundings.stall_seconds = 1;
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self) -> String {
        self.surroundings.render(&self.seed)
    }

    fn boot(&self) -> Boot {
        self.boot_script(&self.script())
    }

    fn boot_script(&self, script: &str) -> Boot {
        let mut child = self.start(script, &[]);
        let code = wait(&mut child);
        self.left_behind(code)
    }

    /// Starts it as cloud-init does: as a file, from /, with no terminal, no HOME and nearly no environment.
    fn start(&self, script: &str, environment: &[(&str, &str)]) -> Child {
        let file = self.path("part-001");
        fs::write(&file, script).expect("script");
        let output = fs::File::create(self.path("output")).expect("output");
        Command::new("/bin/bash")
            .arg(&file)
            .env_clear()
            .envs(environment.iter().copied())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("output"))
            .stderr(output)
            .spawn()
            .expect("bash")
    }

    fn left_behind(&self, code: Option<i32>) -> Boot {
        let read = |name: &str| fs::read_to_string(self.path(name)).ok();
        let requests = read("requests.jsonl").unwrap_or_default();
        Boot {
            code,
            output: read("output").unwrap_or_default(),
            console: read("console").unwrap_or_default(),
            requests: requests.lines().map(|line| serde_json::from_str(line).expect("a request")).collect(),
            secrets: self.secrets.clone(),
            ran: read("ran"),
        }
    }

    /// A search path that holds the script's tools but `missing` ones. With `recorded`, each tool first notes its command
    /// line and environment there.
    fn tools_without(&mut self, missing: &[&str], recorded: Option<&Path>) {
        const TOOLS: [&str; 18] = [
            "bash",
            "chmod",
            "curl",
            "date",
            "head",
            "mkdir",
            "mktemp",
            "mv",
            "openssl",
            "printenv",
            "rm",
            "sha256sum",
            "sleep",
            "sort",
            "stat",
            "sync",
            "tr",
            "env",
        ];
        let bin = self.path("tools");
        fs::create_dir(&bin).expect("folder of tools");
        for tool in TOOLS.iter().filter(|tool| !missing.contains(tool)) {
            let real = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
            let real =
                real.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("found no {tool}; `make setup`"));
            match recorded {
                None => std::os::unix::fs::symlink(real, bin.join(tool)).expect("link"),
                Some(log) => {
                    // Written by a child: a file that this process had open for writing could be busy when it is run.
                    let text = format!(
                        "#!/bin/bash -p\n{{ printf '%s\\0' {tool} \"$@\"; /usr/bin/env -0; }} >>'{}'\nexec {} \"$@\"\n",
                        log.display(),
                        real.display()
                    );
                    let written = Command::new("/bin/bash")
                        .args(["-c", r#"printf '%s' "$1" >"$2"; chmod 0755 "$2""#, "-", &text])
                        .arg(bin.join(tool))
                        .status();
                    assert!(written.expect("bash").success());
                }
            }
        }
        self.surroundings.path = bin.display().to_string();
    }

    /// Nothing of a failed attempt stays where programs lie.
    fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).expect("metadata").permissions().mode() & 0o7777
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Closing its input would end it too, but only when it gets to read it.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The exit code; a script that does not end is a failure of its own.
fn wait(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("wait") {
            return status.code();
        }
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the script still ran after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Boot {
    fn to<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Value> {
        self.requests.iter().filter(move |request| request["service"] == service)
    }

    /// Signals that CloudFormation could read, in order.
    fn signals(&self) -> Vec<&str> {
        self.to("cloudformation")
            .filter(|request| request["fault"].is_null())
            .filter_map(|r| r["body"].as_str())
            .collect()
    }

    fn reason(&self) -> Option<BootRecord> {
        let puts: Vec<_> = self.to("s3").filter(|r| r["method"] == "PUT" && r["fault"].is_null()).collect();
        assert!(puts.len() < 2, "{puts:?}");
        let put = puts.first()?;
        let failure: BootRecord = serde_json::from_str(put["body"].as_str().expect("a body")).expect("a reason");
        assert_eq!(put["path"], format!("/{}", BootRecord::key(STACK_UUID, &failure.node)));
        Some(failure)
    }

    /// The program ran, and the rest is its own to say.
    #[track_caller]
    fn assert_handed_over(&self, node: &Node) {
        assert_eq!(
            self.ran.as_deref(),
            Some(&*format!("run\n--seed\n{}\n", node.surroundings.seed_file)),
            "{}",
            self.output
        );
        assert_eq!(self.code, Some(0), "{}", self.output);
        assert!(self.output.contains("prefab: verified"), "{}", self.output);
        assert_eq!(self.signals(), [""; 0]);
        assert_eq!(self.reason(), None);
        self.assert_no_secret_shown();
    }

    /// Nothing ran, one FAILURE was signalled for this instance, and its reason is where a person looks.
    #[track_caller]
    fn assert_failed(&self, stage: &str, words: &[&str]) {
        self.assert_nothing_ran();
        let stack = stack_id().replace(':', "%3A").replace('/', "%2F");
        let signal = format!(
            "Action=SignalResource&Version=2010-05-15&StackName={stack}&LogicalResourceId={LOGICAL_ID}\
             &UniqueId={INSTANCE_ID}&Status=FAILURE"
        );
        assert_eq!(self.signals(), [signal], "{}", self.output);
        let reason = self.reason().unwrap_or_else(|| panic!("no reason was kept: {}", self.output));
        assert_eq!((reason.node.as_str(), reason.instance_id.as_str()), (LOGICAL_ID, INSTANCE_ID));
        assert_eq!((reason.stage.as_str(), reason.exit_code.map(i32::from)), (stage, self.code), "{}", self.output);
        self.assert_said(words);
        assert!(words.iter().all(|word| reason.reason.contains(word)), "{} lacks one of {words:?}", reason.reason);
        let last: Vec<_> = self.requests.iter().rev().take(2).map(|request| &request["method"]).collect();
        assert_eq!(last, ["POST", "PUT"], "the reason comes before the signal");
    }

    #[track_caller]
    fn assert_nothing_ran(&self) {
        assert_eq!(self.ran, None, "{}", self.output);
        assert!(self.code.is_some_and(|code| code != 0), "{:?}: {}", self.code, self.output);
        self.assert_no_secret_shown();
    }

    #[track_caller]
    fn assert_said(&self, words: &[&str]) {
        for word in words {
            assert!(self.output.contains(word) && self.console.contains(word), "{word}: {}", self.output);
        }
    }

    #[track_caller]
    fn assert_no_secret_shown(&self) {
        for secret in &self.secrets {
            assert!(!self.output.contains(secret) && !self.console.contains(secret), "{}", self.output);
        }
        for request in &self.requests {
            assert_eq!(request["public_secrets"], json!([]));
        }
    }
}
