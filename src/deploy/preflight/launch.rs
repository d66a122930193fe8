//! Asks EC2 whether it would launch what the template launches, as far as that is there already.

use serde_json::Value as Json;

use super::{Choice, Job, Outcome, Row};
use crate::deploy::account::Problem;
use crate::deploy::known_errors::{Around, advise};
use crate::deploy::session::Session;
use crate::stacks::{self, StackKind};

/// What a launch has that does not exist before the first deployment.
const LEFT_OUT: &str =
    "without security group, instance profile, own placement group and node script, which the stack makes";

pub(super) fn rows(session: Session<'_>, job: &Job<'_>, chosen: Choice<'_>) -> Vec<Row> {
    let Ok(stacks) = stacks::of(job.spec) else { return Vec::new() };
    let cluster = stacks.iter().filter(|stack| stack.kind == StackKind::Cluster);
    let resources = cluster.flat_map(|stack| stack.template.json()["Resources"].as_object().into_iter().flatten());
    let launches = resources.filter(|(_, json)| json["Type"] == "AWS::EC2::LaunchTemplate");
    launches.map(|(_, json)| ask(session, job, chosen, &json["Properties"]["LaunchTemplateData"])).collect()
}

fn ask(session: Session<'_>, job: &Job<'_>, chosen: Choice<'_>, data: &Json) -> Row {
    const ID: &str = "launch.dry-run";
    let instance_type = data["InstanceType"].as_str().unwrap_or_default();
    let parameters = parameters(data, chosen);
    let expected = format!("EC2 would launch {instance_type} ({LEFT_OUT})");
    match session.ask(|account| account.would_launch(&parameters)) {
        Ok(()) => Row::new(ID, Outcome::Pass, format!("{instance_type} would be launched"), expected),
        Err(problem @ (Problem::Passing(_) | Problem::Interrupted)) => Row::unknown(ID, &problem),
        Err(problem) => {
            let text = problem.to_string();
            let around = Around { region: job.spec.region.as_str(), logical_id: "", instance_type, zones: &[] };
            let hint = advise(&text, around).map_or_else(|| "correct what EC2 names".to_owned(), |advice| advice.fix);
            Row::judged(ID, false, text, expected, &hint)
        }
    }
}

/// The launch template's data as parameters of `RunInstances`.
fn parameters(data: &Json, chosen: Choice<'_>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut add = |key: String, value: &Json| {
        if !value.is_null() {
            pairs.push((key, text(value)));
        }
    };
    add("DryRun".to_owned(), &Json::Bool(true));
    add("MinCount".to_owned(), &1.into());
    add("MaxCount".to_owned(), &1.into());
    add("ImageId".to_owned(), &chosen.image.as_str().into());
    for key in ["InstanceType", "EbsOptimized", "InstanceInitiatedShutdownBehavior"] {
        add(key.to_owned(), &data[key]);
    }
    for key in ["HttpEndpoint", "HttpTokens", "HttpPutResponseHopLimit", "InstanceMetadataTags"] {
        add(format!("MetadataOptions.{key}"), &data["MetadataOptions"][key]);
    }
    for (at, interface) in data["NetworkInterfaces"].as_array().into_iter().flatten().enumerate() {
        let prefix = format!("NetworkInterface.{}", at + 1);
        for key in
            ["DeviceIndex", "NetworkCardIndex", "InterfaceType", "AssociatePublicIpAddress", "DeleteOnTermination"]
        {
            add(format!("{prefix}.{key}"), &interface[key]);
        }
        add(format!("{prefix}.SubnetId"), &chosen.subnet.as_str().into());
    }
    for (at, mapping) in data["BlockDeviceMappings"].as_array().into_iter().flatten().enumerate() {
        let prefix = format!("BlockDeviceMapping.{}", at + 1);
        add(format!("{prefix}.DeviceName"), &chosen.root_device.as_str().into());
        for key in ["VolumeType", "VolumeSize", "Iops", "Throughput", "Encrypted", "DeleteOnTermination"] {
            add(format!("{prefix}.Ebs.{key}"), &mapping["Ebs"][key]);
        }
    }
    let target = &data["CapacityReservationSpecification"]["CapacityReservationTarget"]["CapacityReservationId"];
    add("CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId".to_owned(), target);
    add("InstanceMarketOptions.MarketType".to_owned(), &data["InstanceMarketOptions"]["MarketType"]);
    pairs
}
