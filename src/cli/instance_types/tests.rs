use clap::Parser as _;

use super::super::Cli;
use super::*;

fn run(arguments: &[&str]) -> (Exit, String, String) {
    let cli = Cli::try_parse_from([&["prefab", "instance-types"], arguments].concat()).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli.run(&mut Streams { out: &mut out, err: &mut err }).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn the_list_has_a_line_for_each_accepted_type_and_stays_narrow() {
    let (exit, out, err) = run(&[]);
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    let line = out.lines().find(|line| line.starts_with("g6e.48xlarge ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1..], ["8", "×", "L40S", "44.7", "192", "50", "4", "4", "yes", "yes", "no", "no", "L-DB2E81BA"]);
    assert!(out.lines().all(|line| line.chars().count() <= 120 && line == line.trim_end()), "{out}");
    assert!(!out.contains("trn2"));
    assert!(out.lines().last().unwrap().starts_with("Next: "));
}

#[test]
fn all_adds_every_refused_row_with_its_reason() {
    let (_, out, _) = run(&["--all"]);
    for name in catalogue::names() {
        assert!(out.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}");
    }
    let line = out.lines().find(|line| line.starts_with("g7.8xlarge ")).unwrap();
    assert!(line.ends_with("whose catalogue row lacks gpudirect_rdma"), "{line}");
}

#[test]
fn one_type_says_what_no_gpudirect_means() {
    let (exit, out, _) = run(&["g6e.12xlarge"]);
    assert_eq!(exit, Exit::Done);
    assert!(out.contains("no: a KV cache is copied from GPU to host memory"), "{out}");
    assert!(out.contains("0/0:interface;0/1:efa-only (card/device:type)"), "{out}");
    assert!(out.contains("G6e hardware does not support GPUDirect RDMA"), "{out}");
    let (_, out, _) = run(&["p4d.24xlarge"]);
    assert!(out.contains("EFA traffic reaches only other p4d instances"), "{out}");
    assert!(out.contains("libfabric emulates write"), "{out}");
}

#[test]
fn every_type_is_described_within_the_width() {
    for known in catalogue::accepted() {
        let text = description(known);
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}

#[test]
fn a_refused_type_is_a_finding_and_exit_1() {
    let (exit, out, err) = run(&["g6e.4xlarge"]);
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert_eq!(
        err,
        "error[instance-type-without-efa] NAME\n    found:   `g6e.4xlarge`, which has no EFA\n    \
         allowed: a size of g6e with EFA: g6e.8xlarge, g6e.12xlarge, g6e.16xlarge, g6e.24xlarge, g6e.48xlarge\n    \
         do:      use `g6e.8xlarge` or a larger size\n"
    );
}

#[test]
fn json_is_one_document_with_the_same_facts() {
    let (exit, out, _) = run(&["--json", "--all"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(exit, Exit::Done);
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["accepted"].as_array().unwrap().len(), 33);
    assert_eq!(document["refused"].as_array().unwrap().len(), 15);
    let (exit, out, _) = run(&["--json", "t3.micro"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(exit, Exit::Failed);
    assert_eq!(document["refused"][0]["code"], "unknown-instance-type");
}
