//! Types of the texts that references return: one cannot stand where another is meant.

use serde::Serialize;

use crate::template::ParameterType;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident $(= $parameter:literal)?;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
            pub struct $name(String);

            impl $name {
                /// The text that is known now.
                pub fn known(text: impl Into<String>) -> Self {
                    Self(text.into())
                }
            }

            $(impl ParameterType for $name {
                const TYPE: &'static str = $parameter;
            })?
        )*
    };
}

texts! {
    /// A VPC's id.
    VpcId = "AWS::EC2::VPC::Id";
    /// A subnet's id.
    SubnetId = "AWS::EC2::Subnet::Id";
    /// An image's id.
    ImageId = "AWS::EC2::Image::Id";
    /// A bucket's name.
    BucketName = "String";
    /// A device name, such as `/dev/sda1`.
    DeviceName = "String";
    /// The ARN of a tracking server or app.
    TrackingArn = "String";
    /// A SHA-256 in lower-case hexadecimal digits.
    Digest = "String";
    /// A security group's id.
    SecurityGroupId;
    /// A placement group's name.
    PlacementGroupName;
    /// A launch template's id.
    LaunchTemplateId;
    /// A launch template's version number.
    LaunchTemplateVersion;
    /// An instance's id.
    InstanceId;
    /// A bucket's ARN.
    BucketArn;
    /// A role's name.
    RoleName;
    /// A role's ARN.
    RoleArn;
    /// An instance profile's name.
    ProfileName;
    /// An instance profile's ARN.
    ProfileArn;
    /// A tracking server's name.
    TrackingServerName;
    /// An ARN, or a pattern of ARNs, in a policy.
    PolicyResource;
    /// What `Ref` returns where nothing refers to it.
    Unused;
}
