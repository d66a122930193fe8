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
mod prompt;
mod transports;

use super::Settings;
use super::input::{Inputs, Located, letter};
use super::label::Labels;
use super::model::{ReportModel, Row, Severity, Source};
use super::number::{as_f64, count};

/// Plots of a section: more than these nobody compares by eye, and the table of all cases has every figure.
const MOST_PLOTS: usize = 12;

/// What every section reads.
struct Context<'a> {
    inputs: &'a Inputs,
    cases: Vec<Located<'a>>,
    labels: Labels,
    settings: Settings,
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

    /// Cases whose rates and durations are those of transfers.
    fn transfers(&self) -> impl Iterator<Item = Located<'a>> {
        self.cases.iter().filter(|it| !it.has_prefill()).copied()
    }
}

/// Everything that a report says.
pub(super) fn report(inputs: &Inputs, settings: Settings) -> ReportModel {
    let cases = inputs.cases();
    let context = &Context { inputs, labels: Labels::of(&cases), cases, settings };
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
            checks::section(context),
            environment::section(context),
            cases::section(context),
            method::section(context),
        ],
        sources: sources(inputs),
    }
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
