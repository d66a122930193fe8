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
