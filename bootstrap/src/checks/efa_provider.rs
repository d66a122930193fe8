//! What libfabric sees, asked through the installer's `fi_info`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::efa_devices::{devices, nothing_to_check};
use super::efa_libraries;
use super::outcome::{Outcome, Verdict, counted};
use super::plan::Plan;
use super::version::Version;
use crate::host::{Ended, Host, Program, Ran, Unreadable};

/// A sick driver makes it hang.
const BOUND: Duration = Duration::from_secs(10);

const PROVIDER: Program = Program {
    name: "fi_info-efa",
    path: "/opt/amazon/efa/bin/fi_info",
    arguments: &["-p", "efa", "-t", "FI_EP_RDM"],
    bound: BOUND,
};

const GPU_MEMORY: Program = Program {
    name: "fi_info-efa-hmem",
    path: "/opt/amazon/efa/bin/fi_info",
    arguments: &["-p", "efa", "-t", "FI_EP_RDM", "-c", "FI_HMEM"],
    bound: BOUND,
};

const INSTALL: &str = "run the EFA installer of AWS: it puts libfabric and fi_info below /opt/amazon/efa";

/// Fabrics and versions by device: one device appears several times, once a fabric (`efa`, `efa-direct`) and endpoint.
#[derive(Debug, Default, PartialEq, Eq)]
struct Domains(BTreeMap<String, BTreeSet<String>>);

/// The version that the provider reports, such as 201.0 of libfabric 2.1 and 121.0 of 1.21.
pub(super) fn libfabric_version(host: &Host) -> Result<Option<Version>, Unreadable> {
    let Some(ran) = host.run(&PROVIDER)? else { return Ok(None) };
    let line = ran.output.lines().find_map(|line| line.trim().strip_prefix("version: ").map(str::to_owned));
    let number = line.as_deref().and_then(Version::parse).map(Version::major);
    Ok(number.map(|number| Version([number / 100, number % 100, 0])))
}

impl Domains {
    fn parse(text: &str) -> Self {
        let mut domains = Self::default();
        let (mut is_efa, mut fabric) = (false, String::new());
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once(": ") else { continue };
            match key {
                "provider" => is_efa = value.trim() == "efa",
                "fabric" => fabric = value.trim().to_owned(),
                "domain" if is_efa => {
                    let device = value.trim();
                    let device = device.strip_suffix("-rdm").or(device.strip_suffix("-dgrm")).unwrap_or(device);
                    domains.0.entry(device.to_owned()).or_default().insert(fabric.clone());
                }
                _ => {}
            }
        }
        domains
    }

    fn names(&self) -> String {
        self.0.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

/// libfabric's ENODATA: no usable device. The code is 61, the text has -61.
fn has_no_data(ran: &Ran) -> bool {
    ran.ended == Ended::Code(61) || [&ran.output, &ran.error].iter().any(|text| text.contains("-61"))
}

fn unusable(ran: &Ran) -> Outcome {
    let how = match ran.ended {
        Ended::Late => format!("fi_info did not end within {} s", BOUND.as_secs()),
        Ended::Killed => "fi_info was killed by a signal".to_owned(),
        Ended::Code(code) => format!("fi_info ended with {code}: {}", ran.last_words()),
    };
    Outcome::fail(how, "a list of EFA domains", "run it by hand with FI_LOG_LEVEL=info and read the kernel log")
}

/// `efa.provider`: libfabric offers every EFA device with reliable endpoints.
pub(super) fn provider(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Some(ran) = host.run(&PROVIDER)? else {
        return Ok(Outcome::fail(format!("no {}", PROVIDER.path), "fi_info of the EFA installer", INSTALL));
    };
    let domains = Domains::parse(&ran.output);
    if has_no_data(&ran) {
        return Ok(no_data(&devices(host)?));
    }
    if ran.ended != Ended::Code(0) {
        return Ok(unusable(&ran));
    }
    let devices = devices(host)?;
    let wanted = plan.expected().map_or(devices.len(), |expected| expected.efa_interfaces as usize);
    let found = format!("{}: {}", counted(domains.0.len(), "domain"), domains.names());
    if domains.0.len() == wanted && wanted > 0 {
        return Ok(Outcome::pass(found));
    }
    let hint = "FI_EFA_IFACE may restrict them; compare with efa.devices and efa.device-nodes";
    Ok(Outcome::fail(found, format!("{} with FI_EP_RDM", counted(wanted, "EFA domain")), hint))
}

fn no_data(devices: &[String]) -> Outcome {
    let hint = if devices.is_empty() {
        "no EFA device: efa.devices says why"
    } else {
        "sysfs has the device, so libfabric cannot open it: see efa.device-nodes, efa.memlock, efa.verbs-provider, efa.libfabric"
    };
    Outcome::fail("fi_info: -61, no usable device", "EFA domains", hint)
}

/// `efa.gpu-memory`: an empty FI_HMEM list beside a full plain list is a libfabric without CUDA (aws-ofi-nccl#889).
pub(super) fn gpu_memory(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let Some(plain) = host.run(&PROVIDER)? else {
        return Ok(Outcome::skip("no fi_info; efa.provider says what to do"));
    };
    if plain.ended != Ended::Code(0) || has_no_data(&plain) {
        return Ok(Outcome::skip("libfabric sees no EFA at all; efa.provider says why"));
    }
    let Some(ran) = host.run(&GPU_MEMORY)? else {
        return Ok(Outcome::skip("no fi_info; efa.provider says what to do"));
    };
    if !has_no_data(&ran) && ran.ended != Ended::Code(0) {
        return Ok(unusable(&ran));
    }
    let (all, with_gpu) = (Domains::parse(&plain.output), Domains::parse(&ran.output));
    if !with_gpu.0.is_empty() && with_gpu.0.len() == all.0.len() {
        return Ok(Outcome::pass(format!("FI_HMEM on {}", counted(with_gpu.0.len(), "domain"))));
    }
    let libraries = efa_libraries::described(host)?;
    let found = format!("FI_HMEM on {} of {} domains; libfabric: {libraries}", with_gpu.0.len(), all.0.len());
    let expected = "FI_HMEM on every EFA domain";
    Ok(match plan.expected() {
        Some(plan) if plan.gpudirect => {
            let hint = "another libfabric without CUDA is loaded, or libcudart is missing: put /opt/amazon/efa first on the loader path";
            Outcome::fail(found, expected, hint)
        }
        _ => Outcome::warn(found, expected, "GPU memory is staged through host memory on this type"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO_FABRICS: &str = "provider: efa
    fabric: efa
    domain: rdmap0s6-rdm
    version: 201.0
    type: FI_EP_RDM
    protocol: FI_PROTO_EFA
provider: efa
    fabric: efa-direct
    domain: rdmap0s6-rdm
provider: efa
    fabric: efa
    domain: rdmap0s6-dgrm
provider: tcp
    fabric: 10.0.0.0/16
    domain: ens5
";

    #[test]
    fn one_device_of_several_entries_counts_once() {
        let domains = Domains::parse(TWO_FABRICS);
        assert_eq!(domains.names(), "rdmap0s6");
        assert_eq!(domains.0["rdmap0s6"].len(), 2);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(provider: |domain: |fabric: |efa|-rdm|\n| |:){0,20}\\PC*") {
            Domains::parse(&text);
        }
    }
}
