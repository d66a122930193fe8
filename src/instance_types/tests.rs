use super::*;

fn refusal(name: &str) -> Refusal {
    find(name).expect_err(name)
}

#[test]
fn the_type_of_the_reference_article_has_its_facts() {
    let found = find("g6e.12xlarge").unwrap();
    assert_eq!((found.vcpus, found.memory_mib), (48, 393_216));
    assert_eq!(found.gpu, Gpu { name: "L40S".to_owned(), count: 4, memory_mib_each: 45_776 });
    assert_eq!((found.network_gbps, found.efa_gbps, found.efa_bytes_per_second()), (100, 100, 12_500_000_000));
    assert_eq!((found.rdma_read, found.rdma_write, found.gpudirect, found.capacity_block), (true, true, false, false));
    assert_eq!(found.quota_code_on_demand, "L-DB2E81BA");
    assert_eq!(found.recommended_volume_gib(), 300);
    assert!(!found.efa_speaks_only_to_itself());
}

#[test]
fn card_0_of_p6_b300_carries_no_efa() {
    let cards = &find("p6-b300.48xlarge").unwrap().cards;
    assert_eq!((cards.count, cards.card0_efa, cards.max_efa_interfaces), (17, false, 16));
    assert_eq!(cards.efa_card_indexes, (1..=16).collect::<Vec<u8>>());
    assert_eq!(cards.expected_layout, "0/0:interface;1-16/0:efa-only");
}

#[test]
fn accepted_are_all_nvidia_x86_types_with_complete_rows_small_sizes_first() {
    let names: Vec<&str> = accepted().map(|known| known.name.as_str()).collect();
    assert_eq!(names.len(), 33, "{names:?}");
    assert!(names.windows(2).all(|pair| by_size(pair[0]) <= by_size(pair[1])), "{names:?}");
    assert_eq!(names.len() + refused().count(), 48);
}

#[test]
fn every_accepted_type_is_consistent() {
    for known in accepted() {
        let cards = &known.cards;
        assert_eq!(cards.card0_efa, cards.efa_card_indexes.contains(&0), "{}", known.name);
        assert_eq!(cards.efa_card_indexes.len(), usize::from(cards.max_efa_interfaces), "{}", known.name);
        assert!(cards.efa_card_indexes.iter().all(|card| *card < cards.count), "{}", known.name);
        assert!(known.efa_gbps <= known.network_gbps && known.gpu.count > 0, "{}", known.name);
        assert!(known.recommended_volume_gib() >= 200 && known.recommended_volume_gib() % 100 == 0, "{}", known.name);
    }
}

#[test]
fn cards_are_known_for_every_row_but_the_two_whose_limits_nobody_published() {
    let without: Vec<&str> = names().filter(|name| cards(name).is_none()).collect();
    assert_eq!(without, ["dl1.24xlarge", "p6e-gb200.36xlarge"]);
    assert_eq!(cards("trn1.32xlarge").unwrap().max_efa_interfaces, 8);
}

#[test]
fn p4d_speaks_efa_only_to_itself() {
    let alone: Vec<&str> =
        accepted().filter(|known| known.efa_speaks_only_to_itself()).map(|known| known.name.as_str()).collect();
    assert_eq!(alone, ["p4d.24xlarge", "p4de.24xlarge"]);
}

#[test]
fn a_size_without_efa_names_the_sizes_that_have_it() {
    let refusal = refusal("g6e.4xlarge");
    assert_eq!(refusal.code(), "instance-type-without-efa");
    assert_eq!(
        refusal.to_string(),
        "found `g6e.4xlarge`, which has no EFA; allowed is a size of g6e with EFA: g6e.8xlarge, g6e.12xlarge, \
         g6e.16xlarge, g6e.24xlarge, g6e.48xlarge; use `g6e.8xlarge` or a larger size"
    );
}

#[test]
fn a_family_without_efa_suggests_no_similar_name() {
    for name in ["g5g.8xlarge", "p3.16xlarge", "g4ad.8xlarge"] {
        assert!(matches!(&refusal(name).reason, Reason::NoEfa { sizes_with_efa, .. } if sizes_with_efa.is_empty()));
    }
}

#[test]
fn a_typing_error_is_unknown_with_the_nearest_accepted_type() {
    let typing_errors = [
        ("g6e12xlarge", "g6e.12xlarge"),
        ("g6e.12xlarg", "g6e.12xlarge"),
        ("G6E.12xlarge", "g6e.12xlarge"),
        ("p4.24xlarge", "p4d.24xlarge"),
        ("p6b200.48xlarge", "p6-b200.48xlarge"),
        (" p5.48xlarge", "p5.48xlarge"),
    ];
    for (name, meant) in typing_errors {
        assert_eq!(refusal(name).reason, Reason::Unknown { nearest: Some(meant.to_owned()) }, "{name}");
    }
    assert_eq!(refusal("g6e12xlarge").action(), "did you mean `g6e.12xlarge`?");
}

#[test]
fn other_types_are_unknown_without_a_suggestion() {
    let long = "x".repeat(100_000);
    for name in ["t3.micro", "m5.8xlarge", "c5n.18xlarge", "", ".", "g", "日本.語", long.as_str()] {
        assert_eq!(refusal(name).reason, Reason::Unknown { nearest: None }, "{name}");
    }
}

#[test]
fn the_most_fundamental_reason_is_given() {
    for (name, code, found) in [
        ("p6e-gb200.36xlarge", "arm64-instance-type", "an arm64 processor"),
        ("p6e-gb200.48xlarge", "arm64-instance-type", "an arm64 processor"),
        ("trn2.48xlarge", "not-an-nvidia-gpu", "which has AWS Trainium2 accelerators"),
        ("trn1.2xlarge", "not-an-nvidia-gpu", "which has AWS Trainium accelerators"),
        ("f2.48xlarge", "not-an-nvidia-gpu", "which has Xilinx Virtex UltraScale+ (VU47P) accelerators"),
        ("dl1.24xlarge", "not-an-nvidia-gpu", "which has other accelerators"),
        ("dl2q.24xlarge", "not-an-nvidia-gpu", "which has Qualcomm AI100 accelerators"),
        ("g7.48xlarge", "incomplete-instance-type", "lacks gpudirect_rdma"),
        ("g7.4xlarge", "instance-type-without-efa", "which has no EFA"),
    ] {
        let refusal = refusal(name);
        assert_eq!(refusal.code(), code, "{refusal}");
        assert!(refusal.found().contains(found), "{refusal}");
    }
    assert!(refusal("g7.4xlarge").action().starts_with("choose another family"));
}
