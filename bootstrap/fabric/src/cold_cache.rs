//! Equal caches before everything that is timed. Writing data and comparing it leave different blocks in the caches, which
//! would favour whatever runs after the one or the other by some percent.

use anyhow::Result;

use crate::transport::memory::Pool;

/// Bytes of a cache line, or a divisor of it.
const LINE_BYTES: usize = 64;

/// Reads `bytes` from the beginning of the pool, a line at a time, so that nothing else is left in the caches.
///
/// # Errors
/// Never for a pool that is not empty.
pub(crate) fn refill_caches(pool: &Pool, pool_bytes: u64, bytes: u64) -> Result<()> {
    let lines = pool.bytes(0, bytes.min(pool_bytes))?.iter().step_by(LINE_BYTES);
    std::hint::black_box(lines.fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
    Ok(())
}
