//! How an EFA device may reach GPU memory: dma-buf, or a peer-memory module on older kernels.

use super::gpu_driver;
use super::kernel_modules::is_loaded;
use super::nvidia_smi::nothing_to_check;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::version::Version;
use crate::host::{Host, Unreadable};

/// The first kernel with dma-buf for RDMA.
const DMA_BUF_KERNEL: Version = Version([5, 12, 0]);

const RELEASE: &str = "/proc/sys/kernel/osrelease";

/// `gpu.peer-memory`: with a new kernel and open modules no peer-memory module is needed, and its absence is normal.
/// `nvidia_peermem` is for another vendor's adapters; EFA's is `efa_nv_peermem` (amazon-eks-ami#2672).
pub(super) fn peer_memory(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    match plan.expected() {
        Some(expected) if expected.gpudirect => {}
        Some(_) => return Ok(Outcome::skip("this type has no GPUDirect RDMA")),
        None => return Ok(Outcome::skip("no plan says whether this type has GPUDirect")),
    }
    let release = host.value(RELEASE)?.ok_or_else(|| Unreadable::new(RELEASE, "it is not there"))?;
    let kernel = Version::parse(&release).ok_or_else(|| Unreadable::new(RELEASE, "no version"))?;
    let is_open = gpu_driver::is_open(host)?;
    if kernel >= DMA_BUF_KERNEL && is_open {
        return Ok(Outcome::pass(format!("dma-buf: kernel {release}, open modules")));
    }
    if is_loaded(host, "efa_nv_peermem")? {
        return Ok(Outcome::pass("the module efa_nv_peermem"));
    }
    let flavour = if is_open { "open" } else { "proprietary" };
    let mut found = format!("kernel {release}, {flavour} modules, no efa_nv_peermem");
    if let Some(line) = mismatch(&host.kernel_log()?.unwrap_or_default()) {
        found = format!("{found}; kernel log: {line}");
    }
    let expected = format!("kernel {DMA_BUF_KERNEL} or newer with NVIDIA's open modules, or efa_nv_peermem");
    let hint = "install the open driver; else rebuild efa_nv_peermem against the running NVIDIA driver";
    Ok(Outcome::fail(found, expected, hint))
}

/// A module that was built against another driver.
fn mismatch(log: &[String]) -> Option<&String> {
    let words = ["disagrees about version of symbol", "Unknown symbol"];
    log.iter().find(|line| line.contains("peermem") && words.iter().any(|word| line.contains(word)))
}
