//! A lab ends whole, however it ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::lab::Lab;
use super::node::{Node, program};

/// Processes whose mounts carry the lab's name, which are all in its namespaces, or whose command line does.
fn processes_of(lab: &str) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").expect("/proc").map(|entry| entry.expect("entry").path());
    let of_lab = |process: &PathBuf| {
        ["mountinfo", "cmdline"]
            .iter()
            .any(|file| fs::read(process.join(file)).is_ok_and(|text| String::from_utf8_lossy(&text).contains(lab)))
    };
    all.filter(|path| path.join("mountinfo").exists()).filter(of_lab).collect()
}

/// Control groups of the whole machine that carry the lab's name.
fn groups_of(lab: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc");
    let folders = mounts.lines().filter(|line| line.contains(" cgroup2 ")).filter_map(|line| line.split(' ').nth(1));
    let entries = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains(lab)).collect()
}

/// The links and named namespaces of this machine itself.
fn network() -> (Vec<String>, Vec<String>) {
    let names = |folder: &str| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .map(|entries| entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        names.sort();
        names
    };
    (names("/sys/class/net"), names("/run/netns"))
}

#[track_caller]
fn assert_soon_gone(lab: &str) {
    let begun = Instant::now();
    while !processes_of(lab).is_empty() || !groups_of(lab).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?} {:?}", processes_of(lab), groups_of(lab));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A lab in the middle of a node's boot, its name, and the node.
fn busy_lab() -> Option<Lab> {
    let lab = Lab::start()?;
    let node = Node::new(&lab, 1, &program());
    node.behave(false);
    let mut power = lab.power_on("10.77.0.11");
    let mut line = String::new();
    BufReader::new(power.stdout.take().expect("piped")).read_line(&mut line).expect("the node says when it is ready");
    assert_eq!(line, "final\n");
    // Init, services and the node: nsenter, namespaces, shell.
    assert!(processes_of(lab.name()).len() > 4);
    std::thread::spawn(move || power.wait());
    drop(node);

    // Another one, whose systemd makes control groups.
    let node = Node::new(&lab, 2, &program());
    node.behave(false);
    let mut power = lab.switch_on(node.address());
    let begun = Instant::now();
    while !groups_of(lab.name()).iter().any(|group| group.join("system.slice").exists()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no control group: {:?}", power.try_wait());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::spawn(move || power.wait());
    drop(node);
    Some(lab)
}

#[test]
fn a_lab_that_is_dropped_leaves_nothing() {
    let before = network();
    let Some(lab) = busy_lab() else { return };
    assert_eq!(network(), before);
    let name = lab.name().to_owned();
    let files = lab.mount_point();
    drop(lab);
    assert_soon_gone(&name);
    assert_eq!(network(), before);
    assert_eq!(fs::read_dir(files).expect("the mount point").count(), 0);
}

/// After a panic destructors run. After Ctrl-C and SIGKILL none does: what is left is that the lab's input closes.
#[test]
fn a_lab_whose_owner_is_killed_leaves_nothing() {
    let before = network();
    let Some(mut lab) = busy_lab() else { return };
    lab.abandon();
    assert_soon_gone(lab.name());
    assert_eq!(network(), before);
}
