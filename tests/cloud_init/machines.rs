//! Nodes with systemd: from user data to the signal, and what comes after it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use prefab_contract::check_report::CheckReport;
use prefab_contract::roster::RosterEntry;
use serde_json::{Value, json};

use super::STACK_UUID;
use super::cluster::{self, Cluster};
use super::lab::Lab;
use super::machine::Machine;
use super::node::Node;

const RESUME: &str = "prefab-node.service";
const ANSWER: &str = "prefab-peers.service";

const RUN: [&str; 4] = ["/usr/local/bin/prefab-bootstrap", "run", "--seed", "/etc/prefab/node-seed.json"];

/// The roster holds secrets: nobody but the nodes' role reads it.
fn entry(lab: &Lab, node: &Node<'_>) -> RosterEntry {
    let object = lab.object(&RosterEntry::key(STACK_UUID, &node.logical_id));
    serde_json::from_slice(&fs::read(object).expect("a roster entry")).expect("a roster entry")
}

fn document(node: &Node<'_>, file: &str) -> Value {
    let text = fs::read_to_string(node.disk(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

/// The unit answers where the roster says, under a user of its own, and nothing was left out to break a circle.
#[track_caller]
fn assert_answers(machine: &Machine<'_>, lab: &Lab, node: &Node<'_>) {
    assert_eq!(machine.property(ANSWER, "ActiveState"), "active", "{}", machine.journal());
    let process = machine.property(ANSWER, "MainPID");
    let status = machine.run(&["cat", &format!("/proc/{process}/status")]);
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of its status");
        line.split_whitespace().next().expect("a value").to_owned()
    };
    assert_ne!(line("Uid:"), "0");
    assert_eq!(line("CapEff:").trim_start_matches('0'), "", "no capability is left");
    // It is a process from the start, and listens once it knows who it is.
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let SocketAddr::V4(address) = entry(lab, node).address else { panic!("no address of version 4") };
        // As /proc/net/tcp shows it: the address as this machine's number, the port as a number.
        let listens = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
        let sockets = machine.run(&["cat", &format!("/proc/{process}/net/tcp")]);
        if sockets.contains(&format!("{listens} 00000000:0000 0A")) {
            break;
        }
        assert!(Instant::now() < until, "{listens}\n{sockets}\n{}", machine.journal());
        std::thread::sleep(Duration::from_millis(200));
    }
    let verified = machine.run(&["systemd-analyze", "verify", "default.target"]);
    assert!(!verified.contains("cycle") && !verified.contains("prefab"), "{}", verified);
}

/// What a good boot leaves on the node and in the bucket.
fn assert_left(lab: &Lab, node: &Node<'_>, peer: &str, rank: u32) {
    assert!(node.disk("opt/marks/marked").exists());
    assert_eq!(fs::read_to_string(node.disk("opt/met")).unwrap(), format!("{rank} of 2 at 10.77.0.11\n"));
    assert_eq!(document(node, "var/lib/prefab/facts.json")["peers"][0]["node"], peer);
    let checks: CheckReport = serde_json::from_value(document(node, "var/lib/prefab/check.json")).unwrap();
    let found = |id: &str| checks.checks.iter().find(|check| check.id == id).unwrap().found.clone();
    assert_eq!(found("network.peers"), "TCP reaches 1 peer");
    assert!(node.disk(&format!("var/lib/prefab/peers/{peer}.json")).exists());
    assert!(lab.object(&format!("results/{STACK_UUID}/{}/check.json", node.logical_id)).exists());
    let environment = fs::read_to_string(node.disk("etc/prefab/environment")).unwrap();
    assert!(environment.contains(&format!("VLLM_NIXL_SIDE_CHANNEL_HOST=\"{}\"", node.address())), "{environment}");
    // Whatever umask the node script has: shells, services and the engine's users read these.
    for (file, mode) in [
        ("etc/prefab/environment", 0o644),
        ("etc/prefab/node-config.json", 0o644),
        ("etc/profile.d/prefab.sh", 0o644),
        ("usr/local/bin/prefab-fabric", 0o755),
        ("var/lib/prefab/boot.json", 0o600),
    ] {
        assert_eq!(fs::metadata(node.disk(file)).unwrap().permissions().mode() & 0o7777, mode, "{file}");
    }
}

/// K033, K039: the whole way of two nodes, from user data to the proof that each reaches the other. Then by hand, twice at
/// once, and after a reboot: a node proves itself as often as it is asked, and signals once.
#[test]
fn two_nodes_prove_themselves_to_each_other_again_and_again_and_signal_once() {
    let Some(lab) = Lab::start() else { return };
    let nodes = Cluster::new().nodes(&lab);
    let [prefill, decode] = nodes.each_ref().map(|node| Machine::on(&lab, node));
    for (machine, node, peer, rank) in [(&prefill, &nodes[0], "Decode0", 0), (&decode, &nodes[1], "Prefill0", 1)] {
        machine.settle();
        let boot = machine.look();
        boot.assert_ready();
        boot.assert_said(&["verified prefab-bootstrap", "checks begins", "peers begins", "signal sent: SUCCESS"]);
        assert_left(&lab, node, peer, rank);
        assert_answers(machine, &lab, node);
    }
    let first = nodes.each_ref().map(|node| entry(&lab, node));
    assert_ne!(first[0].secret, first[1].secret);

    // The other node's unit answers; the lock lets one of two in.
    let by_hand = || decode.command(&RUN).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut ends = [by_hand(), by_hand()].map(|run| run.wait_with_output().unwrap());
    ends.sort_by_key(|end| end.status.code());
    let said = ends.each_ref().map(|end| String::from_utf8_lossy(&end.stderr).into_owned());
    assert_eq!(ends.each_ref().map(|end| end.status.code()), [Some(0), Some(4)], "{said:?}");
    assert!(said[1].contains("works on this node already"), "{}", said[1]);
    assert_eq!(decode.look().signals().len(), 1, "a second good boot says nothing new");
    decode.settle();
    assert_answers(&decode, &lab, &nodes[1]);

    prefill.run(&["systemctl", "reboot"]);
    prefill.wait_for_reboot();
    let prefill = Machine::on(&lab, &nodes[0]);
    prefill.settle();
    let boot = prefill.look();
    assert_eq!(boot.signals(), [""; 0], "{}", boot.console);
    boot.assert_went_well();
    assert_eq!(prefill.property(RESUME, "Result"), "success");
    let after = entry(&lab, &nodes[0]);
    assert!(after.secret != first[0].secret && after.boot_id != first[0].boot_id);
    assert_eq!(boot.records().pop().unwrap().boot_id.as_deref(), Some(after.boot_id.as_str()));
    assert_answers(&prefill, &lab, &nodes[0]);
}

/// A task may need a reboot, as drivers do: that is no failure, and the boot goes on where it was.
#[test]
fn a_boot_goes_on_after_a_reboot_in_the_middle_of_it() {
    let Some(lab) = Lab::start() else { return };
    let task = json!({ "version": 1, "name": "mark", "tasks": [
        { "id": "01-once", "name": "Once", "commands": ["date >> /opt/once"] },
        { "id": "02-reboot", "name": "A new driver", "commands": [
            "if [ ! -e /opt/rebooted ]; then touch /opt/rebooted; sync; systemctl reboot; sleep 600; fi",
        ] },
    ] });
    let [node, _absent] = Cluster::new().alone().with_task(&task.to_string()).nodes(&lab);
    let machine = Machine::on(&lab, &node);
    machine.wait_for_reboot();
    let interrupted = node.left();
    assert_eq!(interrupted.signals(), [""; 0], "{}", interrupted.console);
    interrupted.assert_said(&["tasks postponed: the machine reboots"]);
    let last = interrupted.records().pop().unwrap();
    assert_eq!((last.stage.as_str(), last.exit_code), ("tasks", None), "{last:?}");

    let machine = Machine::on(&lab, &node);
    machine.settle();
    let boot = machine.look();
    boot.assert_ready();
    let last = boot.records().pop().unwrap();
    assert!(last.boot_milliseconds > interrupted.records().pop().unwrap().boot_milliseconds, "{last:?}");
    assert_eq!(fs::read_to_string(node.disk("opt/once")).unwrap().lines().count(), 1, "done is done");
}

/// A cable is out while a node works and while the other one waits for it; both are ready in the end.
#[test]
fn a_network_that_ends_in_the_middle_and_comes_back_costs_time_and_nothing_else() {
    let Some(lab) = Lab::start() else { return };
    let task = cluster::TASK.replace("date -u", "sleep 5; date -u");
    let nodes = Cluster::new().with_task(&task).nodes(&lab);
    let [prefill, decode] = nodes.each_ref().map(|node| Machine::on(&lab, node));
    prefill.wait_for_stage("tasks");
    lab.connect(nodes[0].address(), false);
    decode.wait_for_stage("peers");
    std::thread::sleep(Duration::from_secs(15));
    lab.connect(nodes[0].address(), true);
    for machine in [&prefill, &decode] {
        machine.settle();
        let boot = machine.look();
        assert_eq!(boot.signals(), [boot.signal("SUCCESS")], "{}", boot.console);
        assert_eq!(boot.records().pop().unwrap().stage, "ready");
    }
}
