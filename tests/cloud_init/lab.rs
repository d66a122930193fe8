//! A network of nodes and what they talk to, all of it in namespaces that end with it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::root;
use crate::prefab;
use crate::python;

const NSENTER: &str = "nsenter is there; `make setup` has looked";

/// A running lab. Dropping it, or the end of this process, ends everything in it.
pub(super) struct Lab {
    place: PathBuf,
    /// Names its mounts, and nothing else on this machine.
    name: String,
    /// The first process of its namespaces, as seen from here.
    first: u32,
    process: Child,
    /// The lab ends when this closes.
    input: Option<ChildStdin>,
}

pub(super) fn standin(name: &str) -> PathBuf {
    prefab::root().join("tests/standins").join(name)
}

impl Lab {
    /// Nothing where this machine cannot have one, which `make test` then closes with.
    pub(super) fn start() -> Option<Self> {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let place = root::place()?;
        let name = format!("prefab-lab-{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let mut process = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--"])
            .arg(standin("cloud_init_lab.sh"))
            .arg(&place)
            .arg(&name)
            .arg(python::program("python3"))
            // An interruption from the terminal ends this process and by that, and only by that, the lab.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is there; `make setup` has looked");
        let input = process.stdin.take();
        let mut said = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let first = said.next().and_then(|line| line.parse().ok());
        let lab = Self { place, name, first: first.expect("its process id"), process, input };
        assert_eq!(said.next().as_deref(), Some("ready"), "the services of the lab did not start");
        Some(lab)
    }

    /// What the kernel does when this process ends in any way, by which no destructor runs.
    pub(super) fn abandon(&mut self) {
        drop(self.input.take());
    }

    /// Where its files are mounted, which outside is an empty folder.
    pub(super) fn mount_point(&self) -> PathBuf {
        self.place.join("lab")
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A file of the lab, which only its own namespace has mounted.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let inside = self.mount_point().join(name);
        Path::new("/proc").join(self.first.to_string()).join("root").join(inside.strip_prefix("/").expect("absolute"))
    }

    /// An object of the bucket, under the flat name that the services give its key.
    pub(super) fn put_object(&self, key: &str, content: &[u8]) {
        let file = self.object(key);
        fs::create_dir_all(file.parent().expect("a folder")).expect("the bucket");
        fs::write(file, content).expect("an object");
    }

    /// Changes every object below a prefix by one byte.
    pub(super) fn change_objects(&self, prefix: &str) {
        let prefix = prefix.replace('/', "%2F");
        for entry in fs::read_dir(self.path("bucket")).expect("the bucket") {
            let file = entry.expect("an object").path();
            if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)) {
                let mut content = fs::read(&file).expect("an object");
                content.push(b' ');
                fs::write(file, content).expect("an object");
            }
        }
    }

    /// Where an object of the bucket lies.
    pub(super) fn object(&self, key: &str) -> PathBuf {
        self.path("bucket").join(key.replace('/', "%2F"))
    }

    /// One power-on of a node, stage by stage: a process that lives as long as the node is on.
    pub(super) fn power_on(&self, address: &str) -> Child {
        self.node(address, "stages").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(NSENTER)
    }

    /// One power-on of a node by systemd: a process that lives until systemd ends it.
    pub(super) fn switch_on(&self, address: &str) -> Child {
        self.node(address, "systemd").stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect(NSENTER)
    }

    /// Pulls a node's cable, or puts it back.
    pub(super) fn connect(&self, address: &str, is_up: bool) {
        let link = format!("node{}", address.rsplit('.').next().expect("an address"));
        let state = if is_up { "up" } else { "down" };
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.first)).args(["--net", "--", "ip", "link", "set", &link, state]);
        assert!(command.status().expect(NSENTER).success());
    }

    fn node(&self, address: &str, how: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.first))
            .args(["--mount", "--net", "--pid", "--"])
            .arg(standin("cloud_init_node.sh"))
            .arg(&self.place)
            .arg(address)
            .arg(how)
            .process_group(0);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.abandon();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // It takes its child, the first process, with it; that one takes the rest.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
