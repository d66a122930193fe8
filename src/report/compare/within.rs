//! The transports of one run beside each other: EFA against TCP, where there are both.

use prefab_contract::bench_report::BenchReport;

use super::{Comparison, Likeness, Named, Pair, Refusal, SCHEMA_VERSION, Settings, Side, View, judgement};
use crate::report::input::{Document, Located};
use crate::report::label::in_order;
use crate::report::statistics::CONFIDENCE;

/// What others are held against: TCP, in the order of preference.
const BASELINES: [&str; 2] = ["tcp", "builtin-tcp"];

/// Every transport against TCP, or against the first one where there is none.
pub(super) fn transports(side: &Side, settings: Settings) -> Result<Comparison, Refusal> {
    of_runs(&side.name, &side.runs, settings)
}

/// The same of reports that are no side of anything.
pub(in crate::report) fn of_runs(
    name: &str,
    runs: &[Document<BenchReport>],
    settings: Settings,
) -> Result<Comparison, Refusal> {
    let cases: Vec<Located<'_>> = runs
        .iter()
        .flat_map(|run| {
            let cases = run.content.cases.iter().enumerate();
            cases.map(move |(index, case)| Located { document: 0, index, report: &run.content, case })
        })
        .collect();
    let transports: Vec<String> =
        in_order(cases.iter(), |it| it.case.transport.clone()).into_iter().map(|(name, _)| name).collect();
    let baseline = BASELINES
        .iter()
        .find(|name| transports.iter().any(|it| it == *name))
        .map_or_else(|| transports.first().cloned().unwrap_or_default(), |name| (*name).to_owned());
    let mut pairs = Vec::new();
    for (_, group) in in_order(cases.iter().copied(), all_but_the_transport) {
        let of =
            |name: &str| -> Vec<Located<'_>> { group.iter().filter(|it| it.case.transport == name).copied().collect() };
        let ours = of(&baseline);
        for name in transports.iter().filter(|name| **name != baseline && !ours.is_empty()) {
            let theirs = of(name);
            if let Some(first) = theirs.first() {
                pairs.push(Pair {
                    likeness: Likeness::of(first),
                    baseline_letter: baseline.clone(),
                    other_letter: name.clone(),
                    baseline: ours.clone(),
                    other: theirs,
                });
            }
        }
    }
    if pairs.is_empty() {
        return Err(Refusal(format!(
            "found {} in {}, expected at least two transports with like cases, or a second report to compare with",
            if transports.is_empty() { "no case".to_owned() } else { format!("only {}", transports.join(", ")) },
            name
        )));
    }
    let named = std::iter::once(&baseline).chain(transports.iter().filter(|name| **name != baseline));
    Ok(Comparison {
        schema_version: SCHEMA_VERSION,
        view: View::Transports,
        contrasts: judgement::contrasts(&pairs, settings),
        sides: named.map(|name| Named { letter: name.clone(), name: name.clone(), runs: runs.len() }).collect(),
        confidence: CONFIDENCE,
        tolerance: settings.tolerance,
        unmatched: Vec::new(),
        also_differs: Vec::new(),
    })
}

/// What like cases of different transports have in common.
fn all_but_the_transport(it: &Located<'_>) -> (Likeness, String, u64) {
    let likeness = Likeness { transport: String::new(), ..Likeness::of(it) };
    (likeness, crate::report::number::figure(it.case.fragmentation), it.case.payload_bytes)
}
