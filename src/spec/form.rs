//! The form of a spec: its keys from the top, in the order in which people write them.

use super::account::{ARN, IAM};
use super::shape::{Field, Presence, Shape, Text};
use super::{bootstrap, cluster, mlflow, network, workload};

const NAME: Text = Text {
    // CloudFormation builds bucket and role names from it: longer, they would be cut; in capitals, folded.
    pattern: "^[a-z][a-z0-9-]{0,22}[a-z0-9]$",
    allowed: "2 to 24 lower-case letters, digits and hyphens, a letter first and no hyphen last",
};
/// The form of a spec.
pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "version",
        presence: Presence::Required,
        shape: Shape::Whole { min: 1, max: 1 },
        doc: "the version of this form",
    },
    Field { name: "name", presence: Presence::Required, shape: Shape::Text(NAME), doc: "prefix of stacks and names" },
    Field {
        name: "region",
        presence: Presence::Required,
        shape: Shape::Text(Text {
            pattern: "^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$",
            allowed: "a region code, such as `us-east-1`",
        }),
        doc: "where everything is built",
    },
    Field {
        name: "availability_zone",
        presence: Presence::Required,
        shape: Shape::Text(Text {
            pattern: "^[a-z]+[a-z0-9-]*$",
            allowed: "a zone of the region by name (`us-east-1c`) or id (`use1-az4`)",
        }),
        doc: "the one zone of all nodes, since EFA does not cross zones",
    },
    Field {
        name: "tags",
        presence: Presence::Default("{}"),
        shape: Shape::Map {
            key: Text {
                pattern: "^[A-Za-z0-9+\\-=.,_:@]{1,128}$",
                allowed: "a tag key that the metadata service can serve: letters, digits and `+-=.,_:@`, no space or slash",
            },
            of: &Shape::Text(Text {
                pattern: "^[A-Za-z0-9_ +\\-=.:/@]{0,256}$",
                allowed: "at most 256 ASCII letters, digits, spaces and `+-=._:/@`",
            }),
            // 50 tags a resource, less Name and the three that the nodes read.
            at_most: 46,
        },
        doc: "tags of instances, volumes, buckets, the security group and MLflow",
    },
    Field {
        name: "network",
        presence: Presence::Default("{}"),
        shape: Shape::Object(network::NETWORK),
        doc: "where the nodes' interfaces live",
    },
    Field {
        name: "mlflow",
        presence: Presence::Default("{\"kind\": \"none\"}"),
        shape: Shape::Kinds(mlflow::KINDS),
        doc: "who records the results",
    },
    Field { name: "cluster", presence: Presence::Required, shape: Shape::Object(cluster::CLUSTER), doc: "the nodes" },
    Field {
        name: "ports",
        presence: Presence::Default("{}"),
        shape: Shape::Object(network::PORTS),
        doc: "ports of the serving processes",
    },
    Field {
        name: "expose",
        presence: Presence::Default("[]"),
        shape: Shape::List { of: &Shape::Object(network::EXPOSURE), at_least: 0, at_most: 50 },
        doc: "ports opened to other addresses; nothing by default, since `prefab connect --forward` needs none",
    },
    Field {
        name: "secrets",
        presence: Presence::Default("{}"),
        shape: Shape::Map {
            key: Text { pattern: "^[a-z][a-z0-9_]{0,62}$", allowed: "a lower-case name: letters, digits and `_`" },
            of: &Shape::Text(ARN),
            at_most: 10,
        },
        doc: "ARNs of SSM parameters or Secrets Manager secrets that nodes may read; never a value",
    },
    Field { name: "iam", presence: Presence::Default("{}"), shape: Shape::Object(IAM), doc: "what every role carries" },
    Field {
        name: "bootstrap",
        presence: Presence::Default("{}"),
        shape: Shape::Object(bootstrap::BOOTSTRAP),
        doc: "what the node program does",
    },
    Field {
        name: "workload",
        presence: Presence::Optional,
        shape: Shape::Object(workload::WORKLOAD),
        doc: "the model that will be served",
    },
    Field {
        name: "benchmark",
        presence: Presence::Default("{}"),
        shape: Shape::Object(workload::BENCHMARK),
        doc: "what the benchmark measures",
    },
];

#[cfg(test)]
mod tests {
    use super::super::{document, walk};
    use super::*;
    use crate::finding::Findings;

    /// Every field of the form, those of kinds and lists too, with its path.
    fn all_fields() -> Vec<(String, &'static Field)> {
        fn below(path: &str, shape: &'static Shape) -> Vec<(String, &'static Field)> {
            let fields: Vec<&'static Field> = match shape {
                Shape::Object(fields) | Shape::OneOf(fields) => fields.iter().collect(),
                Shape::Kinds(kinds) => kinds.iter().flat_map(|kind| kind.fields).collect(),
                Shape::List { of, .. } | Shape::Map { of, .. } => return below(path, of),
                _ => Vec::new(),
            };
            let with_path = |field: &'static Field| {
                let path = walk::joined(path, field.name);
                [(path.clone(), field)].into_iter().chain(below(&path, &field.shape)).collect::<Vec<_>>()
            };
            fields.into_iter().flat_map(with_path).collect()
        }
        below("", &Shape::Object(FIELDS))
    }

    fn texts_of(shape: &Shape) -> Vec<Text> {
        match shape {
            Shape::Text(text) => vec![*text],
            Shape::List { of, .. } => texts_of(of),
            Shape::Map { key, of, .. } => [*key].into_iter().chain(texts_of(of)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_pattern_compiles_is_anchored_and_is_read_alike_by_every_engine() {
        let fields = all_fields();
        assert!(fields.len() > 40, "{} fields", fields.len());
        for (path, text) in
            fields.iter().flat_map(|(path, field)| texts_of(&field.shape).into_iter().map(move |text| (path, text)))
        {
            regex_lite::Regex::new(text.pattern).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(text.pattern.starts_with('^') && text.pattern.ends_with('$'), "{path}: {}", text.pattern);
            // What these mean outside ASCII differs between this engine and that of JSON Schema.
            for class in ["\\s", "\\S", "\\w", "\\W", "\\d", "\\b", "(?i"] {
                assert!(!text.pattern.contains(class), "{path}: {}", text.pattern);
            }
        }
    }

    #[test]
    fn every_default_satisfies_its_own_shape() {
        let mut defaults = 0;
        for (path, field) in all_fields() {
            let Presence::Default(text) = field.presence else { continue };
            defaults += 1;
            let mut findings = Findings::default();
            let node = document::read(text.as_bytes(), &mut findings).unwrap_or_else(|| panic!("{path}: {text}"));
            walk::check(&node, &field.shape, &mut findings);
            assert_eq!(findings, Findings::default(), "{path}: {text}");
        }
        assert!(defaults > 20, "{defaults} defaults");
    }

    #[test]
    fn a_message_about_a_field_is_a_fragment() {
        for (path, field) in all_fields() {
            let described = field.shape.describe();
            for text in [field.doc, &described] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{path}: {text}");
            }
        }
    }
}
