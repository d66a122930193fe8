//! What a reader must know before reading figures.

use prefab_contract::bench_report::{Mode, SLOW_LINK_SHARE};

use super::Context;
use crate::report::input::{Located, State, letter};
use crate::report::label::{carrier, took_another_path};
use crate::report::model::{Notice, Severity};
use crate::report::number::{count, figure, percent};

/// More notices of one kind than these are counted, not listed.
const MOST_ALIKE: usize = 5;

pub(super) fn notices(context: &Context<'_>) -> Vec<Notice> {
    let cases = &context.cases;
    let mut notices = Vec::new();
    if cases.is_empty() {
        notices.push(notice(Severity::Fault, "No case was measured.".to_owned()));
    }
    let about = |severity, kind: &str, of: &dyn Fn(&Located<'_>) -> Option<String>| {
        let texts: Vec<String> = cases.iter().filter_map(of).collect();
        let more = texts.len().saturating_sub(MOST_ALIKE);
        let mut listed: Vec<Notice> = texts.into_iter().take(MOST_ALIKE).map(|text| notice(severity, text)).collect();
        if more > 0 {
            let text = format!("{} more {kind}: see the table of all cases.", count(more, "case"));
            listed.push(notice(severity, text));
        }
        listed
    };
    notices.extend(about(Severity::Fault, "were cut short", &|it| cut_short(context, it)));
    notices.extend(about(Severity::Fault, "were not verified", &|it| {
        (it.state() == State::Complete && !it.case.verified).then(|| {
            format!("{}: not every block was compared and right; its figures count for nothing.", named(context, it))
        })
    }));
    notices.extend(about(Severity::Caution, "took another path", &|it| {
        (it.state() != State::Unavailable && took_another_path(it)).then(|| another_path(context, it))
    }));
    notices.extend(about(Severity::Caution, "left most of their link unused", &|it| {
        let share = it.case.link_share.filter(|share| *share < SLOW_LINK_SHARE && !it.has_prefill())?;
        Some(format!(
            "{}: {} of its link; something else limits it: outstanding requests, threads, the size of descriptors, or \
             another path than the one that was meant.",
            named(context, it),
            percent(share)
        ))
    }));
    notices.extend(busy(context));
    for bench in &context.inputs.benches {
        let remarks = &bench.content.environment.remarks;
        notices.extend(remarks.iter().map(|remark| notice(Severity::Remark, remark.clone())));
    }
    notices.extend(about(Severity::Caution, "were faster than their plain loops", &|it| {
        let ratio = it.case.ceiling_ratio.filter(|_| it.case.ceiling_is_invalid())?;
        let ratio = figure(ratio);
        Some(format!("{}: {ratio} × its plain loop, so that ceiling is wrong and is not shown.", named(context, it)))
    }));
    notices.extend(about(Severity::Remark, "could not run", &|it| unavailable(context, it)));
    if context.inputs.benches.iter().any(|bench| bench.content.environment.loopback) {
        let text = "Loopback: both ends share one machine, its memory bus and its processors. Such figures rank loops and \
                    predict no EFA rate; there is no line rate to hold them against.";
        notices.push(notice(Severity::Remark, text.to_owned()));
    }
    notices.sort_by_key(|notice| notice.severity);
    notices
}

fn notice(severity: Severity, text: String) -> Notice {
    Notice { severity, text }
}

fn named(context: &Context<'_>, it: &Located<'_>) -> String {
    format!("{} ({})", context.labels.whole(it), it.source())
}

fn cut_short(context: &Context<'_>, it: &Located<'_>) -> Option<String> {
    (it.state() == State::Partial).then(|| {
        let what = if it.case.mode == Mode::Steady { "measured request" } else { "measured round" };
        let number = if it.case.mode == Mode::Steady { it.case.requests } else { it.case.rounds };
        let rounds = count(usize::try_from(number).unwrap_or(usize::MAX), what);
        let why = it.case.failure.as_ref().map_or_else(
            || "no reason is given".to_owned(),
            |failure| format!("{} at the stage {}: {}", failure.side, failure.stage, failure.cause),
        );
        format!("{}: cut short after {rounds}; {why}", named(context, it))
    })
}

fn unavailable(context: &Context<'_>, it: &Located<'_>) -> Option<String> {
    let failure = it.case.failure.as_ref().filter(|_| it.state() == State::Unavailable)?;
    Some(format!("{}: not available on this machine; {}", named(context, it), failure.cause))
}

fn another_path(context: &Context<'_>, it: &Located<'_>) -> String {
    let named = named(context, it);
    match it.case.path.as_str() {
        "inconclusive" => format!("{named}: nothing proves that {} carried the bytes.", it.case.transport),
        path => {
            format!("{named}: {} was asked for, and {path} carried the bytes ({}).", it.case.transport, carrier(it))
        }
    }
}

/// Machines that had other work to do.
fn busy(context: &Context<'_>) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (number, bench) in context.inputs.benches.iter().enumerate() {
        let environment = &bench.content.environment;
        let own = std::iter::once((format!("The machine of {}", letter(number)), environment.load_before));
        let peers = environment
            .peers
            .iter()
            .map(|peer| (format!("Node {} of {}", peer.node, letter(number)), peer.load_before));
        for (machine, load) in own.chain(peers) {
            if let Some(load) = load.filter(|load| *load > 1.0) {
                let text = format!(
                    "{machine} was busy: its load was {} before the first case. Measure again when it is quiet.",
                    figure(load)
                );
                notices.push(notice(Severity::Caution, text));
            }
        }
    }
    notices
}
