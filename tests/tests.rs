//! Everything that is tested from outside: the commands, their files, and what other programs say of them.
#![allow(unreachable_pub, reason = "modules of one test program share their builders")]

mod architecture;
mod cfn_guard;
mod cfn_lint;
mod deploy;
mod golden;
mod invariants;
mod mlflow;
mod prefab;
mod python;
mod release;

mod bench_harness;
mod cloud_init;
mod licences;
mod report;
mod specs;
mod synth;
mod user_data;
mod yaml;
