//! Registered memory: a pool in regions that a device takes, and how both ends name them.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use libfabric_sys::{self as fi, Library, Zeroed};
use serde::{Deserialize, Serialize};

use super::info::Info;
use super::objects::{Objects, Owned, check};
use crate::cuda::memory::DeviceMemory;
use crate::transport::memory::Pool;

/// The most bytes of one region. EFA takes at most 2^20 pages for one that may be written remotely, 4 GiB of small ones.
const REGION_BYTES: u64 = 2 << 30;

/// The first API with registrations by dma-buf: 1.20.
const DMABUF_SINCE: u32 = 1 << 16 | 20;

/// A region, as the peer addresses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteRegion {
    /// What its first byte is called: an address of the owner's, or 0 where regions are addressed by offset.
    pub(crate) address: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// What permits access; gone when the owner closes the region.
    pub(crate) key: u64,
}

/// Memory that a device may read and write.
#[derive(Clone, Copy)]
pub(crate) enum Reachable<'a> {
    /// Of this process.
    Host(&'a Pool),
    /// Of a GPU.
    Gpu(&'a DeviceMemory),
}

impl<'a> From<&'a Pool> for Reachable<'a> {
    fn from(pool: &'a Pool) -> Self {
        Self::Host(pool)
    }
}

impl Reachable<'_> {
    /// Where it begins, in this process's addresses.
    pub(super) fn start(self) -> u64 {
        match self {
            Self::Host(pool) => pool.address(),
            Self::Gpu(memory) => memory.start(),
        }
    }

    /// Its length.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::Host(pool) => pool.length(),
            Self::Gpu(memory) => memory.bytes(),
        }
    }

    /// Whether it is a GPU's.
    pub(super) fn is_gpu(self) -> bool {
        matches!(self, Self::Gpu(_))
    }
}

/// How a GPU's memory was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By a dma-buf.
    DmaBuf,
    /// By its address, which libfabric looks up.
    Hmem,
}

impl Naming {
    /// The word of reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DmaBuf => "dma-buf",
            Self::Hmem => "FI_HMEM",
        }
    }
}

/// Memory, registered in regions of [`REGION_BYTES`]. It must outlive this: the device reads and writes there.
pub(super) struct Registered {
    regions: Vec<Region>,
    start: u64,
    bytes: u64,
    naming: Option<Naming>,
}

struct Region {
    owned: Owned<fi::fid_mr>,
    remote: RemoteRegion,
}

impl Registered {
    /// Registers all of `pool` for reading and writing from both ends. `first_key` and those after it are free.
    ///
    /// # Errors
    /// The provider refuses, mostly for want of lockable memory.
    pub(super) fn new(
        library: &Library,
        objects: &Objects,
        info: Info<'_>,
        memory: Reachable<'_>,
        first_key: u64,
    ) -> Result<Self> {
        let (start, length) = (memory.start(), memory.bytes());
        let mut registered = Self { regions: Vec::new(), start, bytes: length, naming: None };
        let mut offset = 0;
        while offset < length {
            let bytes = REGION_BYTES.min(length - offset);
            let key = first_key + registered.regions.len() as u64;
            let range = memory_at(start + offset, bytes)?;
            let region = match memory {
                Reachable::Host(_) => Region::of_host(library, objects, info, range, key)?,
                Reachable::Gpu(gpu) => {
                    let (region, naming) = Region::of_gpu(library, objects, info, (gpu, offset), range, key)?;
                    registered.naming = Some(naming);
                    region
                }
            };
            registered.regions.push(region);
            offset += bytes;
        }
        Ok(registered)
    }

    /// What the peer needs.
    pub(super) fn remote(&self) -> Vec<RemoteRegion> {
        self.regions.iter().map(|region| region.remote).collect()
    }

    /// How a GPU's memory was registered; none of the host's.
    pub(super) fn naming(&self) -> Option<Naming> {
        self.naming
    }

    /// Closes all of them: no key is worth anything any more.
    #[cfg(test)]
    pub(super) fn revoke(&mut self) {
        self.regions.clear();
    }

    /// A local range as operations take it, with its descriptor. It must not cross a border of regions.
    ///
    /// # Errors
    /// It lies outside the pool.
    pub(super) fn local(&self, offset: u64, bytes: u64) -> Result<(fi::iovec, *mut c_void)> {
        let end = offset.checked_add(bytes).filter(|&end| end <= self.bytes);
        ensure!(
            end.is_some(),
            "found the range {offset} + {bytes}, expected one inside the pool of {} bytes",
            self.bytes
        );
        let region = usize::try_from(offset / REGION_BYTES)?;
        let region = self.regions.get(region).context("a region of the pool")?;
        // SAFETY: a live registration, whose descriptor never changes.
        let descriptor = unsafe { (*region.owned.as_ptr()).mem_desc };
        Ok((memory_at(self.start + offset, bytes)?, descriptor))
    }
}

impl Region {
    fn of_host(library: &Library, objects: &Objects, info: Info<'_>, range: fi::iovec, key: u64) -> Result<Self> {
        let attr = fi::fi_mr_attr { mr_iov: &raw const range, iface: fi::FI_HMEM_SYSTEM, ..attributes(key) };
        Self::new(library, objects, info, range, &attr, 0).with_context(|| {
            format!("cannot register {} bytes; raise the limit of locked memory (ulimit -l unlimited)", range.iov_len)
        })
    }

    /// By a dma-buf where driver and library have them, else by address.
    fn of_gpu(
        library: &Library,
        objects: &Objects,
        info: Info<'_>,
        (gpu, offset): (&DeviceMemory, u64),
        range: fi::iovec,
        key: u64,
    ) -> Result<(Self, Naming)> {
        let of_cuda = fi::fi_mr_attr { iface: fi::FI_HMEM_CUDA, device: gpu.device(), ..attributes(key) };
        let mut words = "libfabric before 1.20 takes none".to_owned();
        if library.api() >= DMABUF_SINCE {
            let by_dma_buf = gpu.dma_buf(offset, range.iov_len as u64).and_then(|file| {
                let named =
                    fi::fi_mr_dmabuf { fd: file.as_raw_fd(), offset: 0, len: range.iov_len, base_addr: range.iov_base };
                let attr = fi::fi_mr_attr { mr_iov: (&raw const named).cast(), ..of_cuda };
                // The provider keeps what it needs of the file.
                Self::new(library, objects, info, range, &attr, fi::FI_MR_DMABUF)
            });
            match by_dma_buf {
                Ok(region) => return Ok((region, Naming::DmaBuf)),
                Err(error) => words = format!("{error:#}"),
            }
        }
        let attr = fi::fi_mr_attr { mr_iov: &raw const range, ..of_cuda };
        let region = Self::new(library, objects, info, range, &attr, 0).with_context(|| {
            format!(
                "cannot register {} bytes of GPU memory (by dma-buf: {words}); use --memory-path staged",
                range.iov_len
            )
        })?;
        Ok((region, Naming::Hmem))
    }

    fn new(
        library: &Library,
        objects: &Objects,
        info: Info<'_>,
        range: fi::iovec,
        attr: &fi::fi_mr_attr,
        flags: u64,
    ) -> Result<Self> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a live domain; the attributes are only read and have the size of the newest layout. The memory outlives
        // the registration, and this program looks at it only while no transfer runs.
        let result = unsafe { fi::fi_mr_regattr(objects.domain.as_ptr(), attr, flags, &raw mut raw) };
        check(library, "fi_mr_regattr", result)?;
        let owned = Owned::new(raw).context("found no registration after fi_mr_regattr")?;
        // SAFETY: a live registration.
        let key = unsafe { (*raw).key };
        ensure!(key != fi::FI_KEY_NOTAVAIL, "found a registration without a key of 64 bits, expected one");
        let address = if info.mr_mode() & fi::FI_MR_VIRT_ADDR != 0 { range.iov_base as u64 } else { 0 };
        Ok(Self { owned, remote: RemoteRegion { address, bytes: range.iov_len as u64, key } })
    }
}

/// What every registration is.
fn attributes(key: u64) -> fi::fi_mr_attr {
    fi::fi_mr_attr {
        iov_count: 1,
        access: fi::FI_READ | fi::FI_WRITE | fi::FI_REMOTE_READ | fi::FI_REMOTE_WRITE | fi::FI_RECV,
        requested_key: key,
        ..fi::fi_mr_attr::zeroed()
    }
}

fn memory_at(address: u64, bytes: u64) -> Result<fi::iovec> {
    let iov_base = std::ptr::with_exposed_provenance_mut(usize::try_from(address)?);
    Ok(fi::iovec { iov_base, iov_len: usize::try_from(bytes)? })
}

/// The border behind an offset: operations must not cross it.
pub(super) fn bytes_to_border(offset: u64) -> u64 {
    REGION_BYTES - offset % REGION_BYTES
}

/// A range of the peer's pool as operations take it. It must not cross a border of regions.
///
/// # Errors
/// It lies outside of what the peer registered.
pub(super) fn remote_range(regions: &[RemoteRegion], offset: u64, bytes: u64) -> Result<fi::fi_rma_iov> {
    let region = usize::try_from(offset / REGION_BYTES).ok().and_then(|number| regions.get(number));
    let within = offset % REGION_BYTES;
    let region = region.filter(|region| within <= region.bytes && bytes <= region.bytes - within);
    let region = region.with_context(|| format!("found the range {offset} + {bytes} outside of the peer's pool"))?;
    Ok(fi::fi_rma_iov { addr: region.address + within, len: usize::try_from(bytes)?, key: region.key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_the_peer_are_addressed_within_their_region_and_nowhere_else() {
        let of = |number: u64, bytes| RemoteRegion { address: (number + 1) << 40, bytes, key: number + 7 };
        let regions = [of(0, REGION_BYTES), of(1, 4096)];
        let range = remote_range(&regions, REGION_BYTES + 96, 4000).unwrap();
        assert_eq!((range.addr, range.len, range.key), ((2 << 40) + 96, 4000, 8));
        assert_eq!(bytes_to_border(REGION_BYTES - 10), 10);
        for (offset, bytes) in
            [(REGION_BYTES - 10, 11), (REGION_BYTES + 97, 4000), (2 * REGION_BYTES, 1), (u64::MAX, 1)]
        {
            assert!(remote_range(&regions, offset, bytes).is_err(), "{offset} + {bytes}");
        }
    }
}
