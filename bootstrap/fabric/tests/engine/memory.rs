//! What an engine takes beside its pool.

use prefab_contract::engine::{CaseSpec, Mode, Operation, Transport, Until};
use prefab_contract::transfer::Shape;

use crate::pair::Pair;
use crate::program::{Engine, case};

/// The bound for one endpoint with host memory, in bytes.
const MOST_BYTES: u64 = 32 << 20;

/// The most memory that a process has ever had, in bytes.
fn peak_bytes(engine: &Engine) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

#[test]
fn an_engine_takes_at_most_32_mib_beside_its_pool_for_the_headlines_number_of_descriptors() {
    // 4,096 tokens of Qwen2.5-32B at TP 4 are 32,768 descriptors, each alone; small ones here, so that the pool is small.
    let shape = Shape::with_working_set([(64, 128, 256)], 0).unwrap();
    let until = Until::Milliseconds(3_600_000);
    for mode in [
        Mode::Request { outstanding: 1, until },
        Mode::Steady { outstanding: 1, ramp_ms: 0, window_ms: 3_600_000, rate_per_1000_s: None },
    ] {
        for transport in Transport::BUILTIN {
            for operation in Operation::ALL {
                let mut case = CaseSpec { mode, ..case(transport, operation) };
                case.shape = shape.clone().with_room_for(mode.room()).unwrap();
                case.scatter.fragmentation_ppm = 1_000_000;
                let mut pair = Pair::start(&case, |start| start);
                pair.is_underway();
                for engine in [&pair.initiator, &pair.target] {
                    let beside = peak_bytes(engine).saturating_sub(case.shape.pool_bytes());
                    assert!(beside <= MOST_BYTES, "found {beside} bytes for {transport} {operation} {}", mode.name());
                }
            }
        }
    }
}
