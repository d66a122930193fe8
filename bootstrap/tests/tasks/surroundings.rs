//! What a command finds around it, and what its output may do.

use serde_json::json;

use crate::bed::Bed;

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.split_whitespace().take(3).eq(["Uid:", "0", "0"]))
}

#[test]
fn the_environment_is_ours_alone() {
    let bed = Bed::with(json!({"name": "s", "env": {"A": "suite", "B": "suite"}, "tasks": [
        {"id": "a", "name": "A", "env": {"B": "{{DIR}}"}, "commands": ["env | sort > {{DIR}}/env; umask >> {{DIR}}/env"]}]}));
    bed.run(&[]).ends_with(0);
    let names: Vec<_> = bed.text("env").lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    let expected = [
        "A",
        "B",
        "DIR",
        "HOME",
        "LANG",
        "LOGNAME",
        "PATH",
        "PREFAB_TASK",
        "PREFAB_VAR_DIR",
        "PWD",
        "SHELL",
        "SHLVL",
        "USER",
        "_",
        "0077",
    ];
    assert_eq!(names, expected, "{}", bed.text("env"));
    assert!(bed.text("env").contains(&format!("B={}\n", bed.folder.path().display())));
    assert!(
        bed.text("env")
            .contains("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/amazon/efa/bin\n")
    );
}

#[test]
fn run_as_gives_up_root_with_all_its_groups() {
    let bed = Bed::new(
        json!([{"id": "a", "name": "A", "run_as": "nobody", "commands": ["id -u; id -G; grep Cap /proc/self/status; ! cat /etc/shadow"]}]),
    );
    if !is_root() {
        let ran = bed.run(&[]).ends_with(1);
        assert!(ran.err.contains("only root can run commands as `nobody`"), "{}", ran.err);
        return;
    }
    // nobody's home folder does not exist on every system.
    let home = std::fs::read_to_string("/etc/passwd").unwrap();
    let home = home.lines().find(|line| line.starts_with("nobody:")).unwrap().split(':').nth(5).unwrap().to_owned();
    let ran = bed.run(&[]);
    if !std::path::Path::new(&home).is_dir() {
        assert!(ran.out.contains("the user's home folder must be there"), "{}", ran.out);
        return;
    }
    let ran = ran.ends_with(0);
    assert!(ran.out.contains("    | 65534\n    | 65534\n"), "{}", ran.out);
    assert!(bed.log("a").contains("CapEff:\t0000000000000000\n"), "{}", bed.log("a"));
}

#[test]
fn an_unknown_user_is_named_before_anything_runs() {
    let bed = Bed::new(json!([{"id": "a", "name": "A", "run_as": "nobody-here", "commands": ["true"]}]));
    let ran = bed.run(&[]).ends_with(1);
    assert!(ran.err.contains("found no user `nobody-here`"), "{}", ran.err);
}

#[test]
fn hostile_output_neither_moves_the_terminal_nor_fills_the_disk() {
    let bed = Bed::commands(&[
        "printf '\\033[2J\\033]0;title\\007shown\\n'; head -c 60000000 /dev/zero | tr '\\0' x; echo; echo end",
    ]);
    let ran = bed.run(&[]).ends_with(0);
    assert!(ran.out.contains("    | shown\n") && !ran.out.contains('\u{1b}'), "{}", &ran.out[..ran.out.len().min(500)]);
    assert!(ran.out.len() < 20_000, "{}", ran.out.len());
    let log = std::fs::read(bed.suite_folder().join("only.log")).unwrap();
    assert!(log.len() < (4 << 20) + 200 && log.windows(4).any(|window| window == b"\x1b[2J"), "{}", log.len());
}

#[test]
fn a_reader_that_has_enough_ends_no_task() {
    let bed = Bed::commands(&["seq 100000", "touch {{DIR}}/ran"]);
    let mut child = bed.command(&[]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert!(bed.path("ran").exists());
}
