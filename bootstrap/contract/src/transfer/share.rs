//! A request dealt among streams.

use super::Run;

/// Shares begin at multiples of this many bytes of payload: a page.
const STEP_BYTES: u64 = 4096;

/// The part of a request's runs that stream `number` of `streams` moves: neighbouring runs, equally many bytes to a page, the
/// runs at its borders cut. Both ends find the same.
pub fn share(runs: &[Run], number: u32, streams: u32) -> Vec<Run> {
    let total: u64 = runs.iter().map(|run| run.bytes).sum();
    let (begin, end) = (border(total, number, streams), border(total, number.saturating_add(1), streams));
    let mut passed = 0;
    let mut own = Vec::new();
    for run in runs {
        let (first, last) = (begin.max(passed), end.min(passed + run.bytes));
        if first < last {
            let skipped = first - passed;
            own.push(Run {
                source_offset: run.source_offset + skipped,
                destination_offset: run.destination_offset + skipped,
                bytes: last - first,
            });
        }
        passed += run.bytes;
    }
    own
}

/// Where the share of stream `number` begins, in bytes of payload.
fn border(total: u64, number: u32, streams: u32) -> u64 {
    if number >= streams {
        return total;
    }
    // Pools are at most 2^44 bytes, so the product stays within 64 bits.
    total * u64::from(number) / u64::from(streams) / STEP_BYTES * STEP_BYTES
}
