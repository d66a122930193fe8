//! What packages depend on.

use super::{Rule, Tree};

/// Dependencies whose default features are wanted, each with its reason.
const WITH_DEFAULTS: &[(&str, &str)] = &[
    ("csv", "it has no features"),
    ("regex-lite", "its defaults are `std` and the string type, which is all of it"),
    ("strsim", "it has no features"),
    ("expect-test", "it has no features"),
    ("serde_yaml", "it has no features"),
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "the-sdk-is-the-cli-s",
        why: "the SDK compiles for minutes and brings an asynchronous runtime: no node program carries it",
        broken: |tree| {
            let found = dependencies(tree)
                .into_iter()
                .filter(|of| of.manifest != "Cargo.toml" && (of.name.starts_with("aws-") || of.name == "tokio"));
            found.map(|of| format!("{} depends on {}", of.manifest, of.name)).collect()
        },
        plants: &[("bootstrap/Cargo.toml", "# For S3.\naws-sdk-s3 = { version = \"1\", default-features = false }")],
    },
    Rule {
        name: "node-packages-do-not-depend-on-the-cli",
        why: "the static program would carry everything that the CLI has",
        broken: |tree| {
            let found = dependencies(tree).into_iter().filter(|of| of.name == "prefab");
            found.map(|of| format!("{} depends on the CLI", of.manifest)).collect()
        },
        plants: &[(
            "bootstrap/contract/Cargo.toml",
            "# Its types.\nprefab = { path = \"../..\", default-features = false }",
        )],
    },
    Rule {
        name: "each-dependency-has-a-reason",
        why: "a reader of the manifest learns why each package is trusted",
        broken: |tree| {
            let silent = dependencies(tree).into_iter().filter(|of| !of.commented && !of.is_shared() && !of.is_own());
            silent.map(|of| format!("{} gives no reason for {}", of.manifest, of.name)).collect()
        },
        plants: &[("bootstrap/fabric/Cargo.toml", "memchr = { version = \"2\", default-features = false }")],
    },
    Rule {
        name: "default-features-off",
        why: "a feature that nobody asked for is code that nobody reviewed, and time to compile",
        broken: |tree| {
            let wanted = |name: &str| WITH_DEFAULTS.iter().any(|(listed, _)| *listed == name);
            let on =
                |of: &Dependency| !of.value.contains("default-features = false") && !of.is_shared() && !of.is_own();
            let found = dependencies(tree).into_iter().filter(|of| on(of) && !wanted(&of.name));
            found.map(|of| format!("{} takes the default features of {}", of.manifest, of.name)).collect()
        },
        plants: &[("bootstrap/Cargo.toml", "# Fast search.\nmemchr = \"2\"")],
    },
    Rule {
        name: "lints-of-the-workspace",
        why: "`unsafe_code = \"deny\"` and the other lints hold in every package or in none",
        broken: |tree| {
            let mut found = Vec::new();
            for (path, text) in manifests(tree) {
                let flat: String = text.split_whitespace().collect();
                if !flat.contains("[lints]workspace=true") {
                    found.push(format!("{path} does not take the lints of the workspace"));
                }
                if path == "Cargo.toml" && !flat.contains("unsafe_code=\"deny\"") {
                    found.push(format!("{path} does not deny unsafe code"));
                }
            }
            found
        },
        plants: &[("bootstrap/planted/Cargo.toml", "[package]\nname = \"planted\"")],
    },
    Rule {
        name: "safe-libraries-say-so",
        why: "`forbid` in the root of a library cannot be lifted further down, as `deny` can",
        broken: |tree| {
            let roots = ["src/lib.rs", "bootstrap/contract/src/lib.rs"];
            let found = roots.into_iter().filter(|path| !tree[*path].contains("#![forbid(unsafe_code)]"));
            let more = tree.keys().filter(|path| path.ends_with("src/lib.rs") && !path.contains("libfabric-sys"));
            let unknown = more.filter(|path| !roots.contains(&path.as_str()) && !tree[*path].contains("unsafe_code)]"));
            found
                .map(str::to_owned)
                .chain(unknown.cloned())
                .map(|path| format!("{path} does not forbid unsafe code"))
                .collect()
        },
        plants: &[("bootstrap/planted/src/lib.rs", "//! Planted.")],
    },
];

struct Dependency {
    manifest: String,
    name: String,
    value: String,
    /// A comment stands above it.
    commented: bool,
}

impl Dependency {
    /// Described in the workspace's own table.
    fn is_shared(&self) -> bool {
        self.name.ends_with(".workspace") || self.value.contains("workspace = true")
    }

    /// A package of this repository.
    fn is_own(&self) -> bool {
        self.value.contains("path = ")
    }
}

fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let manifests = tree.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    manifests.map(|(path, text)| (path.as_str(), text.as_str()))
}

/// Every line of a table of dependencies.
fn dependencies(tree: &Tree) -> Vec<Dependency> {
    let mut found = Vec::new();
    for (manifest, text) in manifests(tree) {
        let (mut inside, mut above) = (false, "");
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line.ends_with("dependencies]");
            } else if let Some((name, value)) = line.split_once('=').filter(|_| inside && !line.starts_with('#')) {
                found.push(Dependency {
                    manifest: manifest.to_owned(),
                    name: name.trim().to_owned(),
                    value: value.to_owned(),
                    commented: above.starts_with('#'),
                });
            }
            above = line;
        }
    }
    found
}
