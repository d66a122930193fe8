//! Versions of what a transfer goes through, for the record of a benchmark.

use super::efa_libraries;
use super::python_packages::Packages;
use crate::host::{Host, Unreadable};

/// Python packages by their names in a record.
const PACKAGES: &[(&str, &[&str])] = &[
    ("vllm", &["vllm"]),
    ("nixl", &["nixl", "nixl-cu12", "nixl-cu13"]),
    ("torch", &["torch"]),
    ("nccl", &["nvidia-nccl-cu12", "nvidia-nccl-cu13"]),
];

/// Name and version of each library that is there; libfabric by the file that would be loaded.
pub(super) fn installed(host: &Host) -> Result<Vec<(&'static str, String)>, Unreadable> {
    let packages = Packages::read(host)?;
    let version = |names: &[&str]| names.iter().find_map(|name| packages.version(name)).map(str::to_owned);
    let mut found: Vec<(&str, String)> =
        PACKAGES.iter().filter_map(|(name, names)| Some((*name, version(names)?))).collect();
    let libfabric = efa_libraries::described(host)?;
    if libfabric != "none" {
        found.push(("libfabric", libfabric));
    }
    Ok(found)
}
