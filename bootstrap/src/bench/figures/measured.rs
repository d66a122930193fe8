//! What one pair measured, whether in rounds or in a steady flow.

use std::collections::BTreeMap;

use prefab_contract::engine::{CaseSpec, Ceiling, Decode, GpuLinks, Mode, Round, Stages, Steady, Transport, Waiting};

use super::as_f64;
use super::durations::{Durations, mean, median};
use super::gpu::Staged;
use crate::bench::outcome::{Flow, Outcome};

/// One pair of a case. The cold round is told apart and counts in no figure of it.
pub(super) struct Measured<'a> {
    spec: &'a CaseSpec,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Rounds(Vec<&'a Round>),
    Flow(&'a Flow),
}

/// How a plain loop waited, and on how many streams it moved.
type LoopKind = (Waiting, u32);

impl<'a> Measured<'a> {
    /// What a pair brought.
    pub(super) fn of(spec: &'a CaseSpec, pair: &'a Outcome) -> Self {
        let kind = match spec.mode {
            Mode::Request { .. } => Kind::Rounds(pair.rounds.iter().filter(|round| round.number > 0).collect()),
            Mode::Steady { .. } => Kind::Flow(&pair.flow),
        };
        Self { spec, kind }
    }

    /// Rounds that were measured.
    pub(super) fn rounds(&self) -> &[&'a Round] {
        match &self.kind {
            Kind::Rounds(rounds) => rounds,
            Kind::Flow(_) => &[],
        }
    }

    /// Each request, in nanoseconds.
    pub(super) fn requests_ns(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        match &self.kind {
            Kind::Rounds(rounds) => Box::new(rounds.iter().flat_map(|round| {
                let alone = round.requests_ns.is_empty().then_some(round.request_ns);
                round.requests_ns.iter().copied().chain(alone)
            })),
            Kind::Flow(flow) => Box::new(flow.requests_ns.iter().copied()),
        }
    }

    /// Each post call, in nanoseconds.
    pub(super) fn posts_ns(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        match &self.kind {
            Kind::Rounds(rounds) => Box::new(rounds.iter().map(|round| round.post_ns)),
            Kind::Flow(flow) => Box::new(flow.posts_ns.iter().copied()),
        }
    }

    /// Requests a nanosecond: those of a round by the median round, or those of the window by its length.
    pub(super) fn requests_per_ns(&self) -> Option<f64> {
        match &self.kind {
            Kind::Rounds(rounds) => {
                let median_ns = Durations::of(rounds.iter().map(|round| round.request_ns)).median_ns()?;
                Some(self.outstanding() / median_ns)
            }
            Kind::Flow(flow) => {
                let window_ns = flow.window_ns().filter(|&window_ns| window_ns > 0)?;
                Some(as_f64(flow.requests_ns.len() as u64) / as_f64(window_ns))
            }
        }
    }

    /// The steady window, or as much of it as there was, in nanoseconds.
    pub(super) fn window_ns(&self) -> Option<u64> {
        match &self.kind {
            Kind::Rounds(_) => None,
            Kind::Flow(flow) => flow.window_ns(),
        }
    }

    /// Making the tables of one request, in nanoseconds.
    pub(super) fn prep_ns(&self) -> Option<f64> {
        match &self.kind {
            Kind::Rounds(rounds) => mean(rounds.iter().map(|round| as_f64(round.prep_ns) / self.outstanding())),
            // A table for each slot, for the last request of each, and for the one that is verified in the window.
            Kind::Flow(flow) => flow.steady.as_ref().map(|it| as_f64(it.prep_ns) / (2.0 * self.outstanding() + 1.0)),
        }
    }

    /// Remote operations of one request.
    pub(super) fn runs(&self) -> Option<f64> {
        match &self.kind {
            Kind::Rounds(rounds) => mean(rounds.iter().map(|round| as_f64(round.runs) / self.outstanding())),
            Kind::Flow(flow) => flow.steady.as_ref().map(|steady| as_f64(steady.runs)),
        }
    }

    /// Processor time of the initiator for each descriptor, in nanoseconds: of each round, or of the flow.
    pub(super) fn initiator_cpu_ns_per_descriptor(&self) -> Vec<f64> {
        let descriptors = as_f64(self.spec.shape.descriptors());
        match &self.kind {
            Kind::Rounds(rounds) => {
                let of = |round: &&Round| as_f64(round.initiator_cpu_ns) / descriptors / self.outstanding();
                rounds.iter().map(of).collect()
            }
            Kind::Flow(flow) => {
                let steady = flow.steady.iter().filter(|steady| steady.flow_requests > 0);
                steady.map(|it| as_f64(it.initiator_cpu_ns) / descriptors / as_f64(it.flow_requests)).collect()
            }
        }
    }

    /// Processor time of both ends in nanoseconds, and the payload bytes that it moved.
    pub(super) fn work(&self) -> Work {
        match &self.kind {
            Kind::Rounds(rounds) => rounds.iter().fold(Work::default(), |sum, round| {
                sum.and(round.initiator_cpu_ns, round.target_cpu_ns, round.target_bytes)
            }),
            Kind::Flow(flow) => flow.steady.iter().fold(Work::default(), |sum, steady| {
                sum.and(steady.initiator_cpu_ns, steady.target_cpu_ns, steady.target_bytes)
            }),
        }
    }

    /// The best plain loop by its median, in bytes a nanosecond, and which one it was.
    pub(super) fn ceiling(&self) -> Option<(f64, LoopKind)> {
        // A plain loop moves what a round does, or one request of a flow.
        let (loops, requests): (Vec<&Ceiling>, f64) = match &self.kind {
            Kind::Rounds(rounds) => (rounds.iter().flat_map(|round| &round.ceiling_ns).collect(), self.outstanding()),
            Kind::Flow(flow) => (flow.steady.iter().flat_map(|steady| &steady.ceiling_ns).collect(), 1.0),
        };
        let mut of_kind: BTreeMap<LoopKind, Vec<u64>> = BTreeMap::new();
        for run in loops {
            of_kind.entry((run.waiting, run.streams)).or_default().push(run.duration_ns);
        }
        let bytes = as_f64(self.spec.shape.payload_bytes()) * requests;
        let rates = of_kind.into_iter().filter_map(|(kind, durations_ns)| {
            Some((bytes / Durations::of(durations_ns.into_iter()).median_ns()?, kind))
        });
        rates.max_by(|(a, _), (b, _)| a.total_cmp(b))
    }

    /// Shares of the best plain loop: of each round by the loops of the same round, or of the flow by the best around it.
    pub(super) fn ceiling_ratios(&self) -> Vec<f64> {
        match &self.kind {
            Kind::Rounds(rounds) => rounds.iter().filter_map(|round| ratio_within(round)).collect(),
            Kind::Flow(_) => {
                let payload_bytes = as_f64(self.spec.shape.payload_bytes());
                let ratio = self.requests_per_ns().zip(self.ceiling());
                ratio.map(|(requests, (ceiling, _))| requests * payload_bytes / ceiling).into_iter().collect()
            }
        }
    }

    /// What the stages took: of each round, or of the flow.
    pub(super) fn staged(&self) -> Vec<Staged> {
        let streams = f64::from(self.spec.streams);
        match &self.kind {
            Kind::Rounds(rounds) => {
                let of = |round: &&Round| {
                    let gpu = round.gpu.as_ref()?;
                    Some(Staged {
                        stages: gpu.stages,
                        links: gpu.links,
                        loop_ns: round.ceiling_ns.iter().map(|run| run.duration_ns).min().map(as_f64),
                        loop_requests: self.outstanding(),
                        requests: self.outstanding(),
                        elapsed_ns: as_f64(round.request_ns.max(1)),
                        streams,
                    })
                };
                rounds.iter().filter_map(of).collect()
            }
            Kind::Flow(flow) => {
                let payload_bytes = as_f64(self.spec.shape.payload_bytes());
                let of = |steady: &Steady| {
                    let requests = as_f64(steady.flow_requests.max(1));
                    let gpu = steady.gpu.as_ref()?;
                    Some(Staged {
                        stages: gpu.stages,
                        links: gpu.links,
                        loop_ns: self.ceiling().map(|(gb_per_s, _)| payload_bytes / gb_per_s),
                        loop_requests: 1.0,
                        requests,
                        // The whole flow at the window's rate.
                        elapsed_ns: requests / self.requests_per_ns()?,
                        streams,
                    })
                };
                flow.steady.iter().filter_map(of).collect()
            }
        }
    }

    /// Shares of the time in which kernels were at work.
    pub(super) fn busy(&self, stage: fn(&Stages) -> u64) -> Vec<f64> {
        self.staged().iter().map(|staged| staged.busy(stage)).collect()
    }

    /// GB a second of contiguous copies over a GPU's link.
    pub(super) fn links_gb_per_s(&self, link: fn(&GpuLinks) -> u64) -> Vec<f64> {
        let payload_bytes = self.spec.shape.payload_bytes();
        self.staged().iter().filter_map(|staged| staged.link_gb_per_s(link, payload_bytes)).collect()
    }

    /// How many times longer decoding took on the target's GPU: in each round, or in the flow.
    pub(super) fn decode_slowdowns(&self) -> Vec<f64> {
        let all: Vec<Decode> = match &self.kind {
            Kind::Rounds(rounds) => rounds.iter().filter_map(|round| round.gpu.as_ref()?.decode).collect(),
            Kind::Flow(flow) => flow.steady.iter().filter_map(|steady| steady.gpu.as_ref()?.decode).collect(),
        };
        let told = all.iter().filter(|decode| decode.alone_ns > 0 && decode.runs > 0);
        told.map(|decode| as_f64(decode.during_ns) / as_f64(decode.alone_ns)).collect()
    }

    /// Shares of what the slowest stage allows; none where there is one stage only.
    pub(super) fn staged_ratios(&self) -> Vec<f64> {
        let is_staged = self.spec.transport != Transport::Peer;
        self.staged().iter().filter(|_| is_staged).filter_map(Staged::ratio).collect()
    }

    /// Times after the end of a prefill, in nanoseconds.
    pub(super) fn exposed_ns(&self) -> impl Iterator<Item = u64> + '_ {
        self.rounds().iter().filter_map(|round| round.exposed_ns)
    }

    fn outstanding(&self) -> f64 {
        as_f64(u64::from(self.spec.mode.outstanding()))
    }
}

/// What moving some bytes took of the processors.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    initiator_cpu_ns: u64,
    target_cpu_ns: u64,
    bytes: u64,
}

impl Work {
    fn and(self, initiator_cpu_ns: u64, target_cpu_ns: u64, bytes: u64) -> Self {
        Self {
            initiator_cpu_ns: self.initiator_cpu_ns + initiator_cpu_ns,
            target_cpu_ns: self.target_cpu_ns + target_cpu_ns,
            bytes: self.bytes + bytes,
        }
    }

    /// The work of two pairs.
    pub(super) fn with(self, other: Self) -> Self {
        self.and(other.initiator_cpu_ns, other.target_cpu_ns, other.bytes)
    }

    /// Processor seconds of initiator and target for each GB; nothing where nothing moved.
    pub(super) fn cpu_s_per_gb(self) -> Option<(f64, f64)> {
        // Nanoseconds a byte are seconds a GB.
        let per_gb = |cpu_ns| as_f64(cpu_ns) / as_f64(self.bytes);
        (self.bytes > 0).then(|| (per_gb(self.initiator_cpu_ns), per_gb(self.target_cpu_ns)))
    }
}

fn ratio_within(round: &Round) -> Option<f64> {
    let best_ns = round.ceiling_ns.iter().map(|run| run.duration_ns).min()?;
    Some(as_f64(best_ns) / as_f64(round.request_ns.max(1)))
}

/// The median over all pairs of what each has.
pub(super) fn median_of(pairs: &[Measured<'_>], of: impl Fn(&Measured<'_>) -> Vec<f64>) -> Option<f64> {
    median(pairs.iter().flat_map(of))
}

/// The sum over all pairs, if each has a figure.
pub(super) fn summed(pairs: &[Measured<'_>], figure: impl Fn(&Measured<'_>) -> Option<f64>) -> Option<f64> {
    pairs.iter().try_fold(0.0, |sum, pair| Some(sum + figure(pair)?)).filter(|_| !pairs.is_empty())
}
