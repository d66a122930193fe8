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
            "IMAGE" => value.rsplit_once(':').is_some_and(|(_, tag)| tag.starts_with('v')),
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

#[test]
fn setup_has_the_21_steps_of_the_reference() {
    let files = shipped();
    let (_, setup) = files.iter().find(|(path, _)| path.ends_with("setup-environment.json")).unwrap();
    let tasks = setup["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 21);
    for (number, task) in tasks.iter().enumerate() {
        assert!(task["id"].as_str().unwrap().starts_with(&format!("{:02}-", number + 1)), "{}", task["id"]);
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
        [("VLLM_VERSION", ">=0.16"), ("X_COMMIT", "main"), ("ETCD_IMAGE", "etcd:latest"), ("MODEL_REVISION", "main")]
    {
        assert_eq!(lint_variables(&json!({"variables": {name: value}})).len(), 1, "{name}");
    }
}
