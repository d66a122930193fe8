//! What the pairs of a cell brought becomes the figures of a case. Pure.

use hdrhistogram::Histogram;
use prefab_contract::bench_report::{Case, Ended, Failure, MOST_ROUNDS_TOLD, Mode, Semantics, samples_for_quantile};
use prefab_contract::engine::{self, CaseSpec, Operation, Round, Transport, Waiting};
use prefab_contract::path::Path;

use super::pair::{ABANDONED, Outcome};
use super::plan::{Batch, Cell};

/// The figures of one cell. `link_gb_per_s` is what the link between its nodes carries.
pub(crate) fn figures(batch: &Batch, cell: &Cell, pairs: &[Outcome], link_gb_per_s: Option<f64>) -> Case {
    let Cell { spec, .. } = cell;
    // The cold round is told apart and counts in no other figure.
    let measured: Vec<Vec<&Round>> =
        pairs.iter().map(|pair| pair.rounds.iter().filter(|round| round.number > 0).collect()).collect();
    let all: Vec<&Round> = measured.iter().flatten().copied().collect();
    let requests = Durations::of(all.iter().flat_map(|round| request_durations(round)));
    let posts = Durations::of(all.iter().map(|round| round.post_ns));
    let payload_bytes = spec.shape.payload_bytes();
    let descriptors = spec.shape.descriptors();
    let outstanding = as_f64(u64::from(spec.mode.outstanding()));
    let moves = spec.transport.moves_bytes();
    let moved_gb = all.iter().map(|round| as_f64(round.target_bytes)).sum::<f64>() / 1e9;
    let per_gb = |ns: fn(&Round) -> u64| {
        (moves && moved_gb > 0.0).then(|| all.iter().map(|round| as_f64(ns(round))).sum::<f64>() / 1e9 / moved_gb)
    };
    let mean = |value: fn(&Round) -> u64| mean(all.iter().map(|round| value(round)));
    // Bytes a nanosecond are GB a second.
    let per_ns = summed(&measured, |rounds| Some(outstanding / median_ns(rounds)?));
    let gb_per_s = per_ns.filter(|_| moves).map(|requests| requests * as_f64(payload_bytes));
    let blocks_verified: u64 = pairs.iter().flat_map(|pair| &pair.rounds).map(|round| round.blocks_verified).sum();
    let link_gb_per_s = link_gb_per_s.filter(|_| gb_per_s.is_some());
    let failure = failure(pairs);
    Case {
        path: path(spec.transport, pairs).name().to_owned(),
        path_evidence: pairs.first().and_then(|pair| Some(pair.carried.as_ref()?.evidence.clone())),
        transport: spec.transport.name().to_owned(),
        provider: pairs.first().and_then(|pair| Some(pair.fabric.as_ref()?.provider.clone())),
        fabric: pairs.first().and_then(|pair| pair.fabric.clone()),
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
        layout: cell.layout.to_owned(),
        operation: spec.operation,
        chosen: !batch.candidates.is_empty(),
        pairs: cell.pairs,
        scheme: cell.scheme.name().to_owned(),
        schedule: cell.schedule.map(str::to_owned),
        prefill_ms: spec.schedule.map(|schedule| schedule.prefill_ms),
        rate_per_s: rate_per_s(spec),
        prompt_tokens: cell.tokens,
        hit_tokens: cell.hit_tokens,
        fragmentation: f64::from(spec.scatter.fragmentation_ppm) / 1e6,
        payload_bytes,
        descriptor_bytes: spec.shape.main_descriptor_bytes(),
        descriptors,
        runs_per_request: mean(|round| round.runs).map(|runs| runs / outstanding),
        working_set_bytes: spec.shape.pool_bytes(),
        threads_initiator: spec.streams,
        threads_target: spec.streams,
        rounds: measured.iter().map(|rounds| rounds.len() as u64).min().unwrap_or(0),
        gb_per_s,
        descriptors_per_s: per_ns.map(|requests| requests * 1e9 * as_f64(descriptors)),
        p50_us: requests.quantile_us(0.5),
        p90_us: requests.quantile_us(0.9),
        p99_us: requests.quantile_us(0.99),
        p999_us: requests.quantile_us(0.999),
        max_us: all.iter().flat_map(|round| request_durations(round)).max().map(|ns| as_f64(ns) / 1e3),
        post_us_p50: posts.quantile_us(0.5),
        prep_us: mean(|round| round.prep_ns).map(|ns| ns / 1e3),
        exposed_us: median(all.iter().filter_map(|round| round.exposed_ns).map(|ns| as_f64(ns) / 1e3).collect()),
        first_transfer_ms: longest_ms(pairs, |pair| {
            pair.rounds.first().filter(|round| round.number == 0).map(|round| round.request_ns / 1000)
        }),
        registration_ms: longest_ms(pairs, |pair| pair.ready_us.map(|(_, registration_us)| registration_us)),
        connect_ms: longest_ms(pairs, |pair| pair.ready_us.map(|(connect_us, _)| connect_us)),
        initiator_cpu_ns_per_descriptor: median(
            all.iter().map(|round| as_f64(round.initiator_cpu_ns) / as_f64(descriptors) / outstanding).collect(),
        ),
        initiator_cpu_s_per_gb: per_gb(|round| round.initiator_cpu_ns),
        target_cpu_s_per_gb: per_gb(|round| round.target_cpu_ns),
        ceiling_gb_per_s: summed(&measured, |rounds| ceiling_gb_per_s(payload_bytes, rounds)),
        ceiling_ratio: median(all.iter().filter_map(|round| ceiling_ratio(round)).collect()),
        link_gb_per_s,
        link_share: gb_per_s.zip(link_gb_per_s).map(|(rate, link)| rate / link),
        blocks_verified,
        verified: is_verified(spec, pairs, blocks_verified),
        ended: if failure.is_none() { Ended::Complete } else { Ended::Partial },
        failure,
        rounds_us: rounds_us(spec, &all),
    }
}

/// The rounds one by one, as many as a report tells.
fn rounds_us(spec: &CaseSpec, rounds: &[&Round]) -> Vec<f64> {
    let every = match spec.mode {
        engine::Mode::Request { .. } => rounds.len().div_ceil(MOST_ROUNDS_TOLD).max(1),
        engine::Mode::Steady { .. } => return Vec::new(),
    };
    rounds.iter().step_by(every).map(|round| as_f64(round.request_ns) / 1e3).collect()
}

/// Each request of a round.
fn request_durations(round: &Round) -> impl Iterator<Item = u64> {
    let alone = round.requests_ns.is_empty().then_some(round.request_ns);
    round.requests_ns.iter().copied().chain(alone)
}

/// Every block of every request of every round was compared and right, and every pair had a round.
fn is_verified(spec: &CaseSpec, pairs: &[Outcome], blocks_verified: u64) -> bool {
    let rounds: u64 = pairs.iter().map(|pair| pair.rounds.len() as u64).sum();
    let expected = spec.shape.descriptors() * u64::from(spec.mode.outstanding()) * rounds;
    pairs.iter().all(|pair| !pair.rounds.is_empty()) && blocks_verified == expected
}

/// The first pair that failed by itself.
fn failure(pairs: &[Outcome]) -> Option<Failure> {
    let failures = || pairs.iter().filter_map(|pair| pair.failure.clone());
    failures().find(|failure| failure.cause != ABANDONED).or_else(|| failures().next())
}

fn rate_per_s(spec: &CaseSpec) -> Option<f64> {
    match spec.mode {
        engine::Mode::Steady { rate_per_1000_s, .. } => rate_per_1000_s.map(|rate| as_f64(rate) / 1000.0),
        engine::Mode::Request { .. } => None,
    }
}

/// The sum over all pairs, if each has a figure.
fn summed(pairs: &[Vec<&Round>], figure: impl Fn(&[&Round]) -> Option<f64>) -> Option<f64> {
    pairs.iter().try_fold(0.0, |sum, rounds| Some(sum + figure(rounds)?)).filter(|_| !pairs.is_empty())
}

fn longest_ms(pairs: &[Outcome], us: impl Fn(&Outcome) -> Option<u64>) -> Option<f64> {
    pairs.iter().filter_map(us).max().map(|us| as_f64(us) / 1e3)
}

fn median_ns(rounds: &[&Round]) -> Option<f64> {
    Durations::of(rounds.iter().map(|round| round.request_ns)).median_ns()
}

/// What carried the bytes of all pairs. A case that was cut short has no proof; the engine's own transports need none.
fn path(transport: Transport, pairs: &[Outcome]) -> Path {
    let of_pair = |pair: &Outcome| match (&pair.carried, transport) {
        (Some(carried), _) => carried.path,
        (None, Transport::BuiltinTcp) => Path::BuiltinTcp,
        (None, Transport::BuiltinVm) => Path::BuiltinVm,
        (None, _) => Path::Inconclusive,
    };
    let mut paths = pairs.iter().map(of_pair);
    let first = paths.next().unwrap_or(Path::Inconclusive);
    if paths.all(|path| path == first) { first } else { Path::Inconclusive }
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

/// The share of a round's best plain loop.
fn ceiling_ratio(round: &Round) -> Option<f64> {
    let best_ns = round.ceiling_ns.iter().map(|run| run.duration_ns).min()?;
    Some(as_f64(best_ns) / as_f64(round.request_ns.max(1)))
}

fn mean(values: impl Iterator<Item = u64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + as_f64(value), count + 1));
    (count > 0).then(|| sum / as_f64(count))
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
mod tests;
