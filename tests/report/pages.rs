//! What reports say, and that nothing in them runs.

use super::fixture;
use crate::golden::golden;
use crate::prefab::{Prefab, root};

/// What a run says of where it wrote is not part of the summary.
fn summary(out: &str) -> String {
    out.lines().take_while(|line| !line.starts_with("wrote")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_report_says_the_same_as_ever() {
    for kind in ["efa", "troubled"] {
        let run = Prefab::new(&["report", "x.json", "--checks", "checks.json", "--ttft-budget-ms", "1500"])
            .file("x.json", fixture::text(kind))
            .file("checks.json", fixture::text("checks"))
            .run()
            .expect_code(0);
        golden(&format!("report/{kind}.txt"), &summary(&run.out));
        golden(&format!("report/{kind}.md"), &run.read("report.md"));
        assert!(run.out.ends_with("Next: open report.html in a browser.\n"), "{}", run.out);
        assert_eq!(run.files(), ["checks.json", "report.html", "report.md", "x.json"]);
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    let run = |name: &str| {
        let output = format!("{name}/report.html");
        let run =
            Prefab::new(&["report", "x.json", "-o", &output]).file("x.json", fixture::text("efa")).run().expect_code(0);
        run.read(&output)
    };
    assert!(run("a") == run("b"));
}

#[test]
fn names_from_outside_stay_text() {
    let run = Prefab::new(&["report", "x.json"]).file("x.json", fixture::text("troubled")).run().expect_code(0);
    let (page, markdown) = (run.read("report.html"), run.read("report.md"));
    // Three scripts of ours: the data, the library, the plots. The library has no such word.
    assert_eq!(page.matches("<script").count(), 3);
    assert_eq!(page.matches("</script").count(), 3);
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;injected&#x3D;1"), "the name is not shown at all");
    for forbidden in ["<script>injected", "<img", "\u{2028}", "\u{1b}", "sourceMappingURL"] {
        assert!(!page.contains(forbidden), "{forbidden:?} is in the page");
    }
    assert!(markdown.contains(r"\<img src"), "the name is not shown at all");
    assert!(!markdown.replace(r"\<", "").contains('<'), "{markdown}");
    assert!(!run.out.contains('\u{1b}'), "{}", run.out);
}

#[test]
fn the_page_permits_nothing_but_what_is_inside() {
    let run = Prefab::new(&["report", "x.json"]).file("x.json", fixture::text("efa")).run().expect_code(0);
    let page = run.read("report.html");
    let (_, policy) = page.split_once("Content-Security-Policy\" content=\"").unwrap();
    let (policy, _) = policy.split_once('"').unwrap();
    assert!(policy.starts_with("default-src &#x27;none&#x27;; script-src &#x27;sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
}

#[test]
fn what_is_missing_is_said_plainly() {
    let without_figures = fixture::changed("troubled", |report| {
        let cases = report["cases"].as_array_mut().unwrap();
        cases.drain(..5);
    });
    let none = fixture::changed("efa", |report| report["cases"] = serde_json::json!([]));
    for (report, sentences) in [
        (
            without_figures,
            &[
                "No case has a bandwidth.",
                "No request was measured.",
                "No case is complete",
                "No check report was given",
            ][..],
        ),
        (none, &["Fault:** No case was measured.", "There is no case.", "No case ran beside a prefill"][..]),
    ] {
        let run = Prefab::new(&["report", "x.json"]).file("x.json", report).run().expect_code(0);
        let markdown = run.read("report.md");
        for sentence in sentences {
            assert!(markdown.contains(sentence), "{sentence} is not in\n{markdown}");
        }
    }
}

#[test]
fn a_type_of_node_gives_a_line_rate_where_the_report_has_none() {
    let report = fixture::changed("efa", |report| {
        for case in report["cases"].as_array_mut().unwrap() {
            case["link_gb_per_s"] = serde_json::Value::Null;
        }
    });
    let run = |more: &[&str]| {
        let options = [&["report", "x.json"], more].concat();
        Prefab::new(&options).file("x.json", &report).run()
    };
    let without = run(&[]).expect_code(0);
    assert!(!without.out.contains("of line rate"), "{}", without.out);
    assert!(
        without.read("report.md").contains("No line rate is drawn: the report does not tell what the link carries.")
    );
    let with = run(&["--instance-type", "g6e.12xlarge"]).expect_code(0);
    assert!(with.read("report.md").contains("12.5 GB/s of g6e.12xlarge"), "{}", with.out);
    let unknown = run(&["--instance-type", "g6e12xlarge"]).expect_code(1);
    assert!(unknown.err.contains("unknown-instance-type") && unknown.err.contains("g6e.12xlarge"), "{}", unknown.err);
    assert_eq!(unknown.files(), ["x.json"]);
    // On loopback there is none, whatever type is named.
    let loopback = Prefab::new(&["report", "x.json", "--instance-type", "g6e.12xlarge"])
        .file("x.json", fixture::text("troubled"))
        .run()
        .expect_code(0);
    assert!(!loopback.out.contains("of line rate"), "{}", loopback.out);
}

#[test]
fn bad_files_are_all_named_and_nothing_is_written() {
    let run = Prefab::new(&["report", "a.json", "b.json", "absent.json", "empty"])
        .file("a.json", "{")
        .file("b.json", r#"{"schema_version":7,"cases":[]}"#)
        .file("empty/readme.txt", "")
        .run()
        .expect_code(1);
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.err);
    for (line, part) in lines.iter().zip([
        "a.json: found no JSON",
        "b.json: found `schema_version` 7, expected 1",
        "absent.json: cannot be read",
        "empty: found no file that ends in .json",
    ]) {
        assert!(line.starts_with(part), "{line}");
    }
    assert_eq!(run.files(), ["a.json", "b.json", "empty"]);
    let ending =
        Prefab::new(&["report", "x.json", "-o", "x.txt"]).file("x.json", fixture::text("efa")).run().expect_code(1);
    assert!(ending.err.contains("expected a name that ends in .html"), "{}", ending.err);
}

#[test]
fn a_folder_of_reports_is_one_report() {
    let run = Prefab::new(&["report", "runs", "-o", "out/all.html"])
        .file("runs/1.json", fixture::text("efa"))
        .file("runs/2.json", fixture::text("again"))
        .file("runs/checks.json", fixture::text("checks"))
        .file("runs/notes.txt", "not a report")
        .run()
        .expect_code(0);
    let markdown = run.read("out/all.md");
    for part in
        ["- A: benchmark report runs/1.json", "- B: benchmark report runs/2.json", "- C: check report runs/checks.json"]
    {
        assert!(markdown.contains(part), "{part} is not in\n{markdown}");
    }
    assert!(markdown.contains("B: efa read"), "lines of two runs are told apart");
}

/// The README shows a page: a small picture of one, in the tree.
#[test]
fn the_readme_shows_a_page() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let pictures: Vec<&str> = readme
        .split("](")
        .filter_map(|rest| rest.split_once(')'))
        .map(|(path, _)| path)
        .filter(|it| it.ends_with(".png"))
        .collect();
    assert_eq!(pictures, ["tests/report/page.png"]);
    let bytes = std::fs::read(root().join(pictures[0])).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && (10_000..200_000).contains(&bytes.len()), "{} bytes", bytes.len());
}
