//! Boots that fail: nothing unverified runs, CloudFormation hears it once, and a person finds the reason.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{INSTANCE_ID, Node, wait};

/// The download's faults of goal R12, K030 and K123.
#[test]
fn a_bad_download_is_not_run() {
    let cases: [(&str, &str, &[&str]); 14] = [
        ("not-found", "download", &["not in the bucket", "HTTP 404 NoSuchKey", "prefab apply"]),
        ("forbidden", "download", &["gave up", "HTTP 403 AccessDenied: User is not authorized", "prefab apply"]),
        ("other", "verify", &["found a program of", "expected"]),
        ("empty", "verify", &["found a program of 0 bytes"]),
        ("html", "verify", &["found a program of 39 bytes"]),
        ("redirect", "download", &["found a redirect, HTTP 307"]),
        ("stall:50", "download", &["stalled", "curl exit 28"]),
        ("slow:0", "download", &["stalled", "curl exit 28"]),
        ("cut:0", "download", &["cut short", "curl exit 18"]),
        ("cut:1", "download", &["cut short"]),
        ("cut:50", "download", &["cut short"]),
        ("cut:90", "download", &["cut short"]),
        ("cut:99", "download", &["cut short"]),
        ("unsized:64", "download", &["larger than 1024 KiB"]),
    ];
    std::thread::scope(|scope| {
        for (program, stage, words) in cases {
            scope.spawn(move || {
                let node = Node::new(json!({ "program": program })).impatient();
                let begun = Instant::now();
                let boot = node.boot();
                boot.assert_failed(stage, words);
                assert!(!boot.output.contains("verified"), "{}", boot.output);
                assert!(begun.elapsed() < Duration::from_secs(30), "{program}: {:?}", begun.elapsed());
                assert_eq!(node.names_in("usr/local/bin"), [""; 0], "{program}");
            });
        }
    });
}

/// K120: without the tool there is no verification, and nobody claims one. openssl signs the message about it.
#[test]
fn without_sha256sum_nothing_is_fetched() {
    let mut node = Node::new(json!({}));
    node.tools_without(&["sha256sum"], None);
    let boot = node.boot();
    boot.assert_failed("settings", &["found no sha256sum"]);
    assert!(!boot.output.contains("verified"));
    assert!(!boot.to("s3").any(|request| request["method"] == "GET"));
}

#[test]
fn openssl_is_not_needed_where_sha256sum_is() {
    let mut node = Node::new(json!({}));
    node.tools_without(&["openssl"], None);
    node.boot().assert_handed_over(&node);
}

#[test]
fn without_curl_only_the_console_can_be_told() {
    let mut node = Node::new(json!({}));
    node.tools_without(&["curl"], None);
    let boot = node.boot();
    boot.assert_nothing_ran();
    boot.assert_said(&["found no curl", "CloudFormation cannot be told"]);
    assert_eq!(boot.requests.len(), 0);
}

/// K121: CloudFormation refuses such parameters; the script does not rely on it.
#[test]
fn a_hash_that_is_none_ends_the_boot() {
    let changes: [fn(&str) -> String; 3] = [|_| String::new(), |sha256| sha256[..63].into(), str::to_uppercase];
    for change in changes {
        let node = Node::new(json!({}));
        let sha256 = node.seed.bootstrap_sha256.as_str();
        let wrong = change(sha256);
        let script =
            node.script().replace(&format!("BOOTSTRAP_SHA256='{sha256}'"), &format!("BOOTSTRAP_SHA256='{wrong}'"));
        node.boot_script(&script).assert_failed("settings", &["expected 64 hexadecimal digits"]);
    }
}

#[test]
fn planted_links_are_refused_and_not_followed() {
    for planted in ["usr/local/bin/prefab-bootstrap", "etc/prefab/node-seed.json", "etc/prefab", "usr/local/bin"] {
        let node = Node::new(json!({}));
        let target = node.path("target");
        fs::write(&target, "precious").unwrap();
        match planted {
            "etc/prefab" => symlink(node.folder.path(), node.path(planted)).unwrap(),
            "usr/local/bin" => {
                fs::remove_dir(node.path(planted)).unwrap();
                symlink(node.folder.path(), node.path(planted)).unwrap();
            }
            _ => {
                fs::create_dir_all(node.path("etc/prefab")).unwrap();
                symlink(&target, node.path(planted)).unwrap();
            }
        }
        let stage = if planted.starts_with("etc") { "install" } else { "download" };
        node.boot().assert_failed(stage, &["to be a link or no", planted]);
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert!(!node.path("node-seed.json").exists() && !node.path("prefab-bootstrap").exists());
    }
}

#[test]
fn a_folder_in_the_programs_place_is_refused() {
    let node = Node::new(json!({}));
    fs::create_dir(node.path("usr/local/bin/prefab-bootstrap")).unwrap();
    node.boot().assert_failed("download", &["expected a file or nothing"]);
}

/// A right hash of a wrong program: it cannot start, so this script is still there to say so.
#[test]
fn a_program_that_does_not_start_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::with_program(folder, b"\x7fELF of another machine\0\0\0", json!({}));
    let boot = node.boot();
    boot.assert_failed("exec", &["did not start", "exit 126"]);
    assert!(boot.output.contains("verified"));
}

#[test]
fn a_node_without_its_tag_keeps_the_reason_under_its_instance_id() {
    let node = Node::new(json!({ "tag_missing": 100_000 })).impatient();
    let boot = node.boot();
    boot.assert_nothing_ran();
    boot.assert_said(&["no tag prefab:node: HTTP 404", "CloudFormation cannot be told"]);
    assert_eq!(boot.signals(), [""; 0]);
    assert_eq!(boot.reason().expect("a reason").node, INSTANCE_ID);
}

#[test]
fn a_node_without_credentials_or_metadata_tells_the_console_and_ends() {
    for (changes, words) in [
        (json!({ "credentials_missing": 100_000 }), "no role credentials: HTTP 404 (has the instance profile a role?)"),
        (json!({ "imds": "down" }), "IMDSv2 gave no token: HTTP 503"),
        (json!({ "instance_id": "<html>" }), "gave no instance id"),
        (json!({ "served_secret_key": "with \\\" quotes" }), "no role credentials"),
    ] {
        let node = Node::new(changes).impatient();
        let boot = node.boot();
        boot.assert_nothing_ran();
        boot.assert_said(&[words, "CloudFormation cannot be told"]);
        assert!(boot.to("s3").next().is_none() && boot.to("cloudformation").next().is_none());
    }
}

/// S3 quotes the request, its token too, when a signature is wrong; none of that is passed on.
#[test]
fn wrong_credentials_are_named_without_being_shown() {
    let mut node = Node::new(json!({ "served_secret_key": "AnotherSecretKeyOfTheRightAlphabet123456" })).impatient();
    node.surroundings.report_seconds = 1;
    let boot = node.boot();
    boot.assert_nothing_ran();
    boot.assert_said(&["HTTP 403 SignatureDoesNotMatch", "CloudFormation did not take the signal"]);
}

#[test]
fn the_signal_is_sent_until_it_is_taken_and_a_lost_reason_does_not_stop_it() {
    let node = Node::new(json!({ "program": "not-found", "signal_unavailable": 2 }));
    let boot = node.boot();
    boot.assert_nothing_ran();
    assert_eq!(boot.signals().len(), 3, "two were answered 503");
    boot.assert_said(&["did not take the signal: HTTP 503", "signalled FAILURE"]);

    let mut node = Node::new(json!({ "program": "not-found", "reason": "forbidden" }));
    node.surroundings.report_seconds = 1;
    let boot = node.boot();
    boot.assert_nothing_ran();
    boot.assert_said(&["the reason could not be kept in the bucket: HTTP 403", "signalled FAILURE"]);
    assert_eq!(boot.signals().len(), 1);
}

#[test]
fn a_wrong_clock_does_not_keep_a_failure_from_being_told() {
    // Without sha256sum S3 is not asked before the report, so the report itself finds out about the clock.
    for mut node in [Node::new(json!({ "clock_ahead": 7_200 })), Node::new(json!({ "clock_ahead": -7_200 }))] {
        node.tools_without(&["sha256sum"], None);
        node.boot().assert_failed("settings", &["found no sha256sum"]);
    }
}

#[test]
fn a_script_that_is_told_to_stop_says_so() {
    let node = Node::new(json!({ "program": "stall:50", "stall_seconds": 2 }));
    let mut child = node.start(&node.script(), &[]);
    let begun = Instant::now();
    while !fs::read_to_string(node.path("requests.jsonl")).is_ok_and(|requests| requests.contains("/bootstrap/")) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never asked for the program");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let boot = node.left_behind(wait(&mut child));
    boot.assert_failed("download", &["stopped by a signal"]);
}
