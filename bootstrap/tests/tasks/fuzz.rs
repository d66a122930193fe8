//! Ten thousand hostile values in six quoting contexts: none executes, each arrives byte for byte.

use std::fs;

use serde_json::json;

use crate::bed::{Bed, Seeded};

const VALUES: usize = 10_000;
const BATCH: usize = 180;
const SEPARATOR: &str = "--7f3a91--";

/// What would run something, if any of it were read as a program.
const HOSTILE: [&str; 38] = [
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY;",
    "\ntouch CANARY\n",
    "&& touch CANARY #",
    "| touch CANARY",
    "'",
    "\"",
    "\\",
    "$",
    "${",
    "}",
    "$((",
    "))",
    "a[$(touch CANARY)]",
    "x[0$(touch CANARY >&2)]=1",
    "EOF",
    "\nEOF\n",
    "E",
    "'; touch CANARY; '",
    "\"; touch CANARY; \"",
    "$'\\n'",
    "{{V0}}",
    "{{",
    "}}",
    "*",
    "~",
    "!",
    "\t",
    " ",
    "\n",
    "-n",
    "--",
    "é",
    "\u{1}",
    "\u{7f}",
    "%s%n",
    "<(touch CANARY)",
];

#[test]
fn ten_thousand_values_in_six_contexts_arrive_and_execute_nothing() {
    let mut random = Seeded(0x5eed_cafe);
    let canary = tempfile::tempdir().unwrap();
    let target = canary.path().join("pwned").display().to_string();
    let values: Vec<String> = (0..VALUES)
        .map(|_| {
            let parts = 1 + random.below(6);
            let pick =
                |random: &mut Seeded| HOSTILE[usize::try_from(random.below(38)).unwrap()].replace("CANARY", &target);
            (0..parts).map(|_| pick(&mut random)).collect()
        })
        .collect();
    let batches: Vec<Vec<String>> = values.chunks(BATCH).map(<[String]>::to_vec).collect();
    let halves: Vec<Vec<_>> = (0..2).map(|half| batches.iter().skip(half).step_by(2).cloned().collect()).collect();
    let workers: Vec<_> =
        halves.into_iter().map(|half| std::thread::spawn(move || half.iter().for_each(|batch| check(batch)))).collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(!canary.path().join("pwned").exists(), "a value was executed");
}

fn check(batch: &[String]) {
    let each = |form: &dyn Fn(usize) -> String| (0..batch.len()).map(form).collect::<Vec<_>>().join(" ");
    let variables: serde_json::Map<_, _> = (0..batch.len()).map(|number| (format!("V{number}"), json!(null))).collect();
    let documents: Vec<String> = (0..batch.len()).map(|number| format!("{{{{V{number}}}}}\n{SEPARATOR}")).collect();
    let contexts = [
        ("unquoted", format!("printf '%s\\0' {} > {{{{DIR}}}}/unquoted", each(&|n| format!("{{{{V{n}}}}}")))),
        ("double", format!("printf '%s\\0' {} > {{{{DIR}}}}/double", each(&|n| format!("\"<{{{{V{n}}}}}>\"")))),
        (
            "substitution",
            format!(
                "printf '%s\\0' {} > {{{{DIR}}}}/substitution",
                each(&|n| format!("\"$(printf %s {{{{V{n}}}}}; printf x)\""))
            ),
        ),
        (
            "nested",
            format!(
                "printf '%s\\0' {} > {{{{DIR}}}}/nested",
                each(&|n| format!("\"${{none:-$(printf %s \"{{{{V{n}}}}}\"; echo x)}}\""))
            ),
        ),
        (
            "default",
            format!("printf '%s\\0' {} > {{{{DIR}}}}/default", each(&|n| format!("a${{none:-{{{{V{n}}}}}}}b"))),
        ),
        ("document", format!("cat > {{{{DIR}}}}/document <<EOF\n{}\nEOF", documents.join("\n"))),
    ];
    let commands: Vec<_> = contexts.iter().map(|(_, command)| command).collect();
    let bed = Bed::with(
        json!({"name": "fuzz", "variables": variables, "tasks": [{"id": "a", "name": "A", "commands": commands}]}),
    );
    let set: Vec<String> = batch.iter().enumerate().map(|(number, value)| format!("--set=V{number}={value}")).collect();
    bed.run(&set.iter().map(String::as_str).collect::<Vec<_>>()).ends_with(0);
    for (context, _) in &contexts {
        let expected: String = batch
            .iter()
            .map(|value| match *context {
                "double" => format!("<{value}>\0"),
                "substitution" | "nested" => format!("{value}x\0"),
                "default" => format!("a{value}b\0"),
                "document" => format!("{value}\n{SEPARATOR}\n"),
                _ => format!("{value}\0"),
            })
            .collect();
        let found = fs::read(bed.path(context)).unwrap();
        assert!(found == expected.as_bytes(), "{context}: {:?}\n{:?}", String::from_utf8_lossy(&found), expected);
    }
}

#[test]
fn k112_a_value_with_shell_metacharacters_is_not_executed() {
    let bed = Bed::with(json!({"name": "s", "variables": {"NAME": null}, "tasks": [
        {"id": "a", "name": "A", "skip_if": "test {{NAME}} = \"\"", "commands": ["printf %s {{NAME}} > {{DIR}}/out; printf %s \"{{NAME}}\" >> {{DIR}}/out"]}]}));
    let pwned = bed.path("w-pwned");
    let value = format!("x; touch {0} $(touch {0}) `touch {0}`", pwned.display());
    bed.run(&[&format!("--set=NAME={value}")]).ends_with(0);
    assert!(!pwned.exists());
    assert_eq!(bed.text("out"), format!("{value}{value}"));
}

#[test]
fn k113_an_apostrophe_in_a_value_breaks_nothing() {
    let bed = Bed::with(json!({"name": "s", "variables": {"NAME": "it's \"q\" \\ end"}, "tasks": [
        {"id": "a", "name": "A", "commands": ["printf %s {{NAME}} > {{DIR}}/out"]}]}));
    bed.run(&[]).ends_with(0);
    assert_eq!(bed.text("out"), "it's \"q\" \\ end");
}
