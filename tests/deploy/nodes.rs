//! `tasks`, `bench`, `results` and `connect --command`: what is sent, what comes back, and what becomes of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::account::{Account, Fault, Ran, folder};
use super::planted::{SMALL, cluster_in};
use super::systems_manager::End;
use crate::report::fixture;

const TASKS: &str = r#"{"version":1,"name":"probe","variables":{"WHAT":"cards","NODES":"1","NODE_RANK":"0",
    "RENDEZVOUS_ADDRESS":"127.0.0.1"},"tasks":[{"id":"look","name":"look","commands":["echo {{WHAT}} {{NODES}} {{NODE_RANK}} {{RENDEZVOUS_ADDRESS}}"]}]}"#;

/// A cluster of two nodes that runs, and a folder with its spec and a task file.
fn running() -> (Account, TempDir) {
    let folder = folder(SMALL);
    std::fs::write(folder.path().join("probe.json"), TASKS).unwrap();
    (cluster_in("CREATE_COMPLETE"), folder)
}

fn ends(account: &Account, node: &str, end: End) {
    account.world().manager.ends.insert(format!("i-{node}"), end);
}

fn printed(stdout: &str) -> End {
    End { stdout: stdout.to_owned(), ..End::default() }
}

/// The files below a folder, with their contents.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            found.extend(files(&entry.path()).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", entry.path().display());
            found.push((entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

/// The files of the only run, without its name.
fn of_run(folder: &Path) -> Vec<(String, String)> {
    files(&folder.join("results"))
        .into_iter()
        .map(|(name, text)| (name.split_once('/').unwrap().1.to_owned(), text))
        .collect()
}

fn result(ran: &Ran) -> Json {
    serde_json::from_str(ran.out.lines().last().unwrap()).unwrap()
}

#[test]
fn a_task_file_runs_on_every_node_and_all_that_they_print_is_kept() {
    let (account, folder) = running();
    ends(&account, "Prefill0", printed("[1/1] look\ndone: 1 done"));
    ends(&account, "Decode0", End { stderr: "a warning".to_owned(), ..printed("done: 1 done") });
    let ran = account.run(folder.path(), &["tasks", "probe.json", "--set", "WHAT=it's; $(x)"]).expect(0);
    let ran = ran.says(&["Prefill0: InProgress", "Decode0: Success", "[1/1] look"]);
    assert!(!ran.out.contains('\u{1b}') && ran.out.contains("Next: "), "{}", ran.out);
    let kept = of_run(folder.path());
    let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Decode0/stderr", "Decode0/stdout", "Prefill0/stdout"]);
    assert_eq!(kept[2].1, "[1/1] look\ndone: 1 done");
    let world = account.world();
    let scripts: Vec<&str> = world.manager.sent.iter().map(|sent| sent.script.as_str()).collect();
    assert_eq!(scripts.len(), 2);
    for (rank, script) in scripts.iter().enumerate() {
        for words in [
            r"'--set' 'WHAT=it'\''s; $(x)'".to_owned(),
            format!("'--set' 'NODE_RANK={rank}'"),
            "'--set' 'NODES=2'".to_owned(),
            "'--set' 'RENDEZVOUS_ADDRESS=10.0.0.7'".to_owned(),
            "X-Amz-Expires=600".to_owned(),
            "timeout --foreground --kill-after=30 7200 /usr/local/bin/prefab-bootstrap tasks".to_owned(),
        ] {
            assert!(script.contains(&words), "{words}\n{script}");
        }
        // The link is read from standard input, never an argument.
        assert!(script.lines().filter(|line| line.contains("X-Amz-Signature")).all(|line| line.starts_with("url = ")));
    }
    assert_eq!(world.manager.sent[0].execution_timeout, "7290");
    let bucket = &world.buckets["pair-artifacts-artifactbucketname"];
    assert!(bucket.keys().any(|key| key.starts_with("tasks/")), "{:?}", bucket.keys());
    let record = bucket.iter().find(|(key, _)| key.ends_with("/run.json")).unwrap().1.last().unwrap().clone().unwrap();
    let record: Json = serde_json::from_slice(&record).unwrap();
    assert_eq!((&record["kind"], &record["nodes"]["Decode0"]["state"]), (&"tasks".into(), &"Success".into()));
}

#[test]
fn one_node_that_fails_is_a_failure_and_the_others_output_is_kept() {
    let (account, folder) = running();
    ends(&account, "Decode0", End { state: "Failed", details: "Failed", exit: 1, ..printed("look: FAILED") });
    let ran = account.run(folder.path(), &["tasks", "probe.json", "--json"]).expect(1);
    let json = result(&ran);
    assert_eq!((&json["exit"], &json["nodes"][1]["exit_code"]), (&1.into(), &1.into()), "{json}");
    assert!(ran.out.lines().all(|line| serde_json::from_str::<Json>(line).is_ok()), "{}", ran.out);
    for (details, words) in
        [("DeliveryTimedOut", "TimedOut: DeliveryTimedOut"), ("ExecutionTimedOut", "ExecutionTimedOut")]
    {
        ends(&account, "Decode0", End { state: "TimedOut", details, exit: -1, ..End::default() });
        account.run(folder.path(), &["tasks", "probe.json"]).expect(1).says(&[words]);
    }
}

#[test]
fn every_mistake_of_a_task_file_or_of_the_nodes_comes_at_once_and_nothing_is_sent() {
    let (account, folder) = running();
    std::fs::write(folder.path().join("bad.json"), TASKS.replace("{{NODES}}", "{{NODE}}")).unwrap();
    let args = ["tasks", "bad.json", "--set", "WHAT", "--set", "NODES=1", "--set", "NODES=2"];
    account.run(folder.path(), &args).expect(1).says(&["--set WHAT`", "`--set NODES` twice", "NODE"]);
    account
        .run(folder.path(), &["tasks", "nothing"])
        .expect(1)
        .says(&["found no task file `nothing`", "setup-environment"]);
    account.run(folder.path(), &["tasks", "no/such.json"]).expect(1).says(&["reading no/such.json"]);
    let args = ["tasks", "probe.json", "--nodes", "prefil-0,decode-7"];
    account.run(folder.path(), &args).expect(1).says(&["`prefil-0`", "`decode-7`", "Prefill0, Decode0"]);
    account.world().manager.agents =
        [("i-Prefill0".to_owned(), ""), ("i-Decode0".to_owned(), "ConnectionLost")].into_iter().collect();
    account.run(folder.path(), &["tasks", "probe.json"]).expect(1).says(&["no agent", "in the state ConnectionLost"]);
    let world = account.world();
    assert!(world.manager.sent.is_empty() && world.count("s3.PutObject") == 0, "{:?}", world.calls);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_found_before_anything_is_sent() {
    let (account, folder) = running();
    std::fs::write(folder.path().join("results"), "a file").unwrap();
    account.run(folder.path(), &["tasks", "probe.json"]).expect(1).says(&["results"]);
    assert!(account.world().manager.sent.is_empty());
}

#[test]
fn with_lost_and_throttled_calls_each_node_runs_its_script_once() {
    for seed in 0..40_u64 {
        let (account, folder) = running();
        ends(&account, "Prefill0", printed("one"));
        let mut at = 0;
        account.faults(move |_, _| {
            at += 1;
            let number = (seed * 977 + at * 0x9E37_79B9).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40;
            match (number & 1, (number >> 8) % 5) {
                (0, _) => Fault::None,
                (_, 0) => Fault::Throttled,
                (_, 1) => Fault::Page,
                (_, 2) => Fault::CutBefore,
                (_, 3) => Fault::CutAfter,
                _ => Fault::Garbled,
            }
        });
        let ran = account.run(folder.path(), &["tasks", "probe.json"]);
        assert_eq!(ran.code, 0, "seed {seed}: {}", ran.err);
        assert_eq!(of_run(folder.path()), [("Prefill0/stdout".to_owned(), "one".to_owned())], "seed {seed}");
        assert_eq!(account.world().manager.ran().len(), 2, "seed {seed}");
    }
}

#[test]
fn a_script_that_was_sent_twice_is_followed_where_it_runs() {
    let (account, folder) = running();
    ends(&account, "Decode0", printed("the first one's"));
    account.world().manager.hides = 1;
    let mut lost = false;
    // The reply is lost, and for a moment nobody knows of what was sent.
    account.faults(move |_, call| {
        if call == "ssm.SendCommand" && !lost {
            lost = true;
            return Fault::CutAfter;
        }
        Fault::None
    });
    account.run(folder.path(), &["tasks", "probe.json", "--nodes", "decode"]).expect(0).says(&["Decode0: Success"]);
    assert_eq!(of_run(folder.path()), [("Decode0/stdout".to_owned(), "the first one's".to_owned())]);
    let world = account.world();
    assert_eq!((world.manager.sent.len(), world.manager.ran().len()), (2, 1));
}

#[test]
fn a_reply_that_never_came_is_found_by_whoever_collects() {
    let (account, folder) = running();
    ends(&account, "Decode0", printed("what it did"));
    account.faults(|_, call| match call {
        "ssm.SendCommand" => Fault::CutAfter,
        "ssm.ListCommands" => Fault::Throttled,
        _ => Fault::None,
    });
    account.run(folder.path(), &["tasks", "probe.json", "--nodes", "decode"]).expect(1).says(&["sending to Decode0"]);
    account.no_faults();
    account.run(folder.path(), &["results", "--wait"]).expect(0).says(&["Decode0: Success"]);
    assert!(of_run(folder.path()).contains(&("Decode0/stdout".to_owned(), "what it did".to_owned())));
    assert_eq!(account.world().manager.sent.len(), 1);
}

#[test]
fn ctrl_c_cancels_what_was_sent_and_keeps_what_it_printed() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (account, folder) = running();
        for node in ["Prefill0", "Decode0"] {
            ends(&account, node, End { looks: u32::MAX - 3, ..printed("so far") });
        }
        let child = account.spawn(folder.path(), &["tasks", "probe.json"]);
        let until = Instant::now() + Duration::from_secs(60);
        while account.world().count("ssm.GetCommandInvocation") < 8 {
            assert!(Instant::now() < until, "nothing was watched");
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let ran = Ran::of(&child.wait_with_output().unwrap()).expect(code).says(&["Cancelled"]);
        assert!(account.world().manager.sent.iter().all(|sent| sent.cancelled), "{}", ran.err);
        let kept = of_run(folder.path());
        assert_eq!(kept.len(), 2, "{kept:?}");
        assert!(kept.iter().all(|(_, text)| text == "so far"), "{kept:?}");
    }
}

#[test]
fn a_run_whose_command_was_killed_is_found_in_the_bucket_and_collected() {
    let (account, folder) = running();
    ends(&account, "Decode0", End { looks: 40, ..printed("measured") });
    let mut child = account.spawn(folder.path(), &["tasks", "probe.json"]);
    let until = Instant::now() + Duration::from_secs(60);
    while account.world().manager.sent.len() < 2 {
        assert!(Instant::now() < until, "nothing was sent");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    account.run(folder.path(), &["results"]).expect(0).says(&["Decode0: goes on"]);
    account.run(folder.path(), &["results", "--wait"]).expect(0).says(&["Decode0: Success"]);
    assert!(of_run(folder.path()).contains(&("Decode0/stdout".to_owned(), "measured".to_owned())));
    assert_eq!(account.world().manager.sent.len(), 2);
}

#[test]
fn what_is_longer_than_an_excerpt_comes_from_the_bucket_even_when_it_is_late_there() {
    let (account, folder) = running();
    let long = "0123456789\n".repeat(5_000);
    ends(&account, "Decode0", End { late: 3, ..printed(&long) });
    account
        .run(folder.path(), &["tasks", "probe.json", "--nodes", "decode-0"])
        .expect(0)
        .says(&["… 4960 lines before"]);
    assert_eq!(of_run(folder.path()), [("Decode0/stdout".to_owned(), long.clone())]);
    // The agent may not write: the beginning is kept, and said to be one.
    let folder = self::folder(SMALL);
    std::fs::write(folder.path().join("probe.json"), TASKS).unwrap();
    ends(&account, "Decode0", End { late: u32::MAX, ..printed(&long) });
    let ran = account.run(folder.path(), &["tasks", "probe.json", "--nodes", "decode-0"]).expect(0);
    let ran = ran.says(&["is its beginning only", "awsrunShellScript/0.awsrunShellScript/stdout"]);
    assert!(of_run(folder.path())[0].1.contains("truncated"), "{}", ran.err);
}

#[test]
fn a_benchmark_runs_where_the_bytes_arrive_and_its_report_is_kept() {
    let (account, folder) = running();
    let report = fixture::text("efa");
    ends(&account, "Decode0", End { stderr: "Qwen2.5-32B: the table\n".to_owned(), ..printed(&report) });
    let args = ["bench", "--op", "read,write", "--", "sweep", "--rounds", "9"];
    let ran = account.run(folder.path(), &args).expect(0).says(&["the table", "Next: `prefab report results/"]);
    assert_eq!(of_run(folder.path())[0], ("Decode0/report.json".to_owned(), report.clone()), "{}", ran.out);
    let next = ran.out.split("`prefab report ").nth(1).unwrap().split('`').next().unwrap();
    assert!(folder.path().join(next).is_file(), "{next}");
    let script = account.world().manager.sent[0].script.clone();
    let call = "bench 'sweep' '--rounds' '9' '--peer' 'Prefill0' '--progress' 'none' '--op' 'read,write' --json";
    assert!(script.contains(call), "{script}");
    assert_eq!(account.world().manager.sent[0].instance, "i-Decode0");
    // A push starts where the bytes are.
    ends(&account, "Prefill0", printed(&report));
    account.run(folder.path(), &["bench", "--op", "write", "--json"]).expect(0);
    let world = account.world();
    assert_eq!(world.manager.sent[1].instance, "i-Prefill0");
    assert!(world.manager.sent[1].script.contains("'--peer' 'Decode0'"));
}

#[test]
fn a_benchmark_that_measured_and_did_not_log_ends_with_5_and_one_without_a_report_failed() {
    let (account, folder) = running();
    let report = fixture::text("efa");
    let not_logged = End { state: "Failed", details: "Failed", exit: 5, ..printed(&report) };
    ends(&account, "Decode0", not_logged);
    account.run(folder.path(), &["bench"]).expect(5).says(&["exit code 5"]);
    assert_eq!(of_run(folder.path())[0].1, report);
    // Half a report is kept too, and is no success.
    ends(&account, "Decode0", printed(&report[..report.len() / 2]));
    account.run(folder.path(), &["bench", "--json"]).expect(1);
    ends(&account, "Decode0", End { state: "Failed", details: "Failed", exit: 1, ..End::default() });
    account.run(folder.path(), &["bench"]).expect(1).says(&["Nothing was measured"]);
}

#[test]
fn every_mistake_of_a_benchmark_comes_at_once_and_nothing_is_sent() {
    let (account, folder) = running();
    let args = ["bench", "--", "bench", "--json", "x", "--peer=Decode0"];
    account.run(folder.path(), &args).expect(1).says(&["`--json`", "`--peer=Decode0`", "leave it out"]);
    let args = ["bench", "--from", "prefil-0", "--to", "decode-9"];
    account.run(folder.path(), &args).expect(1).says(&["`prefil-0`", "`decode-9`"]);
    let args = ["bench", "--from", "prefill-0", "--to", "all"];
    account.run(folder.path(), &args).expect(1).says(&["Prefill0 at both ends", "2 nodes at `--to`"]);
    assert!(account.world().manager.sent.is_empty());
}

#[test]
fn a_command_on_a_node_prints_what_it_printed_and_ends_as_it_ended() {
    let (account, folder) = running();
    let end = End { stderr: "to err\n".to_owned(), ..printed("GPU 0\u{7}\n") };
    ends(&account, "Prefill0", end.clone());
    let ran = account.run(folder.path(), &["connect", "prefill-0", "--command", "nvidia-smi 'x'"]).expect(0);
    // Into a pipe as it is.
    assert!(ran.out == "GPU 0\u{7}\n" && ran.err.ends_with("warning\nto err\n"), "{ran:?}");
    let script = account.world().manager.sent[0].script.clone();
    assert!(script.contains(r"bash -lc 'nvidia-smi '\''x'\'''"), "{script}");
    ends(&account, "Prefill0", End { state: "Failed", details: "Failed", exit: 3, ..end });
    account
        .run(folder.path(), &["connect", "prefill-0", "--command", "x"])
        .expect(1)
        .says(&["exit code 3 on Prefill0"]);
    let ran = account.run(folder.path(), &["connect", "prefill-0", "--command", "x", "--json"]).expect(1);
    assert_eq!(result(&ran)["nodes"][0]["exit_code"], 3);
    account.run(folder.path(), &["connect", "all", "--command", "x"]).expect(1).says(&["expected one node"]);
}

#[test]
fn results_brings_everything_of_every_page_once_and_no_object_leads_out_of_the_folder() {
    let (account, folder) = running();
    let uuid = account.world().stack("pair-cluster").id.rsplit('/').next().unwrap().to_owned();
    let put = |key: &str, text: &str| {
        let mut world = account.world();
        let bucket = world.buckets.get_mut("pair-artifacts-artifactbucketname").unwrap();
        bucket.insert(format!("results/{uuid}/{key}"), vec![Some(text.as_bytes().to_vec())]);
    };
    put("Prefill0/check.json", "{}");
    for number in 0..1_200 {
        put(&format!("Prefill0/samples/{number:04}.csv"), "1");
    }
    put("../../../outside", "no");
    let ran = account.run(folder.path(), &["results"]).expect(1).says(&["1201 files brought", "no file should have"]);
    assert!(!folder.path().join("outside").exists() && !ran.err.contains("panicked"));
    account.world().buckets.get_mut("pair-artifacts-artifactbucketname").unwrap().retain(|key, _| !key.contains(".."));
    account.run(folder.path(), &["results"]).expect(0).says(&["1 files brought, 1200 there already"]);
    account.run(folder.path(), &["results", "--run", "x"]).expect(1).says(&["found no run `x`", "there is none"]);
    assert_eq!(files(&folder.path().join("results")).len(), 1_201);
}

#[test]
fn a_lifetime_ends_every_node_for_good_and_can_be_taken_back() {
    let (account, folder) = running();
    let ran = account.run(folder.path(), &["apply", "--yes", "--ttl", "8h"]).expect(0);
    {
        let world = account.world();
        assert_eq!(world.manager.sent.len(), 2, "{}", ran.err);
        assert!(world.manager.sent.iter().all(|sent| sent.script.contains("'+28800 seconds'")));
        assert!(world.shutdowns.values().all(|behavior| behavior == "terminate") && world.shutdowns.len() == 2);
        // What a shutdown means is set before anything can shut down.
        let place = |call: &str| world.calls.iter().position(|made| made == call).unwrap();
        assert!(place("ec2.ModifyInstanceAttribute") < place("ssm.SendCommand"));
    }
    account.run(folder.path(), &["apply", "--yes", "--ttl", "off"]).expect(0);
    assert!(account.world().shutdowns.values().all(|behavior| behavior == "stop"));
    ends(
        &account,
        "Decode0",
        End { state: "Failed", details: "Failed", exit: 1, stderr: "no systemd".to_owned(), ..End::default() },
    );
    let ran = account.run(folder.path(), &["apply", "--yes", "--ttl", "2d"]).expect(1);
    ran.says(&["Decode0 did not take its lifetime", "no systemd", "not every node ends by itself"]);
    account.run(folder.path(), &["apply", "--yes", "--ttl", "5m"]).expect(2).says(&["from 10m to 30d"]);
}

#[test]
fn new_nodes_whose_agents_do_not_report_yet_are_waited_for() {
    let (account, folder) = running();
    account.world().manager.agents.insert("i-Decode0".to_owned(), "");
    let mut looks = 0;
    let world = account.clone();
    account.faults(move |_, call| {
        looks += u32::from(call == "ssm.DescribeInstanceInformation");
        if looks == 4 {
            world.world().manager.agents.clear();
        }
        Fault::None
    });
    account.run(folder.path(), &["apply", "--yes", "--ttl", "1h"]).expect(0);
    account.no_faults();
    account.world().manager.agents.insert("i-Decode0".to_owned(), "");
    account.run(folder.path(), &["apply", "--yes", "--ttl", "1h"]).expect(1).says(&["found no agent", "Decode0"]);
}
