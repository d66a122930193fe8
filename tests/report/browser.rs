//! A browser's opinion: headless Chromium opens the page in both schemes and prints it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value as Json;

use super::fixture;
use crate::prefab::{Prefab, Ran, root};
use crate::python;

/// The first word of the line of target/skipped.txt by which `make setup` says that there is no browser.
const SKIPPED: &str = "chromium:";

/// Chromium; nothing where `make setup` has said that this machine has none, and that line is then what `make test` closes
/// with. That it is merely missing is a failure.
fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("chromium")).find(|path| path.is_file());
    if found.is_none() {
        let skipped = std::fs::read_to_string(root().join("target/skipped.txt")).unwrap_or_default();
        let is_told = skipped.lines().any(|line| line.starts_with(SKIPPED));
        assert!(is_told, "found no chromium; run `make setup` as root");
    }
    found
}

fn page(kind: &str) -> Ran {
    let run = Prefab::new(&["report", "x.json", "--checks", "checks.json", "-o", &format!("{kind}.html")]);
    run.file("x.json", fixture::text(kind)).file("checks.json", fixture::text("checks")).run().expect_code(0)
}

#[test]
fn a_browser_draws_every_plot_and_finds_nothing_wrong() {
    let Some(chromium) = chromium() else { return };
    let pages = [page("efa"), page("troubled")];
    let mut command = Command::new(python::program("python"));
    command.arg(root().join("tests/report/browser.py")).arg(chromium);
    command.arg(pages[0].path("efa.html")).arg(pages[1].path("troubled.html"));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let facts: Json = serde_json::from_str(&text).unwrap();
    for (name, ground) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(17, 22, 29)")] {
        for (page, plots) in [("efa.html", 15), ("troubled.html", 4)] {
            let seen = &facts[page][name];
            let context = format!("{page} {name}: {seen:#}");
            assert_eq!((&seen["canvases"], &seen["drawn"]), (&plots.into(), &plots.into()), "{context}");
            assert_eq!(seen["console"], Json::Array(Vec::new()), "{context}");
            let requests = seen["requests"].as_array().unwrap();
            assert!(requests.len() == 1 && requests[0].as_str().unwrap().ends_with(page), "{context}");
            assert_eq!(seen["violations"], Json::Array(Vec::new()), "{context}");
            assert_eq!((&seen["ground"], &seen["unnamed"]), (&ground.into(), &0.into()), "{context}");
            assert_eq!((&seen["injected"], &seen["wider_than_window"]), (&false.into(), &false.into()), "{context}");
            assert!(seen["paper_bytes"].as_u64().unwrap() > 50_000, "{context}");
            assert_eq!(seen["folded_after_paper"], true, "{context}");
            // Paper is light, whatever the screen is.
            assert_eq!(seen["ink"], "#566172", "{context}");
        }
    }
    for page in ["efa.html", "troubled.html"] {
        let expected = serde_json::json!({ "says_so": true, "has_numbers": true });
        assert_eq!(facts[page]["without_scripts"], expected);
    }
}
