//! What was measured where.

use prefab_contract::bench_report::{Environment, PeerNode};

use super::Context;
use crate::report::input::letter;
use crate::report::label;
use crate::report::model::{Column, Exhibit, Row, Section, Table};
use crate::report::number::{NOT_MEASURED, bytes, count, optional};
use crate::units::binary;

/// A fact about where a benchmark ran.
struct Fact {
    name: &'static str,
    of: fn(&Environment) -> Option<String>,
}

const FACTS: &[Fact] = &[
    Fact {
        name: "Both ends",
        of: |it| Some(if it.loopback { "on one machine" } else { "on nodes of their own" }.to_owned()),
    },
    Fact { name: "Model", of: |it| Some(it.model.clone()) },
    Fact { name: "Tensor parallelism", of: |it| Some(label::tensor_parallel(it)) },
    Fact { name: "Tokens in a block", of: |it| Some(it.block_tokens.to_string()) },
    Fact { name: "Seed", of: |it| Some(it.seed.to_string()) },
    Fact { name: "Processor", of: |it| it.cpu_model.clone() },
    Fact { name: "Processors in use", of: |it| Some(it.cpus.to_string()) },
    Fact { name: "Last-level cache", of: |it| it.last_level_cache_bytes.map(binary) },
    Fact { name: "Memory", of: |it| it.memory_bytes.map(bytes) },
    Fact { name: "Kernel", of: |it| it.kernel.clone() },
    Fact { name: "Load before", of: |it| it.load_before.map(|load| optional(Some(load))) },
    Fact { name: "Load after", of: |it| it.load_after.map(|load| optional(Some(load))) },
    Fact { name: "prefab-bootstrap", of: |it| Some(it.bootstrap_version.clone()) },
    Fact { name: "prefab-fabric", of: |it| it.engine_version.clone() },
];

pub(super) fn section(context: &Context<'_>) -> Section {
    let tables = context.inputs.benches.iter().enumerate().map(|(number, bench)| {
        let value = |fact: &Fact| (fact.of)(&bench.content.environment).unwrap_or_else(|| NOT_MEASURED.to_owned());
        let rows = FACTS.iter().map(|fact| Row::plain(vec![fact.name.to_owned(), value(fact), letter(number)]));
        let peers = bench
            .content
            .environment
            .peers
            .iter()
            .map(|peer| Row::plain(vec![format!("Node {}", peer.node), peer_facts(peer), letter(number)]));
        Exhibit::Table(Table {
            caption: format!("Where and with what {} ran", bench.name),
            columns: vec![Column::text("Fact"), Column::text("Value"), Column::text("Source")],
            rows: rows.chain(peers).collect(),
            folded: false,
        })
    });
    let exhibits: Vec<_> = tables.collect();
    let text = if exhibits.is_empty() { vec!["No benchmark report was given.".to_owned()] } else { Vec::new() };
    Section { id: "environment", title: "Environment", text, exhibits }
}

fn peer_facts(peer: &PeerNode) -> String {
    let kernel = peer.kernel.as_deref().unwrap_or("unknown");
    format!("kernel {kernel}, {} in use, load before {}", cpus(peer.cpus), optional(peer.load_before))
}

fn cpus(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "CPU")
}

/// What was measured where, in two sentences.
pub(super) fn lead(context: &Context<'_>) -> String {
    let benches = &context.inputs.benches;
    let [first, others @ ..] = benches.as_slice() else {
        return "No benchmark report was given: nothing was measured here.".to_owned();
    };
    let place = |it: &Environment| {
        let machine = it.cpu_model.as_deref().unwrap_or("a processor without a name");
        let ends = match it.peers.len() {
            _ if it.loopback => "Between two processes of one machine".to_owned(),
            0 | 1 => "Between two nodes".to_owned(),
            peers => format!("Between a node and {peers} others"),
        };
        format!("{ends} ({machine}, {})", cpus(it.cpus))
    };
    let work = |it: &Environment| {
        format!(
            "the KV cache of {} at TP {}, blocks of {} tokens",
            it.model,
            label::tensor_parallel(it),
            it.block_tokens
        )
    };
    let environment = &first.content.environment;
    let and_more = match others.len() {
        0 => String::new(),
        more => format!(" {} more: see Environment.", count(more, "report")),
    };
    let cases = count(context.cases.len(), "case");
    format!("{}: {}; {cases}.{and_more}", place(environment), work(environment))
}
