//! Facts about this machine that explain figures, and the memory that the pools need.

use std::fs;

use anyhow::{Result, ensure};

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

/// Refuses pools that would push the machine into swapping or worse.
///
/// # Errors
/// More than the allowed share of the available memory.
pub(crate) fn check_memory(needed_bytes: u64) -> Result<()> {
    let Some(available_bytes) = meminfo_bytes("MemAvailable:") else { return Ok(()) };
    let allowed_bytes = available_bytes / 100 * POOL_SHARE_PERCENT;
    ensure!(
        needed_bytes <= allowed_bytes,
        "found {available_bytes} bytes of memory available, expected at least {} for two pools of {}; use fewer tokens",
        needed_bytes / POOL_SHARE_PERCENT * 100,
        needed_bytes / 2
    );
    Ok(())
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
