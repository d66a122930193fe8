//! What EC2 and Service Quotas say before a deployment.

use roxmltree::{Document, Node};

use super::Aws;
use super::ec2::{Pair, all_items, filter, ids, nested, pair, text};
use super::problem::{garbled, of};
use crate::deploy::account::Problem;
use crate::deploy::machines::{DefaultRoute, GroupRule, Machines, Offering, Reservation, Running, TypeFacts};

fn number<T: std::str::FromStr + Default>(text: &str) -> T {
    text.parse().unwrap_or_default()
}

impl Aws {
    fn describe_reservations(&self, parameters: &[Pair]) -> Result<Vec<Reservation>, Problem> {
        self.all("DescribeCapacityReservations", parameters, "capacityReservationSet", |node| Reservation {
            id: text(node, "capacityReservationId"),
            state: text(node, "state"),
            kind: text(node, "reservationType"),
            instance_type: text(node, "instanceType"),
            zone: text(node, "availabilityZone"),
            zone_id: text(node, "availabilityZoneId"),
            free: number(&text(node, "availableInstanceCount")),
            total: number(&text(node, "totalInstanceCount")),
            starts: text(node, "startDate"),
            ends: text(node, "endDate"),
        })
    }
}

impl Machines for Aws {
    fn type_facts(&self, instance_type: &str) -> Result<TypeFacts, Problem> {
        let parameters = ids("InstanceType", &[instance_type.to_owned()]);
        let found = self.all("DescribeInstanceTypes", &parameters, "instanceTypeSet", |node| {
            let network = child(node, "networkInfo");
            let gpus: Vec<Node<'_, '_>> =
                child(node, "gpuInfo").map(|info| all_items(info, "gpus")).unwrap_or_default();
            let efa = network.and_then(|info| child(info, "efaInfo"));
            TypeFacts {
                vcpus: number(&nested(node, "vCpuInfo", "defaultVCpus")),
                cards: number(&nested(node, "networkInfo", "maximumNetworkCards")),
                efa_interfaces: number(&efa.map(|efa| text(efa, "maximumEfaInterfaces")).unwrap_or_default()),
                gpus: gpus.iter().map(|gpu| number::<u32>(&text(*gpu, "count"))).sum(),
                gpu_memory_mib_each: gpus
                    .first()
                    .map(|gpu| number(&nested(*gpu, "memoryInfo", "sizeInMiB")))
                    .unwrap_or_default(),
            }
        });
        let found = match found {
            Err(Problem::Refused(text)) if text.starts_with("InvalidInstanceType") => {
                return Err(Problem::Absent(text));
            }
            found => found?,
        };
        found.into_iter().next().ok_or_else(|| Problem::Absent(format!("no type {instance_type}")))
    }

    fn default_route(&self, vpc: &str, subnet: &str) -> Result<DefaultRoute, Problem> {
        let read = |filters: &[Pair]| {
            self.all("DescribeRouteTables", filters, "routeTableSet", |node| {
                let routes = all_items(node, "routeSet");
                let open = routes.into_iter().find(|route| {
                    text(*route, "destinationCidrBlock") == "0.0.0.0/0" && text(*route, "state") != "blackhole"
                });
                open.map(|route| {
                    let targets = ["gatewayId", "natGatewayId", "transitGatewayId", "networkInterfaceId", "instanceId"];
                    targets.into_iter().map(|name| text(route, name)).find(|id| !id.is_empty()).unwrap_or_default()
                })
            })
        };
        let own = read(&filter(1, "association.subnet-id", &[subnet]))?;
        if let Some(route) = own.into_iter().next() {
            return Ok(route);
        }
        // A subnet without a table of its own follows the VPC's main one.
        let mut main = filter(1, "vpc-id", &[vpc]);
        main.extend(filter(2, "association.main", &["true"]));
        Ok(read(&main)?.into_iter().next().flatten())
    }

    fn endpoints(&self, vpc: &str) -> Result<Vec<String>, Problem> {
        self.all("DescribeVpcEndpoints", &filter(1, "vpc-id", &[vpc]), "vpcEndpointSet", |node| {
            text(node, "serviceName")
        })
    }

    fn reservation(&self, id: &str) -> Result<Reservation, Problem> {
        let found = self.describe_reservations(&ids("CapacityReservationId", &[id.to_owned()]))?;
        found.into_iter().next().ok_or_else(|| Problem::Absent(format!("no reservation {id}")))
    }

    fn reservations(&self) -> Result<Vec<Reservation>, Problem> {
        const OPEN: &[&str] = &["active", "pending", "scheduled", "payment-pending", "assessing", "delayed"];
        self.describe_reservations(&filter(1, "state", OPEN))
    }

    fn offerings(&self, instance_type: &str, instances: u32, hours: u32) -> Result<Vec<Offering>, Problem> {
        let parameters = [
            pair("InstanceType", instance_type),
            pair("InstanceCount", &instances.to_string()),
            pair("CapacityDurationHours", &hours.to_string()),
        ];
        self.all("DescribeCapacityBlockOfferings", &parameters, "capacityBlockOfferingSet", |node| Offering {
            id: text(node, "capacityBlockOfferingId"),
            instance_type: text(node, "instanceType"),
            zone: text(node, "availabilityZone"),
            instances: number(&text(node, "instanceCount")),
            starts: text(node, "startDate"),
            ends: text(node, "endDate"),
            hours: number(&text(node, "capacityBlockDurationHours")),
            fee: text(node, "upfrontFee"),
            currency: text(node, "currencyCode"),
        })
    }

    fn quota(&self, code: &str) -> Result<f64, Problem> {
        let client = self.clients.borrow().quotas.clone();
        let reply = self.wait(client.get_service_quota().service_code("ec2").quota_code(code).send()).map_err(of)?;
        reply.quota().and_then(|quota| quota.value()).ok_or_else(|| garbled("a quota"))
    }

    fn running(&self) -> Result<Vec<Running>, Problem> {
        let filters = filter(1, "instance-state-name", &["pending", "running"]);
        let found = self.all("DescribeInstances", &filters, "reservationSet", |node| {
            let read = |instance: Node<'_, '_>| {
                let tags = all_items(instance, "tagSet");
                let stack = tags.into_iter().find(|tag| text(*tag, "key") == "aws:cloudformation:stack-name");
                let cores: u32 = number(&nested(instance, "cpuOptions", "coreCount"));
                let threads: u32 = number(&nested(instance, "cpuOptions", "threadsPerCore"));
                Running {
                    instance_type: text(instance, "instanceType"),
                    vcpus: cores.saturating_mul(threads),
                    stack: stack.map(|tag| text(tag, "value")).unwrap_or_default(),
                }
            };
            all_items(node, "instancesSet").into_iter().map(read).collect::<Vec<_>>()
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    fn group_rules(&self, group: &str) -> Result<Vec<GroupRule>, Problem> {
        self.all("DescribeSecurityGroupRules", &filter(1, "group-id", &[group]), "securityGroupRuleSet", |node| {
            GroupRule {
                egress: text(node, "isEgress") == "true",
                protocol: text(node, "ipProtocol"),
                group: nested(node, "referencedGroupInfo", "groupId"),
            }
        })
    }

    fn set_terminates_on_shutdown(&self, instance: &str, terminates: bool) -> Result<(), Problem> {
        let behavior = if terminates { "terminate" } else { "stop" };
        let parameters = [pair("InstanceId", instance), pair("InstanceInitiatedShutdownBehavior.Value", behavior)];
        self.ec2("ModifyInstanceAttribute", &parameters).map(|_| ())
    }

    fn would_launch(&self, parameters: &[(String, String)]) -> Result<(), Problem> {
        match self.ec2("RunInstances", parameters) {
            Err(Problem::Refused(text)) if text.starts_with("DryRunOperation") => Ok(()),
            Err(problem) => Err(problem),
            // Nothing but a refusal is an answer to a dry run.
            Ok(reply) => Err(Problem::Refused(format!(
                "EC2 took a dry run for a launch: {}",
                Document::parse(&reply)
                    .map(|document| document.root_element().tag_name().name().to_owned())
                    .unwrap_or_default()
            ))),
        }
    }
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|child| child.has_tag_name(name))
}
