//! Boots that end well, and what they leave on the node.

use std::fs;
use std::process::Command;

use prefab_contract::node_seed::NodeSeed;
use serde_json::json;

use super::{ACCESS_KEY, Node, python, standin, wait};

/// K033: a good boot ends with the program's own exit code, whatever the last condition of the script was.
#[test]
fn a_good_boot_becomes_the_program_and_says_nothing_to_cloudformation() {
    let node = Node::new(json!({}));
    let boot = node.boot();
    boot.assert_handed_over(&node);
    boot.assert_said(&["this is Prefill0, i-0123456789abcdef0"]);
    let seed: NodeSeed =
        serde_json::from_str(&fs::read_to_string(node.path("etc/prefab/node-seed.json")).unwrap()).unwrap();
    assert_eq!(seed, node.seed);
    assert_eq!(node.mode("usr/local/bin/prefab-bootstrap"), 0o755);
    assert_eq!((node.mode("etc/prefab"), node.mode("etc/prefab/node-seed.json")), (0o755, 0o644));
    assert_eq!((node.names_in("usr/local/bin"), node.names_in("etc/prefab")), one_file_each());
    assert_eq!(fs::read_to_string(node.path("ran.umask")).unwrap(), "0077\n");
    // One question each, and nothing refused.
    let asked: Vec<_> = boot.requests.iter().map(|r| (r["method"].as_str().unwrap(), r["fault"].is_null())).collect();
    assert_eq!(asked, [("PUT", true), ("GET", true), ("GET", true), ("GET", true), ("GET", true), ("GET", true)]);
}

fn one_file_each() -> (Vec<String>, Vec<String>) {
    (vec!["prefab-bootstrap".into()], vec!["node-seed.json".into()])
}

#[test]
fn what_reaches_a_new_node_late_is_waited_for() {
    for changes in [
        json!({ "tag_missing": 2 }),
        json!({ "credentials_missing": 2 }),
        json!({ "program": "forbidden-until:3" }),
        json!({ "program": "unavailable-until:2" }),
    ] {
        let node = Node::new(changes);
        node.boot().assert_handed_over(&node);
    }
}

#[test]
fn a_wrong_clock_is_noticed_and_the_servers_time_taken_once() {
    for clock_ahead in [3_600, -86_400] {
        let node = Node::new(json!({ "clock_ahead": clock_ahead }));
        let boot = node.boot();
        boot.assert_handed_over(&node);
        assert_eq!(boot.output.matches("requests are signed with the server's time").count(), 1, "{}", boot.output);
        assert_eq!(boot.to("s3").count(), 2);
    }
}

#[test]
fn an_older_program_is_replaced_and_a_second_boot_does_the_same_again() {
    let node = Node::new(json!({}));
    fs::write(node.path("usr/local/bin/prefab-bootstrap"), "an older one").unwrap();
    node.boot().assert_handed_over(&node);
    node.boot().assert_handed_over(&node);
    assert_eq!((node.names_in("usr/local/bin"), node.names_in("etc/prefab")), one_file_each());
}

/// Neither a proxy nor a preset variable, nor somebody's curl settings, redirect a node; none of them reaches the program.
#[test]
fn the_environment_changes_nothing() {
    let node = Node::new(json!({}));
    fs::write(node.path(".curlrc"), "url = http://127.0.0.1:9/\nproxy = http://127.0.0.1:9\nverbose\n").unwrap();
    let home = node.folder.path().display().to_string();
    let mut child = node.start(
        &node.script(),
        &[
            ("HOME", &home),
            ("http_proxy", "http://127.0.0.1:9"),
            ("ALL_PROXY", "http://127.0.0.1:9"),
            ("BUCKET", "another-bucket"),
            ("SECRET_KEY", "exported"),
            ("STAGING", "/"),
            ("IMDS", "http://127.0.0.1:9"),
            ("PATH", "/nowhere"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("TZ", "Asia/Kathmandu"),
        ],
    );
    let boot = node.left_behind(wait(&mut child));
    boot.assert_handed_over(&node);
    let environment = fs::read_to_string(node.path("ran.environment")).unwrap();
    let mut names: Vec<&str> = environment.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    // The last four are bash's own, which runs the stand-in of the program.
    names.retain(|name| !["OLDPWD", "PWD", "SHLVL", "_"].contains(name));
    assert_eq!(names, ["LC_ALL", "PATH"]);
}

/// Secrets go through pipes: the command line and the environment of every tool are recorded, not sampled.
#[test]
fn no_tool_is_given_a_secret_in_its_command_line_or_environment() {
    for program in ["whole", "not-found"] {
        let mut node = Node::new(json!({ "program": program }));
        let log = node.path("commands");
        node.tools_without(&[], Some(&log));
        let boot = node.boot();
        if program == "whole" {
            boot.assert_handed_over(&node);
        } else {
            boot.assert_failed("download", &["NoSuchKey"]);
        }
        let commands = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
        assert!(commands.matches("curl\0").count() > 4 && commands.contains("sha256sum\0"));
        let [key, token, metadata] = &node.secrets;
        let hexadecimal: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        for secret in [key, token, metadata, &hexadecimal, ACCESS_KEY, "AWS4-HMAC"] {
            assert!(!commands.contains(secret), "{secret}");
        }
    }
}

/// botocore, which signs for the AWS CLI, comes to the same signatures for every request of a good and a bad boot.
#[test]
fn botocore_signs_the_same() {
    for (program, expected) in [("whole", 1), ("not-found", 3)] {
        let node = Node::new(json!({ "program": program }));
        node.boot();
        let output = Command::new(python())
            .arg(standin("botocore_signatures.py"))
            .arg(node.folder.path())
            .output()
            .expect("python3 runs tests/standins; `make setup` installs it");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "botocore is missing? `make setup` installs it\n{errors}");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(lines.lines().count() == expected && lines.lines().all(|line| line.starts_with("same ")), "{lines}");
    }
}
