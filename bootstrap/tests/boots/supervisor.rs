//! The process above the proof: what the kernel may do to it, and what is left when it is killed all the same.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{Bed, wait};
use crate::faults::in_the_proof;
use crate::services::Services;

const SOON: Duration = Duration::from_secs(20);

/// Whether the kernel lets this process spare itself, and with it those that it starts: CAP_SYS_RESOURCE.
fn may_spare() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & (1 << 24) != 0
}

fn wait_for(path: &Path) -> String {
    let begun = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(begun.elapsed() < SOON, "no {}", path.display()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn when_memory_runs_out_the_last_to_end_is_who_tells_of_it() {
    let Some(services) = Services::start() else { return };
    let mut bed = Bed::new(&services, 4);
    let found = bed.setup.root.join("found");
    let look = format!(
        "read -r _ _ _ above _ < \"/proc/$proof/stat\"; cat \"/proc/$above/oom_score_adj\" \"/proc/$proof/oom_score_adj\" > {}",
        found.display()
    );
    bed.setup.task["tasks"][0]["commands"] = json!([in_the_proof(&look)]);
    bed.begin();
    assert_eq!(wait(&mut bed.command("run").spawn().unwrap(), Instant::now(), "run"), Some(0), "{}", bed.read("said"));
    let supervisor = if may_spare() { "-1000" } else { "0" };
    assert_eq!(wait_for(&found), format!("{supervisor}\n0\n"));
    if !may_spare() {
        eprintln!("skipped: the kernel lets nobody here spare a process when memory runs out");
    }
}

/// Only who is killed with everything else says nothing. Nothing of it goes on unseen, and the next run tells.
#[test]
fn what_a_killed_supervisor_began_ends_with_it_and_the_next_run_signals_once() {
    let Some(services) = Services::start() else { return };
    let mut bed = Bed::new(&services, 5);
    let place = bed.setup.root.join("process");
    let sleep = format!("if [ ! -e {0} ]; then echo $$ > {0}; sleep 600; fi", place.display());
    bed.setup.task["tasks"][0]["commands"] = json!([sleep]);
    bed.begin();
    let mut run = bed.command("run").spawn().unwrap();
    let task = wait_for(&place);
    run.kill().unwrap();
    run.wait().unwrap();
    let begun = Instant::now();
    while Path::new("/proc").join(task.trim()).exists() {
        assert!(begun.elapsed() < SOON, "its task goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(services.signals().is_empty());

    let code = wait(&mut bed.command("run").spawn().unwrap(), Instant::now(), "run");
    assert_eq!(code, Some(0), "{}", bed.read("said"));
    let signals = services.signals();
    assert_eq!(signals.iter().map(|signal| &signal["Status"]).collect::<Vec<_>>(), ["SUCCESS"]);
}
