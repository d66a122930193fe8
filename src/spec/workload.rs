//! The `workload` and `benchmark` sections: the model that will be served, and what is measured.

use prefab_contract::kv::{Layout, ShapeError, TensorParallel};
use prefab_contract::models::{self, Model};

use super::Surroundings;
use super::checked::Place;
use super::cluster::Role;
use super::shape::{Field, Presence, Shape, Text};
use crate::finding::Findings;
use crate::units::grouped;

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
        shape: Shape::Text(Text {
            pattern: "^[ -~]{1,255}$",
            allowed: "a model's Hugging Face name without the owner, or the path of its config.json",
        }),
        doc: "the model, such as `Qwen2.5-32B-Instruct`",
    },
    Field {
        name: "tensor_parallel",
        presence: Presence::Required,
        shape: Shape::Object(TENSOR_PARALLEL),
        doc: "GPUs of one engine, by role",
    },
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

const fn choices(
    name: &'static str,
    default: &'static str,
    words: &'static [&'static str],
    doc: &'static str,
) -> Field {
    // A constant shape for each pair of words keeps the table `const`.
    const EFA_TCP: Shape = Shape::Choice(&["efa", "tcp"]);
    const HOST_GPU: Shape = Shape::Choice(&["host", "gpu"]);
    const READ_WRITE: Shape = Shape::Choice(&["read", "write"]);
    let of = match words[0].as_bytes()[0] {
        b'e' => &EFA_TCP,
        b'h' => &HOST_GPU,
        _ => &READ_WRITE,
    };
    Field {
        name,
        presence: Presence::Default(default),
        shape: Shape::List { of, at_least: 1, at_most: words.len() },
        doc,
    }
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
                && let Err(error) = model.check_tensor_parallel(tp)
            {
                findings.push(field.error(error.code(), error.found(), error.allowed(), error.action()));
            }
        }
        let prompts = place.field("prompt_tokens");
        let prompt_tokens = prompts.items().iter().map(Place::whole).collect::<Option<Vec<_>>>()?;
        let workload = Self {
            model: model?,
            prefill_tp: ranks.field("prefill").whole32()?,
            decode_tp: ranks.field("decode").whole32()?,
            prompt_tokens,
        };
        workload.slices_meet(&ranks, findings);
        workload.positions_reach(&prompts, findings);
        Some(workload)
    }

    /// The heads of prefill ranks must fall on whole decode ranks, or no engine can hand the cache over.
    fn slices_meet(&self, place: &Place<'_>, findings: &mut Findings) {
        const BLOCK_TOKENS: u64 = 16;
        let degrees = TensorParallel { prefill: self.prefill_tp, decode: self.decode_tp };
        let transfer = self.model.rank_transfer(Layout::KvSplit, degrees, BLOCK_TOKENS, BLOCK_TOKENS);
        // What else can be wrong has its finding where it is asked for.
        if let Err(error @ ShapeError::SlicesDoNotMeet { .. }) = transfer {
            findings.push(place.error(error.code(), error.found(), error.allowed(), error.action()));
        }
    }

    /// A prompt beyond the published positions is accepted: it is the engine's setting, not the cluster's.
    fn positions_reach(&self, place: &Place<'_>, findings: &mut Findings) {
        let model = &self.model;
        let Some(longest) = self.prompt_tokens.iter().copied().max().filter(|longest| *longest > model.max_tokens)
        else {
            return;
        };
        let found = format!("{} tokens", grouped(longest));
        let published = format!("up to {} tokens, for which {} is configured", grouped(model.max_tokens), model.name);
        let (allowed, action) = match model.max_tokens_scaled {
            Some(most) if longest <= most => (
                format!("{published}, or {} with rope scaling", grouped(most)),
                "serve it with the rope scaling of its model card, or shorten the prompts".to_owned(),
            ),
            Some(most) => (
                format!("{published}, or {} with rope scaling", grouped(most)),
                "shorten the prompts: no setting of the model reaches that far".to_owned(),
            ),
            None => {
                (published, "shorten the prompts, unless the model is served with a scaling of your own".to_owned())
            }
        };
        findings.push(place.warning("prompt-beyond-positions", found, allowed, action));
    }
}

/// A text that ends in `.json` is a path, everything else a published name.
fn model_of(place: &Place<'_>, surroundings: &dyn Surroundings, findings: &mut Findings) -> Option<Model> {
    let name = place.text()?;
    if name.ends_with(".json") {
        return config_of(name, place, surroundings, findings);
    }
    let found = models::find(name);
    if let Err(unknown) = &found {
        findings.push(place.error(unknown.code(), unknown.found(), unknown.allowed(), unknown.action()));
    }
    found.ok().cloned()
}

fn config_of(path: &str, place: &Place<'_>, surroundings: &dyn Surroundings, findings: &mut Findings) -> Option<Model> {
    let text = match surroundings.model_config(path) {
        Ok(text) => text,
        Err(reason) => {
            let allowed = "a readable config.json, as published on Hugging Face";
            let action = "correct the path, which is relative to the spec's folder";
            findings.push(place.error("unreadable-model-config", format!("`{path}`: {reason}"), allowed, action));
            return None;
        }
    };
    let model = Model::from_config(&text);
    if let Err(error) = &model {
        findings.push(place.error(
            error.code(),
            format!("`{path}`: {}", error.found()),
            error.allowed(),
            error.action(),
        ));
    }
    model.ok()
}

impl Benchmark {
    pub(super) fn of(place: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut words = |name: &str| {
            let list = place.field(name);
            let words = list.texts()?;
            for (index, (word, item)) in words.iter().zip(list.items()).enumerate() {
                if words[..index].contains(word) {
                    findings.push(item.error(
                        "repeated-choice",
                        format!("`{word}` a second time"),
                        "each word once",
                        "remove one of the two",
                    ));
                }
            }
            Some(words.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let (transports, memory, operations) = (words("transports"), words("memory"), words("operations"));
        Some(Self { transports: transports?, memory: memory?, operations: operations? })
    }
}
