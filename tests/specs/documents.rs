//! Inputs that are no spec at all, and specs in odd clothes: each gets a sentence, in bounded time.

use std::time::{Duration, Instant};

use super::fixture::{errors, good, read_spec};
use crate::golden::golden;
use crate::prefab::{Prefab, Ran};

/// Far more than any of them takes on a busy machine, far less than a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

fn validate(content: impl AsRef<[u8]>) -> Ran {
    let started = Instant::now();
    let own_task = "tasks/fetch-weights.json";
    let ran = Prefab::new(&["validate"]).file("prefab.yaml", content).file(own_task, "{}").run();
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    assert_eq!(ran.files(), ["prefab.yaml", "tasks"]);
    ran
}

#[track_caller]
fn refused(name: &str, content: impl AsRef<[u8]>) {
    let ran = validate(content).expect_code(1);
    assert_eq!(ran.out, "");
    golden(&format!("specs/document-{name}.txt"), &ran.err);
}

#[track_caller]
fn accepted(name: &str, content: impl AsRef<[u8]>) {
    let ran = validate(content).expect_code(0);
    golden(&format!("specs/warning-{name}.txt"), &ran.err);
}

fn block() -> &'static str {
    &good("base-block").text
}

#[test]
fn a_missing_file_is_named_with_what_to_do() {
    let ran = Prefab::new(&["validate", "-f", "none.yaml"]).run().expect_code(1);
    golden("specs/document-missing.txt", &ran.err);
    assert!(ran.files().is_empty());
}

#[test]
fn a_folder_is_no_file() {
    let ran = Prefab::new(&["validate", "-f", "specs"]).file("specs/prefab.yaml", block()).run().expect_code(1);
    golden("specs/document-folder.txt", &ran.err);
}

/// Root may read every file, but nobody reads below a file, or through a link that leads to itself.
#[test]
fn a_file_that_cannot_be_read_says_why() {
    let ran = Prefab::new(&["validate", "-f", "prefab.yaml/inner.yaml"]).file("prefab.yaml", block()).run();
    golden("specs/document-below-a-file.txt", &ran.expect_code(1).err);
    let run = Prefab::new(&["validate", "-f", "loop.yaml"]);
    std::os::unix::fs::symlink("loop.yaml", run.folder().join("loop.yaml")).unwrap();
    golden("specs/document-loop.txt", &run.run().expect_code(1).err);
}

#[test]
fn a_file_without_permission_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let run = Prefab::new(&["validate"]).file("prefab.yaml", block());
    let path = run.folder().join("prefab.yaml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&path).is_ok() {
        // Whoever runs the tests may read everything; the two cases above stand for this one.
        return;
    }
    let ran = run.run().expect_code(1);
    assert!(ran.err.contains("a file that may not be read"), "{}", ran.err);
}

#[test]
fn an_endless_file_is_read_up_to_the_limit() {
    let started = Instant::now();
    let ran = Prefab::new(&["validate", "-f", "/dev/zero"]).run().expect_code(1);
    assert!(started.elapsed() < PATIENCE);
    assert!(ran.err.contains("error[spec-too-large]"), "{}", ran.err);
}

#[test]
fn a_file_without_content_is_no_spec() {
    refused("empty", "");
    refused("comments-only", "# one\n# two\n");
    refused("null", "~\n");
    refused("marks-only", "---\n...\n");
}

#[test]
fn ten_megabytes_are_refused_unread() {
    refused("ten-megabytes", block().repeat(10_000_000 / block().len() + 1));
}

#[test]
fn what_is_no_utf_8_is_named_with_its_place() {
    refused(
        "latin-1",
        block()
            .replace("kv-runs", "kv-r\u{0}ns")
            .replace('\u{0}', "\u{fc}")
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect::<Vec<u8>>(),
    );
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain(block().encode_utf16()).flat_map(u16::to_le_bytes).collect();
    refused("utf-16", utf16);
}

#[test]
fn a_nul_byte_is_no_text() {
    refused("nul", block().replace("kv-runs", "kv-r\0ns"));
    refused("nul-in-a-key", block().replace("bootstrap:", "\"boot\\0strap\":"));
}

#[test]
fn a_byte_order_mark_and_windows_lines_are_passed_over_with_a_word() {
    accepted("byte-order-mark", format!("\u{feff}{}", block()));
    accepted("carriage-returns", block().replace('\n', "\r\n"));
    let spec = read_spec(block().as_bytes()).0.unwrap();
    for dressed in [format!("\u{feff}{}", block()), block().replace('\n', "\r\n"), block().replace('\n', "\r")] {
        assert_eq!(read_spec(dressed.as_bytes()).0.as_ref(), Some(&spec));
    }
}

#[test]
fn lines_and_columns_are_right_behind_a_mark_and_in_windows_lines() {
    let bad = block().replace("count: 4", "count: 0");
    let plain = errors(&read_spec(bad.as_bytes()).1);
    assert_eq!(plain.len(), 2);
    for dressed in [format!("\u{feff}{bad}"), bad.replace('\n', "\r\n")] {
        assert_eq!(errors(&read_spec(dressed.as_bytes()).1), plain);
    }
}

#[test]
fn deep_nesting_ends_early() {
    refused("deep-flow", format!("tags: {}\n", "[".repeat(200_000)));
    refused("deep-block", (0..600).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>());
}

#[test]
fn a_billion_laughs_are_not_laughed() {
    let mut text = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for (name, before) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        let aliases = vec![format!("*{before}"); 9].join(", ");
        text += &format!("{name}: &{name} [{aliases}]\n");
    }
    let started = Instant::now();
    let found = errors(&read_spec(text.as_bytes()).1);
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(found.iter().filter(|error| error.code == "yaml-alias").count(), 72);
    assert_eq!(found.iter().filter(|error| error.code == "yaml-anchor").count(), 9);
}

/// The most findings that a file of the largest size can give, and the longest key: neither takes long.
#[test]
fn the_largest_file_of_mistakes_is_answered_in_time() {
    let many: String = (0..6_000).map(|index| format!("k{index}: 1\n")).collect();
    let long = format!("{}: 1\n", "k".repeat(200_000));
    let ports = format!("expose: [{}]\n", "{},".repeat(60_000));
    for text in [many, long, ports] {
        let started = Instant::now();
        let findings = read_spec(text.as_bytes()).1;
        assert!(findings.refuse());
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    }
}

#[test]
fn a_secret_is_shown_nowhere_whatever_else_is_wrong_with_it() {
    // Made up here, piece by piece, so that no scanner of repositories finds it.
    let token = ["hf", "_", &"Ab1Cd2Ef3Gh4".repeat(3)].concat();
    let places = [
        format!("secrets: {{ hf_token: {token} }}"),
        format!("secrets: {{ {token}: x }}"),
        format!("{token}: 1"),
        format!("expose: [{token}]"),
        format!("benchmark: {{ memory: [{token}] }}"),
        format!("bootstrap: {{ timeout_minutes: {token}, tasks: [\"{token}\"] }}"),
        format!("tags: {{ owner: 'a {token} b', {token}: a, {token}: b }}"),
        format!("iam: {{ path: \"{token}\", path: !x {token} }}"),
        format!("workload: {token}"),
        format!("iam:\n  path: |\n    first\n    {token}\n    last"),
        format!("x: [{token}"),
        format!("x: '{token}\ny: 1"),
        format!("# {token}"),
    ];
    for place in places {
        for args in [&["validate"][..], &["validate", "--json"]] {
            let text = format!("{}\n{place}\n", good("base-min").text);
            let ran = Prefab::new(args).file("prefab.yaml", text).run().expect_code(1);
            let said = ran.out + &ran.err;
            assert!(said.contains("secret-literal"), "{said}");
            assert!(!said.contains("Ab1Cd2") && !said.contains("Gh4"), "{place}: {said}");
        }
    }
}
