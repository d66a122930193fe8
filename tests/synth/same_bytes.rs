//! Equal specs give equal bytes: wherever, whenever and by whomever synth is run, and however the spec is ordered.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use prefab::spec::Spec;
use prefab::stacks::{self, node_config, operator_policy, user_policy};
use prefab::summary::Summary;
use serde_yaml::{Mapping, Value};
use sha2::Digest as _;

use crate::prefab::root;

/// A small generator with a seed: the same orders on every machine.
struct Orders(u64);

impl Orders {
    fn next(&mut self, below: usize) -> usize {
        // Knuth's MMIX constants; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    /// The same document with the keys of every map in another order. Lists keep theirs: it means something.
    fn reordered(&mut self, value: &Value) -> Value {
        match value {
            Value::Mapping(map) => {
                let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), self.reordered(value))).collect();
                for last in (1..entries.len()).rev() {
                    entries.swap(last, self.next(last + 1));
                }
                Value::Mapping(entries.into_iter().collect::<Mapping>())
            }
            other => other.clone(),
        }
    }
}

fn hash(texts: &[(String, String)]) -> String {
    let mut hasher = sha2::Sha256::new();
    for (name, text) in texts {
        hasher.update(format!("{name} {}\n{text}", text.len()));
    }
    hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// The hash of every file in a folder but the spec.
fn hash_of(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut texts: Vec<_> = files
        .filter(|path| path.file_name().unwrap() != "prefab.yaml")
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    texts.sort();
    assert_eq!(texts.len(), 7, "{}", folder.display());
    hash(&texts)
}

/// A spec with several warnings, whose order must not follow the file's.
fn spec() -> Value {
    let text = std::fs::read_to_string(root().join("templates/g6e-private/prefab.yaml")).unwrap();
    let mut spec: Value = serde_yaml::from_str(&text).unwrap();
    spec["tags"] = serde_yaml::from_str("{ owner: ml-infra, team: a, stage: test }").unwrap();
    spec["cluster"]["decode"]["instance_type"] = "g6e.24xlarge".into();
    spec["workload"]["tensor_parallel"]["decode"] = 4.into();
    spec
}

/// 1,000 runs in changed surroundings.
#[test]
fn surroundings_change_no_byte() {
    const RUNS: usize = 1_000;
    const LOCALES: [&str; 5] = ["C", "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8", "nonsense"];
    const ZONES: [&str; 4] = ["UTC", "Pacific/Kiritimati", "America/St_Johns", "Nowhere/Land"];
    let spec = spec();
    let runs: Vec<usize> = (0..RUNS).collect();
    let one = |run: usize| {
        let mut orders = Orders(run as u64);
        let folder = tempfile::Builder::new().prefix(&"x".repeat(orders.next(40))).tempdir().unwrap();
        let text =
            if run == 0 { serde_yaml::to_string(&spec) } else { serde_yaml::to_string(&orders.reordered(&spec)) };
        std::fs::write(folder.path().join("prefab.yaml"), text.unwrap()).unwrap();
        let elsewhere = !run.is_multiple_of(2);
        let output = Command::new(env!("CARGO_BIN_EXE_prefab"))
            .args(["synth", "-q", "-f"])
            .arg(if elsewhere { folder.path().join("prefab.yaml") } else { "prefab.yaml".into() })
            .current_dir(if elsewhere { Path::new("/") } else { folder.path() })
            .env_clear()
            .env("LANG", LOCALES[orders.next(LOCALES.len())])
            .env("LC_ALL", LOCALES[orders.next(LOCALES.len())])
            .env("TZ", ZONES[orders.next(ZONES.len())])
            .env("HOME", if run.is_multiple_of(3) { "/nonexistent" } else { "/" })
            .env("COLUMNS", orders.next(200).to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        hash_of(folder.path())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let hashes: Vec<String> = std::thread::scope(|scope| {
        let chunks = runs.chunks(RUNS.div_ceil(threads));
        let running: Vec<_> =
            chunks.map(|chunk| scope.spawn(|| chunk.iter().map(|run| one(*run)).collect::<Vec<_>>())).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(hashes.len(), RUNS);
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

/// 1,000 runs inside one process, whose maps would be hashed with other seeds each time if there were any.
#[test]
fn the_order_of_keys_changes_no_byte() {
    let spec = spec();
    let mut orders = Orders(7);
    let mut first = None;
    for _ in 0..1_000 {
        let text = serde_yaml::to_string(&orders.reordered(&spec)).unwrap();
        let (read, findings) = Spec::read(text.as_bytes(), &crate::cfn_lint::Nothing);
        let read = read.unwrap_or_else(|| panic!("{text}"));
        let stacks = stacks::of(&read).unwrap();
        let mut texts: Vec<_> = stacks
            .iter()
            .map(|stack| (stack.name.clone(), stack.template.yaml() + &stack.template.canonical()))
            .collect();
        let summary = Summary::of(&read, &stacks, &findings);
        assert!(summary.warnings.len() >= 2, "{:?}", summary.warnings);
        texts.push(("config".into(), serde_json::to_string(&node_config::of(&read)).unwrap()));
        texts.push(("policy".into(), operator_policy::of(&read).to_string()));
        texts.push(("user's policy".into(), user_policy::of(&read).to_string()));
        texts.push(("summary".into(), summary.json() + &summary.to_string()));
        let hash = hash(&texts);
        assert_eq!(*first.get_or_insert_with(|| hash.clone()), hash, "{text}");
    }
}
