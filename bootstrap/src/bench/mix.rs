//! Prompts of several lengths at the same time, each with its share of the rate.

use prefab_contract::engine::Mode;

use super::mistakes::{Mistakes, Wrong};
use super::options::Options;
use super::values::{millionths, number};

/// One prompt length and its share of the rate, in millionths.
pub(crate) type Share = (u64, u32);

/// All shares together.
pub(crate) const WHOLE: u32 = 1_000_000;

/// The prompts of a mix, if one is asked for.
pub(crate) fn read(options: &Options, mistakes: &mut Mistakes) -> Option<Vec<Share>> {
    if options.mix.is_empty() {
        return None;
    }
    if !options.tokens.is_empty() {
        let found = "--mix and --tokens";
        mistakes.add("--mix", found, "one of the two: a mix names its prompt lengths", "leave --tokens out");
    }
    if options.rate.is_none() {
        let expected = "--rate, of which each prompt has its share";
        mistakes.add("--mix", "--mix without --rate", expected, "add the requests a second of all prompts together");
    }
    let shares: Vec<Share> = options.mix.iter().filter_map(|text| mistakes.take("--mix", share(text))).collect();
    let sum: u64 = shares.iter().map(|&(_, share)| u64::from(share)).sum();
    if shares.len() == options.mix.len() && sum.abs_diff(u64::from(WHOLE)) > 1000 {
        let found = format!("shares that sum to {sum} millionths");
        mistakes.add("--mix", found, "shares that sum to 1", "give every prompt length its share");
    }
    Some(shares)
}

fn share(text: &str) -> Result<Share, Wrong> {
    let action = "write a mix as 4096:0.7,32768:0.3";
    let (tokens, share) = text.split_once(':').ok_or_else(|| Wrong {
        found: format!("`{text}`"),
        expected: "a prompt length, a colon and a share".to_owned(),
        action: action.to_owned(),
    })?;
    Ok((number(tokens, 1..=1_000_000_000, action)?, millionths(share, action)?))
}

/// The mode of one prompt of a mix.
pub(crate) fn at_share(mode: Mode, share: u32) -> Mode {
    match mode {
        Mode::Steady { outstanding, ramp_ms, window_ms, rate_per_1000_s: Some(rate) } => {
            let rate = (rate.saturating_mul(u64::from(share)) / u64::from(WHOLE)).max(1);
            Mode::Steady { outstanding, ramp_ms, window_ms, rate_per_1000_s: Some(rate) }
        }
        other => other,
    }
}
