//! One engine, started by hand, possibly within something that changes its surroundings.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use prefab_contract::engine::{
    self, CaseSpec, Event, Fault, MESSAGE_VERSION, Memory, Mode, Operation, PairKey, Role, Start, Transport, Until,
};
use prefab_contract::transfer::{Scatter, Shape};
use rustix::process::{Pid, Signal, kill_process};

/// The longest that any test waits for an event: far above every deadline.
const PATIENCE: Duration = Duration::from_secs(120);

/// The engine: in `PREFAB_DIST`, or the one that was built with this test.
pub(crate) fn engine_path() -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_prefab-fabric"));
    let path = std::env::var_os("PREFAB_DIST").map_or(built, |dist| PathBuf::from(dist).join("prefab-fabric"));
    assert!(path.is_file(), "found no engine at {}; run `make build` and set PREFAB_DIST=dist", path.display());
    path
}

/// A small case: one verified round over a pool of a few megabytes.
pub(crate) fn case(transport: Transport, operation: Operation) -> CaseSpec {
    CaseSpec {
        transport,
        operation,
        memory: Memory::Host,
        memory_path: None,
        shape: Shape::with_working_set([(4096, 3, 20)], 1 << 20).unwrap(),
        scatter: Scatter { fragmentation_ppm: 500_000, seed: 3 },
        mode: Mode::Request { outstanding: 1, until: Until::Rounds(1) },
        streams: 1,
        schedule: None,
        ceilings: true,
        decode: false,
    }
}

/// Any free port of loopback.
pub(crate) const FREE_PORT: Role =
    Role::Target { listen: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0) };

/// A start command.
pub(crate) fn start(case: CaseSpec, role: Role, key: u8) -> Start {
    Start {
        version: MESSAGE_VERSION,
        pair_key: PairKey::from_bytes([key; 32]),
        case,
        role,
        rank: 0,
        gpu: None,
        deadline_divisor: 1,
        barrier: false,
        fault: None,
    }
}

/// The same with deadlines divided by ten, where they decide; a loaded machine may miss them.
pub(crate) fn tenth(start: Start) -> Start {
    Start { deadline_divisor: 10, ..start }
}

/// The same with a fault.
pub(crate) fn faulty(start: Start, fault: Fault) -> Start {
    Start { fault: Some(fault), ..start }
}

/// A command as its line.
pub(crate) fn line(command: &engine::Command) -> String {
    serde_json::to_string(command).unwrap() + "\n"
}

/// A running engine; killed when dropped.
pub(crate) struct Engine {
    child: Child,
    input: ChildStdin,
    events: Receiver<(Instant, Event)>,
}

impl Engine {
    /// Starts an engine with its case.
    pub(crate) fn with_start(start: Start) -> Self {
        Self::within(&[], &line(&engine::Command::Start(start)))
    }

    /// Starts an engine as the last arguments of another program, and writes its first line.
    pub(crate) fn within(wrapper: &[&str], first_line: &str) -> Self {
        let program = engine_path();
        let mut command = match wrapper {
            [] => Command::new(&program),
            [outer, arguments @ ..] => {
                let mut command = Command::new(outer);
                command.args(arguments).arg(&program);
                command
            }
        };
        Self::of(command.arg("run"), first_line)
    }

    /// As [`Engine::within`], with a command that is complete.
    pub(crate) fn of(command: &mut Command, first_line: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // An engine that refuses may be gone before the line is through.
        let _refused = input.write_all(first_line.as_bytes());
        let (sender, events) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
                drop(sender.send((Instant::now(), event)));
            }
        });
        Self { child, input, events }
    }

    /// Writes another command.
    pub(crate) fn command(&mut self, command: &engine::Command) {
        self.input.write_all(line(command).as_bytes()).unwrap();
    }

    /// The next event that the filter takes.
    ///
    /// # Panics
    /// The events end before.
    pub(crate) fn wait_for<T>(&mut self, filter: impl Fn(&Event) -> Option<T>) -> T {
        let mut last = None;
        loop {
            let Ok((_, event)) = self.events.recv_timeout(PATIENCE) else {
                panic!("the engine's events ended with {last:?}");
            };
            if let Some(found) = filter(&event) {
                return found;
            }
            last = Some(event);
        }
    }

    /// Where a target listens.
    pub(crate) fn address(&mut self) -> SocketAddr {
        self.wait_for(|event| match event {
            Event::Listening { address } => Some(*address),
            _ => None,
        })
    }

    /// All further events, to the end of the process.
    pub(crate) fn rest(mut self) -> Vec<Event> {
        self.timed_rest().into_iter().map(|(_, event)| event).collect()
    }

    /// As [`Engine::rest`], each with the moment at which it was read.
    pub(crate) fn timed_rest(&mut self) -> Vec<(Instant, Event)> {
        let until = Instant::now() + PATIENCE;
        let mut events = Vec::new();
        while let Ok(event) = self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            events.push(event);
        }
        assert!(Instant::now() < until, "the engine hangs after {:?}", events.last());
        self.child.wait().unwrap();
        events
    }

    /// The last event, after the engine ended.
    pub(crate) fn last_event(self) -> Event {
        self.rest().pop().expect("no event")
    }

    /// The process; a wrapper that became the engine has its id.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
