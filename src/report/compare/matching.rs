//! Which cases are alike, and in what unlike ones differ.

use std::collections::{BTreeMap, BTreeSet};

use prefab_contract::bench_report::Environment;
use serde::Serialize;

use super::{Pair, Refusal, Side};
use crate::report::input::{Located, letter};
use crate::report::label;
use crate::report::number::figure;
use crate::units::grouped;

/// What a case is, in the words of its report. Two cases are compared when all of it is equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Likeness {
    /// What carried it.
    pub transport: String,
    /// How it moved.
    pub operation: String,
    /// How requests followed each other.
    pub mode: String,
    /// Requests outstanding.
    pub q: u32,
    /// Where the pools lay.
    pub memory: String,
    /// How a block lay in memory.
    pub layout: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens that did not move.
    pub hit_tokens: u64,
    /// Pairs of engines at the same time.
    pub pairs: u32,
    /// How they were laid out.
    pub scheme: String,
    /// When parts of a request might leave, and the prefill beside it.
    pub schedule: String,
    /// Arrivals a second; `closed loop` where the next request waited for one before.
    pub requests_per_s: String,
    /// Which of several equal ones, from 0.
    pub occurrence: usize,
}

impl Likeness {
    pub(super) fn of(it: &Located<'_>) -> Self {
        let case = it.case;
        Self {
            transport: case.transport.clone(),
            operation: case.operation.name().to_owned(),
            mode: label::mode(case.mode).to_owned(),
            q: case.q,
            memory: case.memory.clone(),
            layout: case.layout.clone(),
            prompt_tokens: case.prompt_tokens,
            hit_tokens: case.hit_tokens,
            pairs: case.pairs,
            scheme: case.scheme.clone(),
            schedule: it.schedule(),
            requests_per_s: case.rate_per_s.map_or_else(|| "closed loop".to_owned(), |rate| rate.to_string()),
            occurrence: 0,
        }
    }

    /// A short name: what most readers tell cases apart by, and whatever is not as usual.
    pub fn name(&self) -> String {
        self.named(true)
    }

    /// The same beside others of one layout.
    pub(in crate::report) fn named(&self, with_layout: bool) -> String {
        let mut name = format!("{} {}, {} tokens", self.transport, self.operation, grouped(self.prompt_tokens));
        for (unusual, text) in [
            (self.hit_tokens > 0, format!("{} of them there", grouped(self.hit_tokens))),
            (self.mode != "request", self.mode.clone()),
            (self.q > 1, format!("{} outstanding", self.q)),
            (self.memory != "host", self.memory.clone()),
            (self.pairs > 1, format!("{} pairs {}", self.pairs, self.scheme)),
            (self.schedule != "none", self.schedule.clone()),
            (self.requests_per_s != "closed loop", format!("{} requests/s", self.requests_per_s)),
            (with_layout, self.layout.clone()),
            (self.occurrence > 0, format!("number {}", self.occurrence + 1)),
        ] {
            if unusual {
                name = format!("{name}, {text}");
            }
        }
        name
    }
}

/// A fact about where cases ran.
struct Fact {
    name: &'static str,
    of: fn(&Environment) -> String,
}

/// A fact about what a case moved.
struct Shape {
    name: &'static str,
    of: fn(&Located<'_>) -> String,
}

/// What must be equal for figures to be comparable.
const ENVIRONMENT_SHAPE: &[Fact] = &[
    Fact { name: "model", of: |it| it.model.clone() },
    Fact { name: "tensor_parallel", of: label::tensor_parallel },
    Fact { name: "block_tokens", of: |it| it.block_tokens.to_string() },
    Fact { name: "loopback", of: |it| it.loopback.to_string() },
];

/// And for cases.
const CASE_SHAPE: &[Shape] = &[
    Shape { name: "semantics", of: |it| label::semantics(it.case.semantics).to_owned() },
    Shape { name: "fragmentation", of: |it| figure(it.case.fragmentation) },
    Shape { name: "payload_bytes", of: |it| it.case.payload_bytes.to_string() },
    Shape { name: "descriptor_bytes", of: |it| it.case.descriptor_bytes.to_string() },
    Shape { name: "descriptors", of: |it| it.case.descriptors.to_string() },
    Shape { name: "working_set_bytes", of: |it| it.case.working_set_bytes.to_string() },
    Shape { name: "threads_initiator", of: |it| it.case.threads_initiator.to_string() },
    Shape { name: "threads_target", of: |it| it.case.threads_target.to_string() },
];

/// Pairs of like cases, and what has no like.
pub(super) struct Matched<'a> {
    pub(super) pairs: Vec<Pair<'a>>,
    pub(super) unmatched: Vec<String>,
}

type Cases<'a> = BTreeMap<Likeness, Vec<Located<'a>>>;

/// Every case of the first side with its like of each other side.
///
/// # Errors
/// Environments or shapes that differ, all of them; or no like cases at all.
pub(super) fn like_with_like(sides: &[Side]) -> Result<Matched<'_>, Vec<Refusal>> {
    let mut refusals = unlike_environments(sides);
    let all: Vec<(String, Cases<'_>)> =
        sides.iter().enumerate().map(|(number, side)| (letter(number), cases(number, side))).collect();
    let Some(((first, baseline), others)) = all.split_first() else { return Err(refusals) };
    let mut matched = Matched { pairs: Vec::new(), unmatched: Vec::new() };
    for (other_letter, other) in others {
        let before = matched.pairs.len();
        for (likeness, ours) in in_order(baseline) {
            let Some(theirs) = other.get(likeness) else {
                matched.unmatched.push(format!("only {first} has {}", likeness.name()));
                continue;
            };
            refusals.extend(unlike_shapes(likeness, (first, ours), (other_letter, theirs)));
            matched.pairs.push(Pair {
                likeness: likeness.clone(),
                baseline_letter: first.clone(),
                other_letter: other_letter.clone(),
                baseline: ours.clone(),
                other: theirs.clone(),
            });
        }
        let alone = in_order(other).into_iter().filter(|(likeness, _)| !baseline.contains_key(*likeness));
        matched.unmatched.extend(alone.map(|(likeness, _)| format!("only {other_letter} has {}", likeness.name())));
        if matched.pairs.len() == before {
            refusals.push(nothing_alike((first, baseline), (other_letter, other)));
        }
    }
    if refusals.is_empty() { Ok(matched) } else { Err(refusals) }
}

/// The cases of a side, those of its runs together.
fn cases(number: usize, side: &Side) -> Cases<'_> {
    let mut all = Cases::new();
    for run in &side.runs {
        let mut seen: BTreeMap<Likeness, usize> = BTreeMap::new();
        for (index, case) in run.content.cases.iter().enumerate() {
            let it = Located { document: number, index, report: &run.content, case };
            let mut likeness = Likeness::of(&it);
            let times = seen.entry(likeness.clone()).or_default();
            likeness.occurrence = *times;
            *times += 1;
            all.entry(likeness).or_default().push(it);
        }
    }
    all
}

/// As the report has them, not as they sort.
fn in_order<'c, 'a>(cases: &'c Cases<'a>) -> Vec<(&'c Likeness, &'c Vec<Located<'a>>)> {
    let mut ordered: Vec<_> = cases.iter().collect();
    ordered.sort_by_key(|(_, located)| located.first().map(|it| it.index));
    ordered
}

fn unlike_environments(sides: &[Side]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for shape in ENVIRONMENT_SHAPE {
        let values = |side: &Side| -> BTreeSet<String> {
            side.runs.iter().map(|run| (shape.of)(&run.content.environment)).collect()
        };
        let all: BTreeSet<String> = sides.iter().flat_map(values).collect();
        if all.len() > 1 {
            let told = sides.iter().enumerate().map(|(number, side)| {
                format!("{} in {}", values(side).into_iter().collect::<Vec<_>>().join(" and "), letter(number))
            });
            let told: Vec<String> = told.collect();
            refusals.push(Refusal(format!(
                "found `{}` {}, expected equal ones; measure both sides with the same options",
                shape.name,
                told.join(", ")
            )));
        }
    }
    refusals
}

fn unlike_shapes(
    likeness: &Likeness,
    (first, ours): (&str, &[Located<'_>]),
    (second, theirs): (&str, &[Located<'_>]),
) -> Vec<Refusal> {
    let Some(one) = ours.first() else { return Vec::new() };
    let unlike = |shape: &Shape| {
        let expected = (shape.of)(one);
        let other = ours.iter().chain(theirs).find(|it| (shape.of)(it) != expected)?;
        let whose = if ours.iter().any(|it| std::ptr::eq(it.case, other.case)) { first } else { second };
        Some(Refusal(format!(
            "{}: found `{}` {} in {first} ({}) and {} in {whose} ({}), expected equal ones; measure both sides with the \
             same options",
            likeness.name(),
            shape.name,
            expected,
            one.source(),
            (shape.of)(other),
            other.source()
        )))
    };
    CASE_SHAPE.iter().filter_map(unlike).collect()
}

/// No case has its like: in what the first ones differ.
fn nothing_alike((first, ours): (&str, &Cases<'_>), (second, theirs): (&str, &Cases<'_>)) -> Refusal {
    let (Some((a, _)), Some((b, _))) = (in_order(ours).into_iter().next(), in_order(theirs).into_iter().next()) else {
        return Refusal(format!("found no case in {first} or in {second}, expected like ones in both; measure again"));
    };
    let fields = |of: &Likeness| serde_json::to_value(of).unwrap_or_default();
    let (a_fields, b_fields) = (fields(a), fields(b));
    let differing: Vec<String> = a_fields
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| b_fields.get(name.as_str()) != Some(*value))
        .map(|(name, value)| format!("`{name}` {value} and {}", b_fields[name.as_str()]))
        .collect();
    Refusal(format!(
        "found no case of {first} in {second}: their first ones differ in {}; expected like ones; measure both sides with \
         the same options",
        differing.join(", ")
    ))
}
