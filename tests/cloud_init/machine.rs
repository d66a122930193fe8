//! A node that is on, with systemd as its first process: cloud-init's units start the node script, and prefab's own run.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use prefab_contract::boot_record::BootRecord;

use super::lab::Lab;
use super::node::Node;
use super::record::Boot;

/// No boot of a test takes longer, on a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(240);

const TICK: Duration = Duration::from_millis(50);

/// What systemd ends its namespace with when it reboots; powered off it would be SIGINT.
const REBOOTED: i32 = 1;

pub(super) struct Machine<'a> {
    node: &'a Node<'a>,
    process: Child,
    /// Systemd, as seen from here.
    first: u32,
    begun: Instant,
}

impl<'a> Machine<'a> {
    /// Switches a node on. What was asked and said before is forgotten.
    pub(super) fn on(lab: &Lab, node: &'a Node<'a>) -> Self {
        node.forget();
        node.behave(false);
        let begun = Instant::now();
        let mut process = lab.switch_on(node.address());
        let first = loop {
            if let Some(first) = first_process(process.id()) {
                break first;
            }
            assert!(process.try_wait().expect("wait").is_none() && begun.elapsed() < PATIENCE, "systemd did not start");
            std::thread::sleep(TICK);
        };
        Self { node, process, first, begun }
    }

    /// A program on the machine, as root.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.first)).args(["--all", "--", "/usr/bin/env", "-i"]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").args(words);
        command.stdin(Stdio::null());
        command
    }

    /// What a program on the machine says until it ends.
    pub(super) fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("nsenter is there; `make setup` has looked");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    /// Waits until systemd has nothing left to do. All units that it started are as they should be.
    #[track_caller]
    pub(super) fn settle(&self) {
        loop {
            let state = self.run(&["systemctl", "is-system-running", "--wait"]);
            match state.as_str() {
                "running" => return,
                "degraded" => panic!("{}\n{}", self.run(&["systemctl", "--failed", "--full"]), self.journal()),
                // It does not listen yet, or has more to do since.
                _ => assert!(self.begun.elapsed() < PATIENCE, "{state}\n{}", self.journal()),
            }
            std::thread::sleep(TICK);
        }
    }

    /// Waits until the node has put this phase into the bucket.
    #[track_caller]
    pub(super) fn wait_for_stage(&self, stage: &str) {
        while !self.look().records().iter().any(|record: &BootRecord| record.stage == stage) {
            assert!(self.begun.elapsed() < PATIENCE, "no {stage}\n{}", self.journal());
            std::thread::sleep(TICK);
        }
    }

    /// What systemd and its units have said since the machine was switched on.
    pub(super) fn journal(&self) -> String {
        self.run(&["journalctl", "--boot", "--no-pager", "--output=short-monotonic"])
    }

    /// A property of a unit.
    pub(super) fn property(&self, unit: &str, name: &str) -> String {
        self.run(&["systemctl", "show", "--value", "--property", name, unit])
    }

    /// What the boot has left so far.
    pub(super) fn look(&self) -> Boot {
        fs::write(self.node.path("status"), self.run(&["cloud-init", "status", "--long"])).expect("its status");
        Boot::read(self.node, self.begun.elapsed())
    }

    /// Waits for the end that systemd gives itself after a reboot was asked for.
    #[track_caller]
    pub(super) fn wait_for_reboot(mut self) {
        let begun = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.process.try_wait().expect("wait") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not reboot\n{}", self.journal());
            std::thread::sleep(TICK);
        };
        assert_eq!(status.signal(), Some(REBOOTED), "{status}");
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        // Its namespaces end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The process below this one that is the first of namespaces of its own and has become systemd.
fn first_process(above: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{above}/task/{above}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).find_map(|child: u32| {
        let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        if name == "systemd\n" { Some(child) } else { first_process(child) }
    })
}
