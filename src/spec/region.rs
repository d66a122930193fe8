//! Regions, their partitions and zones, and where the MLflow resource types exist.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A region code, such as `us-east-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Region(String);

/// An availability zone by name (`us-east-1c`, one account's letter) or by id (`use1-az4`, the same for everybody).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AvailabilityZone(String);

/// What the table knows of a region. Sources: the CloudFormation resource schemas of 2026-10-20 for the MLflow types.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub(super) region: String,
    pub(super) zone_id_prefix: String,
    pub(super) tracking_server: bool,
    pub(super) mlflow_app: bool,
}

/// The prefixes by which a region's code tells its partition; every other region is in `aws`.
const PARTITIONS: &[(&str, &str)] = &[
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("us-iso-", "aws-iso"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
];

static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let rows = csv::Reader::from_reader(include_bytes!("../regions.csv").as_slice()).into_deserialize().collect();
    rows.unwrap_or_else(|error: csv::Error| panic!("src/regions.csv, which every test reads, is wrong: {error}"))
});

/// All regions of the table.
pub(super) fn table() -> &'static [Row] {
    &TABLE
}

impl Region {
    pub(super) fn new(code: &str) -> Self {
        Self(code.to_owned())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition, such as `aws` or `aws-us-gov`.
    pub fn partition(&self) -> &'static str {
        PARTITIONS.iter().find(|(prefix, _)| self.0.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
    }

    /// What the table knows of it; `None` for a region that is newer than the table.
    pub(super) fn row(&self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.region == self.0)
    }
}

impl AvailabilityZone {
    /// The zone, when it lies in the region. A region newer than the table accepts every zone id.
    pub(super) fn within(zone: &str, region: &Region) -> Option<Self> {
        let inside = match zone.split_once("-az") {
            Some((prefix, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                region.row().is_none_or(|row| prefix == row.zone_id_prefix || prefix.starts_with(&format!("{}-", row.zone_id_prefix)))
            }
            _ => zone.strip_prefix(region.as_str()).is_some_and(|rest| {
                // `a`, or a local zone such as `-dfw-2a`.
                rest.starts_with('-') || (rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_lowercase()))
            }),
        };
        inside.then(|| Self(zone.to_owned()))
    }

    /// The name or id as the spec has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_tells_its_partition_and_its_zones() {
        let gov = Region::new("us-gov-west-1");
        assert_eq!((Region::new("cn-north-1").partition(), gov.partition(), Region::new("us-east-1").partition()), ("aws-cn", "aws-us-gov", "aws"));
        let east = Region::new("us-east-1");
        for inside in ["us-east-1c", "use1-az4", "us-east-1-dfw-2a", "use1-dfw2-az1"] {
            assert!(AvailabilityZone::within(inside, &east).is_some(), "{inside}");
        }
        for outside in ["us-east-2c", "usw2-az4", "us-east-1", "us-east-1cc"] {
            assert!(AvailabilityZone::within(outside, &east).is_none(), "{outside}");
        }
    }
}
