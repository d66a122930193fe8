use prefab_contract::models;

use super::*;
use crate::instance_types;

fn fit(model: &str, instance_type: &str, tensor_parallel: u32, tokens: u64) -> Fit<'static> {
    let model = models::find(model).unwrap();
    check(model, instance_types::find(instance_type).unwrap(), tensor_parallel, tokens).unwrap()
}

#[test]
fn weights_of_32b_take_16_gb_a_gpu_at_4_not_8() {
    let fit = fit("Qwen2.5-32B-Instruct", "g6e.12xlarge", 4, 100_000);
    assert_eq!(fit.weights_bytes, 16_381_938_176);
    assert_eq!((fit.kv_bytes, fit.kv_paged_bytes), (6_553_600_000, 6_815_744_000));
}

#[test]
fn a_hundred_thousand_tokens_of_32b_fit_l40s_and_not_a10g() {
    let l40s = fit("Qwen2.5-32B-Instruct", "g6e.12xlarge", 4, 100_000);
    assert!(l40s.fits && l40s.misfit().is_none());
    assert_eq!(l40s.positions, Positions::NeedsRopeScaling);
    assert_eq!((l40s.memory_tokens, l40s.longest_prompt_tokens), (361_959, 131_072));
    let a10g = fit("Qwen2.5-32B-Instruct", "g5.12xlarge", 4, 100_000);
    assert_eq!(a10g.misfit(), Some(Misfit::KvCache));
    assert_eq!(a10g.longest_prompt_tokens, 45_048);
    assert_eq!(
        (a10g.found().as_str(), a10g.allowed().as_str(), a10g.action().as_str()),
        (
            "Qwen2.5-32B-Instruct with 100,000 tokens at tensor parallelism 4 needs 25.35 GB of the 21.60 GB usable on \
             each A10G",
            "prompts of up to 45,048 tokens",
            "use shorter prompts, or a type with more GPU memory",
        )
    );
    assert_eq!(a10g.gpus_needed, Some(8));
}

#[test]
fn the_longest_prompt_fits_and_one_token_more_does_not() {
    for instance_type in instance_types::accepted() {
        for model in models::PUBLISHED {
            let degrees = model.tensor_parallel_degrees().filter(|degree| *degree <= instance_type.gpu.count);
            let degree = degrees.last().unwrap();
            let longest = check(model, instance_type, degree, 1).unwrap().memory_tokens;
            let fits = |tokens| check(model, instance_type, degree, tokens).unwrap().fits;
            assert!(longest == 0 || fits(longest), "{} {}", model.name, instance_type.name);
            assert!(!fits(longest + 1), "{} {}", model.name, instance_type.name);
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_named_with_the_gpus_that_hold_them() {
    let fit = fit("Llama-3.1-70B-Instruct", "g6e.12xlarge", 2, 4096);
    assert_eq!(fit.misfit(), Some(Misfit::Weights));
    assert_eq!(fit.allowed(), "no prompt: the weights take 70.55 GB a GPU before the KV cache");
    assert_eq!((fit.gpus_needed, fit.action().as_str()), (Some(4), "use tensor parallelism 4"));
}

#[test]
fn gpt_oss_120b_and_deepseek_fit_where_they_are_known_to_run() {
    assert!(fit("gpt-oss-120b", "p5.4xlarge", 1, 4096).fits);
    assert!(fit("DeepSeek-R1", "p5e.48xlarge", 8, 100_000).fits);
    assert!(!fit("DeepSeek-R1", "p5.48xlarge", 8, 1).fits);
}

#[test]
fn a_length_that_the_model_is_not_made_for_is_told_apart_from_memory() {
    let fit = fit("Qwen3-8B", "p5.48xlarge", 8, 200_000);
    assert!(fit.fits);
    assert_eq!(fit.positions, Positions::BeyondModel);
}

#[test]
fn more_ranks_than_gpus_and_impossible_shapes_are_refused() {
    let model = models::find("Qwen2.5-32B-Instruct").unwrap();
    let instance_type = instance_types::find("g6e.12xlarge").unwrap();
    let refusal = check(model, instance_type, 8, 4096).unwrap_err();
    assert_eq!(refusal.code(), "tensor-parallel-beyond-gpus");
    assert_eq!(refusal.found(), "tensor parallelism 8 on g6e.12xlarge, which has 4 GPUs");
    assert_eq!(check(model, instance_type, 3, 1).unwrap_err().code(), "tensor-parallel-does-not-fit-heads");
    assert_eq!(check(model, instance_type, 0, 1).unwrap_err().code(), "tensor-parallel-does-not-fit-heads");
    assert_eq!(check(model, instance_type, 1, u64::MAX).unwrap_err().code(), "kv-cache-too-large");
}
