//! Shapes, tables, runs and shares.

use std::collections::BTreeMap;

use super::*;
use crate::engine::Cut;

const QWEN_32B_TP4_4K: (u64, u64, u64) = (8192, 128, 256);

fn one(shape: &Shape, scatter: Scatter, flow: u64) -> Table {
    tables(shape, scatter, flow, 1).remove(0)
}

fn all(shape: &Shape, scatter: Scatter, flow: u64) -> Vec<Descriptor> {
    one(shape, scatter, flow).descriptors(shape).collect()
}

fn scatter(fragmentation_ppm: u32) -> Scatter {
    Scatter { fragmentation_ppm, seed: 7 }
}

#[test]
fn the_headline_shape_has_the_published_numbers() {
    let shape = Shape::with_working_set([QWEN_32B_TP4_4K], 1 << 30).unwrap();
    assert_eq!((shape.payload_bytes(), shape.descriptors()), (268_435_456, 32_768));
    assert_eq!((shape.pool_bytes(), shape.main_descriptor_bytes()), (1 << 30, 8192));
}

#[test]
fn every_block_is_distinct_and_inside_its_pool_at_both_ends() {
    let shape = Shape::with_working_set([(64, 3, 50), (128, 2, 20)], 40_000).unwrap().with_room_for(3).unwrap();
    for ppm in [0, 1, 250_000, 1_000_000] {
        for requests in 1..=3 {
            for flow in 0..20 {
                let tables = tables(&shape, scatter(ppm), flow, requests);
                let all: Vec<_> = tables.iter().flat_map(|table| table.descriptors(&shape)).collect();
                assert_eq!(all.len() as u64, shape.descriptors() * u64::from(requests));
                for offset in [|d: &Descriptor| d.source_offset, |d: &Descriptor| d.destination_offset] {
                    let mut spans: Vec<_> = all.iter().map(|d| (offset(d), offset(d) + d.bytes)).collect();
                    spans.sort_unstable();
                    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "overlap at {ppm} ppm");
                    assert!(spans.last().unwrap().1 <= shape.pool_bytes());
                }
            }
        }
    }
}

#[test]
fn runs_cover_the_descriptors_exactly_and_stay_in_their_region() {
    let shape = Shape::with_working_set([(64, 5, 40)], 64 * 5 * 160).unwrap();
    for ppm in [0, 100_000, 500_000, 1_000_000] {
        let table = one(&shape, scatter(ppm), 3);
        let runs = table.runs(&shape);
        assert_eq!(bytes_by_place(&runs), all(&shape, scatter(ppm), 3).iter().flat_map(words).collect());
        let region_bytes = 64 * 160;
        for run in &runs {
            assert_eq!(run.source_offset / region_bytes, (run.source_offset + run.bytes - 1) / region_bytes);
        }
    }
}

/// Each word of a descriptor, at both ends.
fn words(descriptor: &Descriptor) -> Vec<(u64, u64)> {
    let Descriptor { source_offset, destination_offset, bytes, .. } = *descriptor;
    (0..bytes / 8).map(|word| (destination_offset + 8 * word, source_offset + 8 * word)).collect()
}

/// Where each word of a list of runs goes; a word that is moved twice is a mistake.
fn bytes_by_place(runs: &[Run]) -> BTreeMap<u64, u64> {
    let mut words = BTreeMap::new();
    for run in runs {
        for word in 0..run.bytes / 8 {
            let moved = words.insert(run.destination_offset + 8 * word, run.source_offset + 8 * word);
            assert_eq!(moved, None);
        }
    }
    words
}

#[test]
fn parts_of_both_cuts_and_shares_of_streams_are_the_whole_request() {
    let shape = Shape::with_working_set([(64, 5, 40), (4096, 1, 7)], 0).unwrap();
    let table = one(&shape, scatter(200_000), 0);
    let whole = bytes_by_place(&table.runs(&shape));
    for parts in [1, 2, 3, 5, 64] {
        for cut in [Cut::Layers, Cut::Tokens] {
            let cuts: Vec<Run> = (0..parts).flat_map(|part| table.part(&shape, cut, part, parts)).collect();
            assert_eq!(bytes_by_place(&cuts), whole, "{cut:?} {parts}");
        }
        let runs = table.runs(&shape);
        let shares: Vec<Vec<Run>> = (0..parts).map(|number| share(&runs, number, parts)).collect();
        assert_eq!(bytes_by_place(&shares.concat()), whole, "{parts}");
        let bytes = |runs: &[Run]| runs.iter().map(|run| run.bytes).sum::<u64>();
        let even = shape.payload_bytes() / u64::from(parts);
        assert!(shares.iter().all(|share| bytes(share).abs_diff(even) <= 4096), "{parts}");
    }
}

#[test]
fn a_layer_leaves_when_it_is_made_and_all_layers_of_one_block_at_the_end() {
    let layers = Shape::with_working_set([(64, 4, 2)], 0).unwrap();
    let table = one(&layers, scatter(0), 0);
    let bytes = |shape: &Shape, cut, parts| -> Vec<u64> {
        let of = |part| one(shape, scatter(0), 0).part(shape, cut, part, parts).iter().map(|run| run.bytes).sum();
        (0..parts).map(of).collect()
    };
    assert_eq!(bytes(&layers, Cut::Layers, 4), [128, 128, 128, 128]);
    assert_eq!(bytes(&layers, Cut::Layers, 8), [0, 128, 0, 128, 0, 128, 0, 128]);
    assert_eq!(bytes(&layers, Cut::Tokens, 2), [256, 256]);
    assert_eq!(table.part(&layers, Cut::Layers, 1, 4)[0].source_offset / (64 * 2), 1);
    let block = Shape::with_working_set([(512, 1, 2)], 0).unwrap();
    assert_eq!(bytes(&block, Cut::Layers, 4), [0, 0, 0, 1024]);
}

#[test]
fn other_sources_change_every_block_and_no_destination_or_run() {
    let shape = Shape::with_working_set([(64, 2, 9)], 0).unwrap().with_room_for(2).unwrap();
    let tables = tables(&shape, scatter(300_000), 1, 2);
    let other = tables[0].with_sources_of(&tables[1]);
    assert_eq!(other.runs(&shape).len(), tables[0].runs(&shape).len());
    for (own, other) in tables[0].descriptors(&shape).zip(other.descriptors(&shape)) {
        assert_eq!(own.destination_offset, other.destination_offset);
        assert_ne!(own.source_block, other.source_block);
    }
}

#[test]
fn fragmentation_sets_the_mean_run_length() {
    let shape = Shape::with_working_set([(8, 1, 100_000)], 8 * 400_000).unwrap();
    let runs = |ppm| one(&shape, scatter(ppm), 0).runs(&shape).len();
    assert_eq!(runs(0), 1);
    assert!((24_000..26_000).contains(&runs(250_000)), "{}", runs(250_000));
    assert!(runs(1_000_000) > 99_900, "{}", runs(1_000_000));
}

#[test]
fn a_full_pool_without_gaps_still_has_one_run_a_region_at_most_merged_within_it() {
    let shape = Shape::with_working_set([(8, 4, 16)], 0).unwrap();
    let runs = one(&shape, scatter(0), 0).runs(&shape);
    assert_eq!(runs.len(), 4, "regions that touch are registered apart");
}

#[test]
fn flows_and_seeds_differ_and_equal_ones_agree() {
    let shape = Shape::with_working_set([(8, 1, 100)], 8 * 400).unwrap();
    let table = |seed, flow| all(&shape, Scatter { fragmentation_ppm: 1_000_000, seed }, flow);
    assert_eq!(table(1, 1), table(1, 1));
    assert_ne!(table(1, 1), table(1, 2));
    assert_ne!(table(1, 1), table(2, 1));
}

#[test]
fn room_is_counted_by_class_and_grows_only_as_needed() {
    let shape = Shape::with_working_set([(8, 1, 100), (64, 2, 10)], 8 * 400).unwrap();
    assert!(shape.has_room_for(1) && !shape.has_room_for(3));
    let larger = shape.clone().with_room_for(3).unwrap();
    assert!(larger.has_room_for(3) && !larger.has_room_for(4));
    assert_eq!(larger.clone().with_room_for(2).unwrap(), larger);
    assert!(Shape::with_working_set([(1 << 30, 1, 1 << 10)], 0).unwrap().with_room_for(17).is_err());
}

#[test]
fn impossible_shapes_are_refused_with_the_reason() {
    for wrong in [(0, 1, 1), (12, 1, 1), (8, 0, 1), (8, 1, 0), (8, 1, u64::MAX), (1 << 40, 1 << 10, 1)] {
        assert!(Shape::with_working_set([wrong], 0).is_err(), "{wrong:?}");
    }
    assert!(Shape { classes: Vec::new() }.validate().is_err());
}
