//! The libraries between libfabric and the device: which one would be loaded, and whether they fit together.

use super::efa_devices::nothing_to_check;
use super::loader::Loader;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Unreadable};

const LIBFABRIC: &str = "libfabric.so.1";
const INSTALLED: &str = "/opt/amazon/efa/";
const REPAIR: &str =
    "put the installer's folder into /etc/ld.so.conf.d/efa.conf and run ldconfig; remove the other one";

/// The end of the name of a provider library, in libibverbs and in its folder.
const SUFFIX: &[u8] = b"-rdmav";

/// Every libfabric on the loader's path, the loaded one first.
pub(super) fn described(host: &Host) -> Result<String, Unreadable> {
    let found = libfabrics(host)?;
    Ok(if found.is_empty() { "none".to_owned() } else { found.join(", ") })
}

/// Those on the loader's path, then the installer's own where the path misses it.
fn libfabrics(host: &Host) -> Result<Vec<String>, Unreadable> {
    let mut found = Loader::new(host)?.all(LIBFABRIC)?;
    for folder in ["lib", "lib64"] {
        let installed = host.real_path(&format!("{INSTALLED}{folder}/{LIBFABRIC}"))?;
        found.extend(installed.filter(|path| !found.contains(path)));
    }
    Ok(found)
}

/// `efa.libfabric`: exactly one, and the installer's: another one lacks EFA, CUDA or the version (aws-ofi-nccl#241, #889).
pub(super) fn libfabric(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let on_path = Loader::new(host)?.all(LIBFABRIC)?;
    let expected = "one libfabric on the loader's path, the EFA installer's";
    Ok(match &on_path[..] {
        [] => Outcome::fail(format!("no {LIBFABRIC} on the loader's path"), expected, REPAIR),
        [first, ..] if !first.starts_with(INSTALLED) => {
            Outcome::fail(format!("loaded would be {first}; all: {}", described(host)?), expected, REPAIR)
        }
        [only] => Outcome::pass(only),
        [first, others @ ..] => {
            Outcome::warn(format!("loaded would be {first}, beside {}", others.join(", ")), expected, REPAIR)
        }
    })
}

/// `efa.verbs-provider`: libibverbs loads `libefa-rdmavN.so` with the N that it was built for, or sees no EFA
/// (modelexpress#259).
pub(super) fn verbs_provider(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Some(library) = Loader::new(host)?.find("libibverbs.so.1")? else {
        return Ok(Outcome::fail(
            "no libibverbs.so.1 on the loader's path",
            "rdma-core",
            "run the EFA installer of AWS",
        ));
    };
    let wanted = wanted_suffix(host, &library)?;
    let there = provider_suffixes(host)?;
    let found = format!("{library} loads libefa-{wanted}.so; there: {}", words(&there));
    if there.contains(&wanted) {
        return Ok(Outcome::pass(found));
    }
    let hint =
        "libibverbs and its providers come from different rdma-core versions: install both from the EFA installer";
    Ok(Outcome::fail(found, format!("libefa-{wanted}.so"), hint))
}

/// Such as `rdmav34`.
pub(super) fn wanted_suffix(host: &Host, library: &str) -> Result<String, Unreadable> {
    let bytes = host.bytes(library)?.unwrap_or_default();
    suffix_in(&bytes).ok_or_else(|| Unreadable::new(library, "it names no provider suffix -rdmavN.so"))
}

fn suffix_in(bytes: &[u8]) -> Option<String> {
    let starts = bytes.windows(SUFFIX.len()).enumerate().filter(|(_, window)| *window == SUFFIX).map(|(at, _)| at);
    starts.map(|at| digits(&bytes[at + SUFFIX.len()..])).find(|digits| !digits.is_empty()).map(|n| format!("rdmav{n}"))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().take(6).take_while(|byte| byte.is_ascii_digit()).map(|&byte| char::from(byte)).collect()
}

/// Of the EFA providers that this machine has.
pub(super) fn provider_suffixes(host: &Host) -> Result<Vec<String>, Unreadable> {
    let mut suffixes = Vec::new();
    for folder in ["/usr/lib/x86_64-linux-gnu/libibverbs", "/usr/lib64/libibverbs", "/usr/lib/libibverbs"] {
        for name in host.names(folder)? {
            let suffix = name.strip_prefix("libefa-").and_then(|rest| rest.strip_suffix(".so"));
            suffixes.extend(suffix.map(str::to_owned));
        }
    }
    Ok(suffixes)
}

/// A list, or `none`.
pub(super) fn words(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

/// `efa.cudart`: libfabric loads libcudart by name to understand GPU memory; without it FI_HMEM silently goes.
pub(super) fn cudart(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    if plan.expected().is_some_and(|expected| expected.gpus == 0) {
        return Ok(Outcome::skip("the plan has no GPU"));
    }
    let found = Loader::new(host)?.beginning_with("libcudart.so")?;
    if let Some(first) = found.first() {
        return Ok(Outcome::pass(first));
    }
    let hint = "install the CUDA runtime and name its folder in /etc/ld.so.conf.d, then run ldconfig";
    let (found, expected) = ("no libcudart.so on the loader's path", "the CUDA runtime, which libfabric loads by name");
    let is_gpudirect = plan.expected().is_some_and(|expected| expected.gpudirect);
    Ok(if is_gpudirect { Outcome::fail(found, expected, hint) } else { Outcome::warn(found, expected, hint) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_suffix_is_found_among_other_bytes() {
        assert_eq!(suffix_in(b"\0lib%s-rdmav%d\0%s-rdmav34.so\0").as_deref(), Some("rdmav34"));
        assert_eq!(suffix_in(b"-rdmav"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), number in any::<u32>()) {
            suffix_in(&bytes);
            let mut text = bytes.clone();
            text.extend(format!("-rdmav{number}").bytes());
            suffix_in(&text);
        }
    }
}
