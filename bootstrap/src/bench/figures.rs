//! Rounds become the figures of a case. Pure.

use hdrhistogram::Histogram;
use prefab_contract::bench_report::{Case, Ended, Mode, Semantics, SideCounter, samples_for_quantile};
use prefab_contract::engine::{self, CaseSpec, Counter, Operation, Round, Waiting};
use prefab_contract::path::{self, Carried};

use super::local::Outcome;
use super::options::Plan;
use crate::engine::Side;

/// The figures of one case.
pub(crate) fn figures(plan: &Plan, spec: &CaseSpec, outcome: &Outcome) -> Case {
    // The cold round is told apart and counts in no other figure.
    let measured: Vec<&Round> = outcome.rounds.iter().filter(|round| round.number > 0).collect();
    let requests = Durations::of(measured.iter().map(|round| round.request_ns));
    let posts = Durations::of(measured.iter().map(|round| round.post_ns));
    let payload_bytes = spec.shape.payload_bytes();
    let descriptors = spec.shape.descriptors();
    let moved_gb = as_f64(payload_bytes) * as_f64(measured.len() as u64) / 1e9;
    let moves = spec.transport.moves_bytes();
    let per_gb = |ns: fn(&Round) -> u64| {
        (moves && !measured.is_empty())
            .then(|| measured.iter().map(|round| as_f64(ns(round))).sum::<f64>() / 1e9 / moved_gb)
    };
    let mean = |value: fn(&Round) -> u64| {
        (!measured.is_empty())
            .then(|| measured.iter().map(|round| as_f64(value(round))).sum::<f64>() / as_f64(measured.len() as u64))
    };
    let blocks_verified: u64 = outcome.rounds.iter().map(|round| round.blocks_verified).sum();
    let carried = carried(spec, outcome);
    Case {
        path: carried.path.name().to_owned(),
        path_evidence: Some(carried.evidence),
        transport: spec.transport.name().to_owned(),
        provider: outcome.path.as_ref().and_then(|path| path.provider.clone()),
        semantics: match spec.operation {
            Operation::Read | Operation::Write => Semantics::OneSided,
            Operation::Packed => Semantics::ReceiverAssisted,
        },
        mode: match spec.mode {
            engine::Mode::Request { .. } => Mode::Request,
            engine::Mode::Steady { .. } => Mode::Steady,
        },
        q: spec.mode.outstanding(),
        memory: spec.memory.name().to_owned(),
        layout: plan.layout.name().to_owned(),
        operation: spec.operation,
        waiting: outcome.path.as_ref().map(|path| path.waiting.clone()),
        facts: outcome.path.clone(),
        counters: outcome.counters.iter().map(of_side).collect(),
        prompt_tokens: plan.tokens,
        hit_tokens: 0,
        fragmentation: plan.fragmentation,
        payload_bytes,
        descriptor_bytes: spec.shape.main_descriptor_bytes(),
        descriptors,
        runs_per_request: mean(|round| round.runs),
        working_set_bytes: spec.shape.pool_bytes(),
        threads_initiator: spec.streams,
        threads_target: spec.streams,
        rounds: measured.len() as u64,
        // Bytes a nanosecond are GB a second.
        gb_per_s: requests.median_ns().filter(|_| moves).map(|ns| as_f64(payload_bytes) / ns),
        descriptors_per_s: requests.median_ns().map(|ns| as_f64(descriptors) / ns * 1e9),
        p50_us: requests.quantile_us(0.5),
        p90_us: requests.quantile_us(0.9),
        p99_us: requests.quantile_us(0.99),
        p999_us: requests.quantile_us(0.999),
        latencies: Vec::new(),
        requests: measured.len() as u64,
        window_s: None,
        max_us: measured.iter().map(|round| round.request_ns).max().map(|ns| as_f64(ns) / 1e3),
        post_us_p50: posts.quantile_us(0.5),
        prep_us: mean(|round| round.prep_ns).map(|ns| ns / 1e3),
        exposed_us: median(measured.iter().filter_map(|round| round.exposed_ns).map(|ns| as_f64(ns) / 1e3).collect()),
        start_ms: None,
        load_ms: None,
        first_transfer_ms: outcome
            .rounds
            .first()
            .filter(|round| round.number == 0)
            .map(|it| as_f64(it.request_ns) / 1e6),
        registration_ms: outcome.ready_us.map(|(_, registration_us)| as_f64(registration_us) / 1e3),
        connect_ms: outcome.ready_us.map(|(connect_us, _)| as_f64(connect_us) / 1e3),
        initiator_cpu_ns_per_descriptor: median(
            measured.iter().map(|round| as_f64(round.initiator_cpu_ns) / as_f64(descriptors)).collect(),
        ),
        initiator_cpu_s_per_gb: per_gb(|round| round.initiator_cpu_ns),
        target_cpu_s_per_gb: per_gb(|round| round.target_cpu_ns),
        ceiling_gb_per_s: ceiling_gb_per_s(payload_bytes, &measured),
        ceiling_kind: None,
        ceiling_ratio: ceiling_ratio(&measured),
        blocks_verified,
        verified: !outcome.rounds.is_empty() && blocks_verified == descriptors * outcome.rounds.len() as u64,
        ended: if outcome.failure.is_none() { Ended::Complete } else { Ended::Partial },
        failure: outcome.failure.clone(),
    }
}

/// What carried the bytes of all rounds, the cold one among them.
fn carried(spec: &CaseSpec, outcome: &Outcome) -> Carried {
    let initiators: Vec<Counter> =
        outcome.counters.iter().filter(|(side, _)| *side == Side::Initiator).map(|(_, it)| it.clone()).collect();
    let moved_bytes = outcome.rounds.iter().map(|round| round.initiator_bytes).sum();
    path::carried(spec.transport, spec.operation, outcome.path.as_ref(), &initiators, moved_bytes)
}

fn of_side((side, counter): &(Side, Counter)) -> SideCounter {
    let Counter { device, name, moved } = counter.clone();
    SideCounter { side: side.name().to_owned(), device, name, moved }
}

/// The best plain loop, by its median.
fn ceiling_gb_per_s(payload_bytes: u64, rounds: &[&Round]) -> Option<f64> {
    [Waiting::Blocking, Waiting::Spinning, Waiting::Adaptive, Waiting::Synchronous]
        .into_iter()
        .filter_map(|waiting| {
            let loops = rounds.iter().flat_map(|round| &round.ceiling_ns).filter(|run| run.waiting == waiting);
            Durations::of(loops.map(|run| run.duration_ns)).median_ns()
        })
        .map(|ns| as_f64(payload_bytes) / ns)
        .max_by(f64::total_cmp)
}

/// The median over the rounds of the share of that round's best plain loop.
fn ceiling_ratio(rounds: &[&Round]) -> Option<f64> {
    let ratios = rounds.iter().filter_map(|round| {
        let best_ns = round.ceiling_ns.iter().map(|run| run.duration_ns).min()?;
        Some(as_f64(best_ns) / as_f64(round.request_ns.max(1)))
    });
    median(ratios.collect())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], upper) } else { upper })
}

/// Durations in nanoseconds, kept to three digits.
struct Durations(Option<Histogram<u64>>);

impl Durations {
    fn of(durations_ns: impl Iterator<Item = u64>) -> Self {
        let Ok(mut histogram) = Histogram::new(3) else { return Self(None) };
        for duration_ns in durations_ns {
            // It grows by itself, so nothing is out of its range.
            let _recorded = histogram.record(duration_ns);
        }
        Self(Some(histogram).filter(|histogram| !histogram.is_empty()))
    }

    fn median_ns(&self) -> Option<f64> {
        self.0.as_ref().map(|histogram| as_f64(histogram.value_at_quantile(0.5)))
    }

    /// A quantile in microseconds, or nothing while too few samples lie beyond it.
    fn quantile_us(&self, q: f64) -> Option<f64> {
        let histogram = self.0.as_ref().filter(|histogram| as_f64(histogram.len()) >= samples_for_quantile(q))?;
        Some(as_f64(histogram.value_at_quantile(q)) / 1e3)
    }
}

/// Exact up to 2^53, far above every count, byte sum and duration here.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use prefab_contract::engine::Ceiling;

    use super::*;

    fn round(number: u64, request_ns: u64, blocking_ns: u64, spinning_ns: u64) -> Round {
        let run = |waiting, duration_ns| Ceiling { waiting, streams: 1, duration_ns };
        let ceiling_ns = vec![run(Waiting::Blocking, blocking_ns), run(Waiting::Spinning, spinning_ns)];
        Round { number, request_ns, ceiling_ns, ..Round::default() }
    }

    #[test]
    fn the_ratio_is_the_median_of_ratios_taken_within_a_round() {
        let rounds = [round(1, 100, 90, 200), round(2, 1000, 900, 950), round(3, 100, 300, 50)];
        let rounds: Vec<&Round> = rounds.iter().collect();
        assert_eq!(ceiling_ratio(&rounds), Some(0.9));
        // Medians are 300 ns blocking and 200 ns spinning.
        assert!((ceiling_gb_per_s(1000, &rounds).unwrap() - 5.0).abs() < 0.01);
        assert_eq!((ceiling_ratio(&[]), ceiling_gb_per_s(1, &[])), (None, None));
    }

    #[test]
    fn a_quantile_needs_ten_samples_beyond_it() {
        for (count, q, is_told) in
            [(19, 0.5, false), (20, 0.5, true), (99, 0.9, false), (100, 0.9, true), (999, 0.99, false)]
        {
            let durations = Durations::of((0..count).map(|_| 1000));
            assert_eq!(durations.quantile_us(q).is_some(), is_told, "{count} {q}");
        }
    }

    #[test]
    fn medians_of_even_and_odd_lists() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
