//! What EC2's replies say.

use roxmltree::{Document, Node};

use super::Aws;
use super::problem::garbled;
use crate::deploy::account::{Image, Instance, Leftover, Problem, Subnet, SubnetsOf};

/// A page holds up to a thousand things; nothing of ours has more pages.
const MOST_PAGES: usize = 50;

/// A parameter of a call.
pub(super) type Pair = (String, String);

pub(super) fn pair(key: &str, value: &str) -> Pair {
    (key.to_owned(), value.to_owned())
}

/// `Filter.n.Name` and its values.
pub(super) fn filter(number: usize, name: &str, values: &[&str]) -> Vec<Pair> {
    let mut pairs = vec![pair(&format!("Filter.{number}.Name"), name)];
    pairs
        .extend(values.iter().enumerate().map(|(at, value)| pair(&format!("Filter.{number}.Value.{}", at + 1), value)));
    pairs
}

pub(super) fn ids(name: &str, ids: &[String]) -> Vec<Pair> {
    ids.iter().enumerate().map(|(at, id)| pair(&format!("{name}.{}", at + 1), id)).collect()
}

/// The text of a child, empty when there is none.
pub(super) fn text(node: Node<'_, '_>, name: &str) -> String {
    let child = node.children().find(|child| child.has_tag_name(name));
    child.and_then(|child| child.text()).unwrap_or_default().to_owned()
}

pub(super) fn nested(node: Node<'_, '_>, outer: &str, inner: &str) -> String {
    let child = node.children().find(|child| child.has_tag_name(outer));
    child.map(|child| text(child, inner)).unwrap_or_default()
}

/// The items of a set of a node.
pub(super) fn all_items<'a, 'input>(node: Node<'a, 'input>, set: &str) -> Vec<Node<'a, 'input>> {
    let sets = node.children().filter(|child| child.has_tag_name(set));
    sets.flat_map(|set| set.children().filter(|child| child.has_tag_name("item"))).collect()
}

/// The items of a set, wherever it stands.
fn items<'a>(document: &'a Document<'_>, set: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    let sets = document.descendants().filter(move |node| node.has_tag_name(set));
    sets.flat_map(|set| set.children().filter(|child| child.has_tag_name("item")))
}

impl Aws {
    /// Every page of an action, each item of a set as a value.
    pub(super) fn all<T>(
        &self,
        action: &str,
        parameters: &[Pair],
        set: &'static str,
        read: impl Fn(Node<'_, '_>) -> T,
    ) -> Result<Vec<T>, Problem> {
        let (mut found, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let mut parameters = parameters.to_vec();
            parameters.extend(token.take().map(|token: String| pair("NextToken", &token)));
            let xml = self.ec2(action, &parameters)?;
            let document = Document::parse(&xml).map_err(|_| garbled("XML"))?;
            if document.descendants().all(|node| !node.has_tag_name(set)) {
                return Err(garbled(set));
            }
            found.extend(items(&document, set).map(&read));
            let next = text(document.root_element(), "nextToken");
            if next.is_empty() {
                break;
            }
            token = Some(next);
        }
        Ok(found)
    }

    pub(super) fn default_vpc_ids(&self) -> Result<Vec<String>, Problem> {
        self.all("DescribeVpcs", &filter(1, "isDefault", &["true"]), "vpcSet", |node| text(node, "vpcId"))
    }

    pub(super) fn describe_subnets(&self, of: &SubnetsOf) -> Result<Vec<Subnet>, Problem> {
        let parameters = match of {
            SubnetsOf::Id(id) => filter(1, "subnet-id", &[id]),
            SubnetsOf::Vpc(vpc) => filter(1, "vpc-id", &[vpc]),
        };
        self.all("DescribeSubnets", &parameters, "subnetSet", |node| Subnet {
            id: text(node, "subnetId"),
            vpc: text(node, "vpcId"),
            zone: text(node, "availabilityZone"),
            zone_id: text(node, "availabilityZoneId"),
            is_default: text(node, "defaultForAz") == "true",
            free_addresses: text(node, "availableIpAddressCount").parse().unwrap_or_default(),
            maps_public: text(node, "mapPublicIpOnLaunch") == "true",
        })
    }

    pub(super) fn describe_image(&self, id: &str) -> Result<Image, Problem> {
        let found = self.all("DescribeImages", &ids("ImageId", &[id.to_owned()]), "imagesSet", |node| {
            let root = text(node, "rootDeviceName");
            let mappings = node.children().filter(|child| child.has_tag_name("blockDeviceMapping"));
            let mut devices = mappings.flat_map(|mapping| mapping.children());
            let of_root = devices.find(|item| text(*item, "deviceName") == root);
            let size = of_root.map(|item| nested(item, "ebs", "volumeSize")).unwrap_or_default();
            Image {
                id: text(node, "imageId"),
                name: text(node, "name"),
                created: text(node, "creationDate"),
                architecture: text(node, "architecture"),
                root_gib: size.parse().unwrap_or_default(),
                root_device: root,
            }
        })?;
        found.into_iter().next().ok_or_else(|| Problem::Absent(format!("no image {id}")))
    }

    /// By filter, not by id: an id that EC2 has forgotten is then left out rather than refused.
    pub(super) fn describe_instances(&self, filters: &[Pair]) -> Result<Vec<Instance>, Problem> {
        let reservations = self.all("DescribeInstances", filters, "reservationSet", |node| {
            let sets = node.children().filter(|child| child.has_tag_name("instancesSet"));
            let found = sets.flat_map(|set| set.children().filter(|child| child.has_tag_name("item")));
            found.map(instance).collect::<Vec<_>>()
        })?;
        Ok(reservations.into_iter().flatten().collect())
    }

    pub(super) fn instances_by_id(&self, ids: &[String]) -> Result<Vec<Instance>, Problem> {
        const MOST_VALUES: usize = 200;
        let mut found = Vec::new();
        for some in ids.chunks(MOST_VALUES) {
            let values: Vec<&str> = some.iter().map(String::as_str).collect();
            found.extend(self.describe_instances(&filter(1, "instance-id", &values))?);
        }
        Ok(found)
    }

    pub(super) fn console_output(&self, instance: &str) -> Result<String, Problem> {
        let xml = self.ec2("GetConsoleOutput", &[pair("InstanceId", instance)])?;
        let document = Document::parse(&xml).map_err(|_| garbled("XML"))?;
        let base64: String = text(document.root_element(), "output").split_whitespace().collect();
        let bytes = aws_smithy_types::base64::decode(&base64).map_err(|_| garbled("a console in base64"))?;
        Ok(String::from_utf8_lossy(&bytes).replace(|c: char| c.is_control() && c != '\n', ""))
    }

    pub(super) fn zones_offering(&self, instance_type: &str) -> Result<Vec<String>, Problem> {
        let mut parameters = vec![pair("LocationType", "availability-zone")];
        parameters.extend(filter(1, "instance-type", &[instance_type]));
        let mut zones = self.all("DescribeInstanceTypeOfferings", &parameters, "instanceTypeOfferingSet", |node| {
            text(node, "location")
        })?;
        zones.sort_unstable();
        Ok(zones)
    }

    /// What carries the tag that CloudFormation puts on a stack's resources, and on what they bring along.
    pub(super) fn tagged(&self, stack: &str) -> Result<Vec<Leftover>, Problem> {
        let tag = filter(1, "tag:aws:cloudformation:stack-name", &[stack]);
        let leftover = |kind: &str, id: String, state: String| Leftover { kind: kind.to_owned(), id, state };
        let mut found: Vec<Leftover> = Vec::new();
        let instances = self.describe_instances(&tag)?;
        found.extend(instances.into_iter().map(|of| leftover("instance", of.id, of.state)));
        for (kind, action, set, id, state) in [
            ("volume", "DescribeVolumes", "volumeSet", "volumeId", "status"),
            ("network interface", "DescribeNetworkInterfaces", "networkInterfaceSet", "networkInterfaceId", "status"),
            ("security group", "DescribeSecurityGroups", "securityGroupInfo", "groupId", ""),
        ] {
            let read = |node: Node<'_, '_>| {
                let state = if state.is_empty() { "exists".to_owned() } else { text(node, state) };
                leftover(kind, text(node, id), state)
            };
            found.extend(self.all(action, &tag, set, read)?);
        }
        Ok(found)
    }
}

fn instance(node: Node<'_, '_>) -> Instance {
    Instance {
        id: text(node, "instanceId"),
        state: nested(node, "instanceState", "name"),
        state_reason: nested(node, "stateReason", "message"),
        private_address: text(node, "privateIpAddress"),
        public_address: text(node, "ipAddress"),
        zone: nested(node, "placement", "availabilityZone"),
        instance_type: text(node, "instanceType"),
        launched: text(node, "launchTime"),
    }
}
