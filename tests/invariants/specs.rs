//! Specs, and the templates that mistakes are planted into.

use std::collections::BTreeMap;

use prefab::spec::Spec;
use prefab::stacks;
use serde_json::{Value as Json, json};

pub use crate::cfn_lint::Nothing;

/// The spec, which must be a good one. JSON is YAML.
#[track_caller]
pub fn read(spec: &Json) -> Spec {
    let (read, findings) = Spec::read(spec.to_string().as_bytes(), &Nothing);
    read.unwrap_or_else(|| {
        let text: Vec<_> = findings.iter().map(|finding| finding.text("spec").to_string()).collect();
        panic!("{spec}\n{}", text.join("\n"))
    })
}

/// The templates of a spec, by the stack's kind.
#[track_caller]
pub fn templates(spec: &Json) -> BTreeMap<&'static str, Json> {
    templates_of(&read(spec))
}

#[track_caller]
pub fn templates_of(spec: &Spec) -> BTreeMap<&'static str, Json> {
    let stacks = stacks::of(spec).unwrap_or_else(|error| panic!("{spec:?}\n{error}"));
    stacks.into_iter().map(|stack| (stack.kind.name(), stack.template.json().clone())).collect()
}

/// One node of each role, private, everything else by default.
pub fn pair_of(instance_type: &str) -> Json {
    json!({
        "version": 1,
        "name": "pair",
        "region": "us-east-1",
        "availability_zone": "us-east-1c",
        "tags": { "owner": "ml-infra", "cost:center": "42" },
        "mlflow": { "kind": "tracking-server", "name": "record" },
        "cluster": {
            "prefill": { "count": 1, "instance_type": instance_type },
            "decode": { "count": 1, "instance_type": instance_type },
        },
    })
}

pub const RESERVATION: &str = "cr-0a1b2c3d4e5f60718";

/// A template of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Cluster of g6e.12xlarge: one card, `interface` and `efa-only`.
    Pair,
    /// Cluster of p5.48xlarge: 32 cards.
    P5,
    /// The same in the older layout.
    P5Older,
    /// The same in a capacity block.
    Block,
    /// Cluster of p4d.24xlarge: four cards.
    P4d,
    /// Cluster of p6-b300.48xlarge: card 0 is ENA only.
    B300,
    /// The pair on a reservation.
    Reservation,
    /// Buckets.
    Artifacts,
    /// A tracking server.
    Mlflow,
}

impl Base {
    pub fn template(self) -> Json {
        let mut spec = pair_of(match self {
            Self::P5 | Self::P5Older | Self::Block => "p5.48xlarge",
            Self::P4d => "p4d.24xlarge",
            Self::B300 => "p6-b300.48xlarge",
            Self::Pair | Self::Reservation | Self::Artifacts | Self::Mlflow => "g6e.12xlarge",
        });
        match self {
            Self::P5Older => spec["cluster"]["efa"] = json!({ "mode": "efa" }),
            Self::Block => spec["cluster"]["capacity"] = json!({ "kind": "block", "id": RESERVATION }),
            Self::Reservation => spec["cluster"]["capacity"] = json!({ "kind": "reservation", "id": RESERVATION }),
            Self::Pair | Self::P5 | Self::P4d | Self::B300 | Self::Artifacts | Self::Mlflow => {}
        }
        let kind = match self {
            Self::Artifacts => "artifacts",
            Self::Mlflow => "mlflow",
            _ => "cluster",
        };
        templates(&spec).remove(kind).unwrap()
    }
}
