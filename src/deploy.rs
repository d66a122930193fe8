//! What happens in an account, as plain logic over a seam: nothing here names an SDK, a file, a clock or a terminal.
//!
//! [`account`] is what an account can be asked and told, [`operator`] the person and the clock beside it, and
//! [`session::Session`] holds the two. `apply`, `destroy`, `recover` and `status` are the commands' data paths.

pub mod account;
pub mod commands;
pub mod machines;
pub mod operator;
pub mod session;

pub mod choices;
pub mod guard;
pub mod plan;
pub mod review;
pub mod stack_state;
pub mod upload;

pub mod apply;
pub mod change_set;
pub mod watch;

pub mod failure;
pub mod known_errors;

pub mod bucket;
pub mod capacity_block;
pub mod destroy;
pub mod drift;
pub mod leftovers;
pub mod lifetime;
pub mod preflight;
pub mod recover;
pub mod status;

pub mod rendezvous;
pub mod results;
pub mod run_command;
pub mod targets;

#[cfg(test)]
mod tests;
