//! The `cluster` section: how many nodes of which type, on which capacity, from which image.

use super::checked::Place;
use super::shape::{Field, Kind, Presence, Shape, Text};
use crate::finding::Findings;
use crate::instance_types::{self, InstanceType};

/// The nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The nodes that fill KV caches.
    pub prefill: Pool,
    /// The nodes that read them.
    pub decode: Pool,
    /// What pays for them.
    pub capacity: Capacity,
    /// Which placement group they are in.
    pub placement: Placement,
    /// What they boot.
    pub image: Image,
    /// Their root volume.
    pub volume: Volume,
    /// How EFA interfaces are laid out.
    pub efa: EfaMode,
}

/// The nodes of one role.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// How many.
    pub count: u32,
    /// Their type, one of the catalogue's accepted ones.
    pub instance_type: &'static InstanceType,
}

/// What a node does with KV caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Fills them.
    Prefill,
    /// Reads them.
    Decode,
}

/// What pays for the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capacity {
    /// What EC2 has at the moment.
    OnDemand,
    /// An on-demand capacity reservation.
    Reservation {
        /// `cr-…`
        id: String,
    },
    /// A capacity block: paid, for a window, at most 64 instances.
    Block {
        /// `cr-…`
        id: String,
    },
}

/// Which placement group the nodes are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// A cluster placement group of this stack.
    Own,
    /// One that exists.
    Existing {
        /// Its name.
        name: String,
    },
    /// None.
    None,
}

/// What the nodes boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// The image that a public SSM parameter names, resolved once at apply.
    Parameter(String),
    /// An image by id.
    Id(String),
}

/// The encrypted gp3 root volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its size in GiB.
    pub size_gib: u32,
    /// Its operations a second.
    pub iops: u32,
    /// Its throughput in MiB a second.
    pub throughput_mib_per_s: u32,
}

/// How EFA interfaces are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EfaMode {
    /// An `interface` first, then `efa-only`, which takes no address.
    Recommended,
    /// The older layout: every interface is `efa` and takes an address.
    Efa,
}

impl Role {
    /// Both roles, in the order of the data.
    pub const ALL: [Self; 2] = [Self::Prefill, Self::Decode];

    /// The role's key in the spec.
    pub fn key(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }

    /// The first word of its nodes' names: `Prefill0`, `Decode3`.
    pub fn node_prefix(self) -> &'static str {
        match self {
            Self::Prefill => "Prefill",
            Self::Decode => "Decode",
        }
    }
}

impl Cluster {
    /// The nodes of a role.
    pub fn pool(&self, role: Role) -> &Pool {
        match role {
            Role::Prefill => &self.prefill,
            Role::Decode => &self.decode,
        }
    }

    /// All nodes.
    pub fn node_count(&self) -> u32 {
        self.prefill.count + self.decode.count
    }

    /// The distinct instance types, in the order of the roles.
    pub fn instance_types(&self) -> Vec<&'static InstanceType> {
        let (prefill, decode) = (self.prefill.instance_type, self.decode.instance_type);
        if prefill.name == decode.name { vec![prefill] } else { vec![prefill, decode] }
    }
}

/// A pool's largest count. The template's resource limit is lower and named by its own finding.
const MOST_NODES: u64 = 10_000;

const POOL: &[Field] = &[
    Field {
        name: "count",
        presence: Presence::Required,
        shape: Shape::Whole { min: 1, max: MOST_NODES },
        doc: "how many nodes",
    },
    Field {
        name: "instance_type",
        presence: Presence::Required,
        shape: Shape::Text(Text { pattern: "^[!-~]{1,64}$", allowed: "an instance type, such as `g6e.12xlarge`" }),
        doc: "an EFA type with NVIDIA GPUs; `prefab instance-types` lists them",
    },
];

const RESERVATION_ID: Field = Field {
    name: "id",
    presence: Presence::Required,
    shape: Shape::Text(Text { pattern: "^cr-[0-9a-f]{8,17}$", allowed: "a capacity reservation id, `cr-…`" }),
    doc: "the reservation's id",
};

const CAPACITY: &[Kind] = &[
    Kind { name: "on-demand", doc: "what EC2 has at the moment", fields: &[] },
    Kind { name: "reservation", doc: "an on-demand capacity reservation", fields: &[RESERVATION_ID] },
    Kind {
        name: "block",
        doc: "a capacity block: paid, for a window, at most 64 instances",
        fields: &[RESERVATION_ID],
    },
];

const PLACEMENT: &[Field] = &[
    Field {
        name: "enabled",
        presence: Presence::Optional,
        shape: Shape::Switch,
        doc: "by default on for on-demand capacity, and off for reservations and blocks, which carry their own placement",
    },
    Field {
        name: "name",
        presence: Presence::Optional,
        shape: Shape::Text(Text { pattern: "^[ -~]{1,255}$", allowed: "the name of a placement group that exists" }),
        doc: "a group that exists; it enables the section",
    },
];

const IMAGE: &[Field] = &[
    Field {
        name: "parameter",
        presence: Presence::Optional,
        shape: Shape::Text(Text {
            pattern: "^/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$",
            allowed: "the name of an SSM parameter, beginning with `/`",
        }),
        doc: "a public parameter that names an image; resolved once at apply",
    },
    Field {
        name: "id",
        presence: Presence::Optional,
        shape: Shape::Text(Text { pattern: "^ami-[0-9a-f]{8,17}$", allowed: "an image id, `ami-…`" }),
        doc: "an image by id",
    },
];

/// The Deep Learning Base image: NVIDIA's open driver, EFA software and the SSM agent are in it.
const DEFAULT_IMAGE: &str =
    "{\"parameter\": \"/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id\"}";

const VOLUME: &[Field] = &[
    Field {
        name: "size_gib",
        presence: Presence::Optional,
        shape: Shape::Whole { min: 80, max: 65_536 },
        doc: "by default room for the image and for weights that fill every GPU",
    },
    Field {
        name: "iops",
        presence: Presence::Default("6000"),
        shape: Shape::Whole { min: 3000, max: 80_000 },
        doc: "operations a second",
    },
    Field {
        name: "throughput_mib_per_s",
        presence: Presence::Default("500"),
        shape: Shape::Whole { min: 125, max: 2000 },
        doc: "throughput; model loading is bound by it",
    },
];

const EFA: &[Field] = &[Field {
    name: "mode",
    presence: Presence::Default("recommended"),
    shape: Shape::Choice(&["recommended", "efa"]),
    doc: "`recommended`: one addressed interface, then efa-only; `efa`: the older layout, an address an interface",
}];

pub(super) const CLUSTER: &[Field] = &[
    Field {
        name: "prefill",
        presence: Presence::Required,
        shape: Shape::Object(POOL),
        doc: "the nodes that fill KV caches",
    },
    Field { name: "decode", presence: Presence::Required, shape: Shape::Object(POOL), doc: "the nodes that read them" },
    Field {
        name: "capacity",
        presence: Presence::Default("{\"kind\": \"on-demand\"}"),
        shape: Shape::Kinds(CAPACITY),
        doc: "what pays for the nodes",
    },
    Field {
        name: "placement_group",
        presence: Presence::Default("{}"),
        shape: Shape::Object(PLACEMENT),
        doc: "which placement group the nodes are in",
    },
    Field {
        name: "image",
        presence: Presence::Default(DEFAULT_IMAGE),
        shape: Shape::OneOf(IMAGE),
        doc: "what the nodes boot",
    },
    Field {
        name: "volume",
        presence: Presence::Default("{}"),
        shape: Shape::Object(VOLUME),
        doc: "the encrypted gp3 root volume",
    },
    Field {
        name: "efa",
        presence: Presence::Default("{}"),
        shape: Shape::Object(EFA),
        doc: "how EFA interfaces are laid out",
    },
];

impl Cluster {
    pub(super) fn of(place: &Place<'_>, findings: &mut Findings) -> Option<Self> {
        let prefill = pool_of(&place.field("prefill"), findings);
        let decode = pool_of(&place.field("decode"), findings);
        let capacity = capacity_of(&place.field("capacity"));
        let placement =
            capacity.as_ref().and_then(|capacity| placement_of(&place.field("placement_group"), capacity, findings));
        let image = image_of(&place.field("image"), findings);
        let recommended =
            [&prefill, &decode].into_iter().flatten().map(|pool| pool.instance_type.recommended_volume_gib()).max();
        let volume = volume_of(&place.field("volume"), recommended, findings);
        let efa = match place.field("efa").field("mode").text()? {
            "efa" => EfaMode::Efa,
            _ => EfaMode::Recommended,
        };
        Some(Self {
            prefill: prefill?,
            decode: decode?,
            capacity: capacity?,
            placement: placement?,
            image: image?,
            volume: volume?,
            efa,
        })
    }
}

fn pool_of(place: &Place<'_>, findings: &mut Findings) -> Option<Pool> {
    let name = place.field("instance_type");
    let found = instance_types::find(name.text()?);
    if let Err(refusal) = &found {
        findings.push(name.error(refusal.code(), refusal.found(), refusal.allowed(), refusal.action()));
    }
    Some(Pool { count: place.field("count").whole32()?, instance_type: found.ok()? })
}

fn capacity_of(place: &Place<'_>) -> Option<Capacity> {
    let id = || place.field("id").text().map(str::to_owned);
    Some(match place.field("kind").text()? {
        "reservation" => Capacity::Reservation { id: id()? },
        "block" => Capacity::Block { id: id()? },
        _ => Capacity::OnDemand,
    })
}

/// A name enables the group; `enabled: false` beside a name contradicts itself; a block forbids every group.
fn placement_of(place: &Place<'_>, capacity: &Capacity, findings: &mut Findings) -> Option<Placement> {
    let (enabled, name) = (place.field("enabled"), place.field("name"));
    if name.text().is_some() && enabled.switch() == Some(false) {
        let found = format!("`enabled: false` beside `name: {}`", name.text()?);
        findings.push(enabled.error(
            "contradictory-placement-group",
            found,
            "a name, or `enabled: false`",
            "remove one of the two",
        ));
        return None;
    }
    let wanted = name.text().is_some() || enabled.switch() == Some(true);
    match capacity {
        Capacity::Block { .. } if wanted => {
            findings.push(place.error(
                "placement-group-with-block",
                "cluster.placement_group beside cluster.capacity of kind `block`".to_owned(),
                "no placement group: a block's instances are placed together already, and a group makes their launch fail",
                "remove cluster.placement_group",
            ));
            None
        }
        Capacity::Reservation { .. } if wanted && name.text().is_none() => {
            findings.push(place.error(
                "new-placement-group-with-reservation",
                "`enabled: true` beside cluster.capacity of kind `reservation`".to_owned(),
                "no group, or the name of the group in which the reservation was made",
                "remove `enabled`, or name the reservation's own group",
            ));
            None
        }
        _ => Some(match name.text() {
            Some(name) => Placement::Existing { name: name.to_owned() },
            None if enabled.switch().unwrap_or(*capacity == Capacity::OnDemand) => Placement::Own,
            None => Placement::None,
        }),
    }
}

fn image_of(place: &Place<'_>, findings: &mut Findings) -> Option<Image> {
    let parameter = place.field("parameter");
    if let Some(name) = parameter.text() {
        if name.split('/').any(|part| part == "arm64") {
            let allowed = "an x86_64 image, like every type of the catalogue";
            findings.push(parameter.error("arm64-image", format!("`{name}`"), allowed, "choose the x86_64 parameter"));
        }
        return Some(Image::Parameter(name.to_owned()));
    }
    place.field("id").text().map(|id| Image::Id(id.to_owned()))
}

fn volume_of(place: &Place<'_>, recommended_gib: Option<u32>, findings: &mut Findings) -> Option<Volume> {
    let size = place.field("size_gib");
    if let (Some(given), Some(recommended)) = (size.whole32(), recommended_gib)
        && given < recommended
    {
        findings.push(size.warning(
            "small-volume",
            format!("{given} GiB"),
            format!("{recommended} GiB: the image and weights that fill every GPU"),
            "raise it, or leave it out, unless the weights are small or live on instance storage",
        ));
    }
    let iops = place.field("iops").whole32()?;
    let throughput = place.field("throughput_mib_per_s");
    let throughput_mib_per_s = throughput.whole32()?;
    // gp3: at most 0.25 MiB/s for each operation a second (EBS user guide).
    if throughput_mib_per_s * 4 > iops {
        let found = format!("{throughput_mib_per_s} MiB/s beside {iops} operations/s");
        let allowed = "at most a quarter MiB/s for each operation a second";
        findings.push(throughput.error(
            "throughput-beyond-iops",
            found,
            allowed,
            format!("set iops to {} or more", throughput_mib_per_s * 4),
        ));
    }
    // gp3: at most 500 operations a second for each GiB (EBS user guide).
    if let Some(given) = size.whole32()
        && u64::from(given) * 500 < u64::from(iops)
    {
        let found = format!("{iops} operations/s on {given} GiB");
        let allowed = "at most 500 operations a second for each GiB";
        let action = format!("set iops to {} or less, or size_gib to {} or more", given * 500, iops.div_ceil(500));
        findings.push(place.field("iops").error("iops-beyond-size", found, allowed, action));
    }
    // A volume whose recommendation is unknown belongs to a refused type; its own finding says so.
    let size_gib = if size.is_absent() { recommended_gib.unwrap_or_default() } else { size.whole32()? };
    Some(Volume { size_gib, iops, throughput_mib_per_s })
}
