//! Progress on standard error: a bar on a terminal, plain lines elsewhere, JSON lines for programs.

use std::io::{IsTerminal, Write};

use prefab_contract::bench_report::BenchProgress;

use super::options::ProgressKind;

const BAR_CELLS: usize = 24;

/// Where progress goes and how it looks there.
pub(crate) struct Progress {
    style: Style,
    title: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Bar { colour: bool },
    Lines,
    Json,
    Silent,
}

impl Progress {
    /// Chooses by the option, the terminal and NO_COLOR.
    pub(crate) fn new(kind: ProgressKind) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = match kind {
            ProgressKind::Json => Style::Json,
            ProgressKind::None => Style::Silent,
            ProgressKind::Human if std::io::stderr().is_terminal() => Style::Bar { colour: !no_colour },
            ProgressKind::Human => Style::Lines,
        };
        Self { style, title: String::new() }
    }

    /// Shows one step. A closed standard error hides progress and harms nothing else.
    pub(crate) fn show(&mut self, step: &BenchProgress) {
        if let BenchProgress::CaseBegan { case, cases, transport, operation, .. } = step {
            self.title = format!("[{case}/{cases}] {transport} {operation}");
        }
        let text = match self.style {
            Style::Silent => return,
            Style::Json => serde_json::to_string(step).map_or(String::new(), |line| line + "\n"),
            Style::Lines => self.line(step),
            Style::Bar { colour } => self.bar(step, colour),
        };
        let mut out = std::io::stderr().lock();
        let _unseen = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn line(&self, step: &BenchProgress) -> String {
        match step {
            BenchProgress::CaseBegan { .. } => format!("{} ...\n", self.title),
            BenchProgress::Round { .. } | BenchProgress::Flow { .. } => String::new(),
            BenchProgress::CaseEnded { gb_per_s: Some(rate), .. } => format!("{} {rate:.2} GB/s\n", self.title),
            BenchProgress::CaseEnded { gb_per_s: None, .. } => format!("{} no figure\n", self.title),
        }
    }

    fn bar(&self, step: &BenchProgress, colour: bool) -> String {
        let title = &self.title;
        match *step {
            BenchProgress::CaseBegan { .. } => format!("\r\x1b[K{title} ..."),
            BenchProgress::Round { round, rounds, gb_per_s, blocks_verified, .. } => {
                let cells = rounds.map_or(BAR_CELLS, |rounds| filled_cells(round, rounds));
                let cells = filled(cells, colour);
                format!("\r\x1b[K{title} [{cells}] {gb_per_s:.2} GB/s, {blocks_verified} blocks verified")
            }
            BenchProgress::Flow { elapsed_s, window_s, requests, gb_per_s, .. } => {
                let cells = filled(filled_cells(milliseconds(elapsed_s), milliseconds(window_s)), colour);
                format!("\r\x1b[K{title} [{cells}] {gb_per_s:.2} GB/s, {requests} requests")
            }
            BenchProgress::CaseEnded { .. } => "\r\x1b[K".to_owned(),
        }
    }
}

fn filled(cells: usize, colour: bool) -> String {
    let (full, empty) = ("#".repeat(cells), ".".repeat(BAR_CELLS - cells));
    if colour { format!("\x1b[32m{full}\x1b[0m{empty}") } else { full + &empty }
}

/// A bar needs no more than that, and no window has 2^53 milliseconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1e3) as u64
}

fn filled_cells(round: u64, rounds: u64) -> usize {
    let cells = BAR_CELLS as u64 * round.min(rounds) / rounds.max(1);
    usize::try_from(cells).unwrap_or(BAR_CELLS)
}
