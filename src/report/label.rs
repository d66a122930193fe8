//! What tells cases apart. A plot shows cases that differ in two things only: what carried them, which is a line of its
//! own, and their size, which lies along an axis. Whatever else differs gets a plot of its own.

use std::collections::BTreeMap;

use prefab_contract::bench_report::{Environment, Mode, Semantics};
use prefab_contract::engine::{Operation, Rdma};

use super::input::{Located, letter};
use super::number::figure;
use crate::units::{binary, grouped};

/// A way in which cases of a report can differ.
struct Dimension {
    /// How a plot's title names it.
    name: &'static str,
    /// The value of a case; nothing where it is as in most runs.
    of: fn(&Located<'_>) -> String,
}

/// What gets plots of their own when it differs. Sizes and carriers are not among them.
const DIMENSIONS: &[Dimension] = &[
    Dimension { name: "", of: |it| it.report.environment.model.clone() },
    Dimension { name: "TP", of: |it| tensor_parallel(&it.report.environment) },
    Dimension { name: "block tokens", of: |it| it.report.environment.block_tokens.to_string() },
    Dimension { name: "layout", of: |it| it.case.layout.clone() },
    Dimension { name: "fragmentation", of: |it| figure(it.case.fragmentation) },
    Dimension { name: "memory", of: |it| unless(it.case.memory == "host", || it.case.memory.clone()) },
    Dimension { name: "mode", of: |it| unless(it.case.mode == Mode::Request, || mode(it.case.mode).to_owned()) },
    Dimension { name: "outstanding", of: |it| unless(it.case.q == 1, || it.case.q.to_string()) },
    Dimension { name: "hit tokens", of: |it| unless(it.case.hit_tokens == 0, || grouped(it.case.hit_tokens)) },
    Dimension { name: "threads", of: |it| threads(it) },
    Dimension { name: "hot, working set", of: |it| unless(!is_hot(it), || binary(it.case.working_set_bytes)) },
    Dimension {
        name: "pairs",
        of: |it| unless(it.case.pairs <= 1, || format!("{} {}", it.case.pairs, it.case.scheme)),
    },
    Dimension { name: "requests/s", of: |it| it.case.rate_per_s.map_or_else(String::new, figure) },
    Dimension { name: SCHEDULE, of: |it| unless(!it.has_prefill(), || it.schedule()) },
];

/// The dimension along which exposed time is shown.
const SCHEDULE: &str = "schedule";

fn unless(usual: bool, value: impl Fn() -> String) -> String {
    if usual { String::new() } else { value() }
}

/// The pools fit caches: such figures say nothing of real pools.
fn is_hot(it: &Located<'_>) -> bool {
    const LEAST_BYTES: u64 = 1 << 30;
    let caches = it.report.environment.last_level_cache_bytes.unwrap_or_default().saturating_mul(4);
    it.case.working_set_bytes < caches.max(LEAST_BYTES)
}

/// Ranks of the model: one number where both sides have as many.
pub(super) fn tensor_parallel(environment: &Environment) -> String {
    match environment.prefill_tensor_parallel {
        Some(prefill) if prefill != environment.tensor_parallel => {
            format!("{prefill} (prefill) and {} (decode)", environment.tensor_parallel)
        }
        _ => environment.tensor_parallel.to_string(),
    }
}

fn threads(it: &Located<'_>) -> String {
    let (initiator, target) = (it.case.threads_initiator, it.case.threads_target);
    if initiator == target { initiator.to_string() } else { format!("{initiator} + {target}") }
}

/// The word for a mode.
pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Request => "request",
        Mode::Steady => "steady",
    }
}

/// The word for what a transport promises.
pub(super) fn semantics(semantics: Semantics) -> &'static str {
    match semantics {
        Semantics::OneSided => "one-sided",
        Semantics::ReceiverAssisted => "receiver-assisted",
    }
}

/// The words for who does a remote operation.
pub(super) fn rdma(rdma: Rdma) -> &'static str {
    match rdma {
        Rdma::Hardware => "by the device",
        Rdma::Emulated => "emulated by software",
    }
}

/// Names and colours that hold for a whole report.
pub(super) struct Labels {
    several_documents: bool,

    /// Which dimensions differ at all.
    differing: Vec<bool>,
    /// The number of each line's colour, in the order of first sight.
    colours: BTreeMap<String, usize>,
}

/// Cases that belong into one plot.
pub(super) struct Facet<'a> {
    /// What they have in common and others have not; empty where nothing else differs.
    pub(super) title: String,
    /// In order.
    pub(super) cases: Vec<Located<'a>>,
}

/// Cases that belong onto one line.
pub(super) struct Line<'a> {
    /// What carried them.
    pub(super) label: String,
    /// Its colour in the whole report.
    pub(super) colour: usize,
    /// In the order of their size.
    pub(super) cases: Vec<Located<'a>>,
}

impl Labels {
    pub(super) fn of(cases: &[Located<'_>]) -> Self {
        let differs = |value: &dyn Fn(&Located<'_>) -> String| {
            let first = cases.first().map(value);
            cases.iter().any(|case| Some(value(case)) != first)
        };
        let mut labels = Self {
            several_documents: differs(&|it| it.document.to_string()),

            differing: DIMENSIONS.iter().map(|dimension| differs(&dimension.of)).collect(),
            colours: BTreeMap::new(),
        };
        for case in cases {
            let next = labels.colours.len();
            let label = labels.line(case);
            labels.colours.entry(label).or_insert(next);
        }
        labels
    }

    /// What carried a case: the line that it lies on.
    pub(super) fn line(&self, it: &Located<'_>) -> String {
        let case = it.case;
        let mut label = format!("{} {}", carrier(it), case.operation.name());
        // The operation implies what is promised; what breaks the rule is told.
        let implied =
            if case.operation == Operation::Packed { Semantics::ReceiverAssisted } else { Semantics::OneSided };
        if case.semantics != implied {
            label = format!("{label}, {}", semantics(case.semantics));
        }
        if self.several_documents { format!("{}: {label}", letter(it.document)) } else { label }
    }

    /// Everything by which a case differs from others, its size included.
    pub(super) fn whole(&self, it: &Located<'_>) -> String {
        let rest = self.facet_title(it, None);
        let size = format!("{}, {} tokens", self.line(it), grouped(it.case.prompt_tokens));
        if rest.is_empty() { size } else { format!("{size}, {rest}") }
    }

    fn facet_title(&self, it: &Located<'_>, but: Option<&str>) -> String {
        let differing = DIMENSIONS.iter().zip(&self.differing).filter(|(_, differs)| **differs);
        let differing = differing.filter(|(dimension, _)| Some(dimension.name) != but);
        let parts = differing.filter_map(|(dimension, _)| {
            let value = (dimension.of)(it);
            (!value.is_empty()).then(|| format!("{} {value}", dimension.name).trim_start().to_owned())
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    /// The cases by plot, in the order of first sight.
    pub(super) fn facets<'a>(&self, cases: impl IntoIterator<Item = Located<'a>>) -> Vec<Facet<'a>> {
        self.facets_but(cases, None)
    }

    /// The same, with all schedules together.
    pub(super) fn facets_of_any_schedule<'a>(&self, cases: impl IntoIterator<Item = Located<'a>>) -> Vec<Facet<'a>> {
        self.facets_but(cases, Some(SCHEDULE))
    }

    fn facets_but<'a>(&self, cases: impl IntoIterator<Item = Located<'a>>, but: Option<&str>) -> Vec<Facet<'a>> {
        let grouped = in_order(cases, |case| self.facet_title(case, but));
        grouped.into_iter().map(|(title, cases)| Facet { title, cases }).collect()
    }

    /// The cases by line, in the order of first sight.
    pub(super) fn lines<'a>(&self, cases: impl IntoIterator<Item = Located<'a>>) -> Vec<Line<'a>> {
        let grouped = in_order(cases, |case| self.line(case));
        let lines = grouped.into_iter().map(|(label, mut cases)| {
            cases.sort_by_key(|it| it.case.payload_bytes);
            let colour = self.colours.get(&label).copied().unwrap_or_default();
            Line { label, colour, cases }
        });
        lines.collect()
    }
}

/// Values by a key, both in the order of first sight.
pub(super) fn in_order<T, K: Ord + Clone>(
    values: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<(K, Vec<T>)> {
    let mut places: BTreeMap<K, usize> = BTreeMap::new();
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for value in values {
        let key = key(&value);
        let place = *places.entry(key.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(value);
    }
    groups
}

/// The transport that was asked for, and the path where that is another.
pub(super) fn carrier(it: &Located<'_>) -> String {
    let case = it.case;
    if took_another_path(it) { format!("{} (path {})", case.transport, case.path) } else { case.transport.clone() }
}

/// The bytes went another way than the transport's name says, or nobody knows which.
pub(super) fn took_another_path(it: &Located<'_>) -> bool {
    let expected = it.case.transport.strip_suffix("-direct").unwrap_or(&it.case.transport);
    it.case.path != expected
}
