//! The licence of every package of Cargo.lock, and of what of others lies in this tree, is one that `deny.toml` allows; no
//! denied package is among them.

use std::process::Command;

use serde_json::Value as Json;
use sha2::Digest as _;

use crate::prefab::root;

fn packages() -> Vec<Json> {
    let mut command = Command::new(env!("CARGO"));
    // The platform is that of `graph.targets` in deny.toml: packages of others are never built, nor even fetched.
    command.args(["metadata", "--offline", "--locked", "--format-version", "1"]).current_dir(root());
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn deny() -> toml::Table {
    std::fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap()
}

/// Whether a licence expression holds when only these licences are accepted.
fn holds(expression: &str, allowed: &[&str]) -> bool {
    let parsed = spdx::Expression::parse_mode(expression, spdx::ParseMode::LAX);
    parsed
        .unwrap_or_else(|error| panic!("{expression}: {error}"))
        .evaluate(|term| allowed.contains(&term.to_string().as_str()))
}

#[test]
fn every_dependency_has_a_licence_that_deny_toml_allows() {
    let deny = deny();
    let allowed: Vec<&str> =
        deny["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let packages = packages();
    assert!(packages.len() > 50, "only {} packages were read", packages.len());
    for package in packages {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or_default());
        assert!(holds(licence, &allowed), "{name} is under `{licence}`, allowed are {allowed:?}");
    }
}

/// What of others lies here, and its record.
const VENDORED: &str = "src/report/html/chartjs";

#[test]
fn what_others_made_is_as_they_published_it_and_under_an_allowed_licence() {
    let folder = root().join(VENDORED);
    let record: toml::Table = std::fs::read_to_string(folder.join("VENDORED.toml")).unwrap().parse().unwrap();
    let text = |name: &str| record[name].as_str().unwrap();
    let deny = deny();
    let allowed: Vec<&str> =
        deny["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(holds(text("license"), &allowed), "{} is under {}", text("name"), text("license"));
    let mut files: Vec<String> = record["sha256"].as_table().unwrap().keys().cloned().collect();
    files.push("VENDORED.toml".to_owned());
    files.sort();
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = entries.collect();
    found.sort();
    assert_eq!(found, files, "the record and the folder differ");
    for (name, digest) in record["sha256"].as_table().unwrap() {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let found: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, digest.as_str().unwrap(), "{name} is not what was published");
    }
    let library = std::fs::read_to_string(folder.join("chart.umd.min.js")).unwrap();
    let notice = library.split_once("*/").unwrap().0;
    for part in [&format!("Chart.js v{}", text("version")), "Released under the MIT License", "Chart.js Contributors"] {
        assert!(notice.contains(part), "{part} is not in its notice");
    }
}

#[test]
fn a_licence_that_is_not_allowed_is_found() {
    let allowed = ["MIT", "Apache-2.0"];
    assert!(holds("MIT/Apache-2.0", &allowed) && holds("GPL-3.0-only OR MIT", &allowed));
    assert!(!holds("GPL-3.0-only", &allowed) && !holds("MIT AND Unicode-3.0", &allowed));
}

#[test]
fn no_denied_package_is_among_the_dependencies() {
    let deny = deny();
    let denied: Vec<&str> =
        deny["bans"]["deny"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    for package in packages() {
        assert!(!denied.contains(&package["name"].as_str().unwrap()), "{} is denied by deny.toml", package["name"]);
    }
}
