//! What the machine has left.

use std::fs;

use anyhow::{Result, ensure};

/// What is left to the rest of the machine.
const RESERVE_BYTES: u64 = 128 << 20;

/// Refuses pools that would not fit into memory.
///
/// # Errors
/// What was found and expected.
pub(crate) fn check_memory(bytes: u64) -> Result<()> {
    let Some(available) = available_bytes() else { return Ok(()) };
    ensure!(
        bytes.saturating_add(RESERVE_BYTES) <= available,
        "found {available} bytes of memory available, expected {bytes} for the pool and {RESERVE_BYTES} for the rest; use \
         fewer tokens or a smaller working set"
    );
    Ok(())
}

/// What the kernel says is available, within the limit of this process's own control group.
fn available_bytes() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let machine = meminfo_bytes(&meminfo, "MemAvailable:")?;
    Some(group_bytes().map_or(machine, |group| group.min(machine)))
}

/// What is left of the limit of this process's control group; none without one. Only the unified hierarchy is asked.
fn group_bytes() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let read = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup{path}/{name}")).ok()?.trim().parse::<u64>().ok();
    Some(read("memory.max")?.saturating_sub(read("memory.current")?))
}

fn meminfo_bytes(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read_in_bytes() {
        let meminfo = "MemTotal:       24000000 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(meminfo_bytes(meminfo, "MemAvailable:"), Some(20_480_000_000));
        assert_eq!(meminfo_bytes("MemTotal: 1 kB\n", "MemAvailable:"), None);
    }

    #[test]
    fn a_pool_beyond_the_machine_is_refused_with_both_figures() {
        check_memory(4096).unwrap();
        let error = check_memory(1 << 50).unwrap_err().to_string();
        assert!(error.contains("bytes of memory available, expected 1125899906842624"), "{error}");
    }
}
