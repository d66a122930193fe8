//! The `network`, `ports` and `expose` sections: where interfaces live, and what is open.

use std::net::Ipv4Addr;

use super::checked::Place;
use super::shape::{Field, Presence, Shape, Text};
use crate::finding::Findings;

/// Where the nodes' interfaces live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The VPC.
    pub vpc: Choice,
    /// The one subnet of all nodes.
    pub subnet: Choice,
    /// Whether nodes have a public address.
    pub access: Access,
}

/// A VPC or subnet: the account's default, resolved at apply, or one by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The account's default in the region or zone.
    Default,
    /// By id.
    Id(String),
}

/// Whether nodes have a public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Private addresses only: the subnet needs a NAT gateway or endpoints.
    Private,
    /// An automatic public address, which EC2 gives to nodes of a single interface only.
    Public,
}

/// Ports of the serving processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// vLLM on prefill nodes.
    pub vllm: u16,
    /// The proxy that routes requests.
    pub proxy: u16,
    /// vLLM on decode nodes.
    pub decode: u16,
    /// NIXL's side channel.
    pub side_channel: u16,
}

/// A port opened to a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The port's name in `ports`.
    pub port_name: String,
    /// The port.
    pub port: u16,
    /// IPv4 range, such as `10.0.0.0/16`.
    pub cidr: String,
}

pub(super) const NETWORK: &[Field] = &[
    Field {
        name: "vpc",
        presence: Presence::Default("default"),
        shape: Shape::Text(Text {
            pattern: "^(default|vpc-[0-9a-f]{8,17})$", allowed: "`default` or an id, `vpc-…`"
        }),
        doc: "the VPC",
    },
    Field {
        name: "subnet",
        presence: Presence::Default("default"),
        shape: Shape::Text(Text {
            pattern: "^(default|subnet-[0-9a-f]{8,17})$",
            allowed: "`default` or an id, `subnet-…`",
        }),
        doc: "the one subnet of all nodes, in the availability zone",
    },
    Field {
        name: "public",
        presence: Presence::Default("false"),
        shape: Shape::SwitchOr(&["eip"]),
        doc: "whether nodes get a public address; only single-interface types can",
    },
];

const fn port(name: &'static str, default: &'static str, doc: &'static str) -> Field {
    Field { name, presence: Presence::Default(default), shape: Shape::Whole { min: 1024, max: 65535 }, doc }
}

pub(super) const PORTS: &[Field] = &[
    port("vllm", "8100", "vLLM on prefill nodes"),
    port("proxy", "8000", "the proxy that routes requests"),
    port("decode", "8200", "vLLM on decode nodes"),
    port("side_channel", "5600", "NIXL's side channel (VLLM_NIXL_SIDE_CHANNEL_PORT)"),
];

pub(super) const EXPOSURE: &[Field] = &[
    Field {
        name: "port",
        presence: Presence::Required,
        shape: Shape::Choice(&["vllm", "proxy", "decode"]),
        doc: "a port of `ports` by name",
    },
    Field {
        name: "cidr",
        presence: Presence::Required,
        shape: Shape::Text(Text {
            pattern: "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$",
            allowed: "an IPv4 range, such as `10.0.0.0/16`",
        }),
        doc: "who may reach it",
    },
];

impl Network {
    pub(super) fn of(place: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let (vpc, subnet, public) = (place.field("vpc"), place.field("subnet"), place.field("public"));
        if public.text() == Some("eip") {
            findings.push(public.error(
                "not-yet-available",
                "`eip`".to_owned(),
                "`true` or `false`",
                "use a private subnet with a NAT gateway or endpoints: elastic addresses come with `apply`, which must check their quota",
            ));
        }
        let (vpc_choice, subnet_choice) = (choice(vpc.text()?), choice(subnet.text()?));
        if vpc_choice != Choice::Default && subnet_choice == Choice::Default {
            let found = format!("`default` inside `{}`", vpc.text()?);
            findings.push(subnet.error(
                "default-subnet-of-a-named-vpc",
                found,
                "a subnet id of that VPC",
                "name the subnet: only the default VPC has default subnets",
            ));
        }
        let access = if public.switch()? { Access::Public } else { Access::Private };
        if access == Access::Private && subnet_choice == Choice::Default && vpc_choice == Choice::Default {
            findings.push(place.warning(
                "default-subnet-without-public-address",
                "`public: false` in a default subnet".to_owned(),
                "a subnet whose routes lead to a NAT gateway or to endpoints",
                "name a private subnet: default subnets route to an internet gateway, which serves public addresses only, so nodes would reach neither S3 nor CloudFormation",
            ));
        }
        Some(Self { vpc: vpc_choice, subnet: subnet_choice, access })
    }
}

fn choice(text: &str) -> Choice {
    if text == "default" { Choice::Default } else { Choice::Id(text.to_owned()) }
}

impl Ports {
    pub(super) fn of(place: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let names = PORTS.iter().map(|field| field.name);
        let given: Vec<(&str, u16)> =
            names.filter_map(|name| Some((name, u16::try_from(place.field(name).whole()?).ok()?))).collect();
        for (index, (name, port)) in given.iter().enumerate() {
            if let Some((first, _)) = given[..index].iter().find(|(_, earlier)| earlier == port) {
                let found = format!("{port}, which is `{first}` already");
                findings.push(place.field(name).error(
                    "repeated-port",
                    found,
                    "a port of its own for each",
                    "choose another port",
                ));
            }
        }
        let port = |name| given.iter().find(|(given, _)| *given == name).map(|(_, port)| *port);
        Some(Self {
            vllm: port("vllm")?,
            proxy: port("proxy")?,
            decode: port("decode")?,
            side_channel: port("side_channel")?,
        })
    }

    fn by_name(&self, name: &str) -> Option<u16> {
        match name {
            "vllm" => Some(self.vllm),
            "proxy" => Some(self.proxy),
            "decode" => Some(self.decode),
            _ => None,
        }
    }
}

pub(super) fn exposures_of(place: &Place<'_>, ports: Option<&Ports>, findings: &mut Findings) -> Option<Vec<Exposure>> {
    let mut exposures: Vec<Exposure> = Vec::new();
    let mut whole = true;
    for item in place.items() {
        let (name, cidr) = (item.field("port").text(), item.field("cidr"));
        let range = cidr.text().and_then(|text| range_of(text, &cidr, findings));
        match (name, range, ports.zip(name).and_then(|(ports, name)| ports.by_name(name))) {
            (Some(name), Some(range), Some(port)) => {
                let exposure = Exposure { port_name: name.to_owned(), port, cidr: range };
                if exposures.contains(&exposure) {
                    let found = format!("`{name}` to `{}` a second time", exposure.cidr);
                    findings.push(item.error("repeated-exposure", found, "each pair once", "remove one of the two"));
                }
                exposures.push(exposure);
            }
            _ => whole = false,
        }
    }
    whole.then_some(exposures)
}

/// The range, when its parts are in bounds, its host bits are zero and it is not the whole internet.
fn range_of(text: &str, place: &Place<'_>, findings: &mut Findings) -> Option<String> {
    let (address, length) = text.split_once('/')?;
    let (Ok(address), Ok(length)) = (address.parse::<Ipv4Addr>(), length.parse::<u32>()) else {
        findings.push(place.error(
            "malformed-cidr",
            format!("`{text}`"),
            "four numbers up to 255 and a length up to 32",
            "correct the range",
        ));
        return None;
    };
    if length > 32 {
        findings.push(place.error(
            "malformed-cidr",
            format!("`{text}`"),
            "a length from 8 to 32",
            "correct the length",
        ));
        return None;
    }
    // Nobody owns more than a /8: a shorter prefix is a large part of the internet.
    if length < 8 {
        findings.push(place.error(
            "exposed-to-the-world",
            format!("`{text}`"),
            "the addresses that need it",
            "name your network's range, or use `prefab connect --forward`, which opens nothing",
        ));
        return None;
    }
    let network = Ipv4Addr::from(u32::from(address) & (u32::MAX << (32 - length)));
    if network != address {
        let action = format!("write `{network}/{length}`");
        findings.push(place.error(
            "malformed-cidr",
            format!("`{text}`, which has host bits set"),
            "the first address of the range",
            action,
        ));
        return None;
    }
    Some(text.to_owned())
}
