//! What the supervisor says on standard input.

use std::io::{BufRead, BufReader, Read, Stdin};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::engine::{Command, MAX_LINE_BYTES, MESSAGE_VERSION, Start};

/// What follows the start.
pub(crate) struct Commands {
    go: Receiver<u64>,
}

/// Reads the start command, and listens on from then on.
///
/// # Errors
/// Another command, another version, or a case that cannot be.
pub(crate) fn read_start() -> Result<(Start, Commands)> {
    let mut input = BufReader::new(std::io::stdin());
    let line = read_line(&mut input)?;
    let start = match serde_json::from_str(&line).context("reading the start command")? {
        Command::Start(start) => start,
        Command::Go { .. } | Command::Stop {} => bail!("stopped before the start"),
    };
    ensure!(
        start.version == MESSAGE_VERSION,
        "found messages of version {}, expected {MESSAGE_VERSION}; use prefab-bootstrap and prefab-fabric of one release",
        start.version
    );
    start.case.validate()?;
    let (sender, go) = channel();
    std::thread::spawn(move || listen(input, &sender));
    Ok((start, Commands { go }))
}

impl Commands {
    /// Waits for the word to begin a flow; the stage's deadline bounds the wait.
    ///
    /// # Errors
    /// The word for another flow.
    pub(crate) fn wait_for_go(&self, flow: u64) -> Result<()> {
        let found = self.go.recv().context("the supervisor has gone")?;
        ensure!(found == flow, "found the word to begin flow {found}, expected {flow}");
        Ok(())
    }
}

/// Ends the process when the supervisor says so or goes. Whatever it wrote, it wants nothing that could be finished.
fn listen(mut input: BufReader<Stdin>, go: &Sender<u64>) {
    while let Ok(line) = read_line(&mut input) {
        match serde_json::from_str(&line) {
            Ok(Command::Go { flow }) => drop(go.send(flow)),
            _ => break,
        }
    }
    std::process::exit(1);
}

fn read_line(input: &mut BufReader<Stdin>) -> Result<String> {
    let mut line = String::new();
    let limit = u64::try_from(MAX_LINE_BYTES)?;
    input.take(limit).read_line(&mut line).context("reading standard input")?;
    ensure!(line.ends_with('\n'), "found no whole line on standard input; prefab-bootstrap starts this program");
    Ok(line)
}
