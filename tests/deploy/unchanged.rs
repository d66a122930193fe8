//! What an apply costs that changes nothing: calls, which a test holds, and processor time, which `make bench` measures.

use std::process::Command;

use super::account::{Account, SPEC, folder};

/// Most calls of a stack, and milliseconds of the process's own time, user and system.
const MOST_CALLS: usize = 8;
const MOST_MS: f64 = 50.0;

/// Started by `make bench`: `PREFAB_BENCH_PROGRAM` is the release.
#[test]
#[allow(clippy::print_stdout, reason = "a row of make bench")]
#[ignore = "it measures time, which tests never do: make bench"]
fn an_unchanged_apply_for_the_benchmark() {
    let program = std::env::var("PREFAB_BENCH_PROGRAM").expect("make bench sets PREFAB_BENCH_PROGRAM");
    let (account, folder) = (Account::new(), folder(SPEC));
    account.run(folder.path(), &["apply", "--yes"]).expect(0);
    let before = account.world().calls.len();
    let apply = account.command(folder.path(), &["apply", "--yes"]);
    let mut command = Command::new("python3");
    command.arg("-B").arg(crate::prefab::root().join("tests/bench/apply.py")).arg(program);
    // Everything but the tests' own clock.
    command.args(["apply", "--yes"]).current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(apply.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut figures = text.split_whitespace().map(|word| word.parse::<f64>().unwrap());
    let (runs, median, least) = (figures.next().unwrap(), figures.next().unwrap(), figures.next().unwrap());
    #[allow(clippy::cast_precision_loss, reason = "some hundreds of calls")]
    let calls = (account.world().calls.len() - before) as f64 / runs / 3.0;
    #[allow(clippy::cast_precision_loss, reason = "eight")]
    let within = calls <= MOST_CALLS as f64 && median <= MOST_MS;
    println!(
        "unchanged apply of three stacks, scripted account on loopback, {runs} runs: {calls:.1} calls a stack (goal {MOST_CALLS}), \
         own CPU {median:.1} ms median, {least:.1} ms least (goal {MOST_MS}): {}",
        if within { "met" } else { "MISSED" }
    );
    assert!(within);
}
