//! prefab builds, proves and measures AWS clusters for disaggregated LLM inference.
//!
//! One spec goes in; reviewable CloudFormation comes out. Start reading at [`spec`], then `stacks/cluster.rs`.
#![forbid(unsafe_code)]

pub mod cli;
pub mod exit;
pub mod finding;
pub mod spec;

pub mod resources;
pub mod stacks;
pub mod summary;
pub mod template;
pub mod user_data;

pub mod diff;

pub mod deploy;
pub mod lock;

pub mod aws;

pub mod fit;
pub mod instance_types;
pub mod report;
pub mod secret_literals;
mod table;
mod units;
