//! Which properties replace their resource, and what a replacement or removal means.

use serde::Serialize;

use super::{Difference, Kind};

/// Whether a change makes a new resource in the place of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    /// Changed in place.
    Never,
    /// CloudFormation decides when it changes it.
    Conditional,
    /// Always.
    Always,
}

/// Properties of a type that replace it (`createOnly`) or may (`conditionalCreateOnly`).
struct Row {
    resource_type: &'static str,
    always: &'static [&'static str],
    conditional: &'static [&'static str],
    /// Every property that is listed in neither replaces too: the type has no update handler.
    others: Replacement,
}

/// Source: the CloudFormation resource schemas of 2026-10-20.
const TABLE: &[Row] = &[
    Row {
        resource_type: "AWS::EC2::Instance",
        always: &[
            "AvailabilityZone",
            "CpuOptions",
            "EnclaveOptions",
            "HibernationOptions",
            "ImageId",
            "KeyName",
            "LaunchTemplate",
            "NetworkInterfaces",
            "PlacementGroupName",
            "PrivateIpAddress",
            "SecurityGroups",
            "SubnetId",
        ],
        conditional: &[
            "InstanceType",
            "UserData",
            "BlockDeviceMappings",
            "EbsOptimized",
            "Tenancy",
            "SecurityGroupIds",
        ],
        others: Replacement::Never,
    },
    Row {
        resource_type: "AWS::EC2::LaunchTemplate",
        always: &["LaunchTemplateName"],
        conditional: &[],
        others: Replacement::Never,
    },
    Row { resource_type: "AWS::EC2::PlacementGroup", always: &[], conditional: &[], others: Replacement::Always },
    Row {
        resource_type: "AWS::EC2::SecurityGroup",
        always: &["GroupDescription", "GroupName", "VpcId"],
        conditional: &[],
        others: Replacement::Never,
    },
    Row {
        resource_type: "AWS::EC2::SecurityGroupIngress",
        always: &[
            "CidrIp",
            "CidrIpv6",
            "FromPort",
            "GroupId",
            "GroupName",
            "IpProtocol",
            "SourcePrefixListId",
            "SourceSecurityGroupId",
            "ToPort",
        ],
        conditional: &[],
        others: Replacement::Never,
    },
    Row {
        resource_type: "AWS::EC2::SecurityGroupEgress",
        always: &[
            "CidrIp",
            "CidrIpv6",
            "DestinationPrefixListId",
            "DestinationSecurityGroupId",
            "FromPort",
            "GroupId",
            "IpProtocol",
            "ToPort",
        ],
        conditional: &[],
        others: Replacement::Never,
    },
    Row {
        resource_type: "AWS::EC2::NetworkInterface",
        always: &["InterfaceType", "PrivateIpAddress", "SubnetId"],
        conditional: &["PrivateIpAddresses"],
        others: Replacement::Never,
    },
    Row {
        resource_type: "AWS::SageMaker::MlflowTrackingServer",
        always: &["TrackingServerName"],
        conditional: &["MlflowVersion", "RoleArn"],
        others: Replacement::Never,
    },
    Row {
        resource_type: "AWS::SageMaker::MlflowApp",
        always: &["Name", "RoleArn"],
        conditional: &[],
        others: Replacement::Never,
    },
    Row {
        resource_type: "AWS::S3::Bucket",
        always: &["BucketName", "BucketNamePrefix", "BucketNamespace"],
        conditional: &[],
        others: Replacement::Never,
    },
    Row { resource_type: "AWS::S3::BucketPolicy", always: &["Bucket"], conditional: &[], others: Replacement::Never },
    Row {
        resource_type: "AWS::IAM::Role",
        always: &["Path", "RoleName"],
        conditional: &[],
        others: Replacement::Never,
    },
    Row {
        resource_type: "AWS::IAM::InstanceProfile",
        always: &["InstanceProfileName", "Path"],
        conditional: &[],
        others: Replacement::Never,
    },
];

/// What a change of a property does to its resource. A type that is not in the table may do anything.
pub(super) fn of_property(resource_type: &str, property: &str) -> Replacement {
    match TABLE.iter().find(|row| row.resource_type == resource_type) {
        Some(row) if row.always.contains(&property) => Replacement::Always,
        Some(row) if row.conditional.contains(&property) => Replacement::Conditional,
        Some(row) => row.others,
        None => Replacement::Conditional,
    }
}

/// What a replacement or a removal means beyond the resource itself.
pub(super) fn consequence(of: &Difference) -> Option<String> {
    let (id, replaced) = (&of.logical_id, of.replacement != Replacement::Never);
    let text = match (of.resource_type.as_str(), of.kind) {
        ("AWS::EC2::Instance", Kind::Change) if replaced => format!(
            "{id} is launched anew before the old one ends: one more instance must be free meanwhile (a full reservation or block has none), and the old volume is lost"
        ),
        ("AWS::EC2::Instance", Kind::Remove) => format!("{id} is terminated and its volume is lost"),
        ("AWS::SageMaker::MlflowTrackingServer" | "AWS::SageMaker::MlflowApp", Kind::Change) if replaced => {
            "a new one is made; the old one stays with its record, goes on billing, and is yours to delete".to_owned()
        }
        ("AWS::SageMaker::MlflowTrackingServer" | "AWS::SageMaker::MlflowApp", Kind::Remove) => {
            "its record of experiments is deleted; artifacts stay in their bucket".to_owned()
        }
        ("AWS::SageMaker::MlflowTrackingServer", Kind::Change)
            if of.lines.iter().any(|line| line.contains("ArtifactStoreUri")) =>
        {
            "risky: a server whose artifact store moves was seen to stay in UPDATING for days, where it can be neither stopped nor deleted".to_owned()
        }
        ("AWS::S3::Bucket", Kind::Change) if replaced => "a new, empty bucket takes its place; the old one stays".to_owned(),
        ("AWS::S3::Bucket", Kind::Remove) => "the bucket goes, unless its deletion policy retains it".to_owned(),
        ("AWS::EC2::PlacementGroup", Kind::Change) => "every node in it is replaced".to_owned(),
        _ => return None,
    };
    Some(text)
}
