//! `prefab-fabric run`: one case, from the start command to the last event.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use prefab_contract::engine::{Event, MESSAGE_VERSION, Role, Stage, Start};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::commands::{Commands, read_start};
use crate::control::PeerEnded;
use crate::events::{emit, emit_last};
use crate::transport::Unavailable;
use crate::transport::vm::keep_out;
use crate::watch::Watch;
use crate::{initiator, target};

/// Runs the case that standard input describes.
pub(crate) fn run() -> ExitCode {
    emit(&Event::Hello { version: MESSAGE_VERSION, engine_version: env!("CARGO_PKG_VERSION").to_owned() });
    // The start command says by how much deadlines are divided, so the wait for it has none: a supervisor that dies
    // closes the stream.
    let (start, commands) = match read_start() {
        Ok(started) => started,
        Err(error) => return failed(&error, Stage::Start),
    };
    let watch = Watch::begin(start.deadline_divisor);
    match follow(&start, &commands, &watch) {
        Ok(()) => {
            emit_last(&Event::Finished {});
            ExitCode::SUCCESS
        }
        Err(error) => {
            watch.report_rest();
            failed(&error, watch.stage())
        }
    }
}

fn follow(start: &Start, commands: &Commands, watch: &Arc<Watch>) -> Result<()> {
    // The kernel ends this engine when its supervisor dies, even while it hangs in a driver.
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to end with the supervisor")?;
    keep_out()?;
    match start.role {
        Role::Target { listen } => target::run(start, listen, watch),
        Role::Initiator { connect } => initiator::run(start, connect, commands, watch),
    }
}

fn failed(error: &anyhow::Error, stage: Stage) -> ExitCode {
    let unavailable = error.downcast_ref::<Unavailable>().map(|Unavailable(reason)| reason);
    let peers = match error.downcast_ref::<PeerEnded>() {
        Some(PeerEnded::Unavailable(reason)) => Some(reason),
        _ => None,
    };
    emit_last(&match unavailable.or(peers) {
        Some(reason) => Event::Unavailable { reason: reason.clone() },
        None => Event::Failed { stage, cause: format!("{error:#}") },
    });
    ExitCode::FAILURE
}
