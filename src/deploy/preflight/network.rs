//! Addresses, the way out, and the group's rules to itself.

use super::{Choice, Job, Outcome, Row, addresses, most_interfaces};
use crate::deploy::account::SubnetsOf;
use crate::deploy::session::Session;
use crate::spec::mlflow::Mlflow;
use crate::spec::network::Access;

pub(super) fn rows(session: Session<'_>, job: &Job<'_>, chosen: Choice<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    match session.ask(|account| account.subnets(&SubnetsOf::Id(chosen.subnet.clone()))) {
        Ok(found) => {
            for subnet in found.iter().take(1) {
                // Nodes that are there already have theirs.
                let needed = if job.deployed.is_some() { 0 } else { addresses(job.spec) };
                rows.push(Row::judged(
                    "subnet.addresses",
                    subnet.free_addresses >= needed,
                    format!("{} of {} are free", subnet.free_addresses, subnet.id),
                    format!("{needed} for this cluster"),
                    "`cluster.efa: { mode: recommended }` takes one address a node (efa-only interfaces take none), or use a larger subnet",
                ));
                let several = most_interfaces(job.spec) > 1;
                rows.push(Row::judged(
                    "subnet.public",
                    !(several && subnet.maps_public),
                    format!("{} {} public addresses by itself", subnet.id, if subnet.maps_public { "gives" } else { "gives no" }),
                    if several { "none for nodes of several interfaces" } else { "either, for nodes of one interface" },
                    "EC2 gives a node of several interfaces no automatic public address: use a subnet without MapPublicIpOnLaunch",
                ));
            }
        }
        Err(problem) => rows.push(Row::unknown("subnet.addresses", &problem)),
    }
    rows.push(way_out(session, job, chosen));
    rows.extend(
        job.deployed.and_then(|stack| stack.outputs.get("SecurityGroupId")).map(|group| self_rules(session, group)),
    );
    rows
}

/// Nodes fetch from S3 and signal to CloudFormation; without a way they never answer, and the stack waits for its timeout.
fn way_out(session: Session<'_>, job: &Job<'_>, chosen: Choice<'_>) -> Row {
    const ID: &str = "subnet.route";
    let route = match session.ask(|account| account.default_route(&chosen.vpc, &chosen.subnet)) {
        Ok(route) => route,
        Err(problem) => return Row::unknown(ID, &problem),
    };
    let public = job.spec.network.access == Access::Public;
    match route {
        Some(target) if public => Row::judged(
            ID,
            target.starts_with("igw-"),
            format!("0.0.0.0/0 goes to {target}"),
            "an internet gateway, because nodes have public addresses",
            "use a public subnet, or `network.public: false`",
        ),
        Some(target) => Row::judged(
            ID,
            !target.starts_with("igw-"),
            format!("0.0.0.0/0 goes to {target}"),
            "a NAT gateway or another way for private addresses",
            "a private address cannot use an internet gateway: use a subnet with a NAT gateway, or endpoints",
        ),
        None if public => Row::judged(ID, false, "no route to 0.0.0.0/0", "an internet gateway", "use a public subnet"),
        None => endpoints(session, job, chosen),
    }
}

fn endpoints(session: Session<'_>, job: &Job<'_>, chosen: Choice<'_>) -> Row {
    const ID: &str = "subnet.route";
    let found = match session.ask(|account| account.endpoints(&chosen.vpc)) {
        Ok(found) => found,
        Err(problem) => return Row::unknown(ID, &problem),
    };
    let mut needed = vec!["s3", "cloudformation", "ssm", "ssmmessages"];
    if job.spec.mlflow != Mlflow::None {
        needed.push("sagemaker.api");
    }
    let has = |service: &str| found.iter().any(|name| name.ends_with(&format!(".{service}")));
    let missing: Vec<&str> = needed.iter().copied().filter(|service| !has(service)).collect();
    Row::judged(
        ID,
        missing.is_empty(),
        if missing.is_empty() {
            format!("endpoints: {}", found.join(", "))
        } else {
            format!("no route to 0.0.0.0/0, and no endpoint of {}", missing.join(", "))
        },
        "a way to what nodes need",
        "add the endpoints, or a NAT gateway; without them no node ever signals",
    )
}

/// EFA matches only a rule that names the group itself, in each direction.
fn self_rules(session: Session<'_>, group: &str) -> Row {
    const ID: &str = "group.self";
    let rules = match session.ask(|account| account.group_rules(group)) {
        Ok(rules) => rules,
        Err(problem) => return Row::unknown(ID, &problem),
    };
    let has =
        |egress: bool| rules.iter().any(|rule| rule.egress == egress && rule.protocol == "-1" && rule.group == group);
    let missing: Vec<String> = [(false, "ingress"), (true, "egress")]
        .into_iter()
        .filter(|(egress, _)| !has(*egress))
        .map(|(_, word)| format!("aws ec2 authorize-security-group-{word} --group-id {group} --ip-permissions IpProtocol=-1,UserIdGroupPairs=[{{GroupId={group}}}]"))
        .collect();
    if missing.is_empty() {
        return Row::new(
            ID,
            Outcome::Pass,
            format!("{group} lets everything in from itself and out to itself"),
            "both",
        );
    }
    let found = format!("{group} lacks {} of the two rules to itself", missing.len());
    Row::judged(
        ID,
        false,
        found,
        "all protocols in from and out to the group itself: EFA matches no address range",
        &missing.join("; "),
    )
}
