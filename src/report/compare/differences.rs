//! What may differ between sides that are compared, and that a reader then wants to know.

use std::collections::BTreeSet;

use prefab_contract::bench_report::Environment;
use prefab_contract::engine::PathFacts;

use super::{Pair, Side};
use crate::report::input::{Located, letter};
use crate::report::number::{NOT_MEASURED, count, figure};

/// A fact about where a side ran.
struct Fact {
    name: &'static str,
    of: fn(&Environment) -> String,
}

/// A fact about the way of a case's bytes.
struct Way {
    name: &'static str,
    of: fn(&PathFacts) -> Option<&str>,
}

const FACTS: &[Fact] = &[
    Fact { name: "processor", of: |it| it.cpu_model.clone().unwrap_or_else(|| NOT_MEASURED.to_owned()) },
    Fact { name: "processors in use", of: |it| it.cpus.to_string() },
    Fact { name: "kernel", of: |it| it.kernel.clone().unwrap_or_else(|| NOT_MEASURED.to_owned()) },
    Fact { name: "prefab-bootstrap", of: |it| it.bootstrap_version.clone() },
    Fact { name: "prefab-fabric", of: |it| it.engine_version.clone().unwrap_or_else(|| NOT_MEASURED.to_owned()) },
    Fact { name: "seed", of: |it| it.seed.to_string() },
];

const WAYS: &[Way] = &[
    Way { name: "library", of: |it| it.library.as_deref() },
    Way { name: "device", of: |it| it.device.as_deref() },
    Way { name: "completion", of: |it| Some(&it.completion) },
    Way { name: "waiting", of: |it| Some(&it.waiting) },
];

/// What else differs between the sides.
pub(super) fn environments(sides: &[Side]) -> Vec<String> {
    let mut sentences = Vec::new();
    for fact in FACTS {
        let values: Vec<String> = sides
            .iter()
            .map(|side| {
                let values: BTreeSet<String> =
                    side.runs.iter().map(|run| (fact.of)(&run.content.environment)).collect();
                values.into_iter().collect::<Vec<_>>().join(" and ")
            })
            .collect();
        if values.iter().any(|value| Some(value) != values.first()) {
            let told = values.iter().enumerate().map(|(number, value)| format!("{value} in {}", letter(number)));
            sentences.push(format!("{}: {}", fact.name, told.collect::<Vec<_>>().join(", ")));
        }
    }
    sentences.extend(busy(sides));
    sentences
}

/// What else differs between the ways of like cases; of cases that differ in the same the first one is named.
pub(super) fn ways(pairs: &[Pair<'_>]) -> Vec<String> {
    let mut seen: Vec<(String, usize, String)> = Vec::new();
    for (way, pair) in WAYS.iter().flat_map(|way| pairs.iter().map(move |pair| (way, pair))) {
        let of = |side: &[Located<'_>]| Some((way.of)(side.first()?.case.facts.as_ref()?)?.to_owned());
        let (Some(one), Some(other)) = (of(&pair.baseline), of(&pair.other)) else { continue };
        if one == other {
            continue;
        }
        let told = format!("{}: {one} in {}, {other} in {}", way.name, pair.baseline_letter, pair.other_letter);
        match seen.iter_mut().find(|(sentence, ..)| *sentence == told) {
            Some((_, times, _)) => *times += 1,
            None => seen.push((told, 1, pair.likeness.name())),
        }
    }
    let sentence = |(told, times, first): (String, usize, String)| match times {
        1 => format!("{told} ({first})"),
        more => format!("{told} ({first} and {} more)", count(more - 1, "case")),
    };
    seen.into_iter().map(sentence).collect()
}

/// Sides that were measured on a machine with other work.
fn busy(sides: &[Side]) -> Vec<String> {
    let load = |side: &Side| {
        side.runs
            .iter()
            .filter_map(|run| run.content.environment.load_before)
            .filter(|load| *load > 1.0)
            .reduce(f64::max)
    };
    let loads = sides.iter().enumerate().filter_map(|(number, side)| Some((letter(number), load(side)?)));
    loads
        .map(|(letter, load)| format!("the machine of {letter} was busy: its load was {} before", figure(load)))
        .collect()
}
