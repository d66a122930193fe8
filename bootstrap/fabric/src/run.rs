//! `prefab-fabric run`: one case, from the start command to the last event.

use std::io::{BufRead, BufReader, Read, Stdin};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{Command, Event, MAX_LINE_BYTES, MESSAGE_VERSION, Role, Start};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::control::PeerEnded;
use crate::events::emit;
use crate::transport::Unavailable;
use crate::watch::Watch;
use crate::{initiator, target};

/// Runs the case that standard input describes.
pub(crate) fn run() -> ExitCode {
    emit(&Event::Hello { version: MESSAGE_VERSION, engine_version: env!("CARGO_PKG_VERSION").to_owned() });
    // The start command says by how much deadlines are divided, so the wait for it has none: a supervisor that dies
    // closes the stream.
    let (start, input) = match read_start() {
        Ok(started) => started,
        Err(error) => return ended(&error, None),
    };
    let watch = Watch::begin(start.deadline_divisor);
    match follow(start, input, &watch) {
        Ok(()) => {
            emit(&Event::Finished {});
            ExitCode::SUCCESS
        }
        Err(error) => ended(&error, Some(&watch)),
    }
}

fn follow(start: Start, input: BufReader<Stdin>, watch: &Arc<Watch>) -> Result<()> {
    // The kernel ends this engine when its supervisor dies, even while it hangs in a driver.
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to end with the supervisor")?;
    std::thread::spawn(move || end_with_input(input));
    match start.role {
        Role::Target { listen } => target::run(start.case, start.pair_key, listen, watch),
        Role::Initiator { connect } => initiator::run(&start.case, &start.pair_key, connect, watch),
    }
}

fn read_start() -> Result<(Start, BufReader<Stdin>)> {
    let mut input = BufReader::new(std::io::stdin());
    let line = read_line(&mut input)?;
    let start = match serde_json::from_str(&line).context("reading the start command")? {
        Command::Start(start) => start,
        Command::Stop {} => bail!("stopped before the start"),
    };
    ensure!(
        start.version == MESSAGE_VERSION,
        "found messages of version {}, expected {MESSAGE_VERSION}; use prefab-bootstrap and prefab-fabric of one release",
        start.version
    );
    start.case.shape.validate()?;
    ensure!(start.case.scatter.fragmentation_ppm <= 1_000_000, "found a fragmentation above 1");
    Ok((start, input))
}

fn read_line(input: &mut BufReader<Stdin>) -> Result<String> {
    let mut line = String::new();
    let limit = u64::try_from(MAX_LINE_BYTES)?;
    input.take(limit).read_line(&mut line).context("reading standard input")?;
    ensure!(line.ends_with('\n'), "found no whole line on standard input; prefab-bootstrap starts this program");
    Ok(line)
}

/// Ends the process when the supervisor says so or goes. Whatever it wrote, it wants nothing that could be finished.
fn end_with_input(mut input: BufReader<Stdin>) {
    let _stop_or_end = read_line(&mut input);
    std::process::exit(1);
}

fn ended(error: &anyhow::Error, watch: Option<&Watch>) -> ExitCode {
    let unavailable = error.downcast_ref::<Unavailable>().map(|Unavailable(reason)| reason);
    let peers = match error.downcast_ref::<PeerEnded>() {
        Some(PeerEnded::Unavailable(reason)) => Some(reason),
        _ => None,
    };
    emit(&match (unavailable.or(peers), watch) {
        (Some(reason), _) => Event::Unavailable { reason: reason.clone() },
        (None, watch) => Event::Failed {
            stage: watch.map_or(prefab_contract::engine::Stage::Start, Watch::stage),
            cause: format!("{error:#}"),
        },
    });
    ExitCode::FAILURE
}
