//! Running other people's programs: with a deadline, a cap on what they say, and nothing of them left behind.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{Host, Unreadable, plain};

/// The most that is kept of a program's output; a program that says more meets a closed pipe.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;

/// How long the pipes may stay open after the group was killed.
const DRAIN: Duration = Duration::from_millis(500);

/// How often the supervisor looks.
const TICK: Duration = Duration::from_millis(2);

/// A program that checks call.
pub(crate) struct Program {
    /// Under which a folder keeps its output: `.programs/<name>.out`, `.err` and `.code` (a number, `killed`, `timeout`).
    pub(crate) name: &'static str,
    /// Where it lies; no search path is used.
    pub(crate) path: &'static str,
    /// Its arguments.
    pub(crate) arguments: &'static [&'static str],
    /// It is killed after this long.
    pub(crate) bound: Duration,
}

/// What a program said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) ended: Ended,
    /// Standard output without control characters.
    pub(crate) output: String,
    /// Standard error without control characters.
    pub(crate) error: String,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this code.
    Code(i32),
    /// By a signal.
    Killed,
    /// Not in time; it was killed.
    Late,
}

impl Ran {
    /// The last line that it said, standard error first: the cause, for a report.
    pub(crate) fn last_words(&self) -> &str {
        let text = if self.error.trim().is_empty() { &self.output } else { &self.error };
        text.lines().rfind(|line| !line.trim().is_empty()).map_or("nothing", str::trim)
    }
}

/// Each program runs once, whoever asks.
#[derive(Default)]
pub(super) struct Outputs(Mutex<BTreeMap<&'static str, Arc<OnceLock<Answer>>>>);

type Answer = Result<Option<Ran>, Unreadable>;

impl Host {
    /// Runs a program, or gives its earlier answer; none when there is no such program.
    pub(crate) fn run(&self, program: &Program) -> Answer {
        let cell = {
            let mut outputs = self.outputs.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(outputs.entry(program.name).or_default())
        };
        cell.get_or_init(|| if self.is_machine() { start(program) } else { self.recorded(program) }).clone()
    }

    fn recorded(&self, program: &Program) -> Answer {
        let file = |end: &str| self.text(&format!("/.programs/{}.{end}", program.name));
        let (output, error, code) = (file("out")?, file("err")?, file("code")?);
        if output.is_none() && error.is_none() && code.is_none() {
            return Ok(None);
        }
        let ended = match code.as_deref().map(str::trim) {
            None => Ended::Code(0),
            Some("killed") => Ended::Killed,
            Some("timeout") => Ended::Late,
            Some(code) => Ended::Code(code.parse().map_err(|wrong| Unreadable::new(program.name, wrong))?),
        };
        Ok(Some(Ran { ended, output: output.unwrap_or_default(), error: error.unwrap_or_default() }))
    }
}

fn start(program: &Program) -> Answer {
    let spawned = Command::new(program.path)
        .args(program.arguments)
        .env("LC_ALL", "C")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match spawned {
        Ok(child) => supervise(child, program.bound).map(Some).map_err(|error| Unreadable::new(program.path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unreadable::new(program.path, error)),
    }
}

fn supervise(mut child: Child, bound: Duration) -> std::io::Result<Ran> {
    let (output, error) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let pid = Pid::from_child(&child);
    let deadline = Instant::now() + bound;
    // Looked at without reaping: until then the group's number cannot belong to anybody else.
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let mut is_late = false;
    while waitid(WaitId::Pid(pid), look)?.is_none() {
        if Instant::now() >= deadline {
            is_late = true;
            break;
        }
        std::thread::sleep(TICK);
    }
    // Also after a proper end: what it left in the background would hold the pipes.
    let _gone = kill_process_group(pid, Signal::KILL);
    let ended = match (is_late, reaped(&mut child)?) {
        (true, _) | (_, None) => Ended::Late,
        (false, Some(status)) => status.code().map_or(Ended::Killed, Ended::Code),
    };
    let text =
        |from: &Receiver<Vec<u8>>| plain(&String::from_utf8_lossy(&from.recv_timeout(DRAIN).unwrap_or_default()));
    Ok(Ran { ended, output: text(&output), error: text(&error) })
}

/// A child stuck in the kernel outlives SIGKILL; it must not hold us too.
fn reaped(child: &mut Child) -> std::io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + DRAIN;
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        std::thread::sleep(TICK);
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What came before an error is still worth showing.
            let _cut = pipe.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
        }
        let _late = sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &'static str, bound_ms: u64) -> Ran {
        let arguments: &'static [&'static str] = Vec::leak(vec!["-c", text]);
        let program = Program { name: "sh", path: "/bin/sh", arguments, bound: Duration::from_millis(bound_ms) };
        start(&program).unwrap().unwrap()
    }

    #[test]
    fn output_error_and_code_are_kept_without_control_characters() {
        let ran = shell("printf '\\033[31mred\\n'; echo why >&2; exit 61", 10_000);
        assert_eq!(ran, Ran { ended: Ended::Code(61), output: "red\n".into(), error: "why\n".into() });
        assert_eq!(ran.last_words(), "why");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let ran = shell("echo begun; sleep 1000 & sleep 1000", 200);
        assert_eq!((ran.ended, ran.output.as_str()), (Ended::Late, "begun\n"));
    }

    #[test]
    fn what_stays_in_the_background_does_not_hold_us() {
        let began = Instant::now();
        let ran = shell("sleep 1000 & echo done", 60_000);
        assert_eq!((ran.ended, ran.output.as_str()), (Ended::Code(0), "done\n"));
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn endless_output_is_cut() {
        let ran =
            shell("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", 20_000);
        assert_eq!(u64::try_from(ran.output.len()).unwrap(), MAX_OUTPUT_BYTES);
        assert_eq!(ran.ended, Ended::Killed);
    }

    #[test]
    fn a_missing_program_is_no_error() {
        let program = Program { name: "none", path: "/nonexistent", arguments: &[], bound: Duration::from_secs(1) };
        assert_eq!(start(&program), Ok(None));
    }
}
