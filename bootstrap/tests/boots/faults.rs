//! What goes wrong, how the boot must end, and the words of its reason.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::bed::{Setup, entry};

/// How a boot ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The fault went by in time.
    Ready,
    /// One FAILURE.
    NotReady,
    /// Nobody could be told: the node does not know its name, or there is no network until the end.
    Unheard,
}

pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) end: End,
    /// What the reason says, and what a person sees; one of several where they stand between bars.
    pub(crate) words: &'static [&'static str],
    /// Changes the machine, the services or what the node is told; boots of one fault differ by the variant.
    pub(crate) arrange: fn(&mut Setup, u32),
    /// When a signal to end comes, and which.
    pub(crate) ends_after: fn(u32) -> Option<(Duration, Signal)>,
}

const fn fault(name: &'static str, end: End, words: &'static [&'static str], arrange: fn(&mut Setup, u32)) -> Fault {
    Fault { name, end, words, arrange, ends_after: |_| None }
}

fn commands(setup: &mut Setup, commands: &[&str]) {
    setup.task["tasks"][0]["commands"] = json!(commands);
}

/// A command that knows the proof: it is above the tasks' run, which is above the command's keeper.
pub(crate) fn in_the_proof(command: &str) -> String {
    format!("read -r _ _ _ run _ < /proc/$PPID/stat; read -r _ _ _ proof _ < \"/proc/$run/stat\"; {command}")
}

/// All of them.
pub(crate) const FAULTS: &[Fault] = &[
    fault("a command fails", End::NotReady, &["the tasks of task ended with exit status: 1"], |setup, variant| {
        commands(setup, &[&format!("exit {}", 1 + variant % 200)]);
    }),
    fault("a command kills its shell", End::NotReady, &["the tasks of task ended with"], |setup, _| {
        commands(setup, &["kill -9 $$"]);
    }),
    fault("a command kills its keeper", End::NotReady, &["the tasks of task ended with"], |setup, _| {
        commands(setup, &["kill -9 $PPID; sleep 30"]);
    }),
    fault(
        "a command kills the run of its tasks",
        End::NotReady,
        &["the tasks of task ended with signal: 9"],
        |setup, _| {
            commands(setup, &["read -r _ _ _ run _ < /proc/$PPID/stat; kill -9 \"$run\"; sleep 30"]);
        },
    ),
    fault("a command kills the proof itself", End::NotReady, &["without a verdict", "signal 9"], |setup, _| {
        commands(setup, &[&in_the_proof("kill -9 \"$proof\"; sleep 30")]);
    }),
    fault("a command aborts the proof", End::NotReady, &["without a verdict", "signal 6"], |setup, _| {
        commands(setup, &[&in_the_proof("kill -ABRT \"$proof\"; sleep 30")]);
    }),
    fault("the proof hangs", End::NotReady, &["the proof did not end in time"], |setup, _| {
        commands(setup, &[&in_the_proof("kill -STOP \"$proof\"; sleep 60")]);
        setup.config["peer_deadline_seconds"] = json!(120);
    }),
    fault("a command takes too long", End::NotReady, &["the tasks of task ended with"], |setup, _| {
        commands(setup, &["sleep 60"]);
        setup.task["tasks"][0]["timeout_seconds"] = json!(1);
    }),
    fault("the task file is none", End::NotReady, &["the tasks of task ended with"], |setup, variant| {
        setup.task = [json!([]), json!({ "name": "task" }), json!("no"), json!({})][variant as usize % 4].clone();
    }),
    fault("what was fetched is not what was reviewed", End::NotReady, &["not what was reviewed"], |setup, variant| {
        setup.changed.push(["config/", "bootstrap/", "tasks/"][variant as usize % 3]);
    }),
    fault("reading is forbidden", End::NotReady, &["AccessDenied"], |setup, variant| {
        let prefix = ["GET config/", "GET bootstrap/", "GET tasks/"][variant as usize % 3];
        setup.behaviour["forbidden"] = json!([prefix]);
    }),
    fault("the roster is forbidden", End::NotReady, &["roster", "AccessDenied"], |setup, _| {
        setup.behaviour["forbidden"] = json!(["PUT roster/"]);
    }),
    fault("writing the reason is forbidden too", End::NotReady, &["checks failed"], |setup, _| {
        setup.behaviour["forbidden"] = json!(["PUT "]);
        setup.config["expected"]["p5.48xlarge"]["gpus"] = json!(8);
    }),
    fault("S3 is overloaded", End::NotReady, &["SlowDown"], |setup, variant| {
        let prefix = ["GET config/", "GET bootstrap/", "GET tasks/", "PUT roster/"][variant as usize % 4];
        setup.behaviour["unavailable"] = json!([prefix]);
    }),
    fault("a portal answers for S3", End::NotReady, &[], |setup, variant| {
        let prefix = ["GET config/", "GET bootstrap/", "GET tasks/", "PUT roster/"][variant as usize % 4];
        setup.behaviour["html"] = json!([prefix]);
    }),
    fault("the NodeConfig is of another time", End::NotReady, &["version 99"], |setup, _| {
        setup.config["schema_version"] = json!(99);
    }),
    fault("the NodeConfig is torn", End::NotReady, &["reading the NodeConfig"], |setup, variant| {
        let fields = ["nodes", "expected", "engine", "ready", "profile"];
        setup.config.as_object_mut().unwrap().remove(fields[variant as usize % fields.len()]);
    }),
    fault("the node is not in its NodeConfig", End::NotReady, &["its NodeConfig does not have"], |setup, _| {
        setup.behaviour["logical_id"] = json!("Prefill0");
        setup.config["nodes"] = json!({ "Decode0": { "role": "decode", "instance_type": "p5.48xlarge" } });
    }),
    fault("the machine is not what was planned", End::NotReady, &["gpu.count"], |setup, variant| {
        setup.config["expected"]["p5.48xlarge"]["gpus"] = json!(1 + variant % 8);
    }),
    fault("EFA devices do not appear", End::NotReady, &["found 0 EFA devices", "modprobe efa"], |setup, variant| {
        setup.config["expected"]["p5.48xlarge"]["efa_interfaces"] = json!(1 + variant % 32);
    }),
    fault("a peer never comes", End::NotReady, &["1 of 1 peers did not answer", "Decode0"], |setup, _| {
        setup.config["nodes"]["Decode0"] = json!({ "role": "decode", "instance_type": "p5.48xlarge" });
        setup.config["peer_deadline_seconds"] = json!(120);
    }),
    fault("a peer has another key", End::NotReady, &["Decode0", "without the pair's key"], |setup, variant| {
        let secret = [u8::try_from(variant).unwrap(); 32];
        let entry = entry("Decode0", setup.impostor, secret);
        setup.peer("Decode0", serde_json::to_vec(&entry).unwrap());
    }),
    fault("a peer is no longer where it was", End::NotReady, &["Decode0", "TCP does not reach it"], |setup, _| {
        let entry = entry("Decode0", SocketAddr::from((setup.impostor.ip(), 9)), [1; 32]);
        setup.peer("Decode0", serde_json::to_vec(&entry).unwrap());
    }),
    fault("a peer's entry is none", End::NotReady, &["the roster entry of Decode0"], |setup, variant| {
        let other = serde_json::to_vec(&entry("Decode1", setup.impostor, [1; 32])).unwrap();
        setup.peer("Decode0", [other, b"{}".to_vec(), Vec::new()][variant as usize % 3].clone());
    }),
    fault("the metadata service ends in the middle and comes back", End::Ready, &[], |setup, variant| {
        setup.behaviour["imds_lost"] = json!({ "after": 1 + variant, "seconds": 0.3 });
    }),
    // Who cannot have a thread panics, and who cannot have memory aborts.
    fault("the proof gets no memory", End::NotReady, &["a fault of prefab itself|signal 6 ended it"], |setup, _| {
        commands(setup, &[&in_the_proof("prlimit --pid \"$proof\" --as=4096")]);
    }),
    fault("the proof gets no file", End::NotReady, &["Too many open files"], |setup, _| {
        commands(setup, &[&in_the_proof("prlimit --pid \"$proof\" --nofile=3")]);
    }),
    fault("the tag of the NodeConfig never comes", End::NotReady, &["no tag prefab:config"], |setup, _| {
        setup.behaviour["tags"] = json!({ "prefab:config": null });
    }),
    fault("the tag of the NodeConfig is none", End::NotReady, &["reading the tag prefab:config"], |setup, variant| {
        let tag = ["x", "0123456789abcdef", "$(id)"][variant as usize % 3];
        setup.behaviour["tags"] = json!({ "prefab:config": tag });
    }),
    fault("the metadata service never answers", End::Unheard, &["does not know its own name"], |setup, _| {
        setup.behaviour["imds_lost"] = json!({ "after": 0, "seconds": 600 });
    }),
    fault("the metadata service answers late", End::Ready, &[], |setup, _| {
        setup.behaviour["imds_lost"] = json!({ "after": 0, "seconds": 0.2 });
    }),
    fault("the network ends and comes back", End::NotReady, &["checks failed"], |setup, variant| {
        setup.config["expected"]["p5.48xlarge"]["gpus"] = json!(8);
        // From every request on that a boot makes, the first and the signal among them.
        setup.behaviour["network_lost"] = json!({ "after": 5 + variant % 4, "seconds": 1.5 });
    }),
    fault("the network ends for good", End::Unheard, &["signalling CloudFormation"], |setup, variant| {
        setup.behaviour["network_lost"] = json!({ "after": variant % 9, "seconds": 600 });
    }),
    fault("CloudFormation is overloaded for a while", End::NotReady, &["gpu.count"], |setup, variant| {
        setup.config["expected"]["p5.48xlarge"]["gpus"] = json!(8);
        setup.behaviour["signal_unavailable"] = json!(variant % 4);
    }),
    Fault {
        ends_after: |variant| Some((Duration::from_millis(u64::from(variant) * 40), Signal::TERM)),
        ..fault("SIGTERM", End::NotReady, &["told to end by signal 15"], |setup, _| {
            commands(setup, &["sleep 60"]);
        })
    },
    Fault {
        ends_after: |variant| Some((Duration::from_millis(u64::from(variant) * 40), Signal::HUP)),
        ..fault("its terminal hangs up", End::NotReady, &["told to end by signal 1 "], |setup, _| {
            commands(setup, &["sleep 60"]);
        })
    },
    fault("secrets of the plan that no task names", End::Ready, &[], |setup, variant| {
        let arn = format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:other-{variant}");
        setup.config["secrets"] = json!({ "OTHER": arn });
    }),
    fault("something lies where its lock belongs", End::NotReady, &["lock"], |setup, variant| {
        let (folder, lock) = (setup.root.join("run"), setup.root.join("run/prefab/boot.lock"));
        match variant % 3 {
            0 => std::fs::create_dir_all(lock).unwrap(),
            1 => std::fs::write(folder, "").unwrap(),
            _ => {
                std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink("/nowhere", lock).unwrap();
            }
        }
    }),
    fault("disk full: the node's state", End::NotReady, &["No space left"], |setup, variant| {
        setup.small = Some(("var/lib/prefab", 4 * (1 + variant % 2)));
        commands(setup, &["true"]);
    }),
    fault("disk full: the programs, or the settings", End::NotReady, &["No space left"], |setup, variant| {
        setup.small = Some((["usr", "etc/prefab"][variant as usize % 2], 4));
        setup.config["ports"] = (0..200).map(|port| (format!("a-port-with-a-long-name-{port}"), json!(port))).collect();
    }),
];
