use proptest::prelude::*;

use super::*;
use crate::models::{self, KvDtype};

fn model(name: &str) -> &'static Model {
    models::find(name).unwrap()
}

fn class(bytes: u64, count: u64, regions: u64) -> DescriptorClass {
    DescriptorClass { bytes, count, regions }
}

#[test]
fn qwen_32b_takes_256_kib_a_token() {
    assert_eq!(model("Qwen2.5-32B-Instruct").bytes_per_token(1), Ok(262_144));
}

#[test]
fn a_hundred_thousand_tokens_of_qwen_32b_take_6553600000_bytes_a_gpu_at_4() {
    assert_eq!(model("Qwen2.5-32B-Instruct").rank_bytes(4, 100_000), Ok(6_553_600_000));
}

#[test]
fn bytes_per_token_follow_from_the_published_shapes() {
    for (name, bytes) in [
        ("Qwen2.5-7B-Instruct", 57_344),
        ("Qwen2.5-14B-Instruct", 196_608),
        ("Qwen2.5-72B-Instruct", 327_680),
        ("Llama-3.1-8B-Instruct", 131_072),
        ("Llama-3.1-70B-Instruct", 327_680),
        ("Qwen3-8B", 147_456),
        ("Qwen3-32B", 262_144),
        ("Qwen3-235B-A22B", 192_512),
        ("gpt-oss-20b", 49_152),
        ("gpt-oss-120b", 73_728),
        ("DeepSeek-R1", 70_272),
    ] {
        assert_eq!(model(name).bytes_per_token(1), Ok(bytes), "{name}");
    }
}

#[test]
fn a_rank_holds_its_share_of_the_heads_or_a_copy_of_one() {
    assert_eq!([2, 4, 8, 16].map(|ranks| heads_held(8, ranks)), [4, 2, 1, 1]);
    let llama = model("Llama-3.1-70B-Instruct");
    let per_token = [2, 4, 8, 16].map(|ranks| llama.bytes_per_token(ranks));
    assert_eq!(per_token, [Ok(163_840), Ok(81_920), Ok(40_960), Ok(40_960)]);
    // Four KV heads on eight ranks: each holds one, not half a head.
    let qwen = Model { kv_dtype: KvDtype::Fp8, ..model("Qwen3-235B-A22B").clone() };
    assert_eq!(qwen.bytes_per_token(8), Ok(94 * 256));
}

#[test]
fn a_latent_is_whole_on_every_rank_and_has_no_factor_2() {
    let deepseek = Model { kv_dtype: KvDtype::Fp8, ..model("DeepSeek-R1").clone() };
    for ranks in [1, 2, 8, 16] {
        assert_eq!(deepseek.bytes_per_token(ranks), Ok(61 * 576));
    }
}

#[test]
fn degrees_that_the_heads_do_not_allow_are_refused_with_those_that_they_do() {
    let error = model("Qwen2.5-32B-Instruct").check_tensor_parallel(3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "found tensor parallelism 3 for 8 KV heads; allowed is a degree that divides the KV heads or is a multiple of \
         them; use one of 1, 2, 4, 8, 40"
    );
    let error = model("Qwen2.5-7B-Instruct").check_tensor_parallel(8).unwrap_err();
    assert_eq!(error.found(), "tensor parallelism 8 for 28 attention heads");
    assert_eq!(error.action(), "use one of 1, 2, 4, 28");
    assert_eq!(model("DeepSeek-R1").check_tensor_parallel(3).unwrap_err().code(), "tensor-parallel-does-not-fit-heads");
    assert_eq!(model("DeepSeek-R1").check_tensor_parallel(0), Err(ShapeError::NoRanks));
}

#[test]
fn layouts_of_qwen_32b_fall_into_the_known_pieces() {
    let qwen = model("Qwen2.5-32B-Instruct");
    for (layout, tokens, pieces) in [
        (Layout::KvSplit, 4096, class(8_192, 32_768, 128)),
        (Layout::Layer, 4096, class(16_384, 16_384, 64)),
        (Layout::Block, 4096, class(1_048_576, 256, 1)),
        (Layout::KvSplit, 100_000, class(8_192, 800_000, 128)),
        (Layout::Layer, 100_000, class(16_384, 400_000, 64)),
        (Layout::Block, 100_000, class(1_048_576, 6_250, 1)),
    ] {
        assert_eq!(qwen.descriptor_classes(layout, 4, 16, tokens), Ok(vec![pieces]), "{layout} {tokens}");
    }
}

#[test]
fn a_latent_has_no_halves_to_split() {
    let deepseek = model("DeepSeek-R1");
    let whole = vec![class(18_432, 61 * 256, 61)];
    assert_eq!(deepseek.descriptor_classes(Layout::KvSplit, 8, 16, 4096), Ok(whole.clone()));
    assert_eq!(deepseek.descriptor_classes(Layout::Layer, 8, 16, 4096), Ok(whole));
}

#[test]
fn a_sliding_window_stops_growing() {
    let gpt_oss = model("gpt-oss-20b");
    // 12 full layers of 2 KiB a token and 12 that keep 128 tokens.
    assert_eq!(gpt_oss.rank_bytes(1, 128), Ok(128 * 24 * 2_048));
    assert_eq!(gpt_oss.rank_bytes(1, 100_000), Ok((100_000 + 128) * 12 * 2_048));
    let [full, windowed] = gpt_oss.descriptor_classes(Layout::Layer, 1, 16, 4096).unwrap()[..] else { panic!() };
    assert_eq!((full, windowed), (class(32_768, 256 * 12, 12), class(32_768, 8 * 12, 12)));
    // 129 tokens: the window begins inside the first block and ends inside the last.
    assert_eq!(gpt_oss.groups[1].blocks_kept(129, 16), Ok(9));
}

#[test]
fn the_last_block_moves_whole() {
    let qwen = model("Qwen2.5-32B-Instruct");
    assert_eq!(qwen.descriptor_classes(Layout::Block, 4, 16, 17), Ok(vec![class(1_048_576, 2, 1)]));
    assert_eq!(qwen.descriptor_classes(Layout::Block, 4, 16, 0), Ok(vec![class(1_048_576, 0, 1)]));
    assert_eq!(qwen.descriptor_classes(Layout::Block, 4, 0, 17), Err(ShapeError::EmptyBlock));
}

#[test]
fn prefill_4_to_decode_1_gathers_slices_of_heads_from_four_ranks() {
    let qwen = model("Qwen2.5-32B-Instruct");
    for layout in Layout::ALL {
        let transfer = qwen.rank_transfer(layout, TensorParallel { prefill: 4, decode: 1 }, 16, 4096).unwrap();
        assert_eq!(transfer, RankTransfer { sources: 4, classes: vec![class(8_192, 4 * 32_768, 128)] }, "{layout}");
        assert_eq!(transfer.payload_bytes(), qwen.rank_bytes(1, 4096));
    }
}

#[test]
fn prefill_2_to_decode_8_fetches_a_slice_from_one_rank() {
    let qwen = model("Qwen2.5-32B-Instruct");
    let transfer = qwen.rank_transfer(Layout::Block, TensorParallel { prefill: 2, decode: 8 }, 16, 4096).unwrap();
    assert_eq!(transfer, RankTransfer { sources: 1, classes: vec![class(4_096, 32_768, 128)] });
}

#[test]
fn copies_of_one_head_move_whole_between_unequal_degrees() {
    let qwen = model("Qwen3-235B-A22B");
    let transfer = qwen.rank_transfer(Layout::Block, TensorParallel { prefill: 4, decode: 8 }, 16, 16).unwrap();
    assert_eq!(transfer, RankTransfer { sources: 1, classes: vec![class(94 * 8_192, 1, 1)] });
}

#[test]
fn degrees_that_do_not_divide_each_other_are_refused() {
    let heads =
        LayerGroup { layers: 1, attention: Attention::Heads { kv_heads: 12, head_dim: 128 }, window_tokens: None };
    let odd = Model { attention_heads: 24, groups: vec![heads].into(), ..model("Qwen3-8B").clone() };
    let error = odd.rank_transfer(Layout::Layer, TensorParallel { prefill: 4, decode: 6 }, 16, 64).unwrap_err();
    assert_eq!(error, ShapeError::SlicesDoNotMeet { prefill: 4, decode: 6 });
    let qwen = model("Qwen2.5-32B-Instruct");
    assert!(qwen.rank_transfer(Layout::Layer, TensorParallel { prefill: 4, decode: 3 }, 16, 64).is_err());
}

#[test]
fn layouts_have_one_name_everywhere() {
    for layout in Layout::ALL {
        assert_eq!(layout.name().parse(), Ok(layout));
        assert_eq!(serde_json::to_string(&layout).unwrap(), format!("\"{layout}\""));
    }
    let unknown = "KV-split".parse::<Layout>().unwrap_err();
    assert_eq!(unknown.to_string(), "found layout `KV-split`; allowed is kv-split, layer, block");
}

#[test]
fn only_the_whole_blocks_that_the_decode_side_lacks_move() {
    let same = TensorParallel { prefill: 4, decode: 4 };
    let count = |name: &str, tokens, hit| {
        let transfer = model(name).rank_transfer_after_hit(Layout::Block, same, 16, tokens, hit)?;
        Ok::<Vec<u64>, ShapeError>(transfer.classes.iter().map(|class| class.count).collect())
    };
    for (hit, blocks) in [(0, 256), (15, 256), (16, 255), (2048, 128), (4095, 1)] {
        assert_eq!(count("Qwen2.5-32B-Instruct", 4096, hit).unwrap(), [blocks], "{hit}");
    }
    // A window of 128 tokens keeps the same blocks until the hit reaches into it.
    let windowed = |hit| count("gpt-oss-20b", 4096, hit).unwrap().into_iter().min().unwrap();
    assert_eq!((windowed(0), windowed(3968), windowed(4032)), (8, 8, 4));
    for hit in [4096, 5000] {
        let refused = count("Qwen2.5-32B-Instruct", 4096, hit).unwrap_err();
        assert_eq!(refused.code(), "nothing-to-move");
    }
}

fn any_attention() -> impl Strategy<Value = Attention> {
    prop_oneof![
        (any::<u32>(), any::<u32>()).prop_map(|(kv_heads, head_dim)| Attention::Heads { kv_heads, head_dim }),
        (1..64_u32, 1..512_u32).prop_map(|(kv_heads, head_dim)| Attention::Heads { kv_heads, head_dim }),
        (any::<u32>(), any::<u32>()).prop_map(|(latent_dim, rope_dim)| Attention::Latent { latent_dim, rope_dim }),
    ]
}

fn any_group() -> impl Strategy<Value = LayerGroup> {
    (any::<u32>(), any_attention(), any::<Option<u32>>()).prop_map(|(layers, attention, window_tokens)| LayerGroup {
        layers,
        attention,
        window_tokens,
    })
}

proptest! {
    #[test]
    fn no_shape_panics(
        groups in prop::collection::vec(any_group(), 0..4), attention_heads in 0..300_u32, prefill in 0..70_u32,
        decode in any::<u32>(), block_tokens: u64, tokens: u64, hit_tokens: u64,
        layout in prop::sample::select(&Layout::ALL[..]),
    ) {
        let model = Model { attention_heads, groups: groups.into(), ..model("Qwen3-8B").clone() };
        let _ = model.rank_bytes(prefill, tokens);
        let _ = model.check_tensor_parallel(decode);
        for decode in [decode, decode % 70, prefill] {
            let degrees = TensorParallel { prefill, decode };
            if let Ok(transfer) = model.rank_transfer_after_hit(layout, degrees, block_tokens, tokens, hit_tokens) {
                let _ = (transfer.payload_bytes(), transfer.descriptors());
            }
        }
    }

    #[test]
    fn pieces_hold_the_cache_and_less_than_two_blocks_more_in_every_layout(
        index in 0..models::PUBLISHED.len(), degree in 0..16_usize, block_tokens in 1..300_u64, tokens in 0..300_000_u64,
    ) {
        let model = &models::PUBLISHED[index];
        let degrees: Vec<u32> = model.tensor_parallel_degrees().collect();
        let degree = degrees[degree % degrees.len()];
        let cache = model.rank_bytes(degree, tokens).unwrap();
        let slack = 2 * block_tokens * model.bytes_per_token(degree).unwrap();
        for layout in Layout::ALL {
            let same = TensorParallel { prefill: degree, decode: degree };
            let payload = model.rank_transfer(layout, same, block_tokens, tokens).unwrap().payload_bytes().unwrap();
            prop_assert!(cache <= payload && payload < cache + slack, "{cache} {payload} {slack}");
        }
    }
}
