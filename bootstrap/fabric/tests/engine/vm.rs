//! builtin-vm where the kernel does not let one process copy from another: not available at both ends, with the reason.

use std::path::{Path, PathBuf};
use std::process::Command;

use prefab_contract::engine::{self, Event, Fault, Operation, Role, Start, Transport};
use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

use crate::pair::reason;
use crate::program::{Engine, FREE_PORT, case, engine_path, faulty, line, start};

fn start_of(role: Role) -> Start {
    start(case(Transport::BuiltinVm, Operation::Read), role, 1)
}

fn command(start: Start) -> String {
    line(&engine::Command::Start(start))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A copy of the engine that every user may run.
struct Everybodys(PathBuf);

impl Everybodys {
    fn copy() -> Self {
        let folder = std::env::temp_dir().join(format!("prefab-engine-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(engine_path(), folder.join("prefab-fabric")).unwrap();
        Self(folder)
    }

    /// Runs it as this user.
    fn run(&self, uid: u32, first_line: &str) -> Engine {
        let (uid, program) = (uid.to_string(), self.0.join("prefab-fabric"));
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "--"]).arg(program).arg("run");
        Engine::of(&mut command, first_line)
    }
}

impl Drop for Everybodys {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// Both ends' reasons, which are one.
fn refused(target: Engine, initiator: Engine) -> String {
    let [initiator, target] = [initiator, target].map(|engine| reason(&engine.last_event()).to_owned());
    assert_eq!(initiator, target);
    assert!(initiator.contains("builtin-tcp"), "it says what to do: {initiator}");
    initiator
}

#[test]
#[allow(clippy::print_stderr)]
fn another_user_and_a_target_that_is_not_dumpable_are_named() {
    if !is_root() {
        eprintln!("skipped: only root starts engines as other users");
        return;
    }
    let engines = Everybodys::copy();
    for (uids, keeps_out, words) in [
        ((65_533, 65_534), false, "the target runs as user 65533 and this engine as 65534"),
        ((65_534, 65_534), true, "the target is not dumpable"),
    ] {
        let target = start_of(FREE_PORT);
        let target = if keeps_out { faulty(target, Fault::KeepOut {}) } else { target };
        let mut target = engines.run(uids.0, &command(target));
        let connect = target.address();
        let initiator = engines.run(uids.1, &command(start_of(Role::Initiator { connect })));
        let reason = refused(target, initiator);
        assert!(reason.contains(words) && reason.contains("Operation not permitted"), "{reason}");
    }
    // The very same engines as one user, the target open to its peer alone: it works.
    let mut target = engines.run(65_534, &command(start_of(FREE_PORT)));
    let connect = target.address();
    let initiator = engines.run(65_534, &command(start_of(Role::Initiator { connect })));
    assert_eq!([initiator.last_event(), target.last_event()], [Event::Finished {}, Event::Finished {}]);
}

/// Runs an engine under a filter that forbids process_vm_readv, as profiles of containers do.
fn filtered(first_line: String) -> Engine {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    // The call's number on the only architecture that engines are built for.
    const PROCESS_VM_READV: i64 = 310;
    let rules = [(PROCESS_VM_READV, vec![])].into_iter().collect();
    let forbid = SeccompAction::Errno(1);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, forbid, architecture).unwrap();
    let program: seccompiler::BpfProgram = filter.try_into().unwrap();
    // A filter holds for the thread and what it starts. The thread stays: an engine ends with the one that started it.
    let (sender, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        seccompiler::apply_filter(&program).unwrap();
        sender.send(Engine::within(&[], &first_line)).unwrap();
        loop {
            std::thread::park();
        }
    });
    started.recv().unwrap()
}

#[test]
fn a_seccomp_profile_that_forbids_the_call_is_named_whichever_end_it_is_at() {
    for at_target in [true, false] {
        let run = |is_filtered: bool, first_line: String| {
            if is_filtered { filtered(first_line) } else { Engine::within(&[], &first_line) }
        };
        let mut target = run(at_target, command(start_of(FREE_PORT)));
        let connect = target.address();
        let initiator = run(!at_target, command(start_of(Role::Initiator { connect })));
        let reason = refused(target, initiator);
        assert!(reason.contains("a seccomp profile forbids process_vm_readv (Seccomp: 2)"), "{reason}");
    }
}

#[test]
fn a_foreign_process_namespace_is_named() {
    let unshare: &[&str] = match is_root() {
        true => &["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"],
        false => &["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"],
    };
    assert!(Path::new("/usr/bin/unshare").exists(), "`make setup` has looked");
    for at_target in [true, false] {
        let run = |is_foreign: bool, line: String| Engine::within(if is_foreign { unshare } else { &[] }, &line);
        let mut target = run(at_target, command(start_of(FREE_PORT)));
        let connect = target.address();
        let initiator = run(!at_target, command(start_of(Role::Initiator { connect })));
        let reason = refused(target, initiator);
        assert!(reason.contains("expected both engines in one process namespace"), "{reason}");
    }
}
