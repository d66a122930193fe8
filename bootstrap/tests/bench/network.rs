//! Two nodes of one machine: network namespaces with a cable between them, gone with the test.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The addresses of the two nodes; each pair of namespaces has its own cable.
pub(crate) const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 78, 0, 1), Ipv4Addr::new(10, 78, 0, 2)];

/// The cable's ends.
const DEVICES: [&str; 2] = ["pf-left", "pf-right"];

/// Two namespaces, each kept by a process that waits for the end of its standard input.
pub(crate) struct Network {
    keepers: [Child; 2],
    pub(crate) roster: tempfile::TempDir,
}

impl Network {
    /// Makes it; `None`, with a word of why, where only root could.
    pub(crate) fn lay() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: two nodes need networks of their own, which only root can make");
            return None;
        }
        let network = Self { keepers: [keeper(), keeper()], roster: tempfile::tempdir().unwrap() };
        let [left, right] = [network.keepers[0].id().to_string(), network.keepers[1].id().to_string()];
        ip(&["link", "add", DEVICES[0], "netns", &left, "type", "veth", "peer", "name", DEVICES[1], "netns", &right]);
        for node in [0, 1] {
            network.ip(node, &["link", "set", "lo", "up"]);
            network.ip(node, &["address", "add", &format!("{}/24", ADDRESSES[node]), "dev", DEVICES[node]]);
            network.ip(node, &["link", "set", DEVICES[node], "up"]);
        }
        Some(network)
    }

    /// Takes the cable out of a node, or puts it in. No reset is sent to anybody.
    pub(crate) fn cable(&self, node: usize, state: &str) {
        self.ip(node, &["link", "set", DEVICES[node], state]);
    }

    /// A program on a node.
    pub(crate) fn command(&self, node: usize, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.keepers[node].id())).arg("--").arg(program);
        command
    }

    fn ip(&self, node: usize, arguments: &[&str]) {
        let status = self.command(node, Path::new("ip")).args(arguments).status().unwrap();
        assert!(status.success(), "ip {arguments:?}: {status}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            drop(keeper.stdin.take());
            // It ends by itself; the namespace goes with the last process in it.
            let _ended = keeper.wait();
        }
    }
}

fn keeper() -> Child {
    let mut command = Command::new("unshare");
    let child = command.args(["--net", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let child = child.expect("unshare is there; `make setup` has looked");
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    // The test's own time limit is the bound.
    while fs::read_link(format!("/proc/{}/ns/net", child.id())).is_ok_and(|theirs| theirs == own) {
        std::thread::yield_now();
    }
    child
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("ip is there; `make setup` has looked");
    assert!(status.success(), "ip {arguments:?}: {status}");
}
