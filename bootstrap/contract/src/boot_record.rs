//! How far a node's boot is and how it ended, as the node puts it into the bucket: first its script, then its program.

use serde::{Deserialize, Serialize};

/// The version of this document.
pub const SCHEMA_VERSION: u32 = 1;

/// The object `boot/<stack uuid>/<node>.json`, replaced as the boot goes on. `prefab apply` shows it beside
/// CloudFormation's events, which carry no reason of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The node's logical id; its instance id where the node never saw its tag.
    pub node: String,
    /// The instance, to tell a replaced node's record from its successor's.
    pub instance_id: String,
    /// Of the node script: `identity`, `settings`, `download`, `verify`, `install` or `exec`. Of the program: the phase
    /// that it is in or that ended it, such as `checks` or `peers`; `ready` at a good end.
    pub stage: String,
    /// 0 ready, above it not; null while the boot goes on.
    pub exit_code: Option<u8>,
    /// One line for a person: why it ended badly, or waits for a reboot; else empty.
    pub reason: String,
    /// The node's own clock, `2026-01-31T12:00:00Z`.
    pub at: String,
    /// The boot of the machine, as the kernel names it: a rebooted node has another. Absent from the node script's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// How long the boot has gone on, reboots included; absent from the node script's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_milliseconds: Option<u64>,
}

impl BootRecord {
    /// The key under which a node's record is kept.
    pub fn key(stack_uuid: &str, node: &str) -> String {
        format!("boot/{stack_uuid}/{node}.json")
    }

    /// Whether the boot has ended badly.
    pub fn has_failed(&self) -> bool {
        self.exit_code.is_some_and(|code| code != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_of_script_and_program_are_one_document() {
        let script = r#"{"schema_version":1,"node":"Prefill0","instance_id":"i-1","stage":"download","exit_code":1,
            "reason":"no route","at":"2026-01-31T12:00:00Z"}"#;
        let failed: BootRecord = serde_json::from_str(script).unwrap();
        assert!(failed.has_failed() && failed.boot_milliseconds.is_none());
        let going_on = BootRecord {
            exit_code: None,
            boot_id: Some("b".into()),
            boot_milliseconds: Some(7),
            stage: "checks".into(),
            ..failed
        };
        let text = serde_json::to_string(&going_on).unwrap();
        assert!(text.contains("\"exit_code\":null"), "{text}");
        assert_eq!(serde_json::from_str::<BootRecord>(&text).unwrap(), going_on);
        assert!(!going_on.has_failed());
    }
}
