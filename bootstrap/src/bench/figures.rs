//! What the pairs of a cell brought becomes the figures of a case. Pure.

mod durations;
mod gpu;
mod measured;
mod proof;

use prefab_contract::bench_report::{Case, Ended, MOST_ROUNDS_TOLD, Mode, Semantics};
use prefab_contract::engine::{self, CaseSpec, Memory, Operation, Round, Transport, Waiting};

use super::outcome::Outcome;
use super::plan::{Batch, Cell};
use durations::{Durations, median};
use measured::{Measured, Work, median_of, summed};
use proof::{carried, counters, failure, is_verified};

/// The figures of one cell. `link_gb_per_s` is what the link between its nodes carries.
pub(crate) fn figures(batch: &Batch, cell: &Cell, pairs: &[Outcome], link_gb_per_s: Option<f64>) -> Case {
    let Cell { spec, .. } = cell;
    let measured: Vec<Measured<'_>> = pairs.iter().map(|pair| Measured::of(spec, pair)).collect();
    let requests = Durations::of(measured.iter().flat_map(|pair| pair.requests_ns()));
    let posts = Durations::of(measured.iter().flat_map(|pair| pair.posts_ns()));
    let payload_bytes = spec.shape.payload_bytes();
    let descriptors = spec.shape.descriptors();
    let moves = spec.transport.moves_bytes();
    let is_on_gpu = spec.memory == Memory::Gpu;
    let work = measured.iter().map(|pair| pair.work()).fold(Work::default(), Work::with);
    let cpu_s_per_gb = work.cpu_s_per_gb().filter(|_| moves);
    // Bytes a nanosecond are GB a second.
    let per_ns = summed(&measured, |pair| pair.requests_per_ns());
    let gb_per_s = per_ns.filter(|_| moves).map(|requests| requests * as_f64(payload_bytes));
    let link_gb_per_s = link_gb_per_s.filter(|_| gb_per_s.is_some());
    let carried = carried(spec, pairs);
    let facts = pairs.first().and_then(Outcome::path);
    let failure = failure(pairs);
    Case {
        path: carried.path.name().to_owned(),
        path_evidence: Some(carried.evidence),
        transport: spec.transport.name().to_owned(),
        provider: facts.and_then(|facts| facts.provider.clone()),
        semantics: match spec.operation {
            // A GPU's target packs or unpacks, by tables that it has beforehand.
            _ if is_on_gpu && spec.transport != Transport::Peer => Semantics::ReceiverAssisted,
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
        waiting: facts.map(|facts| facts.waiting.clone()),
        facts: facts.cloned(),
        counters: counters(pairs),
        prompt_tokens: cell.tokens,
        hit_tokens: cell.hit_tokens,
        fragmentation: f64::from(spec.scatter.fragmentation_ppm) / 1e6,
        payload_bytes,
        descriptor_bytes: spec.shape.main_descriptor_bytes(),
        descriptors,
        runs_per_request: durations::mean(measured.iter().filter_map(|pair| pair.runs())),
        working_set_bytes: spec.shape.pool_bytes(),
        threads_initiator: spec.streams,
        threads_target: spec.streams,
        rounds: measured.iter().map(|pair| pair.rounds().len() as u64).min().unwrap_or(0),
        gb_per_s,
        descriptors_per_s: per_ns.map(|requests| requests * 1e9 * as_f64(descriptors)),
        p50_us: requests.quantile_us(0.5),
        p90_us: requests.quantile_us(0.9),
        p99_us: requests.quantile_us(0.99),
        p999_us: requests.quantile_us(0.999),
        max_us: measured.iter().flat_map(|pair| pair.requests_ns()).max().map(|ns| as_f64(ns) / 1e3),
        latencies: requests.buckets(),
        requests: requests.count(),
        window_s: measured.iter().filter_map(|pair| pair.window_ns()).max().map(|ns| as_f64(ns) / 1e9),
        post_us_p50: posts.quantile_us(0.5),
        prep_us: durations::mean(measured.iter().filter_map(|pair| pair.prep_ns())).map(|ns| ns / 1e3),
        exposed_us: median(measured.iter().flat_map(|pair| pair.exposed_ns()).map(|ns| as_f64(ns) / 1e3)),
        start_ms: longest_ms(pairs, |pair| pair.start_us),
        load_ms: longest_ms(pairs, |pair| pair.ready.as_ref().map(|ready| ready.load_us)),
        first_transfer_ms: longest_ms(pairs, |pair| {
            pair.rounds.first().filter(|round| round.number == 0).map(|round| round.request_ns / 1000)
        }),
        registration_ms: longest_ms(pairs, |pair| pair.ready.as_ref().map(|ready| ready.registration_us)),
        connect_ms: longest_ms(pairs, |pair| pair.ready.as_ref().map(|ready| ready.connect_us)),
        initiator_cpu_ns_per_descriptor: median_of(&measured, |pair| pair.initiator_cpu_ns_per_descriptor()),
        initiator_cpu_s_per_gb: cpu_s_per_gb.map(|(initiator, _)| initiator),
        target_cpu_s_per_gb: cpu_s_per_gb.map(|(_, target)| target),
        ceiling_gb_per_s: summed(&measured, |pair| Some(pair.ceiling()?.0)),
        ceiling_kind: measured.first().and_then(|pair| pair.ceiling()).map(|(_, kind)| kind_name(kind)),
        ceiling_ratio: median_of(&measured, |pair| pair.ceiling_ratios()),
        link_gb_per_s,
        link_share: gb_per_s.zip(link_gb_per_s).map(|(rate, link)| rate / link),
        memory_path: facts.filter(|_| is_on_gpu).map(|facts| facts.memory_path.clone()),
        gpus: facts.and_then(gpu::indices),
        pack_ms: gpu::stage_ms(&measured, |stages| stages.pack_ns),
        to_host_ms: gpu::stage_ms(&measured, |stages| stages.to_host_ns),
        wire_ms: gpu::stage_ms(&measured, |stages| stages.wire_ns),
        to_device_ms: gpu::stage_ms(&measured, |stages| stages.to_device_ns),
        unpack_ms: gpu::stage_ms(&measured, |stages| stages.unpack_ns),
        source_gpu_busy: median_of(&measured, |pair| pair.busy(|stages| stages.pack_ns)),
        sink_gpu_busy: median_of(&measured, |pair| pair.busy(|stages| stages.unpack_ns)),
        to_host_link_gb_per_s: median_of(&measured, |pair| pair.links_gb_per_s(|links| links.to_host_ns)),
        to_device_link_gb_per_s: median_of(&measured, |pair| pair.links_gb_per_s(|links| links.to_device_ns)),
        staged_ratio: median_of(&measured, |pair| pair.staged_ratios()),
        decode_slowdown: median_of(&measured, |pair| pair.decode_slowdowns()),
        jit_ms: facts.and_then(|facts| facts.gpu.as_ref()).map(|gpu| as_f64(gpu.jit_us) / 1e3),
        blocks_verified: pairs.iter().map(Outcome::blocks_verified).sum(),
        verified: is_verified(spec, pairs),
        ended: if failure.is_none() { Ended::Complete } else { Ended::Partial },
        failure,
        rounds_us: rounds_us(&measured),
    }
}

/// The rounds one by one, as many as a report tells.
fn rounds_us(pairs: &[Measured<'_>]) -> Vec<f64> {
    let rounds: Vec<&Round> = pairs.iter().flat_map(|pair| pair.rounds()).copied().collect();
    let every = rounds.len().div_ceil(MOST_ROUNDS_TOLD).max(1);
    rounds.iter().step_by(every).map(|round| as_f64(round.request_ns) / 1e3).collect()
}

fn rate_per_s(spec: &CaseSpec) -> Option<f64> {
    match spec.mode {
        engine::Mode::Steady { rate_per_1000_s, .. } => rate_per_1000_s.map(|rate| as_f64(rate) / 1000.0),
        engine::Mode::Request { .. } => None,
    }
}

fn longest_ms(pairs: &[Outcome], us: impl Fn(&Outcome) -> Option<u64>) -> Option<f64> {
    pairs.iter().filter_map(us).max().map(|us| as_f64(us) / 1e3)
}

fn kind_name((waiting, streams): (Waiting, u32)) -> String {
    format!("{} x {streams}", waiting.name())
}

/// Exact up to 2^53, far above every count, byte sum and duration here.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
