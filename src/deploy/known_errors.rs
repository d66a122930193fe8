//! What services say when they refuse, and what a person does about it.

use regex_lite::Regex;

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// EC2 has no such machine there at the moment: the same spec may work later, or elsewhere.
    Capacity,
    /// The account's limit; it is raised by a request.
    Quota,
    /// The caller or a role may not.
    Permission,
    /// The spec asks for what cannot be.
    Permanent,
    /// A node said no; its own reason says why.
    Node,
    /// Something still uses what is deleted.
    InUse,
}

struct Known {
    /// All of these must be in the reason, in any case.
    words: &'static [&'static str],
    class: Class,
    /// `{type}`, `{zones}`, `{action}` and `{region}` are filled in.
    fix: &'static str,
}

/// The first row whose words all occur is taken. Sources: the EC2 and CloudFormation error references, and public
/// reports that quote the texts.
const TABLE: &[Known] = &[
    Known {
        words: &["multiple network interfaces", "associatepublicipaddress"],
        class: Class::Permanent,
        fix: "an instance with several interfaces gets no automatic public address: set `network.public: false` and use a subnet with a NAT gateway or endpoints (and without MapPublicIpOnLaunch), or a single-interface type",
    },
    Known {
        words: &["reservationcapacityexceeded"],
        class: Class::Capacity,
        fix: "the reservation or block has no free instance: wait until the old nodes are terminated (a block takes minutes to return them), or ask for fewer nodes",
    },
    Known {
        words: &["insufficientinstancecapacity"],
        class: Class::Capacity,
        fix: "EC2 has no free {type} in this zone now{zones}: set `availability_zone` to one of them, reserve capacity (`cluster.capacity`), or try again later",
    },
    Known {
        words: &["sufficient", "capacity in the availability zone"],
        class: Class::Capacity,
        fix: "EC2 has no free {type} in this zone now{zones}: set `availability_zone` to one of them, reserve capacity (`cluster.capacity`), or try again later",
    },
    Known {
        words: &["insufficient capacity"],
        class: Class::Capacity,
        fix: "EC2 has no free {type} in this zone now{zones}: set `availability_zone` to one of them, reserve capacity (`cluster.capacity`), or try again later",
    },
    Known {
        words: &["not supported in your requested availability zone"],
        class: Class::Permanent,
        fix: "{type} is not offered in this zone, and trying again does not help{zones}: set `availability_zone` to one of them",
    },
    Known {
        words: &["vcpu"],
        class: Class::Quota,
        fix: "ask for a higher vCPU quota of this instance family: https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas",
    },
    Known {
        words: &["addresslimitexceeded"],
        class: Class::Quota,
        fix: "release Elastic IP addresses, or ask for a higher quota (EC2-VPC Elastic IPs): https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas",
    },
    Known {
        words: &["instancelimitexceeded"],
        class: Class::Quota,
        fix: "ask for a higher instance quota: https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas",
    },
    Known {
        words: &["resourcelimitexceeded", "mlflow"],
        class: Class::Quota,
        fix: "the account has as many tracking servers as it may: delete one, use `mlflow: {{ kind: existing }}`, or raise the quota of SageMaker",
    },
    Known {
        words: &["not authorized to perform"],
        class: Class::Permission,
        fix: "allow `{action}`: operator-policy.json, which `prefab synth` writes, lists all that a person needs for apply and destroy; an organization's policy or a permissions boundary may still deny it",
    },
    Known {
        words: &["unauthorizedoperation"],
        class: Class::Permission,
        fix: "allow `{action}`: operator-policy.json, which `prefab synth` writes, lists all that a person needs for apply and destroy; an organization's policy or a permissions boundary may still deny it",
    },
    Known {
        words: &["unrecognized resource types", "sagemaker"],
        class: Class::Permanent,
        fix: "this region has no such MLflow resource: choose the other `mlflow.kind`, `kind: none`, or another region",
    },
    Known {
        words: &["mlflow", "already exists"],
        class: Class::Permanent,
        fix: "the account has an MLflow of this name: change `mlflow.name`, or use it with `mlflow: {{ kind: existing, arn: … }}`",
    },
    Known {
        words: &["unresponsive receiver"],
        class: Class::Permanent,
        fix: "EFA found no peer: the security group must let everything in from itself and out to itself; an address range never matches EFA. `prefab synth --check` tells whether the template was changed",
    },
    Known {
        words: &["self rule"],
        class: Class::Permanent,
        fix: "the security group must let everything in from itself and out to itself; an address range never matches EFA. `prefab synth --check` tells whether the template was changed",
    },
    Known {
        words: &["insufficientfreeaddressesinsubnet"],
        class: Class::Permanent,
        fix: "the subnet has too few free addresses: use another, or `cluster.efa: {{ mode: recommended }}`, which takes one address a node",
    },
    Known {
        words: &["user data is limited to 16384"],
        class: Class::Permanent,
        fix: "the node script became too long; `prefab synth` measures it",
    },
    Known { words: &["failure signal"], class: Class::Node, fix: "the node says why: `prefab logs {node}`" },
    Known {
        words: &["failed to receive", "resource signal"],
        class: Class::Node,
        fix: "the node never answered in time: it may not reach CloudFormation and S3 (routes, NAT, endpoints), or its image is broken; `prefab logs {node}` shows its console",
    },
    Known {
        words: &["is in use and may not be deleted"],
        class: Class::InUse,
        fix: "instances of the group are still ending: run `prefab destroy` again in some minutes",
    },
    Known {
        words: &["dependencyviolation"],
        class: Class::InUse,
        fix: "an interface outside the stack still uses it: find it by the security group, delete it, and run `prefab destroy` again",
    },
    Known {
        words: &["bucket", "not empty"],
        class: Class::InUse,
        fix: "`prefab destroy --all` empties the buckets first, all versions included",
    },
    Known {
        words: &["export", "in use by"],
        class: Class::InUse,
        fix: "delete the stacks that import it first; they are named in the reason",
    },
];

/// A known error with its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What kind it is.
    pub class: Class,
    /// What to do.
    pub fix: String,
    /// Zones in which it may go better.
    pub zones: Vec<String>,
}

/// What is known around a reason.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// The region.
    pub region: &'a str,
    /// The logical id of the resource that failed.
    pub logical_id: &'a str,
    /// The instance type, where one is meant.
    pub instance_type: &'a str,
    /// Zones that offer the type, where that was asked.
    pub zones: &'a [String],
}

/// What to do about a reason; `None` for one that nobody has met yet.
pub fn advise(reason: &str, around: Around<'_>) -> Option<Advice> {
    let lower = reason.to_lowercase();
    let known = TABLE.iter().find(|known| known.words.iter().all(|word| lower.contains(word)))?;
    let named = zones_in(reason);
    let elsewhere = if named.is_empty() { around.zones.to_vec() } else { named };
    let elsewhere = if known.fix.contains("{zones}") { elsewhere } else { Vec::new() };
    let zones = if elsewhere.is_empty() {
        String::new()
    } else {
        format!(" (zones that may have it: {})", elsewhere.join(", "))
    };
    let instance_type = if around.instance_type.is_empty() { "such instance" } else { around.instance_type };
    let fix = known
        .fix
        .replace("{{", "\u{1}")
        .replace("}}", "\u{2}")
        .replace("{type}", instance_type)
        .replace("{zones}", &zones)
        .replace("{action}", &action_in(reason).unwrap_or_else(|| "the action in the reason".to_owned()))
        .replace("{region}", around.region)
        .replace("{node}", around.logical_id)
        .replace('\u{1}', "{")
        .replace('\u{2}', "}");
    Some(Advice { class: known.class, fix, zones: elsewhere })
}

/// Zones that EC2 recommends: those after `choosing`, which is how both its texts begin the list.
fn zones_in(reason: &str) -> Vec<String> {
    let Some((_, rest)) = reason.split_once("choosing") else { return Vec::new() };
    let zone = Regex::new(r"[a-z]{2}(-[a-z]+)+-[0-9]+(-[a-z0-9]+)*[a-z]").unwrap_or_else(|error| panic!("{error}"));
    zone.find_iter(rest).map(|found| found.as_str().to_owned()).collect()
}

/// The IAM action that a service misses.
fn action_in(reason: &str) -> Option<String> {
    let action = Regex::new(r"perform:? `?([a-z0-9-]+:[A-Za-z0-9]+)").unwrap_or_else(|error| panic!("{error}"));
    Some(action.captures(reason)?.get(1)?.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reason: &str) -> Advice {
        let around = Around { region: "us-east-1", logical_id: "Prefill0", instance_type: "g6e.12xlarge", zones: &[] };
        advise(reason, around).unwrap_or_else(|| panic!("unknown: {reason}"))
    }

    #[test]
    fn k047_a_capacity_shortage_names_the_zones_that_ec2_names() {
        let advice = of(
            "We currently do not have sufficient g6e.12xlarge capacity in the Availability Zone you requested (us-east-1c). Our system will be working on provisioning additional capacity. You can currently get g6e.12xlarge capacity by not specifying an Availability Zone in your request or choosing us-east-1a, us-east-1b, us-east-1d. (Service: Ec2, Status Code: 500, Request ID: 1) (HandlerErrorCode: GeneralServiceException) InsufficientInstanceCapacity",
        );
        assert_eq!(advice.class, Class::Capacity);
        assert!(advice.fix.contains("us-east-1a, us-east-1b, us-east-1d"), "{}", advice.fix);
        assert!(!advice.fix.contains("us-east-1c"), "{}", advice.fix);
    }

    #[test]
    fn k046_a_type_that_a_zone_does_not_offer_is_permanent() {
        let advice = of(
            "Your requested instance type (p5.48xlarge) is not supported in your requested Availability Zone (us-east-1a). Please retry your request by not specifying an Availability Zone or choosing us-east-1d, us-east-1f. (Service: AmazonEC2; Error Code: Unsupported)",
        );
        assert_eq!(advice.class, Class::Permanent);
        assert!(
            advice.fix.contains("us-east-1d, us-east-1f") && advice.fix.contains("does not help"),
            "{}",
            advice.fix
        );
    }

    #[test]
    fn the_missing_iam_action_is_named() {
        let advice = of(
            "User: arn:aws:iam::111122223333:user/x is not authorized to perform: ec2:CreatePlacementGroup on resource: arn:aws:ec2:… because no identity-based policy allows it",
        );
        assert_eq!(advice.class, Class::Permission);
        assert!(advice.fix.contains("`ec2:CreatePlacementGroup`"), "{}", advice.fix);
    }

    #[test]
    fn each_known_error_has_its_fix() {
        for (reason, class, word) in [
            (
                "InvalidParameterCombination: The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.",
                Class::Permanent,
                "NAT gateway",
            ),
            (
                "You have requested more vCPU capacity than your current vCPU limit of 0 allows",
                Class::Quota,
                "us-east-1.console",
            ),
            ("The maximum number of addresses has been reached. AddressLimitExceeded", Class::Quota, "Elastic IP"),
            (
                "Template format error: Unrecognized resource types: [AWS::SageMaker::MlflowApp]",
                Class::Permanent,
                "another region",
            ),
            ("MLflow Tracking Server nixl already exists", Class::Permanent, "mlflow.name"),
            (
                "Error 4126: Unresponsive receiver (reachable by EFA device but handshake failed)",
                Class::Permanent,
                "out to itself",
            ),
            (
                "Received 1 FAILURE signal(s) out of 1. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement",
                Class::Node,
                "prefab logs Prefill0",
            ),
            (
                "Failed to receive 1 resource signal(s) within the specified duration",
                Class::Node,
                "prefab logs Prefill0",
            ),
            ("The placement group 'pg-1' is in use and may not be deleted.", Class::InUse, "again"),
            ("resource sg-1 has a dependent object DependencyViolation", Class::InUse, "interface"),
            ("The bucket you tried to delete is not empty", Class::InUse, "--all"),
            (
                "ReservationCapacityExceeded: The requested reservation does not have sufficient compatible and available capacity",
                Class::Capacity,
                "block",
            ),
            ("InsufficientFreeAddressesInSubnet", Class::Permanent, "mode: recommended"),
        ] {
            let advice = of(reason);
            assert_eq!(advice.class, class, "{reason}");
            assert!(advice.fix.contains(word), "{reason}: {}", advice.fix);
            assert!(!advice.fix.contains('{') || advice.fix.contains("{ "), "{}", advice.fix);
        }
    }

    #[test]
    fn an_unknown_reason_gets_no_made_up_advice() {
        assert_eq!(advise("Internal failure", Around::default()), None);
    }
}
