//! Boots by the real program against stand-ins of IMDS, S3 and CloudFormation: hundreds that fail, each of them one signal,
//! and it is true; and what answers peers afterwards.
#![expect(clippy::print_stderr, reason = "a test says what it does and what it left out")]

mod bed;
mod faults;
mod serve;
mod services;
mod supervisor;

use std::sync::atomic::{AtomicUsize, Ordering};

use bed::Bed;
use faults::FAULTS;
use services::Services;

/// Boots in all: every fault about as often as every other.
const BOOTS: usize = 300;

/// So many at once: mostly they wait.
const WORKERS: usize = 8;

#[test]
fn three_hundred_failing_boots_are_three_hundred_single_true_signals() {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let next = &next;
            scope.spawn(move || {
                let Some(services) = Services::start() else { return };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= BOOTS {
                        return;
                    }
                    let fault = &FAULTS[number % FAULTS.len()];
                    let variant = u32::try_from(number / FAULTS.len()).unwrap();
                    eprintln!("{number} (worker {worker}): {}, {variant}", fault.name);
                    Bed::new(&services, number).boot(fault, variant).assert_true(fault);
                }
            });
        }
    });
}
