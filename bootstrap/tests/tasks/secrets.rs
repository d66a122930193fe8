//! Secrets, from the file-fed store: never in a log, a state, an event, an argument or on the console.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::bed::{Bed, mode};

const CANARY: &str = "hf_CANARY'7 /+42x";

fn bed(commands: &[&str]) -> Bed {
    let bed = Bed::with(json!({"name": "s", "variables": {"TOKEN": {"secret": "hf_token"}}, "tasks": [
        {"id": "a", "name": "A", "env": {"URL": "https://x/?t={{TOKEN}}"}, "commands": commands}]}));
    let store = bed.path("secrets.json");
    fs::write(&store, json!({"arn:aws:ssm:t": CANARY}).to_string()).unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    bed
}

fn run(bed: &Bed) -> crate::bed::Ran {
    bed.run(&["--secret", "hf_token=arn:aws:ssm:t", "--secrets-from", bed.path("secrets.json").to_str().unwrap()])
}

#[test]
fn k035_a_secret_that_a_command_prints_is_masked_everywhere_and_files_are_private() {
    let bed = bed(&[
        "set -x; echo {{TOKEN}}; printf %s {{TOKEN}} | base64; env >&2; printf %s {{TOKEN}} | od -An -tx1 | tr -d ' \\n'",
        "printf %s {{TOKEN}} > {{DIR}}/proof; cat /proc/$$/cmdline /proc/$PPID/cmdline > {{DIR}}/arguments",
    ]);
    let ran = run(&bed).ends_with(0);
    assert_eq!(bed.text("proof"), CANARY);
    assert!(bed.log("a").contains("[secret TOKEN]"), "{}", bed.log("a"));
    let mut texts = vec![ran.out, ran.err, bed.text("arguments")];
    visit(&bed.state_dir(), &mut texts);
    for text in &texts {
        for form in [CANARY, "CANARY", "aGZfQ0FOQVJZJzcgLys0Mng", "68665f43414e415259"] {
            assert!(!text.contains(form), "{form} in {text}");
        }
    }
    assert!(texts.len() > 6, "the state folder was not looked through");
}

fn visit(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_eq!(mode(&path), 0o700, "{}", path.display());
            visit(&path, texts);
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            texts.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        }
    }
}

#[test]
fn a_secret_in_an_output_is_refused() {
    let bed = Bed::with(json!({"name": "s", "variables": {"TOKEN": {"secret": "arn:aws:ssm:t"}}, "tasks": [
        {"id": "a", "name": "A", "commands": ["echo x{{TOKEN}}"], "outputs": {"OUT": "stdout"}}]}));
    let store = bed.path("secrets.json");
    fs::write(&store, json!({"arn:aws:ssm:t": CANARY}).to_string()).unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    let ran = bed.run(&["--secrets-from", store.to_str().unwrap()]).ends_with(1);
    assert!(ran.out.contains("output OUT holds a secret"), "{}", ran.out);
}

#[test]
fn only_a_program_that_names_a_secret_gets_it() {
    let bed = Bed::with(json!({"name": "s", "variables": {"TOKEN": {"secret": "arn:aws:ssm:t"}}, "tasks": [
        {"id": "a", "name": "A", "commands": [": {{TOKEN}}", "env > {{DIR}}/env"]}]}));
    let store = bed.path("secrets.json");
    fs::write(&store, json!({"arn:aws:ssm:t": CANARY}).to_string()).unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    bed.run(&["--secrets-from", store.to_str().unwrap()]).ends_with(0);
    assert!(bed.text("env").contains("PREFAB_VAR_DIR=") && !bed.text("env").contains("CANARY"));
}

#[test]
fn a_secret_that_cannot_be_had_is_told_before_anything_runs() {
    let bed = bed(&["echo {{TOKEN}}"]);
    for (options, part) in [
        (vec![], "the secret `hf_token` has no ARN; give --secret hf_token=ARN"),
        (vec!["--secret", "hf_token=arn:aws:ssm:t"], "this build cannot fetch arn:aws:ssm:t from AWS"),
    ] {
        let ran = bed.run(&options).ends_with(1);
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    assert!(!bed.state_dir().exists());
    fs::set_permissions(bed.path("secrets.json"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = run(&bed).ends_with(1);
    assert!(ran.err.contains("mode 0644") && !ran.err.contains("CANARY"), "{}", ran.err);
}
