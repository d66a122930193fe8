//! The licence of every package of Cargo.lock is one that `deny.toml` allows, and no denied package is among them.

use std::process::Command;

use serde_json::Value as Json;

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
