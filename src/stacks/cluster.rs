//! The cluster stack: who may talk to whom, what a node may do, how it is launched, and the nodes.
//!
//! ```text
//! SecurityGroup ◀─ SelfIngress, SelfEgress        NodeRole ◀─ NodeProfile
//!        ▲                  ▲                                     ▲
//!        └────────── Launch<Type> (one for each distinct type) ───┘──▶ PlacementGroup
//!                           ▲
//!            Prefill0 … PrefillN, Decode0 … DecodeN
//! ```

use crate::instance_types::InstanceType;
use crate::resources::ec2::{
    AllProtocols, BlockDeviceMapping, CapacityReservationSpecification, CapacityReservationTarget, CidrRule, Ebs,
    Instance, LaunchTemplate, LaunchTemplateData, LaunchTemplateSpecification, MarketOptions, MarketType,
    MetadataOptions, Monitoring, NetworkInterface, Placement, PlacementGroup, ProfileReference, SecurityGroup,
    SecurityGroupEgress, SecurityGroupIngress, ShutdownBehavior, Strategy, TagSpecification, VolumeType,
};
use crate::resources::iam::{InstanceProfile, Role};
use crate::resources::names::{
    BucketName, DeviceName, Digest, ImageId, PlacementGroupName, SecurityGroupId, SubnetId, TrackingArn, VpcId,
};
use crate::resources::{Tag, tags};
use crate::spec::Spec;
use crate::spec::cluster::{self as spec_cluster, Capacity};
use crate::spec::mlflow::Mlflow;
use crate::spec::network::Access;
use crate::template::value::{Piece, pseudo};
use crate::template::{
    CreationPolicy, Document, Handle, LogicalId, Options, Parameter, Template, TemplateError, Value,
};
use crate::user_data::{self, Part, SeedValue};

use super::{interfaces, node_role};

const SECURITY_GROUP: LogicalId = LogicalId::fixed("SecurityGroup");
const SELF_INGRESS: LogicalId = LogicalId::fixed("SelfIngress");
const SELF_EGRESS: LogicalId = LogicalId::fixed("SelfEgress");
const PLACEMENT_GROUP: LogicalId = LogicalId::fixed("PlacementGroup");
const NODE_ROLE: LogicalId = LogicalId::fixed("NodeRole");
const NODE_PROFILE: LogicalId = LogicalId::fixed("NodeProfile");
const LAUNCH: LogicalId = LogicalId::fixed("Launch");

/// Parameter: the VPC.
pub const VPC_ID: LogicalId = LogicalId::fixed("VpcId");
/// Parameter: the subnet of all nodes.
pub const SUBNET_ID: LogicalId = LogicalId::fixed("SubnetId");
/// Parameter: the image.
pub const IMAGE_ID: LogicalId = LogicalId::fixed("ImageId");
/// Parameter: the image's root device.
pub const ROOT_DEVICE_NAME: LogicalId = LogicalId::fixed("RootDeviceName");
/// Parameter: the bucket of the artifacts stack.
pub const BUCKET: LogicalId = LogicalId::fixed("ArtifactBucketName");
/// Parameter: the hash of `prefab-bootstrap`.
pub const BOOTSTRAP_SHA256: LogicalId = LogicalId::fixed("BootstrapSha256");
/// Parameter: the hash of the NodeConfig.
pub const CONFIG_SHA256: LogicalId = LogicalId::fixed("ConfigSha256");
/// Parameter: the tracking ARN, unless the spec has no MLflow.
pub const MLFLOW_ARN: LogicalId = LogicalId::fixed("MlflowArn");

/// Tag that tells a node its logical id.
pub const NODE_TAG: &str = "prefab:node";
/// Tag that tells a node the hash of its configuration.
pub const CONFIG_TAG: &str = "prefab:config";
/// Tag that tells a node where results are recorded.
pub const MLFLOW_TAG: &str = "prefab:mlflow";

/// What the template takes at deploy.
pub(super) struct Inputs {
    vpc: Value<VpcId>,
    subnet: Value<SubnetId>,
    image: Value<ImageId>,
    root_device: Value<DeviceName>,
    pub(super) bucket: Value<BucketName>,
    bootstrap: Value<Digest>,
    config: Value<Digest>,
    pub(super) mlflow: Option<Value<TrackingArn>>,
}

/// Rules of AWS Control Tower that these nodes break, and why.
const SUPPRESSED: &[(&str, &str)] = &[
    (
        "CT.EC2.PR.9",
        "the primary interface states its public address, the others take none; the rule wants it stated on each",
    ),
    ("CT.EC2.PR.13", "basic monitoring: the nodes measure themselves, and detailed metrics say nothing of EFA"),
    ("CT.EC2.PR.15", "every type of the catalogue is a Nitro type; the rule's list is older"),
    ("CT.EC2.PR.16", "the type stands in the launch template, where the rule does not look"),
    ("CT.EC2.PR.19", "the type stands in the launch template, where the rule does not look"),
];

pub(super) fn template(spec: &Spec) -> Result<Document, TemplateError> {
    let mut template = Template::new("prefab: prefill and decode nodes, their network and their role");
    template.suppress(SUPPRESSED);
    let inputs = inputs(&mut template, spec);

    let group = template.add(SECURITY_GROUP, security_group(spec, &inputs));
    let rules = self_rules(&mut template, &group);
    let placement = placement(&mut template, spec);
    let role = template.add(NODE_ROLE, node_role::role(spec, &inputs));
    let profile =
        template.add(NODE_PROFILE, InstanceProfile { roles: [role.reference()], path: spec.iam.path.clone() });

    for of in spec.cluster.instance_types() {
        let data = launch_data(spec, of, &inputs, &group.get(SecurityGroup::GROUP_ID), placement.clone(), &profile);
        // A node must not start before both rules exist: its EFA devices would find no peer.
        let options = Options { depends_on: rules.to_vec(), ..Options::default() };
        let launch = template.add_with(
            LogicalId::named(&LAUNCH, &of.name),
            LaunchTemplate { launch_template_data: data },
            options,
        );
        let specification = LaunchTemplateSpecification {
            launch_template_id: launch.reference(),
            version: launch.get(LaunchTemplate::LATEST_VERSION_NUMBER),
        };
        for node in spec_cluster::Role::ALL
            .into_iter()
            .filter(|role| spec.cluster.pool(*role).instance_type.name == of.name)
            .flat_map(|role| node_ids(spec, role))
        {
            add_node(&mut template, spec, &inputs, node, specification.clone());
        }
    }

    template.output(LogicalId::fixed("SecurityGroupId"), "Group of all nodes", group.get(SecurityGroup::GROUP_ID));
    template.output(LogicalId::fixed("NodeRoleArn"), "Role of all nodes", role.get(Role::ARN));
    template.finish()
}

/// The logical ids of a role's nodes. The same word is the node's name in rosters, logs and reports.
pub fn node_ids(spec: &Spec, role: spec_cluster::Role) -> impl Iterator<Item = LogicalId> {
    const PREFILL: LogicalId = LogicalId::fixed("Prefill");
    const DECODE: LogicalId = LogicalId::fixed("Decode");
    let prefix = match role {
        spec_cluster::Role::Prefill => PREFILL,
        spec_cluster::Role::Decode => DECODE,
    };
    (0..spec.cluster.pool(role).count).map(move |number| LogicalId::numbered(&prefix, number))
}

fn inputs(template: &mut Template, spec: &Spec) -> Inputs {
    let plain = |description| Parameter { description, allowed_pattern: None, constraint_description: None };
    let seed = |description, value: SeedValue| {
        let field = value.field();
        Parameter { description, allowed_pattern: Some(field.pattern), constraint_description: Some(field.expected) }
    };
    let matching = |description, pattern, expected| Parameter {
        description,
        allowed_pattern: Some(pattern),
        constraint_description: Some(expected),
    };
    Inputs {
        vpc: template.parameter(VPC_ID, plain("VPC of the nodes")),
        subnet: template.parameter(SUBNET_ID, plain("The one subnet of all nodes")),
        image: template.parameter(IMAGE_ID, plain("Image that the nodes boot")),
        root_device: template.parameter(
            ROOT_DEVICE_NAME,
            matching("Root device of the image", "^/dev/[a-z0-9]{1,16}$", "a device name, such as /dev/sda1"),
        ),
        bucket: template.parameter(
            BUCKET,
            seed("Bucket of programs and results, an output of the artifacts stack", SeedValue::Bucket),
        ),
        bootstrap: template
            .parameter(BOOTSTRAP_SHA256, seed("SHA-256 of prefab-bootstrap", SeedValue::BootstrapSha256)),
        config: template.parameter(
            CONFIG_SHA256,
            matching("SHA-256 of the nodes' configuration", "^[0-9a-f]{64}$", "64 lower-case hexadecimal digits"),
        ),
        mlflow: (spec.mlflow != Mlflow::None).then(|| {
            template.parameter(
                MLFLOW_ARN,
                matching(
                    "ARN of the tracking server or app",
                    "^arn:[a-z-]+:sagemaker:[a-z0-9-]+:[0-9]{12}:mlflow-(tracking-server|app)/[A-Za-z0-9-]+$",
                    "the ARN of an MLflow tracking server or app",
                ),
            )
        }),
    }
}

fn security_group(spec: &Spec, inputs: &Inputs) -> SecurityGroup {
    let exposed = spec.expose.iter().map(|exposure| {
        CidrRule::tcp(exposure.port, &exposure.cidr, &format!("The spec exposes {}", exposure.port_name))
    });
    SecurityGroup {
        group_description: "prefab nodes: everything among themselves, EFA included",
        vpc_id: inputs.vpc.clone(),
        security_group_ingress: exposed.collect(),
        security_group_egress: vec![
            CidrRule::tcp(443, "0.0.0.0/0", "AWS APIs, packages and models over TLS"),
            CidrRule::tcp(80, "0.0.0.0/0", "Package archives, whose contents are signed"),
        ],
        tags: tags(&spec.tags),
    }
}

/// EFA carries no IP address, so no address range ever matches it: only a rule that names the group does, both ways.
fn self_rules(template: &mut Template, group: &Handle<SecurityGroup>) -> [LogicalId; 2] {
    let id: Value<SecurityGroupId> = group.get(SecurityGroup::GROUP_ID);
    let ingress = SecurityGroupIngress {
        group_id: id.clone(),
        ip_protocol: AllProtocols::All,
        source_security_group_id: id.clone(),
        description: "Everything from the nodes, EFA included",
    };
    let egress = SecurityGroupEgress {
        group_id: id.clone(),
        ip_protocol: AllProtocols::All,
        destination_security_group_id: id,
        description: "Everything to the nodes, EFA included",
    };
    [template.add(SELF_INGRESS, ingress).id(), template.add(SELF_EGRESS, egress).id()]
}

fn placement(template: &mut Template, spec: &Spec) -> Option<Value<PlacementGroupName>> {
    match &spec.cluster.placement {
        spec_cluster::Placement::Own => {
            Some(template.add(PLACEMENT_GROUP, PlacementGroup { strategy: Strategy::Cluster }).reference())
        }
        spec_cluster::Placement::Existing { name } => Some(PlacementGroupName::known(name).into()),
        spec_cluster::Placement::None => None,
    }
}

fn launch_data(
    spec: &Spec,
    of: &InstanceType,
    inputs: &Inputs,
    group: &Value<SecurityGroupId>,
    placement: Option<Value<PlacementGroupName>>,
    profile: &Handle<InstanceProfile>,
) -> LaunchTemplateData {
    let target = |id: &String| CapacityReservationSpecification {
        capacity_reservation_target: CapacityReservationTarget { capacity_reservation_id: id.clone() },
    };
    let (reservation, market, shutdown) = match &spec.cluster.capacity {
        Capacity::OnDemand => (None, None, ShutdownBehavior::Stop),
        Capacity::Reservation { id } => (Some(target(id)), None, ShutdownBehavior::Stop),
        // A stopped instance would hold nothing of its block; it ends instead.
        Capacity::Block { id } => (
            Some(target(id)),
            Some(MarketOptions { market_type: MarketType::CapacityBlock }),
            ShutdownBehavior::Terminate,
        ),
    };
    LaunchTemplateData {
        image_id: inputs.image.clone(),
        instance_type: of.name.clone(),
        iam_instance_profile: ProfileReference { arn: profile.get(InstanceProfile::ARN) },
        network_interfaces: network_interfaces(spec, of, inputs, group),
        block_device_mappings: vec![BlockDeviceMapping {
            device_name: inputs.root_device.clone(),
            ebs: Ebs {
                volume_type: VolumeType::Gp3,
                volume_size: spec.cluster.volume.size_gib,
                iops: spec.cluster.volume.iops,
                throughput: spec.cluster.volume.throughput_mib_per_s,
                encrypted: true,
                delete_on_termination: true,
            },
        }],
        ebs_optimized: true,
        instance_initiated_shutdown_behavior: shutdown,
        metadata_options: MetadataOptions::V2_WITH_TAGS,
        monitoring: Monitoring { enabled: true },
        placement: placement.map(|group_name| Placement { group_name }),
        instance_market_options: market,
        capacity_reservation_specification: reservation,
        tag_specifications: vec![TagSpecification {
            resource_type: "network-interface",
            tags: vec![Tag::new("prefab:stack", pseudo::stack_id().part("/", 1))],
        }],
        user_data: user_data(inputs),
    }
}

fn network_interfaces(
    spec: &Spec,
    of: &InstanceType,
    inputs: &Inputs,
    group: &Value<SecurityGroupId>,
) -> Vec<NetworkInterface> {
    let access = spec.network.access;
    let interfaces = interfaces::layout(&of.cards, spec.cluster.efa, access);
    // The primary interface states its public address, so that no default of the subnet decides.
    let public = |of: interfaces::Interface| (of.card == 0 && of.device == 0).then_some(access == Access::Public);
    interfaces
        .into_iter()
        .map(|of| NetworkInterface {
            network_card_index: of.card,
            device_index: of.device,
            interface_type: of.kind,
            subnet_id: inputs.subnet.clone(),
            groups: vec![group.clone()],
            delete_on_termination: true,
            associate_public_ip_address: public(of),
        })
        .collect()
}

/// The node script with what only CloudFormation knows.
fn user_data(inputs: &Inputs) -> Value<String> {
    let piece = |part: &Part| -> Piece {
        match part {
            Part::Text(text) => text.as_str().into(),
            Part::Seed(SeedValue::StackId) => (&pseudo::stack_id()).into(),
            Part::Seed(SeedValue::Region) => (&pseudo::region()).into(),
            Part::Seed(SeedValue::UrlSuffix) => (&pseudo::url_suffix()).into(),
            Part::Seed(SeedValue::Bucket) => (&inputs.bucket).into(),
            Part::Seed(SeedValue::BootstrapSha256) => (&inputs.bootstrap).into(),
        }
    };
    Value::<String>::base64(&Value::joined_all(user_data::parts().iter().map(piece)))
}

fn add_node(
    template: &mut Template,
    spec: &Spec,
    inputs: &Inputs,
    id: LogicalId,
    launch_template: LaunchTemplateSpecification,
) {
    let mut tags = tags(&spec.tags);
    // Volumes get the user's tags, which so change in place on both; prefab's own would only make 400 nodes larger.
    let propagate_tags_to_volume_on_creation = (!tags.is_empty()).then_some(true);
    tags.push(Tag::new("Name", format!("{}-{id}", spec.name).into()));
    tags.push(Tag::new(NODE_TAG, id.as_str().into()));
    tags.push(Tag::new(CONFIG_TAG, Value::joined([(&inputs.config).into()])));
    if let Some(arn) = &inputs.mlflow {
        tags.push(Tag::new(MLFLOW_TAG, Value::joined([arn.into()])));
    }
    let creation = CreationPolicy { timeout_minutes: spec.bootstrap.timeout_minutes };
    let options = Options { creation_policy: Some(creation), ..Options::default() };
    template.add_with(id, Instance { launch_template, propagate_tags_to_volume_on_creation, tags }, options);
}
