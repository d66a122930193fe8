//! Whether NIXL's shared libraries would load: a package that is there by name may still miss a library
//! (vllm#39923), and a plugin that cannot be loaded is silently absent.

use std::collections::BTreeSet;

use super::efa_libraries::{provider_suffixes, wanted_suffix, words};
use super::loader::{Loaded, Loader};
use super::nixl;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::python_packages::Packages;
use crate::host::{Host, Unreadable};

/// Where the wheels keep their parts, for each CUDA (measured on nixl-cu12 1.5.1).
const MODULES: &[&str] = &["nixl_cu12", "nixl_cu13", "nixl"];

const HINT: &str = "install the library, or put its folder on the loader's path (/etc/ld.so.conf.d, then ldconfig)";

/// The parts that are imported beside this torch: `nixl` picks among several wheels.
fn picked(host: &Host, packages: &Packages) -> Result<Vec<&'static str>, Unreadable> {
    let cuda = nixl::cuda_of_torch(host, packages)?;
    let fits = |module: &str| match (cuda, module.strip_prefix("nixl_cu")) {
        (Some(cuda), Some(major)) => major.parse() == Ok(cuda),
        _ => true,
    };
    let all = || MODULES.iter().copied();
    let mut fitting = Vec::new();
    for module in all().filter(|module| fits(module)) {
        fitting.extend(host.exists(&format!("{}/{module}", packages.folder))?.then_some(module));
    }
    // One that does not fit is looked at where there is no other; nixl.cuda says what is wrong with it.
    Ok(if fitting.iter().any(|module| module.starts_with("nixl_cu")) { fitting } else { all().collect() })
}

/// The package folders that are there.
fn modules(host: &Host, packages: &Packages) -> Result<Vec<String>, Unreadable> {
    let mut found = Vec::new();
    for module in picked(host, packages)? {
        let folder = format!("{}/{module}", packages.folder);
        found.extend(host.exists(&folder)?.then_some(folder));
    }
    Ok(found)
}

fn loader<'a>(host: &'a Host, packages: &Packages) -> Result<Loader<'a>, Unreadable> {
    Ok(Loader::new(host)?.with(packages.nvidia_folders(host)?))
}

/// What `import nixl` loads.
#[derive(Default)]
struct Imported {
    /// How many extension modules there are.
    modules: usize,
    /// What which of them misses.
    missing: Vec<String>,
    /// The names of the libraries that the process has then: plugins use them without looking for them.
    loaded: Loaded,
}

impl Imported {
    fn read(host: &Host, packages: &Packages, loader: &Loader<'_>) -> Result<Self, Unreadable> {
        let mut imported = Self::default();
        for folder in modules(host, packages)? {
            for name in host.names(&folder)?.into_iter().filter(|name| name.ends_with(".so")) {
                imported.modules += 1;
                let needs = loader.missing(&format!("{folder}/{name}"), &mut imported.loaded)?;
                imported.missing.extend((!needs.is_empty()).then(|| format!("{name} needs {}", needs.join(", "))));
            }
        }
        Ok(imported)
    }
}

/// `nixl.libraries`: the extension modules that `import nixl` loads.
pub(super) fn libraries(host: &Host, _plan: &Plan) -> Verdict {
    let packages = Packages::read(host)?;
    let Imported { modules: count, missing, .. } = Imported::read(host, &packages, &loader(host, &packages)?)?;
    let expected = "every library that NIXL's modules need";
    if !missing.is_empty() {
        return Ok(Outcome::fail(format!("missing libraries: {}", missing.join("; ")), expected, HINT));
    }
    if count == 0 {
        let found = "no extension module of NIXL in any environment";
        return Ok(Outcome::fail(found, expected, "reinstall the wheel of torch's CUDA"));
    }
    Ok(Outcome::pass(format!("{count} modules find their libraries")))
}

/// `nixl.plugins`: LIBFABRIC is the one that reaches EFA.
pub(super) fn plugins(host: &Host, plan: &Plan) -> Verdict {
    let packages = Packages::read(host)?;
    let loader = loader(host, &packages)?;
    // Modules that cannot be read load nothing; nixl.libraries says so.
    let loaded = Imported::read(host, &packages, &loader).map(|imported| imported.loaded).unwrap_or_default();
    // The wheel has each plugin twice; what is said of both is said once.
    let (mut loadable, mut broken) = (BTreeSet::new(), BTreeSet::new());
    for folder in plugin_folders(host, &packages)? {
        for plugin in ["LIBFABRIC", "UCX"] {
            let path = format!("{folder}/libplugin_{plugin}.so");
            if !host.exists(&path)? {
                continue;
            }
            let needs = loader.missing(&path, &mut loaded.clone())?;
            if needs.is_empty() {
                loadable.insert(plugin);
            } else {
                broken.insert(format!("{plugin} needs {}", needs.join(", ")));
            }
        }
    }
    let joined = |names: Vec<&str>, by: &str| if names.is_empty() { "none".to_owned() } else { names.join(by) };
    let mut found = format!("loadable plugins: {}", joined(loadable.iter().copied().collect(), ", "));
    if !broken.is_empty() {
        found += &format!("; silently absent: {}", joined(broken.iter().map(String::as_str).collect(), "; "));
    }
    let wants_efa = plan.expected().is_none_or(|expected| expected.efa_interfaces > 0);
    if loadable.contains("LIBFABRIC") || (!wants_efa && !loadable.is_empty()) {
        return Ok(if broken.is_empty() {
            Outcome::pass(found)
        } else {
            Outcome::warn(found, "plugins whose libraries are there", HINT)
        });
    }
    Ok(Outcome::fail(found, "a loadable plugin LIBFABRIC", HINT))
}

fn plugin_folders(host: &Host, packages: &Packages) -> Result<Vec<String>, Unreadable> {
    let mut folders = Vec::new();
    for module in picked(host, packages)? {
        for folder in [format!("{module}.libs/nixl"), format!(".{module}.mesonpy.libs/plugins")] {
            let folder = format!("{}/{folder}", packages.folder);
            folders.extend(host.exists(&folder)?.then_some(folder));
        }
    }
    Ok(folders)
}

/// `nixl.ucx`: UCX reaches EFA by a module of its own, and says nothing where that cannot be loaded (ucx#10692).
pub(super) fn ucx(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = super::efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let packages = Packages::read(host)?;
    let loader = loader(host, &packages)?;
    let hint = "serve with the backend LIBFABRIC: UCX of this wheel falls back to TCP";
    for module in picked(host, &packages)? {
        let folder = format!("{}/{module}.libs/ucx", packages.folder);
        let names = host.names(&folder)?;
        if names.is_empty() {
            continue;
        }
        let Some(name) = names.into_iter().find(|name| name.starts_with("libuct_ib_efa.so")) else {
            return Ok(Outcome::warn(format!("no EFA module in {folder}"), "libuct_ib_efa.so", hint));
        };
        let needs = loader.missing(&format!("{folder}/{name}"), &mut Loaded::new())?;
        if needs.is_empty() {
            return Ok(Outcome::pass(format!("{name} of the wheel can be loaded")));
        }
        let found = format!("{name} of the wheel needs {}", needs.join(", "));
        return Ok(Outcome::warn(found, "an EFA module that UCX can load", hint));
    }
    Ok(Outcome::skip("the wheel brings no modules of UCX"))
}

/// `nixl.verbs-provider`: UCX in the wheel brings a libibverbs of its own, which sees no EFA when the system's provider
/// has another suffix (modelexpress#259). LIBFABRIC uses the system's libibverbs and does not care.
pub(super) fn verbs_provider(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = super::efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let packages = Packages::read(host)?;
    let there = provider_suffixes(host)?;
    for module in picked(host, &packages)? {
        let folder = format!("{}/{module}.libs", packages.folder);
        let Some(name) = host.names(&folder)?.into_iter().find(|name| name.starts_with("libibverbs")) else { continue };
        let wanted = wanted_suffix(host, &format!("{folder}/{name}"))?;
        if there.contains(&wanted) {
            return Ok(Outcome::pass(format!("{name} in the wheel finds libefa-{wanted}.so")));
        }
        let found = format!("{name} in the wheel loads libefa-{wanted}.so; there: {}", words(&there));
        let hint = "serve with the backend LIBFABRIC: UCX of this wheel falls back to TCP";
        return Ok(Outcome::warn(found, format!("libefa-{wanted}.so for UCX"), hint));
    }
    Ok(Outcome::skip("the wheel brings no libibverbs of its own"))
}
