//! The `workload` and `benchmark` sections: the model that will be served, and what is measured.

use prefab_contract::models::{self, Model};

use super::Surroundings;
use super::cluster::Role;
use super::shape::{Field, Place, Presence, Shape, Text};
use crate::finding::Findings;

/// The model that will be served.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Its published shape.
    pub model: Model,
    /// Tensor parallel ranks of a prefill engine.
    pub prefill_tp: u32,
    /// Tensor parallel ranks of a decode engine.
    pub decode_tp: u32,
    /// Prompt lengths of interest, tokens.
    pub prompt_tokens: Vec<u64>,
}

/// What the benchmark measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Benchmark {
    /// Transports, such as `efa` and `tcp`.
    pub transports: Vec<String>,
    /// Where the caches lie: `host` or `gpu`.
    pub memory: Vec<String>,
    /// `read` (decode pulls) or `write` (prefill pushes).
    pub operations: Vec<String>,
}

const RANKS: Shape = Shape::Whole { min: 1, max: 64 };

const TENSOR_PARALLEL: &[Field] = &[
    Field { name: "prefill", presence: Presence::Required, shape: RANKS, doc: "ranks of a prefill engine" },
    Field { name: "decode", presence: Presence::Required, shape: RANKS, doc: "ranks of a decode engine" },
];

pub(super) const WORKLOAD: &[Field] = &[
    Field {
        name: "model",
        presence: Presence::Required,
        shape: Shape::Text(Text { pattern: "^[ -~]{1,255}$", allowed: "a model's Hugging Face name without the owner, or the path of its config.json" }),
        doc: "the model, such as `Qwen2.5-32B-Instruct`",
    },
    Field { name: "tensor_parallel", presence: Presence::Required, shape: Shape::Object(TENSOR_PARALLEL), doc: "GPUs of one engine, by role" },
    Field {
        name: "prompt_tokens",
        presence: Presence::Default("[4096, 32768, 100000]"),
        shape: Shape::List { of: &Shape::Whole { min: 1, max: 10_000_000 }, at_least: 1, at_most: 20 },
        doc: "prompt lengths of interest",
    },
];

pub(super) const BENCHMARK: &[Field] = &[
    choices("transports", "[efa, tcp]", &["efa", "tcp"], "what carries the caches"),
    choices("memory", "[host, gpu]", &["host", "gpu"], "where the caches lie"),
    choices("operations", "[read, write]", &["read", "write"], "read: decode pulls; write: prefill pushes"),
];

const fn choices(name: &'static str, default: &'static str, words: &'static [&'static str], doc: &'static str) -> Field {
    // A constant shape for each pair of words keeps the table `const`.
    const EFA_TCP: Shape = Shape::Choice(&["efa", "tcp"]);
    const HOST_GPU: Shape = Shape::Choice(&["host", "gpu"]);
    const READ_WRITE: Shape = Shape::Choice(&["read", "write"]);
    let of = match words[0].as_bytes()[0] {
        b'e' => &EFA_TCP,
        b'h' => &HOST_GPU,
        _ => &READ_WRITE,
    };
    Field { name, presence: Presence::Default(default), shape: Shape::List { of, at_least: 1, at_most: words.len() }, doc }
}

impl Workload {
    /// Tensor parallel ranks of a role's engines.
    pub fn tp(&self, role: Role) -> u32 {
        match role {
            Role::Prefill => self.prefill_tp,
            Role::Decode => self.decode_tp,
        }
    }

    pub(super) fn of(place: &Place<'_>, surroundings: &dyn Surroundings, findings: &mut Findings) -> Option<Self> {
        let model = model_of(&place.field("model"), surroundings, findings);
        let ranks = place.field("tensor_parallel");
        for role in Role::ALL {
            let field = ranks.field(role.key());
            if let (Some(model), Some(tp)) = (&model, field.whole32())
                && let Err(error) = model.heads_per_rank(tp)
            {
                findings.push(field.error("tensor-parallel-does-not-divide", format!("{tp}"), error.allowed(), "choose one of them"));
            }
        }
        let prompts = place.field("prompt_tokens");
        let prompt_tokens = prompts.items().iter().map(Place::whole).collect::<Option<Vec<_>>>()?;
        Some(Self { model: model?, prefill_tp: ranks.field("prefill").whole32()?, decode_tp: ranks.field("decode").whole32()?, prompt_tokens })
    }
}

/// A text with a slash or the ending `.json` is a path, everything else a published name.
fn model_of(place: &Place<'_>, surroundings: &dyn Surroundings, findings: &mut Findings) -> Option<Model> {
    let name = place.text()?;
    if name.ends_with(".json") {
        let config = surroundings.model_config(name).and_then(|text| Model::from_config(&text).map_err(|error| error.to_string()));
        return config
            .map_err(|reason| {
                let allowed = "the config.json of a model, as published on Hugging Face";
                findings.push(place.error("unreadable-model-config", format!("`{name}`: {reason}"), allowed, "correct the path, relative to the spec's folder"));
            })
            .ok();
    }
    let found = models::find(name);
    if let Err(unknown) = &found {
        findings.push(place.error("unknown-model", format!("`{name}`"), unknown.allowed(), unknown.action()));
    }
    found.ok().cloned()
}

impl Benchmark {
    pub(super) fn of(place: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut words = |name: &str| {
            let list = place.field(name);
            let words = list.texts()?;
            for (index, (word, item)) in words.iter().zip(list.items()).enumerate() {
                if words[..index].contains(word) {
                    findings.push(item.error("repeated-choice", format!("`{word}` a second time"), "each word once", "remove one of the two"));
                }
            }
            Some(words.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let (transports, memory, operations) = (words("transports"), words("memory"), words("operations"));
        Some(Self { transports: transports?, memory: memory?, operations: operations? })
    }
}
