//! `check` on this very machine, whatever it is, against a script that looks by other means.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use prefab_contract::check_report::{CheckOutcome, CheckReport, CheckResult};
use prefab_contract::node_config::NodeConfig;

use crate::command::check;
use crate::fixture::Fixture;

fn probe() -> BTreeMap<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checks/probe.sh");
    let output = Command::new("bash").arg(script).output().unwrap();
    let facts = String::from_utf8(output.stdout).unwrap();
    facts.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

/// A plan under this machine's own firmware name, so that every check of EFA and GPUs has something to look for.
fn planned() -> CheckReport {
    let base = Fixture::base("g6e-healthy").unpack();
    let text = fs::read_to_string(base.path().join("etc/prefab/node-config.json")).unwrap();
    let mut config: NodeConfig<String> = serde_json::from_str(&text).unwrap();
    if let Ok(own) = fs::read_to_string("/sys/class/dmi/id/product_name") {
        let expected = config.expected.values().next().unwrap().clone();
        config.expected.insert(own.trim().to_owned(), expected);
    }
    let file = base.path().join("plan.json");
    fs::write(&file, serde_json::to_string(&config).unwrap()).unwrap();
    let output = check(&["--json", "--profile", "base", "--config", file.to_str().unwrap()]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn find<'a>(report: &'a CheckReport, id: &str) -> &'a CheckResult {
    report.checks.iter().find(|check| check.id == id).unwrap()
}

#[test]
fn the_report_agrees_with_a_script_that_looks_by_other_means() {
    let (facts, report) = (probe(), planned());
    let fact = |name: &str| facts[name].as_str();

    let devices = find(&report, "efa.devices");
    match fact("efa_devices") {
        "0" => assert!(devices.found.contains("no EFA device") && devices.outcome == CheckOutcome::Fail, "{devices:?}"),
        count => assert!(devices.found.starts_with(&format!("{count} EFA device")), "{devices:?}"),
    }
    let driver = find(&report, "efa.driver");
    assert_eq!(driver.found.contains("not loaded"), fact("efa_module") == "0", "{driver:?}");
    let nodes = find(&report, "efa.device-nodes");
    assert_eq!(nodes.found.matches("/dev/infiniband/uverbs").count().to_string(), fact("uverbs_nodes"), "{nodes:?}");
    let memlock = find(&report, "efa.memlock");
    assert!(memlock.found.contains(fact("memlock")), "{memlock:?}");
    let hugepages = find(&report, "efa.hugepages");
    assert!(hugepages.found.starts_with(fact("hugepages")), "{hugepages:?}");
    let provider = find(&report, "efa.provider");
    assert_eq!(provider.found.starts_with("no /opt/amazon"), fact("libfabric") == "none", "{provider:?}");

    let count = find(&report, "gpu.count");
    match fact("gpus") {
        "none" => assert_eq!(count.found, "no /usr/bin/nvidia-smi"),
        number => assert!(count.found.starts_with(&format!("{number} GPU")), "{count:?}"),
    }
    let gpu_driver = find(&report, "gpu.driver");
    match fact("gpu_driver") {
        "none" => assert!(gpu_driver.found.contains("not loaded"), "{gpu_driver:?}"),
        version => assert!(gpu_driver.found.contains(version.split('.').next().unwrap()), "{gpu_driver:?}"),
    }

    let engine = find(&report, "efa.engine");
    assert_eq!(engine.found.starts_with("no /usr/local/bin/prefab-fabric"), fact("engine") == "none", "{engine:?}");
    let sync = find(&report, "time.sync");
    match (fact("chrony"), fact("timesyncd")) {
        ("none", "none") => assert_eq!(sync.outcome, CheckOutcome::Warn, "{sync:?}"),
        ("none", _) => assert_eq!(sync.outcome, CheckOutcome::Pass, "{sync:?}"),
        _ => assert!(sync.found.starts_with("chrony"), "{sync:?}"),
    }
    let names = find(&report, "network.names");
    assert!(names.found.ends_with(fact("name_servers")), "{names:?}");
    let libfabric = find(&report, "environment.libfabric");
    assert!(fact("fi_variables") != "0" || libfabric.outcome == CheckOutcome::Pass, "{libfabric:?}");
    if fact("dmesg") == "readable" {
        let oom = find(&report, "environment.oom");
        assert_eq!(oom.outcome == CheckOutcome::Fail, fact("oom_kills") != "0", "{oom:?}");
    }
    let space = find(&report, "disk.space");
    let free: f64 = space.found.split(' ').next().unwrap().parse().unwrap();
    let root: f64 = fact("root_available").parse::<f64>().unwrap() / f64::from(1_u32 << 30);
    // Other programs write meanwhile, and another file system may have less.
    assert!(free <= root + 1.0, "{space:?}, df says {root:.1} GiB");
}

#[test]
fn without_a_plan_a_machine_without_hardware_has_nothing_wrong_with_it() {
    let facts = probe();
    let output = check(&["--json"]);
    let report: CheckReport = serde_json::from_slice(&output.stdout).unwrap();
    for (id, is_absent) in [("efa.devices", facts["efa_devices"] == "0"), ("gpu.count", facts["gpus"] == "none")] {
        assert_eq!(find(&report, id).outcome == CheckOutcome::Skip, is_absent, "{:?}", find(&report, id));
    }
}
