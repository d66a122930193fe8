//! Figures of GPU memory: stages, links, and how near a request comes to the slowest of them.

use prefab_contract::engine::{GpuLinks, PathFacts, Stages};

use super::as_f64;
use super::measured::{Measured, median_of};

/// The GPUs of a pair, from the initiator's to the target's.
pub(super) fn indices(facts: &PathFacts) -> Option<String> {
    let (initiator, target) = (facts.gpu.as_ref()?, facts.target_gpu.as_ref()?);
    Some(format!("{} to {}", initiator.index, target.index))
}

/// The median time of a stage for one request, in milliseconds.
pub(super) fn stage_ms(pairs: &[Measured<'_>], stage: fn(&Stages) -> u64) -> Option<f64> {
    median_of(pairs, |pair| pair.staged().iter().map(|staged| staged.per_request(stage) / 1e6).collect())
}

/// What the stages of some requests took together.
pub(super) struct Staged {
    /// Of all requests and streams.
    pub(super) stages: Stages,
    /// Times of contiguous copies of as many bytes as `loop_requests` requests have.
    pub(super) links: Option<GpuLinks>,
    /// The best plain loop over as many.
    pub(super) loop_ns: Option<f64>,
    /// How many requests a loop or copy stands for.
    pub(super) loop_requests: f64,
    /// How many requests there were.
    pub(super) requests: f64,
    /// In how many nanoseconds.
    pub(super) elapsed_ns: f64,
    /// On how many streams.
    pub(super) streams: f64,
}

impl Staged {
    fn per_request(&self, stage: fn(&Stages) -> u64) -> f64 {
        as_f64(stage(&self.stages)) / self.requests / self.streams
    }

    /// The share of the time in which this stage was at work on any stream.
    pub(super) fn busy(&self, stage: fn(&Stages) -> u64) -> f64 {
        (as_f64(stage(&self.stages)) / self.elapsed_ns).min(1.0)
    }

    /// GB a second of a copy, for requests of so many bytes.
    pub(super) fn link_gb_per_s(&self, link: fn(&GpuLinks) -> u64, payload_bytes: u64) -> Option<f64> {
        let ns = self.links.as_ref().map(link).filter(|&ns| ns > 0)?;
        Some(as_f64(payload_bytes) * self.loop_requests / as_f64(ns))
    }

    /// The share of what the slowest of copies and wire allows.
    pub(super) fn ratio(&self) -> Option<f64> {
        let links = self.links?;
        let slowest_ns = as_f64(links.to_host_ns.max(links.to_device_ns)).max(self.loop_ns?);
        Some(slowest_ns / self.loop_requests / (self.elapsed_ns / self.requests))
    }
}
