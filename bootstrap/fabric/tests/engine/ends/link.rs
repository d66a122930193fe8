//! Two network namespaces and a link between them, which can be cut. They go with this test's processes.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use prefab_contract::engine::{self, CaseSpec, Role, Start};

use crate::pair::Pair;
use crate::program::{Engine, line, start};

/// The target's end.
const TARGET: &str = "10.77.1.1";

/// The initiator's end.
const INITIATOR: &str = "10.77.1.2";

/// The link.
pub(crate) struct Link {
    target: Namespace,
    initiator: Namespace,
}

impl Link {
    /// Makes both namespaces, each with its end of a pair of interfaces.
    pub(crate) fn new() -> Self {
        let target = Namespace::new(None);
        let initiator = Namespace::new(Some(&target));
        let other = initiator.process.id().to_string();
        target.run(&["ip", "link", "add", "end", "type", "veth", "peer", "name", "end", "netns", &other]);
        for (namespace, address) in [(&target, TARGET), (&initiator, INITIATOR)] {
            namespace.run(&["ip", "address", "add", &format!("{address}/24"), "dev", "end"]);
            namespace.run(&["ip", "link", "set", "end", "up"]);
        }
        Self { target, initiator }
    }

    /// Starts both ends of a case, each in its namespace.
    pub(crate) fn pair(&self, case: &CaseSpec, change: impl Fn(Start) -> Start) -> Pair {
        let listen = Role::Target { listen: SocketAddr::new(TARGET.parse().unwrap(), 0) };
        let mut target = self.target.engine(change(start(case.clone(), listen, 1)));
        let connect = target.address();
        let initiator = self.initiator.engine(change(start(case.clone(), Role::Initiator { connect }, 1)));
        Pair { initiator, target }
    }

    /// Takes the link down: from now on nothing arrives, and nobody is told.
    pub(crate) fn cut(&self) {
        self.target.run(&["ip", "link", "set", "end", "down"]);
    }
}

/// A network namespace, held by a process that sleeps.
struct Namespace {
    process: Child,
    /// What enters it.
    enter: Vec<String>,
}

impl Namespace {
    /// A new one; one that is not root's owns a user namespace too, the first's.
    fn new(first: Option<&Self>) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        let mut command = match first.filter(|_| !is_root) {
            Some(first) => {
                let mut command = Command::new(&first.enter[0]);
                command.args(&first.enter[1..]).arg("unshare");
                command
            }
            None => Command::new("unshare"),
        };
        if !is_root && first.is_none() {
            command.args(["--user", "--map-root-user"]);
        }
        // The word says that the namespace is there.
        let mut process = command
            .args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(process.stdout.take().unwrap()), &mut word).unwrap();
        assert_eq!(word, "ready\n", "network namespaces are not permitted here");
        let pid = process.id().to_string();
        let mut enter = vec!["nsenter", "--target", &pid, "--net"];
        if !is_root {
            enter.extend(["--user", "--preserve-credentials"]);
        }
        enter.push("--");
        Self { enter: enter.into_iter().map(str::to_owned).collect(), process }
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.enter[0]);
        let status = command.args(&self.enter[1..]).args(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    }

    fn engine(&self, start: Start) -> Engine {
        let wrapper: Vec<&str> = self.enter.iter().map(String::as_str).collect();
        Engine::within(&wrapper, &line(&engine::Command::Start(start)))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
