//! What the CLI and the node programs must agree on: serde types and arithmetic. Pure: no file, clock or network.
#![forbid(unsafe_code)]

pub mod bench_report;
pub mod boot_record;
pub mod check_report;
pub mod engine;
pub mod gpu;
pub mod kv;
pub mod models;
pub mod node_config;
pub mod node_seed;
pub mod path;
pub mod probe;
pub mod roster;
pub mod sha256;
pub mod task_file;
pub mod transfer;
