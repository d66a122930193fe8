//! What sources may name, and how they are cut.

use super::Rule;
use super::reading::{code, in_area, is_in, lines, modules};

/// Which modules of its own package an area may not name.
struct Border {
    /// Paths that begin so.
    area: &'static str,
    may_not_name: &'static [&'static str],
}

/// `template` ← `resources` ← `stacks` ← `summary` ← `cli`, and `spec` beside the first three. `diff` knows only templates;
/// `deploy` is plain logic over a seam, `aws` the seam's other side, and `cli` alone knows both.
const BORDERS: &[Border] = &[
    Border {
        area: "src/template",
        may_not_name: &["resources", "stacks", "summary", "spec", "cli", "user_data", "instance_types"],
    },
    Border {
        area: "src/resources",
        may_not_name: &["stacks", "summary", "spec", "cli", "user_data", "instance_types"],
    },
    Border { area: "src/stacks", may_not_name: &["summary", "cli", "finding"] },
    Border { area: "src/summary", may_not_name: &["cli"] },
    Border {
        area: "src/spec",
        may_not_name: &["template", "resources", "stacks", "summary", "cli", "user_data", "exit"],
    },
    Border {
        area: "src/instance_types",
        may_not_name: &["spec", "template", "resources", "stacks", "summary", "cli", "fit"],
    },
    Border { area: "src/fit", may_not_name: &["spec", "template", "resources", "stacks", "summary", "cli"] },
    Border { area: "src/user_data", may_not_name: &["spec", "template", "resources", "stacks", "summary", "cli"] },
    Border { area: "src/finding", may_not_name: &["spec", "template", "stacks", "cli"] },
    Border { area: "src/secret_literals", may_not_name: &["spec", "template", "stacks", "cli"] },
    Border {
        area: "src/diff",
        may_not_name: &["spec", "stacks", "resources", "deploy", "lock", "aws", "cli", "user_data", "summary"],
    },
    Border {
        area: "src/report",
        may_not_name: &[
            "spec",
            "template",
            "resources",
            "stacks",
            "summary",
            "user_data",
            "deploy",
            "diff",
            "lock",
            "aws",
            "cli",
            "exit",
            "finding",
        ],
    },
    Border { area: "src/table", may_not_name: &["report", "cli", "spec"] },
    Border { area: "src/lock", may_not_name: &["deploy", "aws", "cli", "diff"] },
    Border { area: "src/deploy", may_not_name: &["aws", "cli", "summary", "exit"] },
    Border { area: "src/aws", may_not_name: &["cli", "spec", "stacks", "template", "diff", "summary", "lock"] },
];

/// What reaches the world outside the process.
const WORLD: &[&str] = &[
    "std::fs",
    "fs::",
    "std::env",
    "env::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "Command::new",
    "SystemTime",
    "Instant",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "tempfile::",
    "rand::",
    "thread::",
];

/// A file beyond this many lines holds more than one thing.
const MOST_LINES: usize = 400;

/// Files that are longer, each with its reason.
const LONGER: &[(&str, &str)] = &[
    ("src/deploy/account.rs", "the seam in one place: each call with what it answers"),
    ("src/template.rs", "a fifth of it are doctests that prove what does not compile"),
    ("src/spec/cluster.rs", "one section with its form, which reads like the section"),
];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &[
    "bootstrap/fabric/src/transport/",
    "bootstrap/fabric/src/transport.rs",
    "bootstrap/fabric/src/cuda",
    "bootstrap/libfabric-sys/",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "import-direction",
        why: "template <- resources <- stacks <- summary <- cli; spec knows none of them (ARCHITECTURE.md)",
        broken: |tree| {
            let mut found = Vec::new();
            for (path, text) in in_area(tree, "src/") {
                let Some(border) = BORDERS.iter().find(|border| is_in(path, border.area)) else { continue };
                for module in modules(&code(text)).into_iter().filter(|module| border.may_not_name.contains(&&**module))
                {
                    found.push(format!("{path} names crate::{module}"));
                }
            }
            found
        },
        plants: &[
            ("src/template/yaml.rs", "use crate::resources::Tag;"),
            ("src/template.rs", "use crate::{exit::Exit, stacks};"),
            ("src/resources/ec2.rs", "fn of(_: &crate::spec::Spec) {}"),
            ("src/stacks/interfaces.rs", "use crate::cli::Streams;"),
            ("src/stacks.rs", "use crate::{\n    spec::{Spec, cluster},\n    summary::Summary,\n};"),
            ("src/spec/arn.rs", "use crate::template::Value;"),
            ("src/spec.rs", "use crate::user_data;"),
            ("src/user_data.rs", "use crate::stacks::StackKind;"),
            ("src/report/sections/cpu.rs", "use crate::cli::Streams;"),
            ("src/diff/leaves.rs", "use crate::deploy::account::Change;"),
            ("src/deploy/plan.rs", "use crate::aws::Aws;"),
            ("src/aws/stacks.rs", "use crate::spec::Spec;"),
        ],
    },
    Rule {
        name: "renderers-see-the-model-alone",
        why: "page, Markdown and terminal show the same figures with the same digits, because none of them reads a report",
        broken: |tree| {
            const RENDERERS: &[&str] = &["src/report/html", "src/report/markdown", "src/report/terminal"];
            lines(tree, RENDERERS, &["prefab_contract", "input::", "sections::", "statistics::", "compare::"])
        },
        plants: &[
            ("src/report/markdown.rs", "use prefab_contract::bench_report::Case;"),
            ("src/report/html.rs", "use super::input::Inputs;"),
        ],
    },
    Rule {
        name: "no-way-around",
        why: "a path through the parent's parent, or a glob, hides who knows whom",
        broken: |tree| {
            const AREAS: &[&str] = &["src/", "bootstrap/contract/src/"];
            // Three folders down, the parent's parent is still inside the area.
            let deep = |found: &String| found.split('/').count() > 3 && !found.starts_with("bootstrap/");
            let up = lines(tree, AREAS, &["super::super"]).into_iter().filter(|found| !deep(found));
            up.chain(lines(tree, AREAS, &["super::super::super", "use super::*", "use crate::*", "use crate::{*"]))
                .collect()
        },
        plants: &[
            ("src/resources/s3.rs", "use super::super::stacks;"),
            ("src/summary/text.rs", "use super::*;"),
            ("src/spec/document/tree.rs", "use super::super::super::cli;"),
        ],
    },
    Rule {
        name: "only-the-commands-touch-the-world",
        why: "equal input gives equal bytes because nothing below the commands reads a clock, a file or the environment",
        broken: |tree| {
            // What is signed carries the time of its signature.
            let permitted = |found: &String| found.starts_with("src/aws/") && found.ends_with("SystemTime");
            let all = lines(tree, &["src/"], WORLD).into_iter().filter(|found| !permitted(found));
            all.filter(|found| !found.starts_with("src/cli") && !found.starts_with("src/main.rs")).collect()
        },
        plants: &[
            ("src/deploy/watch.rs", "fn now() { let _ = std::time::Instant::now(); }"),
            ("src/spec/document.rs", "fn now() -> std::time::SystemTime { todo() }"),
            ("src/stacks/cluster.rs", "fn read() { let _ = std::fs::read(\"x\"); }"),
            ("src/summary.rs", "fn home() { let _ = std::env::var(\"HOME\"); }"),
            ("src/template/value.rs", "use std::net::TcpStream;"),
        ],
    },
    Rule {
        name: "the-sdk-stops-at-aws",
        why: "outside src/aws everything is blocking and has our own types; a test replaces the account by one value",
        broken: |tree| {
            const SDK: &[&str] =
                &["aws_config", "aws_sdk_", "aws_smithy_", "aws_sigv4", "aws_types", "tokio::", "async fn", ".await"];
            let all = tree.iter().filter(|(path, _)| path.starts_with("src/") && path.ends_with(".rs"));
            let outside = all.filter(|(path, _)| !is_in(path, "src/aws"));
            let mut found = Vec::new();
            for (path, text) in outside {
                for (number, line) in code(text).lines().enumerate() {
                    if let Some(word) = SDK.iter().find(|word| line.contains(**word)) {
                        found.push(format!("{path}:{}: {word}", number + 1));
                    }
                }
            }
            found
        },
        plants: &[
            ("src/deploy/apply.rs", "use aws_sdk_cloudformation::Client;"),
            ("src/cli/status.rs", "async fn later() {}"),
        ],
    },
    Rule {
        name: "contract-is-pure",
        why: "both sides must compute the same: no file, socket, process, clock or environment takes part",
        broken: |tree| lines(tree, &["bootstrap/contract/src/"], WORLD),
        plants: &[
            ("bootstrap/contract/src/kv.rs", "use std::time::Instant;"),
            ("bootstrap/contract/src/node_seed.rs", "fn run() { let _ = std::process::Command::new(\"true\"); }"),
        ],
    },
    Rule {
        name: "no-random-order",
        why: "a hashed map iterates in another order each time; a sorted one costs nothing here",
        broken: |tree| lines(tree, &["src/", "bootstrap/contract/src/"], &["HashMap", "HashSet", "RandomState"]),
        plants: &[("src/stacks/mlflow.rs", "use std::collections::HashMap;")],
    },
    Rule {
        name: "commands-alone-know-the-command-line",
        why: "what lies below returns values; a test compares them without a terminal",
        broken: |tree| {
            let all = lines(
                tree,
                &["src/"],
                &["clap::", "println!", "eprintln!", "print!(", "eprint!(", "anyhow::", "indicatif::"],
            );
            all.into_iter().filter(|found| !found.starts_with("src/cli") && !found.starts_with("src/main.rs")).collect()
        },
        plants: &[
            ("src/summary/text.rs", "fn say() { println!(\"done\"); }"),
            ("src/spec/region.rs", "use clap::ValueEnum;"),
            ("src/stacks/artifacts.rs", "fn f() -> anyhow::Result<()> { Ok(()) }"),
        ],
    },
    Rule {
        name: "nodes-do-not-import-the-cli",
        why: "the static program would carry handlebars, YAML and the catalogue onto every node",
        broken: |tree| lines(tree, &["bootstrap/"], &["prefab::", "extern crate prefab;"]),
        plants: &[("bootstrap/src/main.rs", "use prefab::spec::Spec;")],
    },
    Rule {
        name: "rest-for-mlflow-alone",
        why: "of the node side the CLI takes `contract`; `rest` brings it MLflow and SageMaker's control plane, one client for node and CLI, and everything else of AWS goes through src/aws",
        broken: |tree| {
            let all = lines(tree, &["src/"], &["prefab_rest"]);
            all.into_iter().filter(|found| !found.starts_with("src/cli/mlflow")).collect()
        },
        plants: &[
            ("src/cli/outputs.rs", "use prefab_rest::s3::Bucket;"),
            ("src/deploy/apply.rs", "fn f(_: prefab_rest::signed::Signed) {}"),
        ],
    },
    Rule {
        name: "unsafe-in-its-places",
        why: "raw memory and foreign calls lie in the transports, CUDA and libfabric-sys; the rest is proved by the compiler",
        broken: |tree| {
            let words =
                |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
            let mut found = Vec::new();
            for (path, text) in tree.iter().filter(|(path, _)| path.ends_with(".rs") && !path.starts_with("tests/")) {
                let permitted = UNSAFE.iter().any(|place| path.starts_with(place));
                let stands = code(text).lines().any(|line| words(line) || line.contains("allow(unsafe_code"));
                if stands && !permitted {
                    found.push(format!("{path} has unsafe code"));
                }
            }
            found
        },
        plants: &[
            ("src/units.rs", "fn f() { unsafe { std::hint::unreachable_unchecked() } }"),
            ("bootstrap/fabric/src/main.rs", "#![allow(unsafe_code)]"),
            ("bootstrap/contract/src/kv.rs", "unsafe fn f() {}"),
        ],
    },
    Rule {
        name: "libfabric-stops-at-its-transport",
        why: "its types are raw pointers; above the transport's own folder the engine knows streams, handles and words",
        broken: |tree| {
            let all = lines(tree, &["bootstrap/", "src/"], &["libfabric_sys"]);
            let own = ["bootstrap/fabric/src/transport/libfabric", "bootstrap/libfabric-sys/"];
            all.into_iter().filter(|found| !own.iter().any(|place| found.starts_with(place))).collect()
        },
        plants: &[("bootstrap/fabric/src/initiator.rs", "use libfabric_sys::Library;")],
    },
    Rule {
        name: "nothing-links-libfabric",
        why: "an engine that links it does not start where it is absent, and cannot say so",
        broken: |tree| {
            let links = |text: &str| text.contains("#[link(") || text.contains("rustc-link-lib");
            let sources = tree.iter().filter(|(path, _)| path.starts_with("bootstrap/") && path.ends_with(".rs"));
            sources.filter(|(_, text)| links(&code(text))).map(|(path, _)| format!("{path} links a library")).collect()
        },
        plants: &[
            ("bootstrap/libfabric-sys/src/calls.rs", "#[link(name = \"fabric\")]\nextern \"C\" {}"),
            ("bootstrap/libfabric-sys/build.rs", "fn main() { print(\"cargo:rustc-link-lib=fabric\") }"),
        ],
    },
    Rule {
        name: "names-that-say-something",
        why: "a file called after its shelf collects what nobody found a place for",
        broken: |tree| {
            const SHELVES: &[&str] =
                &["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "shared"];
            let shelf = |path: &&String| path.trim_end_matches(".rs").split('/').any(|part| SHELVES.contains(&part));
            tree.keys().filter(shelf).map(|path| format!("{path} is a shelf, not a name")).collect()
        },
        plants: &[("src/stacks/utils.rs", ""), ("tests/common/mod.rs", ""), ("bootstrap/src/helper.rs", "")],
    },
    Rule {
        name: "files-of-one-thing",
        why: "a file that is longer than 400 lines holds more than one thing, or has its reason listed",
        broken: |tree| {
            let listed = |path: &str| LONGER.iter().any(|(longer, _)| *longer == path);
            let long = tree.iter().filter(|(path, text)| path.ends_with(".rs") && text.lines().count() > MOST_LINES);
            let unlisted = long.filter(|(path, _)| !listed(path));
            let mut found: Vec<_> =
                unlisted.map(|(path, text)| format!("{path} has {} lines", text.lines().count())).collect();
            // A reason that is no longer needed goes.
            let short =
                LONGER.iter().filter(|(path, _)| tree.get(*path).is_none_or(|text| text.lines().count() <= MOST_LINES));
            found.extend(short.map(|(path, _)| format!("{path} is listed as longer than it is")));
            found
        },
        plants: &[("src/stacks/endless.rs", LONG)],
    },
];

/// A file that is too long.
const LONG: &str = match std::str::from_utf8(&[b'\n'; MOST_LINES + 1]) {
    Ok(lines) => lines,
    Err(_) => "",
};
