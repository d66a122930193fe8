//! torch by its files: which CUDA it was built for, and whether the driver can run that.

use super::gpu_driver;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use super::python_packages::Packages;
use super::version::Version;
use crate::host::{Host, Unreadable};

/// The oldest driver branch for a CUDA of this major version (CUDA Toolkit release notes, minor version compatibility).
const DRIVERS: &[(u32, Version)] = &[(12, Version([525, 60, 13])), (13, Version([580, 65, 6]))];

const INSTALL: &str = "run the task setup-environment, or install the pinned versions into /opt/prefab/venv";

/// What torch computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    /// CUDA of this major version.
    Cuda(u32),
    /// The processor alone.
    Processor,
    /// It does not say.
    Unknown,
}

/// Reads `torch/version.py`: a wheel of PyPI does not name its CUDA in its version. Others do: `2.9.0+cu130`.
pub(super) fn device(host: &Host, packages: &Packages, version: &str) -> Result<Device, Unreadable> {
    let text = host.text(&format!("{}/torch/version.py", packages.folder))?;
    if let Some(device) = text.as_deref().and_then(of_file) {
        return Ok(device);
    }
    Ok(of_version(version))
}

/// `cuda: Optional[str] = '13.0'`, or `None`.
fn of_file(text: &str) -> Option<Device> {
    let line = text.lines().find(|line| line.starts_with("cuda:") || line.starts_with("cuda "))?;
    let value = line.split_once('=')?.1.trim().trim_matches(['\'', '"']);
    if value == "None" {
        return Some(Device::Processor);
    }
    Some(Device::Cuda(Version::parse(value)?.major()))
}

/// `+cu130` is CUDA 13.0, `+cu128` is 12.8.
fn of_version(version: &str) -> Device {
    let local = version.split_once('+').map_or("", |(_, local)| local);
    if local.starts_with("cpu") {
        return Device::Processor;
    }
    let major = local.strip_prefix("cu").and_then(|digits| digits.get(..2)?.parse().ok());
    major.map_or(Device::Unknown, Device::Cuda)
}

/// `vllm.torch`: built for CUDA, and for one that the driver has.
pub(super) fn torch(host: &Host, _plan: &Plan) -> Verdict {
    let packages = Packages::read(host)?;
    let expected = "torch built for CUDA";
    let Some(version) = packages.version("torch") else {
        return Ok(match packages.folder.as_str() {
            "" => Outcome::skip("no vLLM; vllm.package says what to do"),
            _ => Outcome::fail("no package torch beside vllm", expected, INSTALL),
        });
    };
    let major = match device(host, &packages, version)? {
        Device::Cuda(major) => major,
        Device::Processor => {
            return Ok(Outcome::fail(format!("torch {version}, for the processor alone"), expected, INSTALL));
        }
        Device::Unknown => return Ok(Outcome::pass(format!("torch {version}"))),
    };
    let found = format!("torch {version} for CUDA {major}");
    let wanted = DRIVERS.iter().find(|(cuda, _)| *cuda == major).map(|(_, driver)| *driver);
    match (gpu_driver::version(host)?, wanted) {
        (Some(driver), Some(wanted)) if driver < wanted => {
            let hint = "install a driver of that branch, or a torch that was built for an older CUDA";
            let driver = gpu_driver::version_text(host)?.unwrap_or_default();
            Ok(Outcome::fail(format!("{found}, driver {driver}"), format!("a driver from {wanted} on"), hint))
        }
        _ => Ok(Outcome::pass(found)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn torch_names_its_cuda_in_its_file_or_its_version() {
        let file = "__version__ = '2.9.0'\ndebug = False\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n";
        assert_eq!(of_file(file), Some(Device::Cuda(12)));
        assert_eq!(of_file("cuda = None\n"), Some(Device::Processor));
        assert_eq!(of_file("hip: Optional[str] = None\n"), None);
        assert_eq!(of_version("2.9.0+cu130"), Device::Cuda(13));
        assert_eq!(of_version("2.8.0+cpu"), Device::Processor);
        assert_eq!(of_version("2.8.0"), Device::Unknown);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(cuda: |cuda = |'|[0-9.]|\n|\\PC){0,20}", version in "[0-9.]{0,4}\\+(cu|cpu)?\\PC{0,3}") {
            of_file(&text);
            of_version(&version);
        }
    }
}
