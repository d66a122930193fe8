//! How requests follow each other, for how long, and when their parts may leave.

use prefab_contract::engine::{Cut, Mode, Schedule, Until};
use prefab_contract::models::Model;

use super::mistakes::Mistakes;
use super::options::{Options, What};
use super::values::{named, number, positive};

/// Rounds of a case unless something else is asked for: the fewest that give a median.
const USUAL_ROUNDS: u64 = 20;

/// Rounds of `latency`: the fewest that give the 99th percentile.
const LATENCY_ROUNDS: u64 = 1000;

/// A steady window: long enough that single stalls do not decide.
const LEAST_STEADY_S: u64 = 5;

/// What runs before a steady window.
const RAMP_MS: u64 = 1000;

/// A prefill of vLLM's default budget of tokens a step.
const USUAL_CHUNK_TOKENS: u64 = 2048;

const MOST_OUTSTANDING: u64 = 1024;
const MOST_SECONDS: u64 = 86_400;
const MOST_ROUNDS: u64 = 1_000_000;

/// How requests follow each other.
pub(crate) fn mode(options: &Options, mistakes: &mut Mistakes) -> Mode {
    let is_rated = options.rate.is_some();
    let names = ["request", "steady"];
    let asked = options.mode.as_deref().and_then(|text| mistakes.take("--mode", named(text, &names, |name| name)));
    if options.what == What::Latency {
        for (option, is_given) in
            [("--mode", asked == Some("steady")), ("--q", options.q.is_some()), ("--rate", is_rated)]
        {
            if is_given {
                let expected = "one descriptor after another";
                mistakes.add(option, "given for latency", expected, "leave it out, or measure a sweep");
            }
        }
    }
    if is_rated && asked == Some("request") {
        let found = "--rate with --mode request";
        let expected = "a closed loop without a rate, or --mode steady with one";
        mistakes.add("--rate", found, expected, "use --mode steady, or leave --rate out");
    }
    let q = options.q.as_deref().map(|text| {
        let action = "1 is how vLLM's connector asks for one prompt";
        mistakes.take("--q", number(text, 1..=MOST_OUTSTANDING, action)).unwrap_or(1)
    });
    let outstanding = u32::try_from(q.unwrap_or(1)).unwrap_or(1);
    let length = length(options, mistakes);
    if asked == Some("steady") || (is_rated && asked.is_none()) {
        steady(options, outstanding, length, mistakes)
    } else {
        let rounds = if options.what == What::Latency { LATENCY_ROUNDS } else { USUAL_ROUNDS };
        let until = match length {
            Length::Usual => Until::Rounds(rounds),
            Length::Rounds(rounds) => Until::Rounds(rounds),
            Length::Requests(requests) => Until::Rounds(requests.div_ceil(u64::from(outstanding))),
            Length::Seconds(seconds) => Until::Milliseconds(seconds * 1000),
        };
        Mode::Request { outstanding, until }
    }
}

/// For how long.
enum Length {
    Usual,
    Rounds(u64),
    Requests(u64),
    Seconds(u64),
}

fn length(options: &Options, mistakes: &mut Mistakes) -> Length {
    let asked = [
        ("--rounds", &options.rounds, MOST_ROUNDS, Length::Rounds as fn(u64) -> Length),
        ("--requests", &options.requests, MOST_ROUNDS, Length::Requests),
        ("--duration", &options.duration, MOST_SECONDS, Length::Seconds),
    ];
    let mut lengths = Vec::new();
    for (option, text, most, length) in asked {
        let Some(text) = text else { continue };
        let action = "20 rounds give a median, 100 the 90th and 1000 the 99th percentile";
        lengths.push((option, mistakes.take(option, number(text, 1..=most, action)).map_or(Length::Usual, length)));
    }
    if let [(first, _), (second, _), ..] = &lengths[..] {
        let found = format!("{first} and {second}");
        mistakes.add(second, found, "one of --rounds, --requests and --duration", "leave one out");
    }
    lengths.pop().map_or(Length::Usual, |(_, length)| length)
}

fn steady(options: &Options, outstanding: u32, length: Length, mistakes: &mut Mistakes) -> Mode {
    let rate = options.rate.as_deref().and_then(|text| {
        let action = "give the requests a second that arrive at each rank";
        mistakes.take("--rate", positive(text, 1e6, action))
    });
    // The bounds were checked, so the cast neither cuts nor loses the sign.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rate_per_1000_s = rate.map(|rate| ((rate * 1000.0).round() as u64).max(1));
    let window_ms = match (length, rate_per_1000_s) {
        (Length::Usual, _) => LEAST_STEADY_S * 1000,
        (Length::Seconds(seconds), _) => seconds * 1000,
        (Length::Requests(requests), Some(rate)) => requests.saturating_mul(1_000_000).div_ceil(rate),
        (Length::Requests(_), None) => {
            let expected = "--duration, or --requests with --rate: a closed loop runs as fast as it can";
            mistakes.add("--requests", "a number of requests in steady mode", expected, "use --duration");
            LEAST_STEADY_S * 1000
        }
        (Length::Rounds(_), _) => {
            let expected = "--duration: steady mode counts what ends inside a time";
            mistakes.add("--rounds", "rounds in steady mode", expected, "use --duration, or --mode request");
            LEAST_STEADY_S * 1000
        }
    };
    if window_ms < LEAST_STEADY_S * 1000 {
        let found = format!("a steady window of {window_ms} ms");
        let expected = format!("at least {LEAST_STEADY_S} s, after a ramp of 1 s");
        mistakes.add("--duration", found, expected, "measure for longer");
    }
    Mode::Steady { outstanding, ramp_ms: RAMP_MS, window_ms, rate_per_1000_s }
}

/// How a prefill makes the parts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// All at its end.
    Whole,
    /// A layer at its share.
    Layerwise,
    /// So many tokens at their share.
    Chunked(u64),
}

/// When parts may leave, before the request is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefill {
    /// What leaves together.
    pub(crate) parts: Parts,
    /// How long it takes.
    prefill_ms: u64,
}

impl Prefill {
    /// The name of its schedule.
    pub(crate) fn name(self) -> &'static str {
        match self.parts {
            Parts::Whole => "whole",
            Parts::Layerwise => "layerwise",
            Parts::Chunked(_) => "chunked",
        }
    }

    /// The schedule of a request of so many tokens.
    pub(crate) fn of(self, model: &Model, tokens: u64) -> Schedule {
        let parts = match self.parts {
            Parts::Whole => 1,
            Parts::Layerwise => model.groups.iter().map(|group| u64::from(group.layers)).sum(),
            Parts::Chunked(chunk_tokens) => tokens.div_ceil(chunk_tokens),
        };
        let cut = match self.parts {
            Parts::Whole | Parts::Layerwise => Cut::Layers,
            Parts::Chunked(_) => Cut::Tokens,
        };
        Schedule { prefill_ms: self.prefill_ms, parts: u32::try_from(parts).unwrap_or(u32::MAX), cut }
    }
}

/// When parts of a request may leave, if a prefill is asked for.
pub(crate) fn prefill(options: &Options, mistakes: &mut Mistakes) -> Option<Prefill> {
    let names = ["whole", "layerwise", "chunked"];
    let asked =
        options.schedule.as_deref().and_then(|text| mistakes.take("--schedule", named(text, &names, |name| name)));
    let prefill_ms = options.prefill_ms.as_deref().and_then(|text| {
        mistakes.take("--prefill-ms", number(text, 1..=3_600_000, "give the time that the prefill takes"))
    });
    let chunk_tokens = options.chunk_tokens.as_deref().and_then(|text| {
        mistakes.take("--chunk-tokens", number(text, 1..=1_000_000, "give the tokens of one prefill step"))
    });
    if options.chunk_tokens.is_some() && asked != Some("chunked") {
        let expected = "a chunk only with --schedule chunked";
        mistakes.add("--chunk-tokens", "a chunk for another schedule", expected, "use --schedule chunked");
    }
    if options.schedule.is_some() && options.prefill_ms.is_none() {
        let expected = "how long the prefill takes";
        mistakes.add("--prefill-ms", "none beside --schedule", expected, "add --prefill-ms");
    }
    let parts = match asked.unwrap_or("whole") {
        "layerwise" => Parts::Layerwise,
        "chunked" => Parts::Chunked(chunk_tokens.unwrap_or(USUAL_CHUNK_TOKENS)),
        _ => Parts::Whole,
    };
    Some(Prefill { parts, prefill_ms: prefill_ms? })
}
