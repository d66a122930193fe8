//! The figures that most readers came for.

use super::{Context, transports};
use crate::report::input::{Located, State};
use crate::report::model::Headline;
use crate::report::number::{bytes, figure, percent};
use crate::units::grouped;

pub(super) fn headlines(context: &Context<'_>) -> Vec<Headline> {
    [transports::headline(context), fastest(context), budget(context), verified(context)]
        .into_iter()
        .flatten()
        .collect()
}

/// Cases whose figures count.
fn sound<'a, 'c>(context: &'c Context<'a>) -> impl Iterator<Item = &'c Located<'a>> {
    context.cases.iter().filter(|it| it.state() == State::Complete && it.case.verified)
}

/// Those of them that are transfers alone.
fn transfers<'a, 'c>(context: &'c Context<'a>) -> impl Iterator<Item = &'c Located<'a>> {
    sound(context).filter(|it| !it.has_prefill())
}

fn fastest(context: &Context<'_>) -> Option<Headline> {
    let bandwidth = |it: &&Located<'_>| it.case.gb_per_s.unwrap_or_default();
    let best = transfers(context).max_by(|a, b| bandwidth(a).total_cmp(&bandwidth(b)))?;
    Some(Headline {
        label: "Fastest".to_owned(),
        value: format!("{} GB/s", figure(best.case.gb_per_s?)),
        detail: format!(
            "{}: {} in {} ms ({})",
            context.labels.line(best),
            bytes(best.case.payload_bytes),
            figure(best.median_ms()?),
            best.source()
        ),
    })
}

/// What the longest prompt that was measured costs, by its best transport.
fn budget(context: &Context<'_>) -> Option<Headline> {
    let longest = transfers(context).map(|it| it.case.prompt_tokens).max()?;
    let time = |it: &&Located<'_>| it.median_ms().unwrap_or(f64::INFINITY);
    let best =
        transfers(context).filter(|it| it.case.prompt_tokens == longest).min_by(|a, b| time(a).total_cmp(&time(b)))?;
    let budget_ms = context.settings.ttft_budget_ms;
    Some(Headline {
        label: format!("Share of a first token within {} ms", figure(budget_ms)),
        value: percent(best.median_ms()? / budget_ms),
        detail: format!("{} tokens by {} ({})", grouped(longest), context.labels.line(best), best.source()),
    })
}

fn verified(context: &Context<'_>) -> Option<Headline> {
    let ran = context.cases.iter().filter(|it| it.state() != State::Unavailable).count();
    let sound = sound(context).count();
    let blocks: u64 = context.cases.iter().map(|it| it.case.blocks_verified).sum();
    (ran > 0).then(|| Headline {
        label: "Cases complete and verified".to_owned(),
        value: format!("{} of {}", grouped(sound as u64), grouped(ran as u64)),
        detail: format!("{} blocks compared and right", grouped(blocks)),
    })
}
