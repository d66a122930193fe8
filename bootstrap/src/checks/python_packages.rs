//! Python packages by their metadata: nothing is imported, because an import takes seconds and may itself break.

use std::collections::BTreeMap;

use crate::host::{Host, Unreadable};

/// Environments in the order of preference, after VIRTUAL_ENV: our task files', the AMI's, the system's.
const HOMES: &[&str] = &["/opt/prefab/venv", "/opt/venv", "/opt/pytorch", "/usr/local", "/usr"];

/// What tells that this is the environment of the serving processes.
const SERVING: &[&str] = &["vllm", "nixl", "nixl-cu12", "nixl-cu13"];

/// Versions by normalised name, in the one environment that serves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packages {
    /// `…/site-packages`; empty when no environment serves.
    pub(super) folder: String,
    versions: BTreeMap<String, String>,
}

impl Packages {
    /// Finds the first environment that has a serving package.
    pub(super) fn read(host: &Host) -> Result<Self, Unreadable> {
        let first = host.variable("VIRTUAL_ENV").into_iter();
        for home in first.chain(HOMES.iter().copied()) {
            for folder in folders(host, home)? {
                let versions = versions(host, &folder)?;
                if SERVING.iter().any(|name| versions.contains_key(*name)) {
                    return Ok(Self { folder, versions });
                }
            }
        }
        Ok(Self::default())
    }

    /// The version of a package.
    pub(super) fn version(&self, name: &str) -> Option<&str> {
        self.versions.get(name).map(String::as_str)
    }

    /// Where packages of NVIDIA keep shared libraries; torch loads them by hand from there.
    pub(super) fn nvidia_folders(&self, host: &Host) -> Result<Vec<String>, Unreadable> {
        let own = format!("{}/nvidia", self.folder);
        Ok(host.names(&own)?.into_iter().map(|name| format!("{own}/{name}/lib")).collect())
    }
}

fn folders(host: &Host, home: &str) -> Result<Vec<String>, Unreadable> {
    let mut folders = Vec::new();
    for lib in ["lib", "lib64"] {
        for python in host.names(&format!("{home}/{lib}"))?.into_iter().filter(|name| name.starts_with("python3")) {
            folders.extend(["site-packages", "dist-packages"].map(|kind| format!("{home}/{lib}/{python}/{kind}")));
        }
    }
    Ok(folders)
}

fn versions(host: &Host, folder: &str) -> Result<BTreeMap<String, String>, Unreadable> {
    let mut versions = BTreeMap::new();
    for name in host.names(folder)?.into_iter().filter(|name| name.ends_with(".dist-info")) {
        let path = format!("{folder}/{name}/METADATA");
        // A folder that an interrupted uninstall left has no METADATA: that package is not installed.
        let Some(text) = host.text(&path)? else { continue };
        let (name, version) = name_and_version(&text).ok_or_else(|| Unreadable::new(&path, "no Name and Version"))?;
        versions.insert(name, version);
    }
    Ok(versions)
}

/// The head of METADATA, up to the empty line; the name as PEP 503 normalises it.
fn name_and_version(text: &str) -> Option<(String, String)> {
    let head = || text.lines().take_while(|line| !line.is_empty());
    let name = head().find_map(|line| line.strip_prefix("Name: "))?.trim().to_lowercase().replace(['_', '.'], "-");
    let version = head().find_map(|line| line.strip_prefix("Version: "))?.trim().to_owned();
    (!name.is_empty() && !version.is_empty()).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_head_counts() {
        let text = "Metadata-Version: 2.4\nName: Nixl_cu12\nVersion: 1.5.1\n\nName: other\n";
        assert_eq!(name_and_version(text), Some(("nixl-cu12".into(), "1.5.1".into())));
        assert_eq!(name_and_version("Name: x\n\nVersion: 1\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(Name: |Version: |\n|\\PC){0,30}") {
            name_and_version(&text);
        }
    }
}
