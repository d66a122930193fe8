//! A report as a person sees it.

use super::*;

fn report() -> BenchReport {
    let case = |transport: &str, op: &str, more: &str| {
        format!(
            r#"{{"transport": "{transport}", "provider": null, "path": "{transport}", "semantics": "one-sided",
            "mode": "request", "q": 1, "memory": "host", "layout": "kv-split", "operation": "{op}", "prompt_tokens": 4096,
            "hit_tokens": 0, "fragmentation": 1.0, "payload_bytes": 268435456, "descriptor_bytes": 8192,
            "descriptors": 32768, "runs_per_request": 32768.0, "working_set_bytes": 1073741824, "threads_initiator": 1,
            "threads_target": 1, "rounds": 30, "gb_per_s": 5.168, "descriptors_per_s": 630859.0, "p50_us": 51941.0,
            "p90_us": null, "p99_us": null, "p999_us": null, "max_us": 60000.0, "post_us_p50": null, "prep_us": null,
            "exposed_us": null, "first_transfer_ms": 80.0, "registration_ms": 300.0, "connect_ms": 1.0,
            "initiator_cpu_s_per_gb": 0.125, "target_cpu_s_per_gb": 0.25, "ceiling_gb_per_s": 5.5, "ceiling_ratio": 0.94,
            "blocks_verified": 1015808, "verified": true, "ended": "complete", "failure": null{more}}}"#
        )
    };
    let failure = r#", "failure": {"side": "target", "stage": "transfer", "cause": "the target was killed by signal 9 and said nothing, after which nobody came", "unavailable": false}"#;
    let partial = case("builtin-vm", "write", "").replace(r#", "failure": null"#, failure);
    let cases = [
        case("builtin-tcp", "read", ""),
        case("efa", "read", r#", "link_gb_per_s": 12.5, "link_share": 0.12"#)
            .replace(r#""path": "efa""#, r#""path": "inconclusive""#),
        partial.replace("complete", "partial"),
    ];
    let text = format!(
        r#"{{"schema_version": 1, "environment": {{"bootstrap_version": "0.1.0", "engine_version": null, "loopback": false,
        "kernel": null, "cpu_model": null, "cpus": 2, "last_level_cache_bytes": null, "memory_bytes": null,
        "load_before": 0.1, "load_after": null, "model": "Qwen2.5-32B-Instruct", "tensor_parallel": 4, "block_tokens": 16,
        "seed": 1}}, "cases": [{}]}}"#,
        cases.join(", ")
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_report_reads_well_within_a_hundred_columns() {
    let expected = "\
Qwen2.5-32B-Instruct TP 4: 4096 tokens, kv-split, fragmentation 1, 32768 x 8 KiB = 268.4 MB a
    request
  transport           op     GB/s  ceiling  ratio  p50 ms  p99 ms  CPU s/GB  verified
  builtin-tcp         read   5.17     5.50   0.94    51.9       -      0.38       all
  efa (inconclusive)  read   5.17     5.50   0.94    51.9       -      0.38       all
  builtin-vm          write  5.17     5.50   0.94    51.9       -      0.38   partial

efa read used 12 % of a link of 12.5 GB/s, with 32768 descriptors of 8 KiB a request, 1 at a time
    and 1 threads: try more of them, larger blocks (--layout block), or see whether this is the path
    that was meant
builtin-vm write ended early after 30 measured rounds: the target, in stage transfer: the target was
    killed by signal 9 and said nothing, after which nobody came
3047424 blocks compared and right.
Next: remove the cause named above and run the same command again.
";
    assert_eq!(render(&report()), expected);
    assert!(expected.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn k091_a_slow_link_is_told_with_depth_threads_and_size() {
    let mut report = report();
    let told = |report: &BenchReport| render(report).contains("12.5 GB/s, with 32768 descriptors of 8 KiB");
    assert!(told(&report));
    report.cases[1].link_share = Some(0.21);
    assert!(!told(&report));
}

#[test]
fn descriptors_without_a_model_have_a_table_of_their_own() {
    let mut report = report();
    report.cases.truncate(2);
    for (case, size) in report.cases.iter_mut().zip([64, 8192]) {
        (case.prompt_tokens, case.descriptor_bytes, case.descriptors) = (0, size, 1024);
    }
    let text = render(&report);
    let head = "  transport           op     size  window   GB/s  ratio  descriptors/s   p50 us  p99 us  verified";
    assert_eq!(text.lines().nth(1), Some(head), "{text}");
    assert!(text.starts_with("Descriptors of one size, fragmentation 1\n"), "{text}");
    assert_eq!(text.matches("descriptors/s").count(), 1);
}

#[test]
fn long_sentences_are_wrapped_and_short_ones_are_not() {
    assert_eq!(wrapped("a b"), ["a b"]);
    let long = ["word"; 40].join(" ");
    let lines = wrapped(&long);
    assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= COLUMNS), "{lines:?}");
    assert_eq!(lines.join(" ").split_whitespace().count(), 40);
}
