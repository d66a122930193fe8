//! What a node is told by its user data: the same for every node of a cluster. Who it is, its own tags say.

use serde::{Deserialize, Serialize};

use crate::sha256::Sha256;

/// The file that the node script writes and hands to `prefab-bootstrap run --seed FILE`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSeed {
    /// The cluster stack's ARN: signals go there, and its last part names the node's folders in the bucket.
    pub stack_id: String,
    /// The region of the stack and of the bucket.
    pub region: String,
    /// The partition's domain, such as `amazonaws.com`: every endpoint's name ends in it.
    pub url_suffix: String,
    /// The bucket with programs, configs, rosters and results.
    pub bucket: String,
    /// The hash of `prefab-bootstrap`, and part of its key in the bucket.
    pub bootstrap_sha256: Sha256,
}

impl NodeSeed {
    /// The last part of the stack's ARN, which is unique even among stacks of one name.
    pub fn stack_uuid(&self) -> &str {
        self.stack_id.rsplit('/').next().unwrap_or(&self.stack_id)
    }

    /// The key of the program that the node fetches.
    pub fn bootstrap_key(sha256: &Sha256) -> String {
        format!("bootstrap/{sha256}/prefab-bootstrap")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = concat!(
        r#"{"stack_id":"arn:aws:cloudformation:us-east-1:111122223333:stack/a-cluster/0f1e2d3c","region":"us-east-1","#,
        r#""url_suffix":"amazonaws.com","bucket":"a-bucket","bootstrap_sha256":"#,
        r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#
    );

    #[test]
    fn the_stack_uuid_is_the_last_part_of_the_arn() {
        let seed: NodeSeed = serde_json::from_str(SEED).unwrap();
        assert_eq!(seed.stack_uuid(), "0f1e2d3c");
        assert_eq!(serde_json::to_string(&seed).unwrap(), SEED);
    }

    #[test]
    fn unknown_missing_and_malformed_fields_are_errors() {
        for (from, to) in [
            (r#""region""#, r#""regoin""#),
            (r#""bucket":"a-bucket","#, ""),
            ("e3b0c4", ""),
            (r#"{"stack"#, r#"{"more":1,"stack"#),
        ] {
            let wrong = SEED.replacen(from, to, 1);
            assert!(serde_json::from_str::<NodeSeed>(&wrong).is_err(), "{wrong}");
        }
    }
}
