//! Boots that end well.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use prefab_contract::node_seed::NodeSeed;

use super::lab::{Lab, standin};
use super::node::{Node, program};
use crate::python;

/// K033, K039: two nodes at once, each with one signal under its own name.
#[test]
fn two_nodes_boot_at_once_and_each_signals_for_itself() {
    let Some(lab) = Lab::start() else { return };
    let nodes = [1, 2].map(|number| Node::new(&lab, number, &program()));
    std::thread::scope(|scope| {
        for node in &nodes {
            scope.spawn(|| {
                let boot = node.boot();
                boot.assert_handed_over();
                assert_eq!(boot.programs, ["prefab-bootstrap"]);
            });
        }
    });
    for node in &nodes {
        let metadata = fs::metadata(node.disk("usr/local/bin/prefab-bootstrap")).unwrap();
        assert_eq!((metadata.permissions().mode() & 0o7777, metadata.uid(), metadata.gid()), (0o755, 0, 0));
        let seed = fs::read_to_string(node.disk("etc/prefab/node-seed.json")).unwrap();
        assert_eq!(serde_json::from_str::<NodeSeed>(&seed).unwrap(), node.seed);
        // What cloud-init keeps is what it was given.
        let kept = format!("var/lib/cloud/instances/{}/user-data.txt", node.instance_id);
        let kept = fs::read_to_string(node.disk(&kept)).unwrap();
        assert_eq!(kept, prefab::user_data::render(&node.seed));
        let output = Command::new(python::program("python3"))
            .arg(standin("botocore_signatures.py"))
            .arg(node.path(""))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.lines().filter(|line| line.starts_with("same ")).count(), 2, "{said}");
    }
}

#[test]
fn a_reboot_does_not_run_the_script_again_and_another_instance_does() {
    let Some(lab) = Lab::start() else { return };
    let mut node = Node::new(&lab, 1, &program());
    node.boot().assert_handed_over();

    let reboot = node.boot();
    assert!(reboot.status.contains("status: done"), "{}", reboot.status);
    assert_eq!((reboot.started.len(), reboot.to("cloudformation").count(), reboot.to("s3").count()), (1, 0, 0));

    fs::remove_file(node.disk("started.jsonl")).unwrap();
    node.become_instance("i-0fedcba9876543210");
    node.boot().assert_handed_over();
}
