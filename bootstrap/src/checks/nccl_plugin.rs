//! NCCL's OFI plugin, which takes it to EFA: whether it can be loaded, and whether it is new enough.

use super::efa_devices;
use super::loader::{Loaded, Loader};
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::version::Version;
use crate::host::{Host, Unreadable};

/// Where installers put the plugin; the last one is that of older builds by hand.
const FOLDERS: &[&str] = &[
    "/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu",
    "/opt/amazon/ofi-nccl/lib",
    "/opt/amazon/ofi-nccl/lib64",
    "/opt/aws-ofi-nccl/lib",
];

/// The plugin's names: the second since aws-ofi-nccl 1.15.
const NAMES: &[&str] = &["libnccl-net.so", "libnccl-net-ofi.so"];

/// Who needs which plugin.
struct Minimum {
    /// The instance type begins so.
    types: &'static str,
    version: Version,
    reason: &'static str,
}

const MINIMA: &[Minimum] = &[
    // aws-ofi-nccl#1057, in the release notes of 1.18.0.
    Minimum {
        types: "g7e.8xlarge",
        version: Version([1, 18, 0]),
        reason: "older ones want GPUDirect, which this size lacks",
    },
    // aws-ofi-nccl#1036, in platform-aws.cpp since 1.17.2.
    Minimum { types: "g7e.", version: Version([1, 17, 2]), reason: "older ones do not know g7e" },
    // nccl#716.
    Minimum { types: "", version: Version([1, 6, 0]), reason: "older ones corrupt data unless NCCL_PROTO is simple" },
];

/// What the plugin says when it begins, and so has in its constants.
const NAME: &[u8] = b"aws-ofi-nccl ";

const UPDATE: &str = "run a current EFA installer, which brings it";

/// The plugin's files, wherever they lie.
fn installed(host: &Host) -> Result<Vec<String>, Unreadable> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for name in NAMES {
            let path = format!("{folder}/{name}");
            found.extend(host.exists(&path)?.then_some(path));
        }
    }
    Ok(found)
}

/// The file that NCCL would load.
fn loadable(loader: &Loader<'_>) -> Result<Option<String>, Unreadable> {
    for name in NAMES {
        if let Some(path) = loader.find(name)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// `nccl.plugin`: without it on the loader's path NCCL takes sockets and says nothing (aws-ofi-nccl#67).
pub(super) fn plugin(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let loader = Loader::new(host)?;
    let expected = "the OFI plugin of NCCL on the loader's path";
    if let Some(path) = loadable(&loader)? {
        let missing = loader.missing(&path, &mut Loaded::new())?;
        if missing.is_empty() {
            return Ok(Outcome::pass(path));
        }
        let found = format!("{path} needs {}, which the loader does not find", missing.join(", "));
        let hint = "NCCL falls back to sockets: put the missing library on the loader's path";
        return Ok(Outcome::fail(found, expected, hint));
    }
    Ok(match installed(host)?.first() {
        Some(path) => {
            let hint = "name its folder in /etc/ld.so.conf.d/ofi-nccl.conf and run ldconfig";
            Outcome::fail(format!("{path} is there, and not on the loader's path"), expected, hint)
        }
        None => {
            let found = format!("plugin missing; looked into the loader's path and {}", FOLDERS.join(", "));
            Outcome::fail(found, expected, UPDATE)
        }
    })
}

/// `nccl.plugin-version`
pub(super) fn version(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Some(path) = loadable(&Loader::new(host)?)? else {
        return Ok(Outcome::skip("no plugin to load; nccl.plugin says what to do"));
    };
    let bytes = host.bytes(&path)?.unwrap_or_default();
    let Some(version) = version_in(&bytes) else {
        let found = format!("{path} names no version");
        return Ok(Outcome::warn(found, "the plugin of the EFA installer", UPDATE));
    };
    let instance_type = plan.instance_type.as_deref().unwrap_or_default();
    let applies = |minimum: &&Minimum| instance_type.starts_with(minimum.types) && version < minimum.version;
    Ok(match MINIMA.iter().filter(applies).max_by_key(|minimum| minimum.version) {
        None => Outcome::pass(format!("aws-ofi-nccl {version}")),
        Some(Minimum { version: wanted, reason, .. }) => {
            Outcome::fail(format!("aws-ofi-nccl {version}"), format!("at least {wanted}: {reason}"), UPDATE)
        }
    })
}

fn version_in(bytes: &[u8]) -> Option<Version> {
    let places = bytes.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    let text = |at: usize| String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 32)]).into_owned();
    places.map(|(at, _)| at + NAME.len()).find_map(|at| Version::parse(&text(at)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_version_stands_behind_the_name() {
        assert_eq!(version_in(b"\0NET/OFI Initializing aws-ofi-nccl 1.18.0\0"), Some(Version([1, 18, 0])));
        assert_eq!(
            version_in(b"aws-ofi-nccl initialization failed\0aws-ofi-nccl 1.13.2-aws"),
            Some(Version([1, 13, 2]))
        );
        assert_eq!(version_in(b"aws-ofi-nccl"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(before in prop::collection::vec(any::<u8>(), 0..20), after in prop::collection::vec(any::<u8>(), 0..40)) {
            version_in(&[&before, NAME, &after].concat());
        }
    }
}
