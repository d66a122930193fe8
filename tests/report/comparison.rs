//! `prefab compare`: what it says, what it refuses, and how it ends.

use serde_json::Value as Json;

use super::fixture;
use crate::golden::golden;
use crate::prefab::{Prefab, Ran};

fn compare(options: &[&str], a: &str, b: &str) -> Ran {
    Prefab::new(&[&["compare", "a.json", "b.json"], options].concat()).file("a.json", a).file("b.json", b).run()
}

#[test]
fn a_loss_beyond_noise_ends_with_3_and_is_named() {
    let run = compare(&[], &fixture::text("efa"), &fixture::text("slower")).expect_code(3);
    golden("report/slower.compare.txt", &run.out);
    assert_eq!(run.err, "");
}

#[test]
fn runs_of_the_same_thing_do_not_differ() {
    let run = compare(&[], &fixture::text("efa"), &fixture::text("again")).expect_code(0);
    assert!(run.out.ends_with("No regression beyond noise.\n"), "{}", run.out);
    let same = compare(&[], &fixture::text("efa"), &fixture::text("efa")).expect_code(0);
    assert!(!same.out.contains("better") && !same.out.contains("WORSE"), "{}", same.out);
}

#[test]
fn a_gain_is_none_to_worry_about() {
    let run = compare(&[], &fixture::text("slower"), &fixture::text("efa")).expect_code(0);
    assert!(run.out.contains("better, 19.9 % more") || run.out.contains("better, 20"), "{}", run.out);
}

#[test]
fn a_tolerance_above_the_loss_hides_it() {
    compare(&["--tolerance", "25"], &fixture::text("efa"), &fixture::text("slower")).expect_code(0);
    let wrong = compare(&["--tolerance", "x"], &fixture::text("efa"), &fixture::text("efa")).expect_code(2);
    assert!(wrong.err.contains("found x, expected a number from 0 to 100"), "{}", wrong.err);
}

#[test]
fn of_one_run_efa_stands_against_tcp() {
    let run = Prefab::new(&["compare", "x.json"]).file("x.json", fixture::text("efa")).run().expect_code(0);
    golden("report/efa.compare.txt", &run.out);
    let alone = fixture::changed("efa", |report| {
        report["cases"].as_array_mut().unwrap().retain(|case| case["transport"] == "efa");
    });
    let alone = Prefab::new(&["compare", "x.json"]).file("x.json", alone).run().expect_code(1);
    assert!(alone.err.contains("found only efa in x.json, expected at least two transports"), "{}", alone.err);
}

#[test]
fn unequal_shapes_are_refused_with_the_field() {
    let efa = fixture::text("efa");
    let of = |change: &dyn Fn(&mut Json)| compare(&[], &efa, &fixture::changed("efa", |json| change(json)));
    let run = of(&|json| json["cases"][2]["fragmentation"] = 0.into()).expect_code(1);
    let expected =
        "efa write, 4,096 tokens, block: found `fragmentation` 1.00 in A (A 2) and 0 in B (B 2), expected equal";
    assert!(run.err.starts_with(expected), "{}", run.err);
    assert_eq!(run.out, "");
    // Every field at once.
    let run = of(&|json| {
        json["environment"]["tensor_parallel"] = 8.into();
        json["environment"]["model"] = "another".into();
        json["cases"][0]["descriptors"] = 1.into();
    });
    let run = run.expect_code(1);
    for field in
        ["`model` Qwen2.5-32B-Instruct in A, another in B", "`tensor_parallel` 4 in A, 8 in B", "`descriptors`"]
    {
        assert!(run.err.contains(field), "{field} is not in\n{}", run.err);
    }
    let run = of(&|json| {
        for case in json["cases"].as_array_mut().unwrap() {
            case["prompt_tokens"] = 1.into();
        }
    });
    let run = run.expect_code(1);
    assert!(run.err.contains("their first ones differ in `prompt_tokens` 4096 and 1;"), "{}", run.err);
}

#[test]
fn what_no_longer_runs_or_runs_another_way_is_a_loss() {
    for (change, words) in [
        (("path", Json::from("tcp")), "ANOTHER PATH: efa, now tcp"),
        (("verified", Json::from(false)), "BROKEN: not every block was right"),
    ] {
        let other = fixture::changed("efa", |report| report["cases"][0][change.0] = change.1.clone());
        let run = compare(&[], &fixture::text("efa"), &other).expect_code(3);
        assert!(run.out.contains(words), "{}", run.out);
        // The other way around nothing is lost.
        compare(&[], &other, &fixture::text("efa"));
    }
    let broken = fixture::changed("efa", |report| report["cases"][0]["verified"] = false.into());
    let run = compare(&[], &broken, &fixture::text("efa")).expect_code(0);
    assert!(run.out.contains("not judged: A is not sound"), "{}", run.out);
}

#[test]
fn cases_that_only_one_side_has_are_told() {
    let fewer = fixture::changed("efa", |report| {
        report["cases"].as_array_mut().unwrap().truncate(2);
    });
    let run = compare(&[], &fixture::text("efa"), &fewer).expect_code(0);
    assert!(run.out.contains("Not compared:\n  only A has efa write, 4,096 tokens, block\n"), "{}", run.out);
}

#[test]
fn reports_that_cannot_be_judged_are_no_success() {
    let old = fixture::changed("efa", |report| {
        for case in report["cases"].as_array_mut().unwrap() {
            case.as_object_mut().unwrap().remove("rounds_us");
        }
    });
    let run = compare(&[], &old, &old).expect_code(1);
    assert!(
        run.out.contains("not judged: told once a run") && run.out.contains("Nothing could be judged."),
        "{}",
        run.out
    );
}

#[test]
fn several_runs_of_a_side_bring_in_the_noise_between_them() {
    let run = Prefab::new(&["compare", "before", "after"])
        .file("before/1.json", fixture::text("efa"))
        .file("before/2.json", fixture::text("slower"))
        .file("after/1.json", fixture::text("slower"))
        .file("after/2.json", fixture::text("efa"))
        .run()
        .expect_code(0);
    assert!(run.out.starts_with("A is before (2 runs), B is after (2 runs)."), "{}", run.out);
}

#[test]
fn json_and_csv_have_every_figure() {
    let (a, b) = (fixture::text("efa"), fixture::text("slower"));
    let run = compare(&["--json"], &a, &b).expect_code(3);
    let json: Json = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&json["schema_version"], &json["view"]), (&1.into(), &"runs".into()));
    let contrasts = json["contrasts"].as_array().unwrap();
    let first = &contrasts[0];
    assert_eq!((&first["metric"], &first["verdict"]["verdict"]), (&"bandwidth".into(), &"worse".into()), "{first:#}");
    assert!(first["ratio_low"].as_f64().unwrap() < 0.834 && first["ratio_high"].as_f64().unwrap() > 0.834, "{first:#}");
    let run = compare(&["--csv"], &a, &b).expect_code(3);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), contrasts.len() + 1);
    assert!(lines[0].starts_with("transport,operation,mode,q,memory,layout,prompt_tokens,"), "{}", lines[0]);
    assert!(lines[1].starts_with("efa,read,request,1,host,block,4096,0,0,GB/s,A,B,"), "{}", lines[1]);
    compare(&["--csv", "--json"], &a, &b).expect_code(2);
}

/// A spreadsheet would run it.
#[test]
fn csv_has_no_formulas() {
    let hostile = fixture::changed("efa", |report| {
        for case in report["cases"].as_array_mut().unwrap() {
            case["layout"] = "=cmd|' /C calc'!A0".into();
        }
    });
    let run = compare(&["--csv"], &hostile, &hostile);
    assert!(run.out.contains("'=cmd") && !run.out.contains(",=cmd"), "{}", run.out);
}
