//! cfn-lint has nothing to say of what synth writes.

use std::path::Path;
use std::process::Command;

use prefab::spec::{Spec, Surroundings};
use prefab::stacks;

use crate::prefab::root;
use crate::python;

/// No spec of these tests names a file.
pub struct Nothing;

impl Surroundings for Nothing {
    fn model_config(&self, path: &str) -> Result<String, String> {
        Err(format!("{path}: no files here"))
    }
}

/// Specs beyond the committed ones: the widest, and the other partitions.
const WIDE: &[(&str, &str)] = &[
    (
        "block-of-64",
        r#"{ version: 1, name: wide, region: us-east-2, availability_zone: use2-az3, mlflow: { kind: app, name: wide, trust: full },
            tags: { owner: ml, "on": "no", "12:30": "2012-10-17" },
            cluster: { prefill: { count: 32, instance_type: p5.48xlarge }, decode: { count: 32, instance_type: p5.48xlarge },
                       capacity: { kind: block, id: cr-0a1b2c3d4e5f60718 }, efa: { mode: efa } } }"#,
    ),
    (
        "nodes-of-400",
        r#"{ version: 1, name: many, region: us-east-1, availability_zone: us-east-1c, mlflow: { kind: tracking-server, name: many, trust: full },
            cluster: { prefill: { count: 200, instance_type: g6e.12xlarge }, decode: { count: 200, instance_type: g5.8xlarge } } }"#,
    ),
    (
        "gov",
        r#"{ version: 1, name: gov, region: us-gov-west-1, availability_zone: us-gov-west-1a, network: { public: true },
            cluster: { prefill: { count: 1, instance_type: g5.8xlarge }, decode: { count: 1, instance_type: g5.8xlarge } } }"#,
    ),
    (
        "china",
        r#"{ version: 1, name: china, region: cn-north-1, availability_zone: cn-north-1a,
            cluster: { prefill: { count: 1, instance_type: g5.8xlarge }, decode: { count: 1, instance_type: g5.8xlarge } } }"#,
    ),
];

/// The specs in a folder of folders.
fn specs_in(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut specs = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(spec) = std::fs::read(path.join("prefab.yaml")) {
            specs.push((format!("{folder}-{}", path.file_name().unwrap().to_string_lossy()), spec));
        }
    }
    specs.sort();
    specs
}

/// The templates of every committed spec and of the wide ones: name, YAML, JSON.
pub fn templates() -> Vec<(String, String, String)> {
    let committed = ["templates", "golden"].into_iter().flat_map(specs_in);
    let wide = WIDE.iter().map(|(name, spec)| ((*name).to_owned(), spec.as_bytes().to_vec()));
    let mut templates = Vec::new();
    for (name, text) in committed.chain(wide) {
        let (spec, findings) = Spec::read(&text, &Nothing);
        let spec = spec.unwrap_or_else(|| panic!("{name}: {:?}", findings.iter().collect::<Vec<_>>()));
        for stack in stacks::of(&spec).unwrap() {
            let name = format!("{name}-{}", stack.kind.name());
            templates.push((name, stack.template.yaml(), stack.template.pretty_json()));
        }
    }
    templates
}

/// What cfn-lint says of all templates of a folder, in one run: its start takes longer than its work.
fn lint(folder: &Path) -> (i32, String) {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let output = Command::new(python::program("cfn-lint"))
        // Every rule, hints too, but for the one that wants Fn::Sub: joined, no `${}` of the script needs quoting.
        .args(["--include-checks", "I", "--ignore-checks", "I1022", "--format", "parseable"])
        .args(&files)
        .env("HOME", folder)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn cfn_lint_prints_nothing_about_any_template() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for (name, yaml, json) in templates() {
        std::fs::write(folder.path().join(format!("{name}.template.yaml")), yaml).unwrap();
        std::fs::write(folder.path().join(format!("{name}.template.json")), json).unwrap();
        count += 2;
    }
    assert!(count >= 70, "{count} templates");
    let (code, said) = lint(folder.path());
    assert_eq!((code, said.as_str()), (0, ""));
}

#[test]
fn cfn_lint_is_the_pinned_version_and_does_find_mistakes() {
    let version = Command::new(python::program("cfn-lint")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&version.stdout).trim(), "cfn-lint 1.58.0", "run `make setup`");
    let folder = tempfile::tempdir().unwrap();
    let template = "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketNam: misspelt\n";
    std::fs::write(folder.path().join("wrong.template.yaml"), template).unwrap();
    let (code, said) = lint(folder.path());
    assert!(code != 0 && said.contains("BucketNam"), "{code}: {said}");
}
