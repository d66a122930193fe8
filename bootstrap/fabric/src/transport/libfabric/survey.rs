//! What libfabric offers on this machine, for `probe`.

use std::collections::BTreeSet;

use libfabric_sys::{self as fi, Library};
use prefab_contract::probe::{ProbedDevice, ProbedEndpoint, ProbedLibfabric, ProbedLibrary, ProbedProvider};

use super::choice::choose;
use super::info::{Info, Infos};
use super::objects::Objects;
use super::options::{self, Traits};
use super::provider::{EFA, EFA_DIRECT, Provider};
use super::session::{card_of, version};

/// Entries of a queue that is opened for nothing but a question.
const FEW_ENTRIES: usize = 16;

/// What the library offers; why not, if there is none.
pub(crate) fn survey() -> ProbedLibfabric {
    match super::library() {
        Ok(library) => survey_of(&library),
        Err(error) => without_library(format!("{error:#}")),
    }
}

/// A survey that says only why there is nothing.
pub(crate) fn without_library(reason: String) -> ProbedLibfabric {
    ProbedLibfabric { library: None, unavailable: Some(reason), providers: Vec::new(), devices: Vec::new() }
}

/// What this library offers.
pub(super) fn survey_of(library: &Library) -> ProbedLibfabric {
    let probed = ProbedLibrary {
        path: library.path.display().to_string(),
        version: version(library.version),
        api: version(library.api()),
    };
    let (providers, unavailable) = match Infos::all(library) {
        Ok(infos) => (providers(library, &infos), None),
        Err(error) => {
            let words = library.error_name(error.into());
            (Vec::new(), Some(format!("found {words} from fi_getinfo, expected at least one provider; see `fi_info`")))
        }
    };
    let devices: BTreeSet<_> = providers.iter().filter(|entry| is_endpoint(entry, "rdm")).map(device).collect();
    ProbedLibfabric { library: Some(probed), unavailable, providers, devices: devices.into_iter().collect() }
}

fn providers(library: &Library, infos: &Infos) -> Vec<ProbedProvider> {
    let mut entries: Vec<ProbedProvider> = Vec::new();
    for info in infos.iter() {
        let mut entry = read(info);
        if entries.iter().any(|known| ProbedProvider { opened: None, ..known.clone() } == entry) {
            continue;
        }
        let fabric = [&EFA, &EFA_DIRECT].into_iter().find(|fabric| is_of(&entry, fabric));
        let is_first = !entries.iter().any(|known| known.opened.is_some() && known.fabric == entry.fabric);
        entry.opened = fabric.filter(|_| is_first).map(|fabric| open(library, fabric));
        entries.push(entry);
    }
    entries
}

fn read(info: Info<'_>) -> ProbedProvider {
    let has = |caps| info.caps() & caps == caps;
    ProbedProvider {
        provider: info.provider(),
        provider_version: version(info.provider_version()),
        fabric: info.fabric(),
        domain: info.domain(),
        endpoint: match info.endpoint_type() {
            fi::FI_EP_MSG => "msg",
            fi::FI_EP_DGRAM => "dgram",
            fi::FI_EP_RDM => "rdm",
            _ => "unknown",
        }
        .to_owned(),
        rma_read: has(fi::FI_RMA | fi::FI_READ | fi::FI_REMOTE_READ),
        rma_write: has(fi::FI_RMA | fi::FI_WRITE | fi::FI_REMOTE_WRITE),
        hmem: has(fi::FI_HMEM),
        rx_cq_data: info.mode() & fi::FI_RX_CQ_DATA != 0,
        depth: info.depth() as u64,
        pieces: info.pieces() as u64,
        max_message_bytes: info.largest_message_bytes(),
        opened: None,
    }
}

fn is_endpoint(entry: &ProbedProvider, kind: &str) -> bool {
    entry.endpoint == kind
}

fn is_of(entry: &ProbedProvider, fabric: &Provider) -> bool {
    entry.provider == fabric.name && Some(entry.fabric.as_str()) == fabric.fabric && is_endpoint(entry, "rdm")
}

fn device(entry: &ProbedProvider) -> ProbedDevice {
    ProbedDevice { provider: entry.provider.clone(), device: card_of(&entry.domain).to_owned() }
}

fn open(library: &Library, fabric: &'static Provider) -> ProbedEndpoint {
    let opened = choose(library, fabric, None, 0).and_then(|chosen| {
        let info = chosen.info()?;
        let (objects, _) = Objects::open(library, info, FEW_ENTRIES)?;
        let refused = options::set(library, &objects, fabric, info.mode() & fi::FI_RX_CQ_DATA != 0);
        objects.enable(library)?;
        Ok(Traits { refused, ..options::get(&objects) })
    });
    let (traits, unavailable) = match opened {
        Ok(traits) => (traits, None),
        Err(error) => (Traits::default(), Some(format!("{error:#}"))),
    };
    ProbedEndpoint {
        unavailable,
        emulated_read: traits.emulated_read,
        emulated_write: traits.emulated_write,
        max_rma_bytes: traits.max_rma_bytes,
        refused_options: traits.refused,
    }
}
