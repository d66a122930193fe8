//! The parts of a report, one file each. Each says plainly what it does not have.

mod bandwidth;
mod cases;
mod checks;
mod cold;
mod cpu;
mod environment;
mod exposed;
mod headlines;
mod latency;
mod method;
mod notices;
mod overview;
mod paths;
mod prompt;
mod transports;

use std::collections::BTreeMap;

use super::Settings;
use super::compare::Comparison;
use super::input::{Inputs, Located, letter};
use super::label::Labels;
use super::model::{ReportModel, Row, Severity, Source};
use super::number::{as_f64, count};
use super::statistics::{Bootstrap, Interval, QUICK};

/// Plots of a section: more than these nobody compares by eye, and the table of all cases has every figure.
const MOST_PLOTS: usize = 12;

/// What every section reads.
struct Context<'a> {
    inputs: &'a Inputs,
    cases: Vec<Located<'a>>,
    labels: Labels,
    settings: Settings,
    /// The interval of each case's bandwidth, where it has one.
    bandwidths: BTreeMap<(usize, usize), Interval>,
    /// The transports of each document that has several against each other.
    contrasts: Vec<(String, Comparison)>,
}

/// The most that nodes could move.
#[derive(Debug, Clone, PartialEq)]
struct LineRate {
    gb_per_s: f64,
    /// What has it: a type of node, or the link.
    of: String,
}

impl<'a> Context<'a> {
    /// What the report tells of the link, else what the catalogue tells of the type of node; nothing on loopback.
    fn line_rate(&self, it: &Located<'_>) -> Option<LineRate> {
        if it.report.environment.loopback {
            return None;
        }
        let of_link = it.case.link_gb_per_s.map(|gb_per_s| LineRate { gb_per_s, of: "the link".to_owned() });
        of_link.or_else(|| {
            let instance_type = self.settings.instance_type?;
            let gb_per_s = as_f64(instance_type.efa_bytes_per_second()) / 1e9;
            Some(LineRate { gb_per_s, of: instance_type.name.clone() })
        })
    }

    /// The interval of a case's bandwidth.
    fn bandwidth(&self, it: &Located<'_>) -> Option<Interval> {
        self.bandwidths.get(&(it.document, it.index)).copied()
    }

    /// Cases whose rates and durations are those of transfers.
    fn transfers(&self) -> impl Iterator<Item = Located<'a>> {
        self.cases.iter().filter(|it| !it.has_prefill()).copied()
    }
}

/// Everything that a report says.
pub(super) fn report(inputs: &Inputs, settings: Settings) -> ReportModel {
    let cases = inputs.cases();
    let context = &Context {
        inputs,
        labels: Labels::of(&cases),
        settings,
        bandwidths: bandwidths(&cases),
        contrasts: transports::contrasts(inputs),
        cases,
    };
    ReportModel {
        title: "KV-cache transfer".to_owned(),
        lead: environment::lead(context),
        notices: notices::notices(context),
        headlines: headlines::headlines(context),
        overview: overview::section(context),
        sections: vec![
            transports::section(context),
            bandwidth::section(context),
            latency::section(context),
            prompt::section(context),
            exposed::section(context),
            cpu::section(context),
            cold::section(context),
            paths::section(context),
            checks::section(context),
            environment::section(context),
            cases::section(context),
            method::section(context),
        ],
        sources: sources(inputs),
    }
}

fn bandwidths(cases: &[Located<'_>]) -> BTreeMap<(usize, usize), Interval> {
    let bootstrap = Bootstrap::for_each_of(cases.len(), QUICK);
    let transfers = cases.iter().filter(|it| !it.has_prefill());
    transfers.filter_map(|it| Some(((it.document, it.index), it.bandwidth(bootstrap)?))).collect()
}

fn sources(inputs: &Inputs) -> Vec<Source> {
    let benches = inputs.benches.iter().map(|it| (&it.name, &it.sha256, "benchmark report"));
    let checks = inputs.checks.iter().map(|it| (&it.name, &it.sha256, "check report"));
    let all = benches.chain(checks).enumerate();
    let source =
        |(number, (name, sha256, kind)): (usize, (&String, &prefab_contract::sha256::Sha256, &'static str))| Source {
            letter: letter(number),
            name: name.clone(),
            sha256: sha256.as_str().to_owned(),
            kind,
        };
    all.map(source).collect()
}

/// A row about a case: it stands out where the case failed or was not verified.
fn row(case: &Located<'_>, mut cells: Vec<String>) -> Row {
    cells.push(case.source());
    let severity = match case.state() {
        super::input::State::Partial => Some(Severity::Fault),
        super::input::State::Unavailable => Some(Severity::Remark),
        super::input::State::Complete if !case.case.verified => Some(Severity::Fault),
        super::input::State::Complete => None,
    };
    Row { cells, severity }
}

/// What is said where fewer plots are drawn than there could be.
fn left_out(all: usize) -> Option<String> {
    let left = all.checked_sub(MOST_PLOTS).filter(|left| *left > 0)?;
    Some(format!(
        "{} of {} are drawn. The figures of all cases are in the table of all cases.",
        MOST_PLOTS,
        count(left + MOST_PLOTS, "plot")
    ))
}
