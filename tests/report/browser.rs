//! A browser's opinion: headless Chromium opens the page in both schemes and prints it.

use std::path::{Path, PathBuf};
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

/// What a browser sees of pages, by the names of their files.
fn seen(chromium: &Path, pages: &[PathBuf]) -> Json {
    let mut command = Command::new(python::program("python"));
    command.arg(root().join("tests/report/browser.py")).arg(chromium).args(pages);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap()
}

/// The page is whole in both schemes, in print and without scripts, and asks for nothing.
#[track_caller]
fn assert_whole(facts: &Json, page: &str, plots: u64) {
    for (name, ground) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(17, 22, 29)")] {
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
    let expected = serde_json::json!({ "says_so": true, "has_numbers": true });
    assert_eq!(facts[page]["without_scripts"], expected);
}

#[test]
fn a_browser_draws_every_plot_and_finds_nothing_wrong() {
    let Some(chromium) = chromium() else { return };
    let pages = [page("efa"), page("troubled")];
    let facts = seen(&chromium, &[pages[0].path("efa.html"), pages[1].path("troubled.html")]);
    assert_whole(&facts, "efa.html", 15);
    assert_whole(&facts, "troubled.html", 4);
}

/// The demonstration ends with a page, says where it is, and that page is whole. Of what it measured it shows bandwidth, latency,
/// share of a first token by prompt, and processor time.
#[test]
fn the_page_that_the_demo_names_is_whole() {
    let dist = std::env::var_os("PREFAB_DIST")
        .expect("PREFAB_DIST names no folder; run `make build` and set PREFAB_DIST=dist");
    let dist = dist.into_string().unwrap();
    let demo = Prefab::new(&["demo", "-o", "shown"]).env("PREFAB_DIST", &dist).run().expect_code(0);
    let last = demo.out.lines().last().unwrap();
    let named = last.strip_prefix("Next: open ").and_then(|rest| rest.strip_suffix(" in a browser.")).expect(last);
    assert_eq!(named, "shown/report.html");
    let Some(chromium) = chromium() else { return };
    let facts = seen(&chromium, &[demo.path(named)]);
    assert_whole(&facts, "report.html", 4);
}
