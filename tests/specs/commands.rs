//! `prefab init`, and what `prefab validate` prints.

use serde_json::Value as Json;

use super::fixture::{BAD, bad, good};
use crate::golden::golden;
use crate::prefab::{Prefab, root};

fn examples() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("templates")).unwrap();
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn init_writes_each_example_and_it_validates() {
    let examples = examples();
    assert_eq!(examples.len(), 5);
    for example in examples {
        let ran = Prefab::new(&["init", "--example", &example]).run().expect_code(0);
        assert_eq!(ran.out, "Wrote prefab.yaml. Next: edit it, then `prefab validate -f prefab.yaml`.\n");
        let text = ran.read("prefab.yaml");
        assert!(text.starts_with("# "), "{example} begins with what it is");
        assert_eq!(ran.files(), ["prefab.yaml"]);
        let ran = Prefab::new(&["validate"]).file("prefab.yaml", text).run().expect_code(0);
        assert!(ran.out.contains("is valid"), "{}", ran.out);
    }
}

#[test]
fn init_without_an_example_writes_the_reference_pair() {
    let ran = Prefab::new(&["init", "-o", "pair.yaml"]).run().expect_code(0);
    let pair = std::fs::read_to_string(root().join("templates/g6e-pair/prefab.yaml")).unwrap();
    assert_eq!(ran.read("pair.yaml"), pair);
}

#[test]
fn init_never_overwrites() {
    let ran = Prefab::new(&["init"]).file("prefab.yaml", "mine\n").run().expect_code(1);
    assert_eq!(ran.read("prefab.yaml"), "mine\n");
    assert_eq!(
        ran.err,
        "error: prefab.yaml exists already, and a spec is never overwritten; name another file with `-o FILE`\n"
    );
    let run = Prefab::new(&["init"]);
    std::os::unix::fs::symlink("elsewhere.yaml", run.folder().join("prefab.yaml")).unwrap();
    let ran = run.run().expect_code(1);
    assert_eq!(ran.files(), ["prefab.yaml"], "a link is not followed");
}

#[test]
fn init_into_a_folder_that_is_not_there_says_so() {
    let ran = Prefab::new(&["init", "-o", "none/prefab.yaml"]).run().expect_code(1);
    assert!(ran.err.starts_with("error: creating none/prefab.yaml: No such file or directory"), "{}", ran.err);
    assert!(ran.files().is_empty());
}

#[test]
fn init_knows_its_examples_only() {
    let ran = Prefab::new(&["init", "--example", "g6e-pear"]).run().expect_code(2);
    assert!(ran.err.contains("'g6e-pair'"), "{}", ran.err);
}

#[test]
fn findings_as_json_are_all_there_is_on_standard_output() {
    let ran = bad("five-errors-at-once").run(&["validate", "--json"]).run().expect_code(1);
    assert_eq!(ran.err, "");
    golden("specs/five-errors-at-once.json", &ran.out);
    let ran = good("base-min").run(&["validate", "--json"]).run().expect_code(0);
    assert_eq!(ran.err, "");
    golden("specs/base-min.json", &ran.out);
}

#[test]
fn findings_as_json_have_every_field_for_every_bad_spec() {
    const FIELDS: [&str; 8] = ["action", "allowed", "code", "column", "found", "line", "path", "severity"];
    for fixture in BAD.iter().step_by(5) {
        let ran = fixture.run(&["validate", "--json"]).run().expect_code(1);
        let answer: Json = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&answer["valid"], &answer["file"]), (&false.into(), &"prefab.yaml".into()), "{}", fixture.name);
        for finding in answer["findings"].as_array().unwrap() {
            let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
            assert_eq!(keys, FIELDS, "{}", fixture.name);
        }
    }
}

#[test]
fn a_missing_file_is_a_finding_in_json_too() {
    let ran = Prefab::new(&["validate", "--json"]).run().expect_code(1);
    let answer: Json = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["findings"][0]["code"], "unreadable-spec");
}

#[test]
fn a_valid_spec_is_told_in_one_line_that_names_the_next_step() {
    let ran = good("base-block").run(&["validate"]).run().expect_code(0);
    assert_eq!(ran.err, "");
    assert_eq!(ran.out, "p5-block is valid: 8 nodes. Next: `prefab synth` writes its templates.\n");
}

#[test]
fn findings_do_not_depend_on_the_environment() {
    let fixture = bad("every-section-wrong");
    let plain = fixture.run(&["validate"]).run().expect_code(1);
    for (name, value) in [("LANG", "de_DE.UTF-8"), ("TZ", "Asia/Kathmandu"), ("COLUMNS", "20"), ("CLICOLOR_FORCE", "1")]
    {
        assert_eq!(fixture.run(&["validate"]).env(name, value).run().expect_code(1).err, plain.err, "{name}");
    }
}
