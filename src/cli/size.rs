//! `prefab size`.

use std::borrow::Cow;
use std::num::NonZeroU32;

use clap::{Args, ValueEnum};
use prefab_contract::kv::TensorParallel;
use prefab_contract::models::{self, KvDtype, Model};
use serde::Serialize;

use self::estimate::{DESCRIPTORS_PER_SECOND, Estimate, Question};
use super::Streams;
use super::instance_types::finding;
use super::option_finding::OptionFinding;
use crate::exit::Exit;
use crate::fit;
use crate::instance_types::{self as catalogue, InstanceType};

mod estimate;
mod explain;
mod model_option;
mod text;

/// KV-cache arithmetic: what fits, how long a prompt may be, how long its transfer takes
///
/// Without --model: every model that goes by its name.
#[derive(Debug, Args)]
pub(super) struct Size {
    /// A Hugging Face name without its owner, or the path of a config.json; may be repeated
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// The EC2 instance type of the nodes
    #[arg(long, value_name = "TYPE", default_value = "g6e.12xlarge")]
    instance_type: String,
    /// GPUs that share a model; without it, as many of the node's as the model's heads allow
    #[arg(long, value_name = "N", conflicts_with_all = ["prefill_tp", "decode_tp"])]
    tp: Option<NonZeroU32>,
    /// GPUs that share a model on a prefill node
    #[arg(long, value_name = "N", requires = "decode_tp")]
    prefill_tp: Option<NonZeroU32>,
    /// GPUs that share a model on a decode node
    #[arg(long, value_name = "N", requires = "prefill_tp")]
    decode_tp: Option<NonZeroU32>,
    /// Lengths of prompts
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', default_value = "4096,32768,100000",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    tokens: Vec<u64>,
    /// Tokens of one KV block
    #[arg(long, value_name = "TOKENS", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    block_tokens: u64,
    /// What the KV cache is stored as
    #[arg(long, value_enum, default_value_t = KvCache::Bf16)]
    kv_cache: KvCache,
    /// Print JSON: `schema_version`, `instance_type`, `assumptions`, `models`; `findings` where the input is refused
    #[arg(long, conflicts_with = "explain")]
    json: bool,
    /// Also print each formula with its numbers
    #[arg(long)]
    explain: bool,
}

/// The types of KV cache; half precision has the size of bf16.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum KvCache {
    Bf16,
    Fp8,
}

impl Size {
    pub(super) fn run(self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let mut findings = Vec::new();
        let models = self.models(&mut findings);
        let instance_type = catalogue::find(&self.instance_type)
            .map_err(|refusal| findings.push(finding(&refusal, "--instance-type")))
            .ok();
        let answers = instance_type.map_or_else(Vec::new, |instance_type| {
            models.iter().filter_map(|model| self.answer(model, instance_type, &mut findings)).collect()
        });
        match instance_type {
            Some(instance_type) if findings.is_empty() => self.show(streams, instance_type, &answers),
            _ => refuse(streams, &findings, self.json),
        }
    }

    /// The models asked for, in that order.
    fn models(&self, findings: &mut Vec<OptionFinding>) -> Vec<Cow<'static, Model>> {
        let mut models: Vec<Cow<'static, Model>> = if self.models.is_empty() {
            models::PUBLISHED.iter().map(Cow::Borrowed).collect()
        } else {
            let read = self
                .models
                .iter()
                .filter_map(|asked| model_option::read(asked).map_err(|finding| findings.push(finding)).ok());
            read.collect()
        };
        if matches!(self.kv_cache, KvCache::Fp8) {
            models.iter_mut().for_each(|model| model.to_mut().kv_dtype = KvDtype::Fp8);
        }
        models
    }

    fn answer<'a>(
        &'a self,
        model: &'a Model,
        instance_type: &'static InstanceType,
        findings: &mut Vec<OptionFinding>,
    ) -> Option<(Question<'a>, Estimate<'a>)> {
        let tensor_parallel = self.tensor_parallel(model, instance_type);
        let question =
            Question { model, instance_type, tensor_parallel, tokens: &self.tokens, block_tokens: self.block_tokens };
        match question.answer() {
            Ok(estimate) => Some((question, estimate)),
            Err(refusal) => {
                findings.push(self.refusal(model, &refusal));
                None
            }
        }
    }

    fn tensor_parallel(&self, model: &Model, instance_type: &InstanceType) -> TensorParallel {
        let both = |degree: u32| TensorParallel { prefill: degree, decode: degree };
        match (self.tp, self.prefill_tp, self.decode_tp) {
            (Some(degree), ..) => both(degree.get()),
            (None, Some(prefill), Some(decode)) => TensorParallel { prefill: prefill.get(), decode: decode.get() },
            _ => {
                let degrees = model.tensor_parallel_degrees();
                both(degrees.take_while(|degree| *degree <= instance_type.gpu.count).last().unwrap_or(1))
            }
        }
    }

    fn refusal(&self, model: &Model, refusal: &fit::Refusal) -> OptionFinding {
        let option = match (self.tp, self.prefill_tp) {
            (Some(_), _) => "--tp",
            (None, Some(_)) => "--prefill-tp, --decode-tp",
            (None, None) => "--model",
        };
        OptionFinding {
            code: refusal.code(),
            option,
            found: format!("{} with {}", model.name, refusal.found()),
            allowed: refusal.allowed(),
            action: refusal.action(),
        }
    }

    fn show(
        &self,
        streams: &mut Streams<'_>,
        instance_type: &InstanceType,
        answers: &[(Question<'_>, Estimate<'_>)],
    ) -> anyhow::Result<Exit> {
        let estimates: Vec<&Estimate<'_>> = answers.iter().map(|(_, estimate)| estimate).collect();
        if self.json {
            writeln!(streams.out, "{}", json(instance_type, self.block_tokens, &estimates)?)?;
            return Ok(Exit::Done);
        }
        write!(streams.out, "{}", text::report(instance_type, self.block_tokens, &estimates))?;
        if self.explain {
            for (question, estimate) in answers {
                write!(streams.out, "\n{}", explain::text(question, estimate))?;
            }
        }
        writeln!(streams.out, "\nNext: {}", next(instance_type, answers))?;
        Ok(Exit::Done)
    }
}

/// What a person would do after reading the tables.
fn next(instance_type: &InstanceType, answers: &[(Question<'_>, Estimate<'_>)]) -> String {
    let name = &instance_type.name;
    let [(question, estimate)] = answers else {
        return format!(
            "`prefab size --model MODEL --instance-type {name} --explain` shows one model with its formulas."
        );
    };
    let Some(misfit) = estimate.prompts.iter().find(|prompt| !prompt.memory_per_gpu.fits) else {
        return "`prefab init` writes a spec: put the model and its tensor parallelism under `workload`.".to_owned();
    };
    // The smallest type, by GPU memory, that holds what does not fit here; without RDMA read it is no place for KV caches.
    let holds = |candidate: &&InstanceType| {
        let degrees = question.model.tensor_parallel_degrees().take_while(|degree| *degree <= candidate.gpu.count);
        let fits = |degree| fit::check(question.model, candidate, degree, misfit.tokens).is_ok_and(|fit| fit.fits);
        degrees.last().is_some_and(fits)
    };
    let memory = |candidate: &&InstanceType| u64::from(candidate.gpu.count) * candidate.gpu.memory_mib_each;
    match catalogue::accepted().filter(|candidate| candidate.rdma_read).filter(holds).min_by_key(memory) {
        Some(larger) => format!(
            "`prefab size --model {} --instance-type {}`, the smallest type with RDMA that holds the prompt.",
            estimate.model, larger.name
        ),
        None => "no accepted type holds this prompt; shorter ones may fit.".to_owned(),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    instance_type: Type<'a>,
    assumptions: Assumptions,
    models: &'a [&'a Estimate<'a>],
}

#[derive(Serialize)]
struct Type<'a> {
    name: &'a str,
    gpu_name: &'a str,
    gpu_count: u32,
    gpu_memory_bytes: u64,
    efa_bytes_per_second: u64,
    gpudirect_rdma: bool,
}

#[derive(Serialize)]
struct Assumptions {
    block_tokens: u64,
    utilisation_percent: u64,
    paging_percent: u64,
    runtime_bytes: u64,
    descriptors_per_second_per_node: u64,
}

fn json(instance_type: &InstanceType, block_tokens: u64, models: &[&Estimate<'_>]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Document {
        schema_version: 1,
        instance_type: Type {
            name: &instance_type.name,
            gpu_name: &instance_type.gpu.name,
            gpu_count: instance_type.gpu.count,
            gpu_memory_bytes: instance_type.gpu.memory_bytes_each(),
            efa_bytes_per_second: instance_type.efa_bytes_per_second(),
            gpudirect_rdma: instance_type.gpudirect,
        },
        assumptions: Assumptions {
            block_tokens,
            utilisation_percent: fit::UTILISATION_PERCENT,
            paging_percent: fit::PAGING_PERCENT,
            runtime_bytes: fit::RUNTIME_BYTES,
            descriptors_per_second_per_node: DESCRIPTORS_PER_SECOND,
        },
        models,
    })
}

fn refuse(streams: &mut Streams<'_>, findings: &[OptionFinding], json: bool) -> anyhow::Result<Exit> {
    if json {
        let document = serde_json::json!({ "schema_version": 1, "findings": findings });
        writeln!(streams.out, "{}", serde_json::to_string_pretty(&document)?)?;
    } else {
        findings.iter().try_for_each(|finding| writeln!(streams.err, "{finding}"))?;
    }
    Ok(Exit::Failed)
}

#[cfg(test)]
mod tests;
