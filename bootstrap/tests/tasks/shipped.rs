//! The task files in userdata/tasks: each can run, and each is pinned, repeatable and careful.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::bed::{Ran, program};

/// What no task file may say, and why.
const FORBIDDEN: [(&str, &str); 15] = [
    ("pkill", "kills whatever has the name"),
    ("killall", "kills whatever has the name"),
    ("|| true", "hides a failure"),
    ("|| :", "hides a failure"),
    ("| sh", "runs what the network sent"),
    ("| bash", "runs what the network sent"),
    ("| sudo", "runs what the network sent"),
    ("sudo ", "use run_as"),
    ("/tmp/", "names there can be planted; use mktemp or a folder of ours"),
    ("/etc/environment", "reaches every process; write a file for EnvironmentFile="),
    ("LD_PRELOAD", "reaches every process"),
    (":latest", "moves"),
    ("git pull", "moves"),
    ("--upgrade", "moves"),
    ("ssh ", "nodes have no keys"),
];

/// Settings that are wrong on EFA.
const WRONG_ON_EFA: [&str; 4] = ["FI_EFA_USE_DEVICE_RDMA=", "FI_EFA_FORK_SAFE=", "NCCL_IB_", "RDMAV_"];

/// What changes a machine so slowly that a second run must not do it again.
const NEEDS_SKIP_IF: [&str; 6] = ["pip install", "apt-get", "docker pull", "git fetch", "make -C", "hf download"];

/// Everything that is wrong with a task file.
fn lint(file: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for task in file["tasks"].as_array().unwrap() {
        let id = task["id"].as_str().unwrap();
        let commands: Vec<_> = task["commands"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        let all = commands.join("\n");
        let with_condition = format!("{all}\n{}", task["skip_if"].as_str().unwrap_or_default());
        for (text, why) in FORBIDDEN.iter().filter(|(text, _)| says(&with_condition, text)) {
            findings.push(format!("{id}: `{text}` {why}"));
        }
        for text in WRONG_ON_EFA.iter().filter(|text| with_condition.contains(**text)) {
            findings.push(format!("{id}: `{text}` is wrong on EFA"));
        }
        let slow = NEEDS_SKIP_IF.iter().find(|text| all.contains(**text));
        if let Some(text) = slow.filter(|_| task["skip_if"].is_null()) {
            findings.push(format!("{id}: `{text}` without skip_if"));
        }
        let fetches =
            ["pip install", "apt-get", "docker pull", "git fetch", "hf download"].iter().any(|text| all.contains(text));
        if fetches && task["retries"].as_u64().unwrap_or(0) == 0 {
            findings.push(format!("{id}: a download without retries"));
        }
        for line in all.lines() {
            lint_line(id, line, &mut findings);
        }
    }
    findings
}

/// Whether a program says this, and not a longer word that begins so: `| sha256sum` is no shell.
fn says(program: &str, text: &str) -> bool {
    program.match_indices(text).any(|(at, _)| {
        let ends_in_word = text.ends_with(|last: char| last.is_ascii_alphanumeric());
        !(ends_in_word && program[at + text.len()..].starts_with(|next: char| next.is_ascii_alphanumeric()))
    })
}

fn lint_line(id: &str, line: &str, findings: &mut Vec<String>) {
    for part in line.split("&&").filter(|part| part.contains("apt-get")) {
        if !part.contains("DPkg::Lock::Timeout=") || !part.contains("Acquire::Retries=") {
            findings.push(format!("{id}: apt-get without a wait for its lock and retries"));
        }
    }
    if let Some((_, install)) = line.split_once("pip install ") {
        let mut words = install.split_whitespace().peekable();
        let is_hashed = install.contains("--require-hashes");
        while let Some(word) = words.next() {
            match word {
                "--constraint" | "--requirement" | "--retries" | "--only-binary" => drop(words.next()),
                _ if word.starts_with('-') || word.contains("==") => {}
                _ => findings.push(format!("{id}: pip installs {word} without an exact version")),
            }
        }
        if install.contains("--requirement") && !is_hashed {
            findings.push(format!("{id}: a requirements file without --require-hashes"));
        }
    }
    if line.contains("git fetch") && !line.trim_end().ends_with("_COMMIT}}") {
        findings.push(format!("{id}: git fetches what is not a commit"));
    }
    if (line.contains("docker pull") || line.contains("docker run")) && !line.contains("_IMAGE}}") {
        findings.push(format!("{id}: an image that is no pinned variable"));
    }
    if line.contains("hf download") && !line.contains("--revision {{") {
        findings.push(format!("{id}: a model without a revision"));
    }
}

/// Values that pin something must do so.
fn lint_variables(file: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, value) in file["variables"].as_object().unwrap() {
        let value = value.as_str().unwrap_or_default();
        let is_pinned = match name.rsplit('_').next().unwrap() {
            "VERSION" => value.split('.').count() >= 2 && value.split('.').all(|part| part.parse::<u32>().is_ok()),
            "COMMIT" | "REVISION" => value.len() == 40 && value.bytes().all(|byte| byte.is_ascii_hexdigit()),
            // A tag may be moved; the digest is what is run.
            "IMAGE" => value.rsplit_once("@sha256:").is_some_and(|(_, digest)| digest.len() == 64),
            _ => true,
        };
        if !is_pinned {
            findings.push(format!("{name} = {value} pins nothing"));
        }
    }
    findings
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../userdata/tasks")
}

fn shipped() -> Vec<(PathBuf, Value)> {
    let mut paths: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()))
        .collect()
}

#[test]
fn every_shipped_file_passes_a_dry_run_and_the_lint() {
    let files = shipped();
    let names: Vec<_> = files.iter().map(|(path, _)| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["install-mlflow-deps", "nccl-benchmark", "setup-environment", "setup-nccl-tests"]);
    for ((path, file), name) in files.iter().zip(names) {
        let ran =
            Ran::of(&Command::new(program()).arg("tasks").arg(path).arg("--dry-run").output().unwrap()).ends_with(0);
        assert!(ran.out.ends_with("Nothing was run. Run it without --dry-run.\n"));
        assert_eq!(lint(file), [""; 0], "{name}");
        assert_eq!(lint_variables(file), [""; 0], "{name}");
        assert_eq!(file["name"], name);
        assert!(file["description"].is_string());
    }
}

/// What the reference's suite does, step by step, and the task that does it here. Two have another form: etcd's image is
/// pulled before etcd starts, and perftest, whose queue pairs EFA lacks, gives way to libfabric's own ping-pong.
const REFERENCE: [(&str, &str); 21] = [
    ("01 GPU", "01-verify-gpu"),
    ("02 EFA", "02-verify-efa"),
    ("03 pip", "03-create-venv"),
    ("04 vLLM", "04-install-vllm"),
    ("05 NIXL", "05-install-nixl"),
    ("06 sagemaker-mlflow, boto3", "06-install-mlflow-deps"),
    ("07 pandas, numpy, scipy", "07-install-analysis-deps"),
    ("08 nccl-tests", "08-setup-nccl-tests"),
    ("09 Docker", "09-setup-docker"),
    ("10 etcd", "11-start-etcd"),
    ("11 versions", "12-verify-packages"),
    ("12 EFA variables", "13-write-efa-env"),
    ("13 NCCL variables", "14-write-nccl-env"),
    ("14 folders", "15-create-results-folder"),
    ("15 KVBench", "16-setup-kvbench"),
    ("16 perftest", "17-verify-fabric-tools"),
    ("17 functional tests", "20-test-environment"),
    ("18 etcd's image", "10-pull-etcd-image"),
    ("19 GPU warm-up", "19-warm-up-gpus"),
    ("20 peer memory", "18-verify-gpudirect"),
    ("21 model", "21-download-model"),
];

fn named(name: &str) -> Value {
    let files = shipped();
    files.into_iter().find(|(path, _)| path.ends_with(name)).unwrap().1
}

#[test]
fn setup_has_the_21_steps_of_the_reference() {
    let setup = named("setup-environment.json");
    let ids: Vec<_> = setup["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap()).collect();
    let mut expected: Vec<_> = REFERENCE.iter().map(|(_, id)| *id).collect();
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

/// Checks read what tasks leave; one that looked elsewhere would always fail, or see nothing.
#[test]
fn checks_look_where_tasks_write() {
    let source = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/checks").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let value = |file: &str, name: &str| named(file)["variables"][name].as_str().unwrap().to_owned();
    for file in ["setup-environment.json", "setup-nccl-tests.json", "nccl-benchmark.json"] {
        let programs = format!("\"{}/build\"", value(file, "NCCL_TESTS_DIR"));
        assert!(source("nccl_programs.rs").contains(&programs), "{file}: {programs}");
        let venv = format!("\"{}\"", value(file, "VENV"));
        assert!(source("python_packages.rs").contains(&venv), "{file}: {venv}");
    }
    let logs = format!("\"{}\"", value("nccl-benchmark.json", "LOG_DIR"));
    assert!(source("logs.rs").contains(&logs), "{logs}");
    let setup = named("setup-environment.json").to_string();
    for file in ["/etc/prefab/efa.env", "/etc/prefab/nccl.env"] {
        assert!(setup.contains(file) && source("environment.rs").contains(file), "{file}");
    }
}

#[test]
fn the_lint_finds_each_planted_fault() {
    for (command, part) in [
        ("pkill -f vllm", "`pkill`"),
        ("curl -fsSL https://get.docker.com | sh", "`| sh`"),
        ("systemctl start docker || true", "`|| true`"),
        ("sudo apt-get install x", "`sudo `"),
        ("mkdir -p /tmp/results", "`/tmp/`"),
        ("echo x >> /etc/environment", "`/etc/environment`"),
        ("LD_PRELOAD=x python", "`LD_PRELOAD`"),
        ("FI_EFA_USE_DEVICE_RDMA=1 x", "is wrong on EFA"),
        ("pip install vllm", "installs vllm without an exact version"),
        ("pip install \"vllm==1\"", "without skip_if"),
        ("pip install --requirement r.txt", "without --require-hashes"),
        ("apt-get -y install x", "without a wait for its lock"),
        ("git fetch origin main", "not a commit"),
        ("docker pull etcd", "no pinned variable"),
        ("hf download {{MODEL}}", "without a revision"),
        ("docker pull {{ETCD_IMAGE}}", "a download without retries"),
    ] {
        let findings = lint(&json!({"tasks": [{"id": "a", "commands": [command]}]}));
        assert!(findings.iter().any(|one| one.contains(part)), "{command}: {findings:?}");
    }
    for (name, value) in
        [("VLLM_VERSION", ">=0.16"), ("X_COMMIT", "main"), ("ETCD_IMAGE", "etcd:v3.5.18"), ("MODEL_REVISION", "main")]
    {
        assert_eq!(lint_variables(&json!({"variables": {name: value}})).len(), 1, "{name}");
    }
}
