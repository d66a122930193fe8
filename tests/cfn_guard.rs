//! The rules of AWS Control Tower pass, but for those that a template names as broken on purpose, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

use crate::cfn_lint::templates;
use crate::prefab::root;

/// The package that brings cfn-guard and the rules; `None` where there is no npm, which `make test` says.
fn package() -> Option<PathBuf> {
    let installed = root().join("target/guard/installed").exists();
    let has_npm = Command::new("npm").arg("--version").output().is_ok();
    assert!(installed || !has_npm, "cfn-guard is missing; run `make setup`");
    installed.then(|| root().join("target/guard/node_modules/@cdklabs/cdk-validator-cfnguard"))
}

/// Rules that a template breaks, such as `CT.EC2.PR.9`.
fn broken(package: &Path, template: &Path) -> BTreeSet<String> {
    let rules = package.join("rules/control-tower/cfn-guard");
    let output = Command::new(package.join("bin/ubuntu/x86_64/cfn-guard"))
        .args(["validate", "--show-summary", "fail", "-d"])
        .arg(template)
        .arg("-r")
        .arg(rules)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 19)), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let failed = text.lines().filter(|line| line.contains(".guard/") && line.trim_end().ends_with("FAIL"));
    failed.map(|line| line.trim().split(".guard/").next().unwrap().to_uppercase().replace('-', ".")).collect()
}

fn suppressed(template: &Json) -> BTreeMap<String, String> {
    let rules = template["Metadata"]["guard"]["SuppressedRules"].as_object().into_iter().flatten();
    rules.map(|(rule, why)| (rule.clone(), why.as_str().unwrap().to_owned())).collect()
}

#[test]
fn the_rules_of_control_tower_pass_but_for_those_that_a_template_names_with_a_reason() {
    let Some(package) = package() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut named: BTreeSet<String> = BTreeSet::new();
    // The widest repeat the same resources; cfn-guard takes minutes for them.
    for (name, _, json) in templates().into_iter().filter(|(_, _, json)| json.len() < 100_000) {
        let path = folder.path().join(format!("{}.json", name.replace('/', "-")));
        std::fs::write(&path, &json).unwrap();
        let suppressed = suppressed(&serde_json::from_str(&json).unwrap());
        assert!(suppressed.values().all(|why| why.len() > 20), "{name}: {suppressed:?}");
        let broken = broken(&package, &path);
        let unnamed: Vec<&String> = broken.iter().filter(|rule| !suppressed.contains_key(*rule)).collect();
        assert!(unnamed.is_empty(), "{name} breaks {unnamed:?}");
        found.extend(broken);
        named.extend(suppressed.into_keys());
    }
    assert_eq!(found, named, "a rule that no template breaks is no longer to be suppressed");
}

#[test]
fn a_planted_violation_is_found() {
    let Some(package) = package() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("planted.json");
    let template = std::fs::read_to_string(root().join("golden/two-types/cluster.template.yaml")).unwrap();
    std::fs::write(&path, template.replace("HttpTokens: required", "HttpTokens: optional")).unwrap();
    assert!(broken(&package, &path).contains("CT.EC2.PR.1"));
}
