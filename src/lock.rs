//! What an apply chose, kept beside the spec as `<stem>.lock` and committed with it: whose account it was, and which
//! image and subnet stood for `default` and for a parameter on that day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of this document.
pub const SCHEMA_VERSION: u32 = 1;

/// What an apply chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Twelve digits.
    pub account: String,
    /// The region.
    pub region: String,
    /// The zone as the spec has it.
    pub availability_zone: String,
    /// The parameter that named the image; absent when the spec names it by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_parameter: Option<String>,
    /// Stacks by kind: their ARNs.
    pub stacks: BTreeMap<String, String>,
    /// Parameters of the cluster as they were deployed.
    pub parameters: BTreeMap<String, String>,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn read(text: &str) -> Result<Self, String> {
        let lock: Self = serde_json::from_str(text).map_err(|error| {
            format!("found a lock file that cannot be read ({error}), expected what `prefab apply` wrote; restore it, or remove it and apply again")
        })?;
        if lock.schema_version != SCHEMA_VERSION {
            return Err(format!(
                "found a lock file of version {}, expected {SCHEMA_VERSION}; use the prefab that wrote it",
                lock.schema_version
            ));
        }
        Ok(lock)
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let json = serde_json::to_value(self).unwrap_or_else(|error| panic!("a lock is plain data: {error}"));
        format!("{json:#}\n")
    }
}
