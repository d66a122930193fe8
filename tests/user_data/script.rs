//! The script as text: what shellcheck says of it, its size, and what a part of it does.

use std::fs;
use std::process::{Command, Stdio};

use prefab::user_data::{self, LIMIT_BYTES, Part, SEED_FIELDS, Surroundings};
use prefab_contract::node_seed::NodeSeed;
use prefab_contract::task_file::TaskFile;
use serde_json::json;

use super::{Node, seed, sha256_of};

#[test]
fn shellcheck_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.sh");
    fs::write(&file, user_data::render(&seed(b""))).unwrap();
    let output = Command::new("shellcheck").args(["--severity=style", "--shell=bash"]).arg(&file).output();
    let output = output.expect("shellcheck is missing: `make setup` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn longest_seed() -> NodeSeed {
    NodeSeed {
        stack_id: format!(
            "arn:{}:cloudformation:{}:111122223333:stack/{}/{}",
            "a".repeat(20),
            "r".repeat(24),
            "s".repeat(128),
            "0".repeat(36)
        ),
        region: "r".repeat(24),
        url_suffix: "u".repeat(32),
        bucket: "b".repeat(63),
        bootstrap_sha256: sha256_of(b""),
    }
}

/// K028: what counts is the size after substitution.
#[test]
fn the_worst_case_is_the_size_with_the_longest_values() {
    let script = user_data::render(&longest_seed());
    assert_eq!(script.len(), user_data::worst_case_bytes());
    assert!(script.len() <= LIMIT_BYTES);
}

/// K032: an empty entry of a list of commands is an error that names its place, never a command less.
#[test]
fn an_empty_command_is_refused_by_its_place() {
    let file = r#"{ "version": 1, "name": "extra", "tasks": [
        { "id": "01", "name": "Extra commands", "commands": ["echo a", null, ""] }
    ] }"#;
    let refused = TaskFile::parse(file.as_bytes()).expect_err("two of the commands are none");
    let places: Vec<_> = refused.iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(places, ["tasks[0].commands[1]", "tasks[0].commands[2]"]);
}

#[test]
fn patterns_accept_real_values_and_refuse_what_could_leave_the_quotes() {
    let real = |field: &str| match field {
        "stack_id" => {
            vec![longest_seed().stack_id, super::stack_id(), super::stack_id().replace("arn:aws", "arn:aws-us-gov")]
        }
        "region" => ["us-east-1", "ap-southeast-7", "us-gov-west-1", "eusc-de-east-1", "us-isof-south-1"]
            .map(String::from)
            .into(),
        "url_suffix" => ["amazonaws.com", "amazonaws.com.cn", "c2s.ic.gov", "amazonaws.eu"].map(String::from).into(),
        "bucket" => vec![super::BUCKET.into(), longest_seed().bucket, "abc".into()],
        _ => vec!["0af3".repeat(16)],
    };
    for field in SEED_FIELDS {
        for good in real(field.name) {
            assert!(matches(field.pattern, &good) && good.len() <= field.max_length, "{}: {good}", field.name);
            for bad in ["'", "\"", "\n", "$(id)", "`", "\\", " ", ";", "\u{e9}", "{{", "\u{1f}"] {
                let middle = good.len() / 2;
                assert!(!matches(field.pattern, &format!("{good}{bad}")), "{}: {bad:?} at the end", field.name);
                assert!(!matches(field.pattern, &format!("{bad}{good}")), "{}: {bad:?} at the front", field.name);
                let inside = format!("{}{bad}{}", &good[..middle], &good[middle..]);
                assert!(!matches(field.pattern, &inside), "{}: {bad:?} inside", field.name);
            }
        }
        assert!(!matches(field.pattern, ""), "{}", field.name);
    }
}

/// Patterns keep to what Java's and POSIX's regular expressions share, so bash can stand in for CloudFormation.
fn matches(pattern: &str, value: &str) -> bool {
    Command::new("/bin/bash")
        .args(["-c", "[[ $2 =~ $1 ]]", "-", pattern, value])
        .env("LC_ALL", "C")
        .status()
        .expect("bash")
        .success()
}

#[test]
fn the_pieces_put_together_are_the_script() {
    let seed = seed(b"a program");
    let joined: String = user_data::parts()
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Seed(value) => match value.field().name {
                "stack_id" => seed.stack_id.clone(),
                "region" => seed.region.clone(),
                "url_suffix" => seed.url_suffix.clone(),
                "bucket" => seed.bucket.clone(),
                _ => seed.bootstrap_sha256.to_string(),
            },
        })
        .collect();
    assert_eq!(joined, user_data::render(&seed));
    assert_eq!(joined, Surroundings::default().render(&seed));
    let ids = joined.lines().filter(|line| line.contains(&seed.stack_id)).count();
    assert_eq!(ids, 1);
}

/// T2: a script cut short on its way does nothing at all. From the `main` of its last line on, it is whole.
#[test]
fn a_script_cut_anywhere_does_nothing() {
    let node = Node::new(json!({}));
    let script = node.script();
    let whole_from = script.rfind("main").unwrap() + "main".len();
    let line_ends = script.match_indices('\n').map(|(at, _)| at + 1);
    let between = (1..script.len()).step_by(61);
    let last_line = script.rfind("\nmain").unwrap()..whole_from;
    let cuts: Vec<usize> = line_ends.chain(between).chain(last_line).filter(|&at| at < whole_from).collect();
    assert!(cuts.len() > 500);
    for at in cuts {
        let file = node.path("cut");
        fs::write(&file, &script[..at]).unwrap();
        Command::new("/bin/bash")
            .arg(&file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("bash");
    }
    let boot = node.left_behind(None);
    assert!(boot.requests.is_empty() && boot.ran.is_none() && boot.console.is_empty());
    assert_eq!((node.names_in("usr/local/bin"), node.names_in("etc")), (vec![], vec![]));
}
