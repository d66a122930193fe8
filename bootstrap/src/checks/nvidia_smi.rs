//! What nvidia-smi says about each GPU, columns found by their headers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::outcome::Outcome;
use super::plan::Plan;
use crate::host::{Ended, Host, Program, Unreadable};

/// Without persistence a cold driver takes seconds a GPU; a wedged one never answers.
const BOUND: Duration = Duration::from_secs(25);

const PATH: &str = "/usr/bin/nvidia-smi";

const GPUS: Program = Program {
    name: "nvidia-smi-gpus",
    path: PATH,
    arguments: &[
        "--query-gpu=index,name,memory.total,driver_version,persistence_mode,ecc.mode.current,\
         ecc.errors.uncorrected.volatile.total,retired_pages.pending",
        "--format=csv",
    ],
    bound: BOUND,
};

/// Links between GPUs.
pub(super) const TOPOLOGY: Program =
    Program { name: "nvidia-smi-topo", path: PATH, arguments: &["topo", "-m"], bound: BOUND };

/// Which GPU may read which other one's memory.
pub(super) const PEERS: Program =
    Program { name: "nvidia-smi-p2p", path: PATH, arguments: &["topo", "-p2p", "r"], bound: BOUND };

/// One GPU, by column without unit: `memory.total`, `ecc.mode.current`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gpu(BTreeMap<String, String>);

impl Gpu {
    /// A column; empty when this nvidia-smi does not know it.
    pub(super) fn column(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Its number and name.
    pub(super) fn label(&self) -> String {
        format!("GPU {} {}", self.column("index"), self.column("name"))
    }

    /// Columns that say that the card is wedged. An unsupported value, `[N/A]`, is none.
    pub(super) fn wedged(&self) -> Vec<String> {
        let is_wedged = |value: &&String| {
            ["ERR!", "requires reset", "is lost", "Unknown Error", "Unknown error"]
                .iter()
                .any(|word| value.contains(word))
        };
        let values = self.0.iter().filter(|(_, value)| is_wedged(value));
        values.map(|(name, value)| format!("{} {name} {value}", self.label())).collect()
    }
}

/// Whether a value is there at all.
pub(super) fn is_supported(value: &str) -> bool {
    !matches!(value.trim_matches(['[', ']']), "N/A" | "Not Supported" | "")
}

/// What nvidia-smi answered.
pub(super) enum Answer {
    /// Every GPU.
    Gpus(Vec<Gpu>),
    /// The check ends so.
    Ends(Outcome),
}

/// Whether GPUs are planned, or there without a plan; the reason to skip where not.
pub(super) fn nothing_to_check(host: &Host, plan: &Plan) -> Result<Option<Outcome>, Unreadable> {
    match plan.expected() {
        Some(expected) if expected.gpus == 0 => Ok(Some(Outcome::skip("the plan has no GPU"))),
        Some(_) => Ok(None),
        None if !has_nvidia(host)? => Ok(Some(Outcome::skip("found no NVIDIA GPU, and no plan asks for one"))),
        None => Ok(None),
    }
}

/// A display or 3D controller of NVIDIA on the PCI bus, or a driver.
fn has_nvidia(host: &Host) -> Result<bool, Unreadable> {
    for address in host.names("/sys/bus/pci/devices")? {
        let value = |file: &str| host.value(&format!("/sys/bus/pci/devices/{address}/{file}"));
        let is_display = value("class")?.is_some_and(|class| class.starts_with("0x03"));
        if is_display && value("vendor")?.as_deref() == Some("0x10de") {
            return Ok(true);
        }
    }
    host.exists("/proc/driver/nvidia/version")
}

/// Every GPU, or how a check that needs them ends.
pub(super) fn gpus(host: &Host, plan: &Plan) -> Result<Answer, Unreadable> {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(Answer::Ends(outcome));
    }
    let expected = "nvidia-smi with a list of GPUs";
    let Some(ran) = host.run(&GPUS)? else {
        let hint = "install NVIDIA's driver, or use an AMI that has it";
        return Ok(Answer::Ends(Outcome::fail(format!("no {PATH}"), expected, hint)));
    };
    let hint = "look into the kernel log for NVRM; a driver newer than its running module needs a reboot";
    let found = match ran.ended {
        Ended::Code(0) => match parse(&ran.output) {
            Some(gpus) => return Ok(Answer::Gpus(gpus)),
            None => "nvidia-smi printed no table".to_owned(),
        },
        Ended::Code(code) => format!("nvidia-smi ended with {code}: {}", ran.last_words()),
        Ended::Killed => "nvidia-smi was killed by a signal".to_owned(),
        Ended::Late => format!("nvidia-smi did not end within {} s", BOUND.as_secs()),
    };
    Ok(Answer::Ends(Outcome::fail(found, expected, hint)))
}

/// A CSV table whose first line names the columns; cells hold no quotes. None without such a line.
fn parse(text: &str) -> Option<Vec<Gpu>> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let head: Vec<&str> = lines.next()?.split(',').map(|name| name.split('[').next().unwrap_or(name).trim()).collect();
    if head.first() != Some(&"index") {
        return None;
    }
    let row = |line: &str| {
        let cells = line.split(',').map(|cell| cell.trim().to_owned());
        Gpu(head.iter().map(|name| (*name).to_owned()).zip(cells).collect())
    };
    Some(lines.map(row).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_found_by_header() {
        let gpus = parse("index, name, memory.total [MiB], ecc\n0, NVIDIA L40S, 46068 MiB, [N/A]\n").unwrap();
        assert_eq!(gpus[0].column("memory.total"), "46068 MiB");
        assert!(gpus[0].wedged().is_empty() && !is_supported(gpus[0].column("ecc")));
        assert_eq!(parse("No devices were found\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(index, name\\[, )?(\\PC|\n|,){0,80}") {
            for gpu in parse(&text).unwrap_or_default() {
                gpu.wedged();
            }
        }
    }
}
