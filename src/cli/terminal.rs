//! The person at the terminal, their signals and their clock.

use std::cell::RefCell;
use std::io::{BufRead as _, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use super::progress::{Bars, Lines};
use crate::deploy::operator::{Notice, Operator, Question, Signal};
use crate::deploy::review::Review;
use crate::exit::Exit;

/// SIGINT and SIGTERM on Linux.
const SIGNALS: [i32; 2] = [2, 15];

/// A wait is cut into pieces, so that a signal ends it soon.
const SLICE: Duration = Duration::from_millis(50);

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Bars on a terminal, lines elsewhere.
    Person,
    /// A JSON value a line on standard output.
    Json,
    /// Not at all.
    Silent,
}

/// The person at the terminal.
pub(super) struct Terminal<'a> {
    out: RefCell<&'a mut dyn Write>,
    err: RefCell<&'a mut dyn Write>,
    style: Style,
    bars: Option<Bars>,
    lines: Lines,
    yes: bool,
    began: Instant,
    began_at: SystemTime,
    scale: f64,
    signal: Arc<AtomicUsize>,
}

impl<'a> Terminal<'a> {
    /// Watches for signals from now on. A second one ends the process at once.
    pub(super) fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        style: Style,
        yes: bool,
        scale: f64,
    ) -> anyhow::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for number in SIGNALS {
            let value = usize::try_from(number).context("a signal's number")?;
            let watching = "watching for signals";
            signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&again))
                .context(watching)?;
            signal_hook::flag::register(number, Arc::clone(&again)).context(watching)?;
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value).context(watching)?;
        }
        let moving = style == Style::Person && std::io::stderr().is_terminal();
        Ok(Self {
            out: RefCell::new(out),
            err: RefCell::new(err),
            style,
            bars: moving.then(Bars::new),
            lines: Lines,
            yes,
            began: Instant::now(),
            began_at: SystemTime::now(),
            scale,
            signal,
        })
    }

    /// Says how a command ended.
    pub(super) fn end(&self, word: &str, texts: &[String], exit: Exit) -> anyhow::Result<()> {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
        for text in texts {
            writeln!(self.err.borrow_mut(), "{word}: {text}")?;
        }
        if self.style == Style::Json {
            let json = serde_json::json!({ "kind": "ended", "exit": exit as u8, "texts": texts });
            writeln!(self.out.borrow_mut(), "{json}")?;
        }
        Ok(())
    }

    /// A result: text for a person, a JSON value for a program.
    pub(super) fn result(&self, text: &str, json: &serde_json::Value) -> anyhow::Result<()> {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
        let mut out = self.out.borrow_mut();
        if self.style == Style::Json {
            writeln!(out, "{json}")?;
        } else {
            writeln!(out, "{text}")?;
        }
        out.flush().context("writing the result")
    }

    /// A sentence for a person, beside the result.
    pub(super) fn say(&self, text: &str) {
        self.aside(text);
    }

    /// A line beside the result. Nobody who cannot be told is a reason to stop half-way through a deployment.
    fn aside(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.line(text),
            None => {
                let mut err = self.err.borrow_mut();
                let _unheard = writeln!(err, "{text}").and_then(|()| err.flush());
            }
        }
    }

    fn json(&self, value: &serde_json::Value) {
        let mut out = self.out.borrow_mut();
        let _unheard = writeln!(out, "{value}").and_then(|()| out.flush());
    }
}

impl Operator for Terminal<'_> {
    fn elapsed(&self) -> Duration {
        self.began.elapsed().mul_f64(self.scale)
    }

    fn now_seconds(&self) -> i64 {
        // The wall clock's own difference: a machine that slept did not stop the world.
        let passed = SystemTime::now().duration_since(self.began_at).unwrap_or_default().mul_f64(self.scale);
        let now = self.began_at.duration_since(UNIX_EPOCH).unwrap_or_default() + passed;
        i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
    }

    fn pause(&self, time: Duration) {
        let until = Instant::now() + time.div_f64(self.scale);
        let noticed = self.interrupted();
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::sleep(left.min(SLICE));
            // Only a signal that is new: after one, pauses are part of putting things in order.
            if noticed.is_none() && self.interrupted().is_some() {
                return;
            }
        }
    }

    fn jitter(&self) -> f64 {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        f64::from(nanos.wrapping_mul(2_654_435_761) ^ std::process::id()) / f64::from(u32::MAX)
    }

    fn interrupted(&self) -> Option<Signal> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            2 => Some(Signal::Interrupt),
            _ => Some(Signal::Terminate),
        }
    }

    fn tell(&self, notice: Notice) {
        if matches!(notice, Notice::Countdown { due: false, .. }) && self.bars.is_none() {
            return;
        }
        match self.style {
            Style::Silent => {}
            Style::Json => self.json(&Lines::json(&notice, self.elapsed())),
            Style::Person => {
                if let Some(bars) = &self.bars {
                    bars.follow(&notice);
                }
                // Bars say themselves what still goes on.
                if !(self.bars.is_some() && Bars::shows(&notice)) {
                    self.aside(&self.lines.text(&notice, self.elapsed()));
                }
            }
        }
    }

    fn show(&self, review: &Review) {
        match self.style {
            Style::Silent => {}
            Style::Json => self.json(&Lines::review(review)),
            Style::Person => self.aside(&review.to_string()),
        }
    }

    fn agrees(&self, question: &Question) -> bool {
        if self.yes && question.foreseen {
            return true;
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            let Question { text, answer, .. } = question;
            self.aside(&format!("{text}: nobody is at a terminal to type `{answer}`"));
            return false;
        }
        self.aside(&format!("{} [{}]", question.text, question.answer));
        let mut answer = String::new();
        // A signal while somebody thinks is an answer too.
        let read = stdin.lock().read_line(&mut answer);
        read.is_ok() && self.interrupted().is_none() && answer.trim() == question.answer
    }
}
