//! Facts about this machine that explain figures, and the memory that the pools need.

use std::fs;

/// The share of available memory that the pools may take.
const POOL_SHARE_PERCENT: u64 = 80;

/// Bytes of the last-level cache, from sysfs.
pub(crate) fn last_level_cache_bytes() -> Option<u64> {
    (0..8)
        .filter_map(|index| {
            let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
            let level: u32 = fs::read_to_string(format!("{folder}/level")).ok()?.trim().parse().ok()?;
            let kib: u64 = fs::read_to_string(format!("{folder}/size")).ok()?.trim().strip_suffix('K')?.parse().ok()?;
            Some((level, kib * 1024))
        })
        .max()
        .map(|(_, bytes)| bytes)
}

/// What a machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortage {
    /// What is there.
    pub(crate) found: String,
    /// What is needed.
    pub(crate) expected: String,
}

/// Whether pools of so many bytes together would push the machine into swapping or worse.
pub(crate) fn memory_shortage(needed_bytes: u64) -> Option<Shortage> {
    let available_bytes = meminfo_bytes("MemAvailable:")?;
    let allowed_bytes = available_bytes / 100 * POOL_SHARE_PERCENT;
    (needed_bytes > allowed_bytes).then(|| Shortage {
        found: format!("{available_bytes} bytes of memory available"),
        expected: format!(
            "at least {} for pools of {needed_bytes} together",
            (needed_bytes / POOL_SHARE_PERCENT).saturating_mul(100)
        ),
    })
}

/// The limit on locked memory, if it is below what is needed and this process is held to it.
pub(crate) fn memlock_shortage(needed_bytes: u64) -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current?;
    (limit < needed_bytes && !may_lock_any()).then_some(limit)
}

/// CAP_IPC_LOCK lifts the limit.
fn may_lock_any() -> bool {
    const IPC_LOCK: u64 = 1 << 14;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).is_some_and(|set| set & IPC_LOCK != 0)
}

/// Bytes of memory.
pub(crate) fn memory_bytes() -> Option<u64> {
    meminfo_bytes("MemTotal:")
}

fn meminfo_bytes(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The processor's name.
pub(crate) fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

/// The kernel's release.
pub(crate) fn kernel() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/osrelease").ok()?.trim().to_owned())
}

/// The load average of the last minute.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Processors that this process may use.
pub(crate) fn cpus() -> u64 {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What the fastest network interface carries, in GB/s, as its driver says.
pub(crate) fn fastest_interface_gb_per_s() -> Option<f64> {
    let interfaces = fs::read_dir("/sys/class/net").ok()?;
    let speeds_mbit = interfaces.filter_map(|interface| {
        let text = fs::read_to_string(interface.ok()?.path().join("speed")).ok()?;
        // -1 where nothing is plugged in.
        text.trim().parse::<u32>().ok()
    });
    speeds_mbit.max().map(|speed_mbit| f64::from(speed_mbit) / 8000.0)
}
