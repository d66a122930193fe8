//! Why the kernel does not let one process copy from another.

use std::io;

use prefab_contract::engine::Operation;

use super::AddressSpace;
use crate::transport::memory::Pool;
use crate::transport::process_memory::{Process, Spans};
use crate::transport::vectored::Piece;

/// Bytes of a page.
const PAGE_BYTES: u64 = 4096;

/// Whether the system calls exist and a process may at least read itself; the reason if not.
pub(crate) fn unavailable_here() -> Option<String> {
    let mut pools = (Pool::new(PAGE_BYTES).ok()?, Pool::new(PAGE_BYTES).ok()?);
    let own = Process(rustix::process::getpid().as_raw_nonzero().get());
    let there = pools.1.address();
    pools.1.touch();
    let one = Piece { offset: 0, bytes: 1 };
    let copied = Spans::default().copy(Operation::Read, own, pools.0.window(), &[one], there, &[one]);
    copied.err().map(|error| refusal(&error, None))
}

/// This process's namespace of process ids, where the system names it.
pub(super) fn namespace() -> Option<String> {
    Some(std::fs::read_link("/proc/self/ns/pid").ok()?.to_str()?.to_owned())
}

/// Why a target of another process namespace cannot be reached by its id; none if it is in this one, as far as the system says.
pub(super) fn foreign_namespace(target: &AddressSpace) -> Option<String> {
    let (here, there) = (namespace()?, target.namespace.as_ref()?);
    (here != *there).then(|| {
        format!(
            "found the target in the process namespace {there} and this engine in {here}, expected both engines in one \
             process namespace; run them in one, or use builtin-tcp"
        )
    })
}

/// What was found, what was expected, what to do. Without a target, this process could not even read itself.
pub(super) fn refusal(error: &anyhow::Error, target: Option<&AddressSpace>) -> String {
    let call = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    let facts = Facts::read();
    let advice = match (call, target) {
        (Some(libc::EPERM), None) => format!(
            "a seccomp profile forbids process_vm_readv (Seccomp: {}); allow it in the container, or use builtin-tcp",
            facts.seccomp
        ),
        (Some(libc::EPERM), Some(target)) => facts.of_permission(target),
        (Some(libc::ENOSYS), _) => {
            "this kernel or its seccomp profile has no process_vm_readv; use builtin-tcp".to_owned()
        }
        (Some(libc::ESRCH), _) => {
            "the target's process id means nothing here, expected both engines in one process namespace; run them in one, \
             or use builtin-tcp"
                .to_owned()
        }
        (Some(libc::EFAULT), _) => {
            "another process has the target's id here, expected both engines in one process namespace; run them in one, or \
             use builtin-tcp"
                .to_owned()
        }
        _ => "expected the call to succeed; use builtin-tcp".to_owned(),
    };
    format!("found {error:#}: {advice}")
}

/// What decides over the memory of other processes.
struct Facts {
    uid: u32,
    /// 0 none, 1 strict, 2 filters.
    seccomp: String,
    /// kernel.yama.ptrace_scope, where there is yama.
    yama: Option<String>,
}

impl Facts {
    fn read() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:")).unwrap_or("unknown");
        let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
        Self {
            uid: rustix::process::geteuid().as_raw(),
            seccomp: seccomp.trim().to_owned(),
            yama: yama.map(|scope| scope.trim().to_owned()),
        }
    }

    /// The first thing that explains why the kernel refuses.
    fn of_permission(&self, target: &AddressSpace) -> String {
        if self.uid != target.uid {
            return format!(
                "the target runs as user {} and this engine as {}, expected one user; run both as the same, or use \
                 builtin-tcp",
                target.uid, self.uid
            );
        }
        if !target.is_dumpable {
            return "the target is not dumpable, expected PR_SET_DUMPABLE to let its peer in; use builtin-tcp"
                .to_owned();
        }
        match self.yama.as_deref() {
            Some(scope @ ("2" | "3")) => format!(
                "kernel.yama.ptrace_scope is {scope}, expected 0 or 1, where a process may name its peer; lower it with \
                 sysctl, or use builtin-tcp"
            ),
            scope => format!(
                "expected permission to reach the peer's memory (kernel.yama.ptrace_scope {}, Seccomp {}); see the \
                 machine's security module, or use builtin-tcp",
                scope.unwrap_or("absent"),
                self.seccomp
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uid: u32, is_dumpable: bool) -> AddressSpace {
        AddressSpace { pid: 1, uid, namespace: None, pool_address: 0, notice_address: 0, nonce: [0; 32], is_dumpable }
    }

    #[test]
    fn the_first_cause_is_named() {
        let facts = |yama: Option<&str>| Facts { uid: 5, seccomp: "0".to_owned(), yama: yama.map(str::to_owned) };
        for (facts, target, words) in [
            (facts(None), target(6, false), "user 6 and this engine as 5"),
            (facts(None), target(5, false), "not dumpable"),
            (facts(Some("2")), target(5, true), "ptrace_scope is 2"),
            (facts(Some("3")), target(5, true), "ptrace_scope is 3"),
            (facts(Some("1")), target(5, true), "ptrace_scope 1, Seccomp 0"),
            (facts(None), target(5, true), "ptrace_scope absent"),
        ] {
            let text = facts.of_permission(&target);
            assert!(text.contains(words) && text.contains("builtin-tcp"), "{text}");
        }
    }

    #[test]
    fn a_process_that_does_not_exist_is_named_as_a_foreign_namespace() {
        let error = anyhow::Error::from(io::Error::from_raw_os_error(libc::ESRCH));
        assert!(refusal(&error, Some(&target(5, true))).contains("one process namespace"));
    }
}
