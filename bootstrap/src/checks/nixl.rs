//! NIXL: version, CUDA, and what its log says about the path that it took.

use super::efa_provider::libfabric_version;
use super::logs;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::python_packages::Packages;
use super::torch::{self, Device};
use super::version::Version;
use crate::host::{Host, Unreadable};

/// AWS supports NIXL on EFA from 1.0.0 on (efa-start-nixl; vllm#27055, libfabric#11628).
const OLDEST: Version = Version([1, 0, 0]);

/// Versions that hang on EFA after 16 descriptors (nixl#1921, #1862, fixed by #1924).
const DENIED: &[Version] = &[Version([1, 3, 0]), Version([1, 3, 1])];

/// NIXL's plugin wants libfabric 1.21 (src/plugins/libfabric/README.md, efa-start-nixl).
const OLDEST_LIBFABRIC: Version = Version([1, 21, 0]);

/// The wheels by the CUDA that they were built for; `nixl` itself only picks one.
pub(super) const WHEELS: &[(&str, u32)] = &[("nixl-cu12", 12), ("nixl-cu13", 13)];

/// Lines that prove a slow path, and what they mean.
const SLOW_PATHS: &[(&[&str], &str)] = &[
    // nixl#909: UCX reports the lanes of a connection when it is made.
    (&["ucp_context", "tcp/"], "UCX over TCP"),
    (&["UCX", "tcp/"], "UCX over TCP"),
    (&["tcp", "ep_cfg"], "UCX over TCP"),
    // Strings of the plugin libplugin_LIBFABRIC.so itself.
    (&["TCP fallback"], "libfabric over TCP"),
    (&["falling back to system memory registration"], "GPU memory without FI_HMEM"),
    (&["No provider found with FI_HMEM capability"], "no provider with FI_HMEM"),
    (&["No network devices found with any provider"], "no network device"),
];

const INSTALL: &str = "run the task setup-environment, or install a version that is neither too old nor denied";

/// The first release of the package `nixl` that picks the wheel of torch's CUDA when it is imported; it brings both.
const PICKS_BY_TORCH: Version = Version([1, 1, 0]);

/// The installed wheel, else the package that picks one, with its version.
pub(super) fn installed(packages: &Packages) -> Option<(&'static str, &str)> {
    let names = WHEELS.iter().map(|(name, _)| *name).chain(["nixl"]);
    names.filter_map(|name| Some((name, packages.version(name)?))).next()
}

/// `nixl.package`
pub(super) fn package(host: &Host, _plan: &Plan) -> Verdict {
    let packages = Packages::read(host)?;
    let Some((name, text)) = installed(&packages) else {
        return Ok(Outcome::fail("no environment has the package nixl", format!("nixl {OLDEST} or newer"), INSTALL));
    };
    let found = format!("{name} {text} in {}", packages.folder);
    Ok(match Version::parse(text) {
        Some(version) if DENIED.contains(&version) => {
            let expected = "not 1.3.0 nor 1.3.1: they hang on EFA after 16 descriptors";
            Outcome::fail(found, expected, INSTALL)
        }
        Some(version) if version >= OLDEST => Outcome::pass(found),
        _ => Outcome::fail(found, format!("nixl {OLDEST} or newer"), INSTALL),
    })
}

/// The CUDA that torch computes with, where there is a torch that says so.
pub(super) fn cuda_of_torch(host: &Host, packages: &Packages) -> Result<Option<u32>, Unreadable> {
    let Some(version) = packages.version("torch") else { return Ok(None) };
    Ok(match torch::device(host, packages, version)? {
        Device::Cuda(major) => Some(major),
        Device::Processor | Device::Unknown => None,
    })
}

/// `nixl.cuda`: the wheel's CUDA is torch's (dynamo#10654).
pub(super) fn cuda(host: &Host, _plan: &Plan) -> Verdict {
    let packages = Packages::read(host)?;
    let wheels: Vec<_> = WHEELS.iter().filter(|(name, _)| packages.version(name).is_some()).collect();
    let Some((name, major)) = wheels.first() else {
        return Ok(Outcome::skip("no NIXL wheel; nixl.package says what to do"));
    };
    let Some(torch) = packages.version("torch") else {
        return Ok(Outcome::skip("no torch; vllm.torch says what to do"));
    };
    let Some(torch_major) = cuda_of_torch(host, &packages)? else {
        return Ok(Outcome::skip(format!("torch {torch} does not name its CUDA")));
    };
    let expected = format!("nixl-cu{torch_major} for torch {torch}, and no other");
    let Some((fitting, _)) = wheels.iter().find(|(_, major)| *major == torch_major) else {
        let found = format!("{name} is for CUDA {major}, torch {torch} for CUDA {torch_major}");
        return Ok(Outcome::fail(found, expected, "uninstall it, then install the wheel of torch's CUDA"));
    };
    let picks = packages.version("nixl").and_then(Version::parse).is_some_and(|version| version >= PICKS_BY_TORCH);
    Ok(match (wheels.len(), picks) {
        (1, _) => Outcome::pass(format!("{fitting} and torch {torch}")),
        (_, true) => Outcome::pass(format!("nixl picks {fitting} for torch {torch} of CUDA {torch_major}")),
        (_, false) => {
            let found = "nixl-cu12 and nixl-cu13 are both installed";
            Outcome::warn(found, expected, "uninstall the one that torch does not match")
        }
    })
}

/// `nixl.libfabric`
pub(super) fn libfabric(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = super::efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Some(version) = libfabric_version(host)? else {
        return Ok(Outcome::skip("fi_info tells no version; efa.provider says why"));
    };
    if version >= OLDEST_LIBFABRIC {
        return Ok(Outcome::pass(format!("libfabric {version}")));
    }
    let expected = format!("libfabric {OLDEST_LIBFABRIC} or newer for NIXL's plugin");
    Ok(Outcome::fail(format!("libfabric {version}"), expected, "run the newest EFA installer"))
}

/// `nixl.path`: the log of the last serving process, where there is one.
pub(super) fn path(host: &Host, plan: &Plan) -> Verdict {
    if plan.expected().is_some_and(|expected| expected.efa_interfaces == 0) {
        return Ok(Outcome::skip("the plan has no EFA device"));
    }
    for (words, meaning) in SLOW_PATHS {
        if let Some(line) = logs::first_line_with_all(host, words)? {
            let hint = "use the backend LIBFABRIC: kv_connector_extra_config.backends in --kv-transfer-config";
            return Ok(Outcome::fail(format!("{meaning}: {line}"), "NIXL over EFA", hint));
        }
    }
    Ok(match logs::first_line_with_all(host, &["Backend LIBFABRIC was instantiated"])? {
        Some(line) => Outcome::pass(line),
        None => Outcome::skip(format!("no log in {} tells which backend NIXL took", logs::FOLDER)),
    })
}
