//! Links between the GPUs of one machine, from nvidia-smi's two matrices.

use super::gpu_driver::has_nvswitch;
use super::nvidia_smi::{PEERS, TOPOLOGY, nothing_to_check};
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Ended, Host, Program, Unreadable};

/// A square of words: row, column, word.
type Matrix = Vec<(String, String, String)>;

/// The pairs of different GPUs; the head line names the columns, other columns (NICs, CPU affinity) are left out.
fn pairs(text: &str) -> Matrix {
    let mut head: Vec<&str> = Vec::new();
    let mut pairs = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.first() {
            Some(first) if is_gpu(first) && words.get(1).is_some_and(|second| is_gpu(second)) => {
                head = words.into_iter().take_while(|word| is_gpu(word)).collect();
            }
            Some(first) if is_gpu(first) && head.is_empty() => head = vec![first],
            Some(row) if is_gpu(row) => {
                let cells = head.iter().zip(&words[1..]).filter(|(column, _)| *column != row);
                pairs.extend(cells.map(|(column, word)| ((*row).to_owned(), (*column).to_owned(), (*word).to_owned())));
            }
            _ => {}
        }
    }
    pairs
}

fn is_gpu(word: &str) -> bool {
    word.strip_prefix("GPU").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The matrix of a program, or how the check ends.
fn matrix(host: &Host, plan: &Plan, program: &Program) -> Result<Result<Matrix, Outcome>, Unreadable> {
    if let Some(outcome) = nothing_to_check(host, plan)? {
        return Ok(Err(outcome));
    }
    if plan.expected().is_some_and(|expected| expected.gpus < 2) {
        return Ok(Err(Outcome::skip("there is only one GPU")));
    }
    let (expected, hint) = ("a matrix of GPUs from nvidia-smi", "gpu.count says whether nvidia-smi works at all");
    let Some(ran) = host.run(program)? else { return Ok(Err(Outcome::fail("no nvidia-smi", expected, hint))) };
    let pairs = pairs(&ran.output);
    if ran.ended == Ended::Code(0) && pairs.is_empty() && ran.output.lines().any(|line| line.trim().starts_with("GPU0"))
    {
        return Ok(Err(Outcome::skip("there is only one GPU")));
    }
    if ran.ended != Ended::Code(0) || pairs.is_empty() {
        return Ok(Err(Outcome::fail(ran.last_words(), expected, hint)));
    }
    Ok(Ok(pairs))
}

/// `gpu.topology`: behind an NVSwitch every pair is `NV…`; elsewhere the worst link is told.
pub(super) fn topology(host: &Host, plan: &Plan) -> Verdict {
    let pairs = match matrix(host, plan, &TOPOLOGY)? {
        Ok(pairs) => pairs,
        Err(outcome) => return Ok(outcome),
    };
    let slow: Vec<_> = pairs.iter().filter(|(_, _, link)| !link.starts_with("NV")).collect();
    if let Some((a, b, link)) = slow.first().filter(|_| has_nvswitch(plan)) {
        let found = format!("{a} and {b} are joined by {link}, {} such pairs", slow.len());
        let hint = "NVLink is down: see gpu.fabric-manager and gpu.xid, then replace the node";
        return Ok(Outcome::fail(found, "NVLink between all GPUs", hint));
    }
    let mut links: Vec<&str> = pairs.iter().map(|(_, _, link)| link.as_str()).collect();
    links.sort_unstable();
    links.dedup();
    Ok(Outcome::pass(format!("links between GPUs: {}", links.join(", "))))
}

/// `gpu.p2p`: between GPUs of one tensor-parallel engine.
pub(super) fn peers(host: &Host, plan: &Plan) -> Verdict {
    let pairs = match matrix(host, plan, &PEERS)? {
        Ok(pairs) => pairs,
        Err(outcome) => return Ok(outcome),
    };
    let refused: Vec<_> = pairs.iter().filter(|(_, _, word)| word != "OK").collect();
    let Some((a, b, word)) = refused.first() else { return Ok(Outcome::pass("every GPU reads every other one")) };
    let found = format!("{a} cannot read {b} ({word}), {} such pairs", refused.len());
    if has_nvswitch(plan) {
        let hint = "see gpu.fabric-manager and gpu.topology; then replace the node";
        return Ok(Outcome::fail(found, "peer access between all GPUs", hint));
    }
    // L40S, L4 and A10G have no peer access over PCIe in a virtual machine: NCCL goes through host memory.
    Ok(Outcome::pass(format!("{found}: NCCL goes through host memory, as on every such type")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_columns_are_left_out() {
        let text =
            "\tGPU0\tGPU1\tNIC0\tCPU Affinity\nGPU0\t X \tNV18\tPIX\t0-47\nGPU1\tNV18\t X \tSYS\t0-47\nNIC0\tPIX\n";
        let expected = [("GPU0", "GPU1", "NV18"), ("GPU1", "GPU0", "NV18")];
        assert_eq!(pairs(text), expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(GPU[0-9]|NV1|X|\n|\t| |\\PC){0,60}") {
            pairs(&text);
        }
    }
}
