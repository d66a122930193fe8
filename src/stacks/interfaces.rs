//! Which interface goes on which card and device of an instance.
//!
//! Rule and table: EC2 user guide, "Maximize network bandwidth on accelerated instance types"; the older layout is that
//! of the EFA and NIXL start guides, where every EFA interface has an address.

use crate::instance_types::Cards;
use crate::resources::ec2::InterfaceType;
use crate::spec::cluster::EfaMode;
use crate::spec::network::Access;

/// One interface of a launch template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// The network card.
    pub card: u8,
    /// The device on the card.
    pub device: u8,
    /// What it carries.
    pub kind: InterfaceType,
}

impl Interface {
    const fn at(card: u8, device: u8, kind: InterfaceType) -> Self {
        Self { card, device, kind }
    }

    /// Whether it has an IP address: efa-only interfaces have none.
    pub fn has_address(self) -> bool {
        self.kind != InterfaceType::EfaOnly
    }

    /// Whether it is an EFA device.
    pub fn carries_efa(self) -> bool {
        self.kind != InterfaceType::Interface
    }
}

/// The interfaces of one instance, the primary one first.
///
/// EC2 gives a public address only to a single interface, so a public node has one that carries both IP and EFA.
pub fn layout(cards: &Cards, mode: EfaMode, access: Access) -> Vec<Interface> {
    let single = access == Access::Public || cards.max_interfaces_per_card < 2;
    let efa_cards = cards.efa_card_indexes.iter().copied().take(usize::from(cards.max_efa_interfaces));
    let beyond = efa_cards.filter(|card| *card != 0);
    match (mode, cards.card0_efa) {
        // A card that carries no EFA still holds the primary interface (p6-b300).
        (mode, false) => {
            let device = |kind| u8::from(kind == InterfaceType::Efa);
            let kind = if mode == EfaMode::Efa { InterfaceType::Efa } else { InterfaceType::EfaOnly };
            let rest = beyond.map(|card| Interface::at(card, device(kind), kind));
            [Interface::at(0, 0, InterfaceType::Interface)].into_iter().chain(rest).collect()
        }
        (EfaMode::Efa, true) => {
            let rest = beyond.map(|card| Interface::at(card, 1, InterfaceType::Efa));
            [Interface::at(0, 0, InterfaceType::Efa)].into_iter().chain(rest).collect()
        }
        (EfaMode::Recommended, true) if single => {
            let rest = beyond.map(|card| Interface::at(card, 0, InterfaceType::EfaOnly));
            [Interface::at(0, 0, InterfaceType::Efa)].into_iter().chain(rest).collect()
        }
        (EfaMode::Recommended, true) => {
            let first = [Interface::at(0, 0, InterfaceType::Interface), Interface::at(0, 1, InterfaceType::EfaOnly)];
            first.into_iter().chain(beyond.map(|card| Interface::at(card, 0, InterfaceType::EfaOnly))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance_types;

    /// `0/0:interface;0/1:efa-only;1-3/0:efa-only`, as the catalogue writes a layout.
    fn written(interfaces: &[Interface]) -> String {
        let mut groups: Vec<(u8, u8, u8, InterfaceType)> = Vec::new();
        for of in interfaces {
            match groups.last_mut() {
                Some((_, last, device, kind))
                    if *kind == of.kind && *device == of.device && *last != 0 && *last + 1 == of.card =>
                {
                    *last = of.card
                }
                _ => groups.push((of.card, of.card, of.device, of.kind)),
            }
        }
        let kind = |kind| match kind {
            InterfaceType::Interface => "interface",
            InterfaceType::Efa => "efa",
            InterfaceType::EfaOnly => "efa-only",
        };
        let group = |(first, last, device, of): &(u8, u8, u8, InterfaceType)| {
            let cards = if first == last { format!("{first}") } else { format!("{first}-{last}") };
            format!("{cards}/{device}:{}", kind(*of))
        };
        groups.iter().map(group).collect::<Vec<_>>().join(";")
    }

    #[test]
    fn every_row_with_card_data_gets_the_layout_that_its_source_documents() {
        let mut rows = 0;
        for name in instance_types::names() {
            let Some(cards) = instance_types::cards(name) else { continue };
            rows += 1;
            let interfaces = layout(&cards, EfaMode::Recommended, Access::Private);
            assert_eq!(written(&interfaces), cards.expected_layout, "{name}");
        }
        assert!(rows >= 40, "only {rows} rows have card data");
    }

    #[test]
    fn every_layout_of_every_row_is_one_that_ec2_takes() {
        for name in instance_types::names() {
            let Some(cards) = instance_types::cards(name) else { continue };
            for mode in [EfaMode::Recommended, EfaMode::Efa] {
                let interfaces = layout(&cards, mode, Access::Private);
                assert_eq!(
                    (interfaces[0].card, interfaces[0].device),
                    (0, 0),
                    "{name}: the primary interface comes first"
                );
                assert!(interfaces[0].has_address(), "{name}: the primary interface has an address");
                for card in 0..cards.count {
                    let on_card: Vec<_> = interfaces.iter().filter(|of| of.card == card).collect();
                    assert!(on_card.len() <= usize::from(cards.max_interfaces_per_card), "{name} card {card}");
                    assert!(
                        on_card.iter().filter(|of| of.carries_efa()).count() <= 1,
                        "{name} card {card}: one EFA a card"
                    );
                    let efa_card = cards.efa_card_indexes.contains(&card);
                    assert!(
                        efa_card || on_card.iter().all(|of| !of.carries_efa()),
                        "{name} card {card} carries no EFA"
                    );
                    let mut devices: Vec<_> = on_card.iter().map(|of| of.device).collect();
                    devices.dedup();
                    assert_eq!(devices.len(), on_card.len(), "{name} card {card}: each device once");
                    assert!(on_card.iter().all(|of| of.device <= 1), "{name} card {card}: device 0 or 1");
                }
                let efa = interfaces.iter().filter(|of| of.carries_efa()).count();
                assert_eq!(efa, usize::from(cards.max_efa_interfaces), "{name}: every EFA interface is used");
            }
        }
    }

    #[test]
    fn the_older_layout_of_p5_has_device_0_on_card_0_and_device_1_elsewhere() {
        let cards = instance_types::cards("p5.48xlarge").unwrap();
        let interfaces = layout(&cards, EfaMode::Efa, Access::Private);
        assert_eq!(interfaces.len(), 32);
        assert_eq!(written(&interfaces), "0/0:efa;1-31/1:efa");
    }

    #[test]
    fn a_public_node_of_one_card_has_one_interface() {
        let cards = instance_types::cards("g6e.12xlarge").unwrap();
        assert_eq!(written(&layout(&cards, EfaMode::Recommended, Access::Public)), "0/0:efa");
    }
}
