//! The runner dies, or the disk is full, at any moment.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::{Bed, Ran, Seeded, wait_for};

const TASKS: usize = 6;

#[test]
fn kill_9_at_200_points_never_calls_unfinished_work_done_and_never_mixes_runs() {
    let workers: Vec<_> = (0..2).map(|seed| std::thread::spawn(move || killed_runs(0x9e37_79b9 + seed, 100))).collect();
    let mut points = BTreeSet::new();
    for worker in workers {
        points.extend(worker.join().unwrap());
    }
    // The kills must have met many states, or this proves nothing.
    assert!(points.len() >= 6, "{points:?}");
}

/// Kills runs until so many were killed; returns the states that kills left.
fn killed_runs(seed: u64, kills: usize) -> BTreeSet<String> {
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            json!({"id": format!("t{number}"), "name": "T", "commands": [
                // A command of an earlier, killed run that still lives would hold this lock.
                "exec 9> {{DIR}}/busy; flock -n 9 || touch {{DIR}}/mixed; sleep 0.002",
                format!("printf 1 > {{{{DIR}}}}/{{{{RUN}}}}-{number}.part; printf 2 >> {{{{DIR}}}}/{{{{RUN}}}}-{number}.part; mv {{{{DIR}}}}/{{{{RUN}}}}-{number}.part {{{{DIR}}}}/{{{{RUN}}}}-{number}.end"),
            ]})
        })
        .collect();
    let bed = Bed::with(json!({"name": "s", "variables": {"RUN": null}, "tasks": tasks}));
    let (mut random, mut points, mut ended, mut killed) = (Seeded(seed), BTreeSet::new(), 0_usize, 0);
    while killed < kills {
        let set = format!("RUN=r{ended}");
        let mut child = bed.start(&["--set", &set]);
        // Most kills are counted from the moment when the run begins, so that they meet its work.
        if random.below(8) > 0 {
            let holder = format!("process {},", child.id());
            let lock = bed.state_dir().join("tasks/lock");
            let holds = || fs::read_to_string(&lock).unwrap_or_default().starts_with(&holder);
            wait_for("the lock", || holds() || child.try_wait().unwrap().is_some());
        }
        std::thread::sleep(Duration::from_micros(random.below(60_000)));
        let has_ended = child.try_wait().unwrap().is_some();
        if !has_ended {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        let state = state_of(&bed, ended);
        for (task, record) in state["tasks"].as_object().into_iter().flatten() {
            let number = &task[1..];
            if record["status"] == "done" {
                let effect = bed.text(&format!("r{ended}-{number}.end"));
                assert_eq!(effect, "12", "{task} is called done in {state}");
            }
        }
        points.insert(shape(&state));
        if has_ended {
            assert_eq!(shape(&state), "done ".repeat(TASKS));
            ended += 1;
        }
    }
    // What the last kill left is finished by one more run, and each effect is there.
    bed.run(&["--set", &format!("RUN=r{ended}")]).ends_with(0);
    for number in 0..TASKS {
        assert_eq!(bed.text(&format!("r{ended}-{number}.end")), "12");
    }
    assert!(!bed.path("mixed").exists(), "a command ran beside one of a killed run");
    points
}

/// The state of the suite that was begun last; absent is a state too, broken is not.
fn state_of(bed: &Bed, run: usize) -> Value {
    let Ok(folders) = fs::read_dir(bed.state_dir().join("tasks")) else { return Value::Null };
    let states: Vec<(std::time::SystemTime, Value)> = folders
        .filter_map(|entry| {
            let path = entry.unwrap().path().join("state.json");
            let bytes = fs::read(&path).ok()?;
            let state = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Some((fs::metadata(&path).unwrap().modified().unwrap(), state))
        })
        .collect();
    if states.len() <= run { Value::Null } else { states.into_iter().max_by_key(|(time, _)| *time).unwrap().1 }
}

fn shape(state: &Value) -> String {
    let records = state["tasks"].as_object().into_iter().flatten();
    records.map(|(_, record)| format!("{} ", record["status"].as_str().unwrap())).collect()
}

#[test]
fn a_full_disk_leaves_the_old_state_and_calls_nothing_done() {
    let tasks: Vec<_> = (0..30)
        .map(|number| json!({"id": format!("task-number-{number:02}"), "name": "T", "commands": ["true"]}))
        .collect();
    let bed = Bed::new(json!(tasks));
    // Files may grow to 1 KiB, as on a full disk; the signal that says so is ignored.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, "_"]).arg(crate::bed::program()).arg("tasks").arg(&bed.file);
    let ran =
        Ran::of(&command.arg("--state-dir").arg(bed.state_dir()).stdin(Stdio::null()).output().unwrap()).ends_with(1);
    assert!(ran.err.contains("state.json; what it held before is kept"), "{}", ran.err);
    let state = bed.state();
    let count =
        |status: &str| state["tasks"].as_object().unwrap().values().filter(|record| record["status"] == status).count();
    assert!(count("done") >= 3 && count("done") + count("running") < 20, "{state}");
    assert!(!bed.suite_folder().join(".state.json.new").exists());
    bed.run(&[]).ends_with(0);
    assert_eq!(bed.state()["tasks"].as_object().unwrap().len(), 30);
}
