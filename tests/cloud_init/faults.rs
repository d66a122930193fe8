//! Boots that meet a fault, each in real cloud-init and with the waits of a real node, all at the same time.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::lab::Lab;
use super::node::{Node, program};
use super::record::Boot;

enum Fault {
    /// The services behave otherwise from the moment the script starts.
    Services(Value),
    /// The image lacks a program.
    Without(&'static [&'static str]),
    /// Something lies where the program is to be installed.
    Planted(fn(&Node<'_>)),
    /// The folder of the program is on a disk of 1 MiB.
    SmallDisk,
    /// The image does not know the authority that signed the services' certificates.
    UnknownAuthority,
    /// The user data came with another hash.
    Hash(fn(&str) -> String),
}

enum End {
    /// The program was started and signalled SUCCESS.
    HandedOver,
    /// FAILURE was signalled and the reason kept: its stage, and what it says.
    Failed(&'static str, &'static [&'static str]),
    /// Nobody could be told but the person at the console.
    Untold(&'static [&'static str]),
}

use End::{Failed, HandedOver, Untold};
use Fault::{Hash, Planted, Services, SmallDisk, UnknownAuthority, Without};

const PROGRAM: &str = "usr/local/bin/prefab-bootstrap";

fn planted_file(node: &Node<'_>) {
    node.put(PROGRAM, b"#!/bin/bash\necho planted >>/started.jsonl\n");
}

fn planted_link(node: &Node<'_>) {
    node.put("etc/precious", b"precious");
    node.folder_of(PROGRAM);
    symlink("/etc/precious", node.disk(PROGRAM)).expect("a link on the node's disk");
}

fn program_is(how: &str) -> Fault {
    Services(json!({ "program": how }))
}

/// Goals R12, R13 and R14. The long ones come first, so that they wait side by side.
fn rows() -> Vec<(&'static str, Fault, End)> {
    vec![
        ("unknown authority", UnknownAuthority, Untold(&["gave up on the program", "TLS failed", "curl exit 60"])),
        ("stalled", program_is("stall:50"), Failed("download", &["gave up", "stalled"])),
        ("slow", program_is("slow:0"), Failed("download", &["gave up", "stalled"])),
        ("cut at once", program_is("cut:0"), Failed("download", &["gave up", "cut short"])),
        ("cut at the beginning", program_is("cut:1"), Failed("download", &["gave up", "cut short"])),
        ("cut in the middle", program_is("cut:50"), Failed("download", &["gave up", "cut short"])),
        ("cut late", program_is("cut:90"), Failed("download", &["gave up", "cut short"])),
        ("cut at the end", program_is("cut:99"), Failed("download", &["gave up", "cut short"])),
        ("reset in the middle", program_is("reset:50"), Failed("download", &["gave up", "cut short"])),
        ("no token", Services(json!({ "imds": "silent" })), Untold(&["IMDSv2 gave no token", "gave up after 60 s"])),
        (
            "403 that stays",
            Services(json!({ "program_key": "of another program" })),
            Failed("download", &["gave up", "HTTP 403 AccessDenied", "prefab apply"]),
        ),
        ("403 that heals", program_is("forbidden-until:7"), HandedOver),
        ("tag 20 s late", Services(json!({ "tags_late": 20 })), HandedOver),
        ("503 that heals", program_is("unavailable-until:3"), HandedOver),
        (
            "404",
            program_is("not-found"),
            Failed("download", &["not in the bucket", "HTTP 404 NoSuchKey", "prefab apply"]),
        ),
        ("other bytes", program_is("other"), Failed("verify", &["found a program of", "expected", "not run"])),
        ("no bytes", program_is("empty"), Failed("verify", &["found a program of 0 bytes"])),
        ("HTML", program_is("html"), Failed("verify", &["found a program of 39 bytes"])),
        ("redirect", program_is("redirect"), Failed("download", &["found a redirect, HTTP 307"])),
        ("clock an hour behind", Services(json!({ "clock_ahead": 3_600 })), HandedOver),
        ("clock a day ahead", Services(json!({ "clock_ahead": -86_400 })), HandedOver),
        ("full disk", SmallDisk, Failed("download", &["the disk is full"])),
        ("planted file", Planted(planted_file), HandedOver),
        (
            "planted link",
            Planted(planted_link),
            Failed("download", &["to be a link", "/usr/local/bin/prefab-bootstrap"]),
        ),
        ("no openssl", Without(&["/usr/bin/openssl"]), HandedOver),
        ("no sha256sum", Without(&["/usr/bin/sha256sum"]), Failed("settings", &["found no sha256sum"])),
        ("no hash", Hash(|_| String::new()), Failed("settings", &["expected 64 hexadecimal digits"])),
        ("63 digits", Hash(|sha256| sha256[1..].into()), Failed("settings", &["expected 64 hexadecimal digits"])),
        ("another hash", Hash(|_| "0af3".repeat(16)), Failed("download", &["HTTP 403"])),
    ]
}

fn boot(lab: &Lab, number: u8, fault: &Fault) -> Boot {
    let node = Node::new(lab, number, &program());
    let node = match fault {
        Services(changes) => node.then(changes.clone()),
        Without(names) => node.without(names),
        Planted(plant) => {
            plant(&node);
            node
        }
        SmallDisk => node.small("/usr/local/bin"),
        UnknownAuthority => node.with_the_images_authorities(),
        Hash(change) => {
            let sha256 = node.seed.bootstrap_sha256.to_string();
            node.told(|script| script.replace(&sha256, &change(&sha256)))
        }
    };
    let boot = node.boot();
    if matches!(fault, Planted(plant) if std::ptr::fn_addr_eq(*plant, planted_link as fn(&Node<'_>))) {
        assert_eq!(fs::read(node.disk("etc/precious")).expect("the link's target"), b"precious");
    }
    boot
}

/// Every row's boot, done once for all tests; nothing where this machine cannot have a lab.
static BOOTS: LazyLock<Vec<(&'static str, End, Boot)>> = LazyLock::new(|| {
    let Some(lab) = Lab::start() else { return Vec::new() };
    let lab = &lab;
    std::thread::scope(|scope| {
        let boots: Vec<_> = (1..)
            .zip(rows())
            .map(|(number, (name, fault, end))| (name, end, scope.spawn(move || boot(lab, number, &fault))))
            .collect();
        boots.into_iter().map(|(name, end, boot)| (name, end, boot.join().expect("it boots"))).collect()
    })
});

fn check(name: &str, end: &End, boot: &Boot) {
    match end {
        HandedOver => boot.assert_handed_over(),
        Failed(stage, words) => boot.assert_failed(stage, words),
        Untold(words) => {
            boot.assert_nothing_ran();
            boot.assert_silent();
            boot.assert_said(words);
        }
    }
    let installed: &[&str] =
        if matches!(end, HandedOver) || name == "planted link" { &["prefab-bootstrap"] } else { &[] };
    assert_eq!(boot.programs, installed);
}

/// All rows are looked at, and each that is wrong is shown.
fn check_rows(which: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for (name, end, boot) in BOOTS.iter().filter(|(name, ..)| which(name)) {
        if std::panic::catch_unwind(|| check(name, end, boot)).is_err() {
            wrong.push(*name);
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_fault_ends_in_time_and_is_told_truly() {
    check_rows(|_| true);
}

/// K030: a failed step ends the boot, the later ones are not run, and cloud-init's own status says so.
#[test]
fn k030_a_failed_download_fails_the_whole_boot() {
    check_rows(|name| ["404", "403 that stays", "redirect"].contains(&name));
}

/// K033: no trailing condition makes a good boot look bad.
#[test]
fn k033_a_boot_that_had_to_wait_is_a_good_boot() {
    check_rows(|name| ["403 that heals", "503 that heals", "tag 20 s late", "no openssl"].contains(&name));
}

/// K120: without the tool nobody says that anything was verified.
#[test]
fn k120_without_sha256sum_nothing_is_called_verified() {
    check_rows(|name| name == "no sha256sum");
    for (_, _, boot) in BOOTS.iter().filter(|(name, ..)| *name == "no sha256sum") {
        assert!(!boot.console.contains("verified"), "{}", boot.console);
        assert!(!boot.to("s3").any(|request| request["method"] == "GET"));
    }
}

/// K121: a wrong hash never passes.
#[test]
fn k121_a_hash_that_is_none_or_another_ends_the_boot() {
    check_rows(|name| ["no hash", "63 digits", "another hash"].contains(&name));
}

/// K123: neither a part of the program nor a page in its place is run.
#[test]
fn k123_a_truncated_program_is_not_run() {
    check_rows(|name| name.starts_with("cut ") || ["no bytes", "HTML"].contains(&name));
    for (name, _, boot) in BOOTS.iter().filter(|(name, ..)| name.starts_with("cut ")) {
        let attempts = boot.to("s3").filter(|request| request["method"] == "GET").count();
        assert!((2..30).contains(&attempts), "{name}: {attempts}");
        assert!(boot.final_stage < Duration::from_secs(120));
    }
}
