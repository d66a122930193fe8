//! Asking `fi_getinfo` for exactly one provider and fabric.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::net::IpAddr;
use std::ptr;

use anyhow::{Context, Result};
use libfabric_sys::{self as fi, Library};

use super::info::{Info, Infos};
use super::provider::{EFA, Provider};
use crate::transport::Unavailable;

/// What was found, with the number of the info to use.
pub(super) struct Chosen {
    infos: Infos,
    number: usize,
}

impl Chosen {
    /// The one to use.
    ///
    /// # Errors
    /// Never: it was found.
    pub(super) fn info(&self) -> Result<Info<'_>> {
        self.infos.iter().nth(self.number).context("the chosen info")
    }
}

/// Asks for exactly this provider; `address` is the local end of the control connection. Where several devices have it,
/// streams are dealt among them by their number.
///
/// # Errors
/// [`Unavailable`] if it is not there, with what is.
pub(super) fn choose(library: &Library, provider: &Provider, address: Option<IpAddr>, stream: usize) -> Result<Chosen> {
    choose_for(false, library, provider, address, stream)
}

/// As [`choose`], for memory of the host or of a GPU.
///
/// # Errors
/// As [`choose`].
pub(super) fn choose_for(
    has_gpu: bool,
    library: &Library,
    provider: &Provider,
    address: Option<IpAddr>,
    stream: usize,
) -> Result<Chosen> {
    let node = match address {
        Some(address) if provider.has_ip_address => Some(CString::new(address.to_string())?),
        _ => None,
    };
    let flags = if node.is_some() { fi::FI_SOURCE } else { 0 };
    let mut others = Vec::new();
    let mut words = String::new();
    for &mode in provider.modes() {
        let hints = Hints::new(library, provider, mode, has_gpu)?;
        match Infos::ask(library, node.as_deref(), flags, hints.infos.first.as_ptr()) {
            Err(error) => words = library.error_name(error.into()),
            Ok(infos) => {
                let numbers = infos.iter().enumerate().filter(|(_, info)| is_it(info, provider));
                let numbers: Vec<usize> = numbers.map(|(number, _)| number).collect();
                if let Some(number) = pick(&numbers, provider, stream) {
                    return Ok(Chosen { infos, number });
                }
                others.extend(infos.iter().map(|info| info.provider()));
            }
        }
    }
    others.dedup();
    Err(Unavailable(refusal(library, provider, has_gpu, &others, &words)).into())
}

/// EFA shows a device an entry; other providers show one network in several ways, of which the first is preferred.
fn pick(numbers: &[usize], provider: &Provider, stream: usize) -> Option<usize> {
    let number = if provider.name == EFA.name { stream.checked_rem(numbers.len())? } else { 0 };
    numbers.get(number).copied()
}

fn is_it(info: &Info<'_>, provider: &Provider) -> bool {
    info.provider() == provider.name && provider.fabric.is_none_or(|name| info.fabric() == name)
}

fn refusal(library: &Library, provider: &Provider, has_gpu: bool, others: &[String], words: &str) -> String {
    let found = if others.is_empty() { words.to_owned() } else { format!("only {}", others.join(", ")) };
    let fabric = provider.fabric.map(|name| format!(", fabric {name}")).unwrap_or_default();
    let (memory, remedy) = if has_gpu {
        let remedy = "see that libfabric finds libcudart.so, that it was built with CUDA, and that the device has GPUDirect; \
                      or use --memory-path staged";
        (" with FI_HMEM", remedy)
    } else {
        ("", provider.remedy)
    };
    format!(
        "found {found} in libfabric {}.{} at {}, expected the provider {}{fabric}{memory}; {}",
        library.version >> 16,
        library.version & 0xffff,
        library.path.display(),
        provider.name,
        remedy
    )
}

/// Hints that the library made, at its own size.
struct Hints {
    infos: Infos,
    names: Vec<CString>,
}

impl Hints {
    fn new(library: &Library, provider: &Provider, mode: u64, has_gpu: bool) -> Result<Self> {
        let infos = Infos::empty(library).context("libfabric has no memory for an info")?;
        let mut hints = Self { infos, names: Vec::new() };
        hints.fill(provider, mode, has_gpu)?;
        Ok(hints)
    }

    fn fill(&mut self, provider: &Provider, mode: u64, has_gpu: bool) -> Result<()> {
        let info = self.infos.first.as_ptr();
        let prov_name = self.name(provider.name)?;
        let fabric = provider.fabric.map(|name| self.name(name)).transpose()?;
        // SAFETY: a live info, owned alone; each attribute was made with it, and these fields exist in every ABI. The
        // names stay ours: `drop` takes them out before the library frees the rest.
        #[allow(clippy::multiple_unsafe_ops_per_block, reason = "plain stores into one structure")]
        unsafe {
            (*info).caps = Provider::caps(has_gpu);
            (*info).mode = mode;
            (*(*info).ep_attr).type_ = fi::FI_EP_RDM;
            (*(*info).domain_attr).mr_mode = Provider::mr_mode(has_gpu);
            (*(*info).domain_attr).threading = fi::FI_THREAD_DOMAIN;
            // The engine polls all the time; a thread of the provider's would take a core from it.
            (*(*info).domain_attr).data_progress = fi::FI_PROGRESS_MANUAL;
            (*(*info).fabric_attr).prov_name = prov_name;
            (*(*info).fabric_attr).name = fabric.unwrap_or(ptr::null_mut());
        }
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<*mut c_char> {
        self.names.push(CString::new(name).context("a provider's name with a zero")?);
        Ok(self.names.last().map_or(ptr::null(), |name| name.as_ptr()).cast_mut())
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        let info = self.infos.first.as_ptr();
        // SAFETY: a live info, owned alone. The library frees strings with its own allocator, and these are not from it.
        #[allow(clippy::multiple_unsafe_ops_per_block, reason = "plain stores into one structure")]
        unsafe {
            (*(*info).fabric_attr).prov_name = ptr::null_mut();
            (*(*info).fabric_attr).name = ptr::null_mut();
        }
    }
}
