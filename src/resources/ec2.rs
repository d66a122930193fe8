//! `AWS::EC2`: security group and rules, placement group, launch template, instance.

use serde::Serialize;

use super::Tag;
use super::names::{
    DeviceName, ImageId, InstanceId, LaunchTemplateId, LaunchTemplateVersion, PlacementGroupName, ProfileArn,
    SecurityGroupId, SubnetId, Unused, VpcId,
};
use crate::template::{Attribute, Resource, Value};

/// `AWS::EC2::SecurityGroup`. Its rules to itself are resources of their own, since a group cannot name itself.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecurityGroup {
    /// Create-only: a change of one word replaces the group.
    pub group_description: &'static str,
    /// The VPC.
    pub vpc_id: Value<VpcId>,
    /// Rules from address ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_group_ingress: Vec<CidrRule>,
    /// Rules to address ranges. Left out, EC2 would allow everything.
    pub security_group_egress: Vec<CidrRule>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

impl Resource for SecurityGroup {
    const TYPE: &'static str = "AWS::EC2::SecurityGroup";
    type Ref = SecurityGroupId;
}

impl SecurityGroup {
    /// `GroupId`.
    pub const GROUP_ID: Attribute<Self, SecurityGroupId> = Attribute::new("GroupId");
}

/// A TCP rule for a range of IPv4 addresses. It never covers EFA, whose packets carry no IP address.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CidrRule {
    /// `tcp`
    pub ip_protocol: &'static str,
    /// The port.
    pub from_port: u16,
    /// The same port.
    pub to_port: u16,
    /// The range.
    pub cidr_ip: String,
    /// Why the rule exists.
    pub description: String,
}

impl CidrRule {
    /// A rule for one TCP port.
    pub fn tcp(port: u16, cidr: &str, description: &str) -> Self {
        Self {
            ip_protocol: "tcp",
            from_port: port,
            to_port: port,
            cidr_ip: cidr.to_owned(),
            description: description.to_owned(),
        }
    }
}

/// `AWS::EC2::SecurityGroupIngress`, all protocols from a group.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecurityGroupIngress {
    /// The group that the rule belongs to.
    pub group_id: Value<SecurityGroupId>,
    /// `-1`: EFA is no TCP or UDP.
    pub ip_protocol: AllProtocols,
    /// The group that may send.
    pub source_security_group_id: Value<SecurityGroupId>,
    /// Why the rule exists.
    pub description: &'static str,
}

impl Resource for SecurityGroupIngress {
    const TYPE: &'static str = "AWS::EC2::SecurityGroupIngress";
    type Ref = Unused;
}

/// `AWS::EC2::SecurityGroupEgress`, all protocols to a group.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecurityGroupEgress {
    /// The group that the rule belongs to.
    pub group_id: Value<SecurityGroupId>,
    /// `-1`: EFA is no TCP or UDP.
    pub ip_protocol: AllProtocols,
    /// The group that may receive.
    pub destination_security_group_id: Value<SecurityGroupId>,
    /// Why the rule exists.
    pub description: &'static str,
}

impl Resource for SecurityGroupEgress {
    const TYPE: &'static str = "AWS::EC2::SecurityGroupEgress";
    type Ref = Unused;
}

/// The protocol number that stands for every protocol.
#[derive(Clone, Copy, Serialize)]
pub enum AllProtocols {
    /// `-1`
    #[serde(rename = "-1")]
    All,
}

/// `AWS::EC2::PlacementGroup`. No tags: they are create-only, and an edit would replace every node.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PlacementGroup {
    /// `cluster`: nodes close to each other.
    pub strategy: Strategy,
}

/// The strategy that EFA wants.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Close to each other.
    Cluster,
}

impl Resource for PlacementGroup {
    const TYPE: &'static str = "AWS::EC2::PlacementGroup";
    type Ref = PlacementGroupName;
}

/// `AWS::EC2::LaunchTemplate`. Every EFA or capacity property must be here: an instance has none of them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LaunchTemplate {
    /// What an instance is launched with.
    pub launch_template_data: LaunchTemplateData,
}

impl Resource for LaunchTemplate {
    const TYPE: &'static str = "AWS::EC2::LaunchTemplate";
    type Ref = LaunchTemplateId;
}

impl LaunchTemplate {
    /// `LatestVersionNumber`: CloudFormation never moves the default version.
    pub const LATEST_VERSION_NUMBER: Attribute<Self, LaunchTemplateVersion> = Attribute::new("LatestVersionNumber");
}

/// What an instance is launched with.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LaunchTemplateData {
    /// The image.
    pub image_id: Value<ImageId>,
    /// The type.
    pub instance_type: String,
    /// The role that the node has.
    pub iam_instance_profile: ProfileReference,
    /// Interfaces. Security groups and subnets stand here and nowhere else.
    pub network_interfaces: Vec<NetworkInterface>,
    /// Volumes.
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// Dedicated bandwidth to volumes.
    pub ebs_optimized: bool,
    /// What a shutdown from inside does.
    pub instance_initiated_shutdown_behavior: ShutdownBehavior,
    /// The metadata service.
    pub metadata_options: MetadataOptions,
    /// One-minute metrics.
    pub monitoring: Monitoring,
    /// The placement group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// The market that a capacity block is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_market_options: Option<MarketOptions>,
    /// The reservation that the instance uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_reservation_specification: Option<CapacityReservationSpecification>,
    /// Tags of what no resource of the template is. Constant, since a change replaces every node.
    pub tag_specifications: Vec<TagSpecification>,
    /// The node script.
    pub user_data: Value<String>,
}

/// An instance profile by ARN.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProfileReference {
    /// Its ARN.
    pub arn: Value<ProfileArn>,
}

/// An interface of a launch template.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkInterface {
    /// The card.
    pub network_card_index: u8,
    /// The device on the card.
    pub device_index: u8,
    /// What it carries.
    pub interface_type: InterfaceType,
    /// The subnet.
    pub subnet_id: Value<SubnetId>,
    /// Security groups.
    pub groups: Vec<Value<SecurityGroupId>>,
    /// Stated for each: an interface that is left behind blocks the deletion of its group.
    pub delete_on_termination: bool,
    /// Only on an interface that has addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associate_public_ip_address: Option<bool>,
}

/// What an interface carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceType {
    /// IP.
    Interface,
    /// IP and EFA.
    Efa,
    /// EFA without an IP address; never the primary interface.
    EfaOnly,
}

/// A volume.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BlockDeviceMapping {
    /// The image's root device.
    pub device_name: Value<DeviceName>,
    /// The volume.
    pub ebs: Ebs,
}

/// An EBS volume.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ebs {
    /// `gp3`
    pub volume_type: VolumeType,
    /// GiB.
    pub volume_size: u32,
    /// Operations a second.
    pub iops: u32,
    /// MiB a second.
    pub throughput: u32,
    /// Always.
    pub encrypted: bool,
    /// The volume goes with the instance.
    pub delete_on_termination: bool,
}

/// The volume type that is used.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeType {
    /// General purpose, third generation.
    Gp3,
}

/// What a shutdown from inside does.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShutdownBehavior {
    /// The instance stays and can be started.
    Stop,
    /// The instance ends.
    Terminate,
}

/// The metadata service.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetadataOptions {
    http_endpoint: &'static str,
    http_tokens: &'static str,
    http_put_response_hop_limit: u8,
    instance_metadata_tags: &'static str,
}

impl MetadataOptions {
    /// IMDSv2 only, not from containers, with tags: a node learns its name from its own tag.
    pub const V2_WITH_TAGS: Self = Self {
        http_endpoint: "enabled",
        http_tokens: "required",
        http_put_response_hop_limit: 1,
        instance_metadata_tags: "enabled",
    };
}

/// One-minute metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Monitoring {
    /// On or off.
    pub enabled: bool,
}

/// Where an instance is placed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Placement {
    /// The group.
    pub group_name: Value<PlacementGroupName>,
}

/// The market of an instance.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MarketOptions {
    /// `capacity-block`
    pub market_type: MarketType,
}

/// A market.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarketType {
    /// A capacity block.
    CapacityBlock,
}

/// Which reservation an instance uses.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CapacityReservationSpecification {
    /// The target.
    pub capacity_reservation_target: CapacityReservationTarget,
}

/// A reservation by id.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CapacityReservationTarget {
    /// `cr-…`
    pub capacity_reservation_id: String,
}

/// Tags of what an instance brings along.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagSpecification {
    /// `network-interface`
    pub resource_type: &'static str,
    /// The tags.
    pub tags: Vec<Tag>,
}

/// `AWS::EC2::Instance`, with nothing that its launch template says.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Instance {
    /// Create-only: another version replaces the node.
    pub launch_template: LaunchTemplateSpecification,
    /// Volumes get the instance's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_tags_to_volume_on_creation: Option<bool>,
    /// Tags change in place; so a changed task, profile or benchmark replaces no node.
    pub tags: Vec<Tag>,
}

impl Resource for Instance {
    const TYPE: &'static str = "AWS::EC2::Instance";
    type Ref = InstanceId;
}

/// A version of a launch template.
#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LaunchTemplateSpecification {
    /// Its id.
    pub launch_template_id: Value<LaunchTemplateId>,
    /// Its version.
    pub version: Value<LaunchTemplateVersion>,
}
