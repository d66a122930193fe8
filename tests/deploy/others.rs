//! S3, STS, SSM and EC2 over the [`World`]: as much as an apply and a destroy ask.

use std::collections::BTreeMap;

use super::http::{Reply, Request, escaped};
use super::world::{ACCOUNT, World};

pub fn sts(world: &mut World) -> Reply {
    world.calls.push("sts.GetCallerIdentity".to_owned());
    Reply::xml(format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/tester</Arn><UserId>U</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    ))
}

pub fn quotas(world: &mut World) -> Reply {
    world.calls.push("servicequotas.GetServiceQuota".to_owned());
    let body = format!("{{\"Quota\":{{\"QuotaCode\":\"L-DB2E81BA\",\"Value\":{:.1}}}}}", world.machines.quota);
    Reply { content_type: "application/x-amz-json-1.1", ..Reply::xml(body) }
}

pub fn ec2(world: &mut World, form: &BTreeMap<String, String>) -> Reply {
    let action = form["Action"].clone();
    world.calls.push(format!("ec2.{action}"));
    let reply = |set: &str, items: String| {
        Reply::xml(format!("<{action}Response><requestId>1</requestId><{set}>{items}</{set}></{action}Response>"))
    };
    let value = |number: usize| form.get(&format!("Filter.1.Value.{number}"));
    match action.as_str() {
        "DescribeVpcs" => reply("vpcSet", "<item><vpcId>vpc-00000001</vpcId></item>".to_owned()),
        "DescribeSubnets" => {
            let asked = value(1).cloned().unwrap_or_default();
            let (free, maps) = (world.machines.free_addresses, world.machines.maps_public);
            let item = |(id, zone, default): &(&str, &str, bool)| {
                format!(
                    "<item><subnetId>{id}</subnetId><vpcId>vpc-00000001</vpcId><availabilityZone>{zone}</availabilityZone><availabilityZoneId>use1-az4</availabilityZoneId><defaultForAz>{default}</defaultForAz><availableIpAddressCount>{free}</availableIpAddressCount><mapPublicIpOnLaunch>{maps}</mapPublicIpOnLaunch></item>"
                )
            };
            let fits = |of: &&(&str, &str, bool)| asked.starts_with("vpc-") || of.0 == asked;
            reply("subnetSet", world.subnets.iter().filter(fits).map(item).collect())
        }
        "DescribeImages" => {
            let asked = form.get("ImageId.1").cloned().unwrap_or_default();
            let item = world.images.get(&asked).map(|architecture| format!("<item><imageId>{asked}</imageId><name>base image</name><creationDate>2026-01-01</creationDate><architecture>{architecture}</architecture><rootDeviceName>/dev/sda1</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/sda1</deviceName><ebs><volumeSize>35</volumeSize></ebs></item></blockDeviceMapping></item>"));
            reply("imagesSet", item.unwrap_or_default())
        }
        "DescribeInstances" if form.get("Filter.1.Name").is_some_and(|name| name == "instance-id") => {
            let ids = (1..).map_while(value);
            let items = ids.map(|id| format!("<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>running</name></instanceState><stateReason><message>Server.SpotInstanceShutdown</message></stateReason><privateIpAddress>10.0.0.7</privateIpAddress><instanceType>g6e.12xlarge</instanceType><placement><availabilityZone>us-east-1c</availabilityZone></placement></item></instancesSet></item>"));
            reply("reservationSet", items.collect())
        }
        "DescribeInstances" if form.get("Filter.1.Name").is_some_and(|name| name == "instance-state-name") => {
            let item = |(kind, cores, stack): &(&str, u32, &str)| {
                format!(
                    "<item><instancesSet><item><instanceType>{kind}</instanceType><cpuOptions><coreCount>{cores}</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions><tagSet><item><key>aws:cloudformation:stack-name</key><value>{stack}</value></item></tagSet></item></instancesSet></item>"
                )
            };
            reply("reservationSet", world.machines.running.iter().map(item).collect())
        }
        "DescribeInstances" => reply(
            "reservationSet",
            left(world, "instance", |id, state| {
                format!(
                    "<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState></item></instancesSet></item>"
                )
            }),
        ),
        "DescribeVolumes" => reply(
            "volumeSet",
            left(world, "volume", |id, state| {
                format!("<item><volumeId>{id}</volumeId><status>{state}</status></item>")
            }),
        ),
        "DescribeNetworkInterfaces" => reply("networkInterfaceSet", String::new()),
        "DescribeSecurityGroups" => reply("securityGroupInfo", String::new()),
        "DescribeInstanceTypeOfferings" => {
            let zones = ["us-east-1b", "us-east-1a", "us-east-1c"];
            let zones = &zones[..if world.fates.is_empty() { 3 } else { 2 }];
            let items = zones.iter().map(|zone| format!("<item><location>{zone}</location></item>"));
            reply("instanceTypeOfferingSet", items.collect())
        }
        "DescribeInstanceTypes" => reply(
            "instanceTypeSet",
            format!(
                "<item><vCpuInfo><defaultVCpus>48</defaultVCpus></vCpuInfo><gpuInfo><gpus><item><count>{}</count><memoryInfo><sizeInMiB>45776</sizeInMiB></memoryInfo></item></gpus></gpuInfo><networkInfo><maximumNetworkCards>1</maximumNetworkCards><efaInfo><maximumEfaInterfaces>1</maximumEfaInterfaces></efaInfo></networkInfo></item>",
                world.machines.gpus
            ),
        ),
        "DescribeRouteTables" => {
            let route = match world.machines.route {
                "" => String::new(),
                nat if nat.starts_with("nat-") => format!(
                    "<item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><natGatewayId>{nat}</natGatewayId><state>active</state></item>"
                ),
                gateway => format!(
                    "<item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>{gateway}</gatewayId><state>active</state></item>"
                ),
            };
            let main = form.get("Filter.2.Name").is_some_and(|name| name == "association.main");
            reply(
                "routeTableSet",
                if main { format!("<item><routeSet>{route}</routeSet></item>") } else { String::new() },
            )
        }
        "DescribeVpcEndpoints" => {
            let item =
                |service: &&str| format!("<item><serviceName>com.amazonaws.us-east-1.{service}</serviceName></item>");
            reply("vpcEndpointSet", world.machines.endpoints.iter().map(item).collect())
        }
        "DescribeCapacityReservations" => {
            let machines = &mut world.machines;
            if let (Some(of), Some(look)) = (&mut machines.reservation, machines.reservation_looks.first().copied()) {
                (of.2, of.3) = look;
                if machines.reservation_looks.len() > 1 {
                    machines.reservation_looks.remove(0);
                }
            }
            let (starts, ends) = (&machines.reservation_starts, &machines.reservation_ends);
            let item = machines.reservation.map(|(kind, zone, state, free, total, sort)| format!("<item><capacityReservationId>cr-0123456789abcdef0</capacityReservationId><instanceType>{kind}</instanceType><availabilityZone>{zone}</availabilityZone><availabilityZoneId>use1-az1</availabilityZoneId><state>{state}</state><availableInstanceCount>{free}</availableInstanceCount><totalInstanceCount>{total}</totalInstanceCount><reservationType>{sort}</reservationType><startDate>{starts}</startDate><endDate>{ends}</endDate></item>"));
            reply("capacityReservationSet", item.unwrap_or_default())
        }
        "DescribeCapacityBlockOfferings" => {
            let (kind, count, hours) = (&form["InstanceType"], &form["InstanceCount"], &form["CapacityDurationHours"]);
            let item = |(id, zone, fee): &(&str, &str, &str)| {
                format!(
                    "<item><capacityBlockOfferingId>{id}</capacityBlockOfferingId><instanceType>{kind}</instanceType><availabilityZone>{zone}</availabilityZone><instanceCount>{count}</instanceCount><startDate>2026-02-01T11:30:00Z</startDate><endDate>2026-02-02T11:30:00Z</endDate><capacityBlockDurationHours>{hours}</capacityBlockDurationHours><upfrontFee>{fee}</upfrontFee><currencyCode>USD</currencyCode></item>"
                )
            };
            reply("capacityBlockOfferingSet", world.machines.offerings.iter().map(item).collect())
        }
        "DescribeSecurityGroupRules" => {
            let group = value(1).cloned().unwrap_or_default();
            let item = |(egress, own): &(bool, bool)| {
                let other = if *own {
                    format!("<referencedGroupInfo><groupId>{group}</groupId></referencedGroupInfo>")
                } else {
                    "<cidrIpv4>0.0.0.0/0</cidrIpv4>".to_owned()
                };
                format!("<item><isEgress>{egress}</isEgress><ipProtocol>-1</ipProtocol>{other}</item>")
            };
            reply("securityGroupRuleSet", world.machines.rules.iter().map(item).collect())
        }
        "RunInstances" => {
            assert_eq!(form["DryRun"], "true");
            let (code, message) = world
                .machines
                .refuses_launch
                .unwrap_or(("DryRunOperation", "Request would have succeeded, but DryRun flag is set."));
            let body = format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>1</RequestID></Response>"
            );
            Reply { status: 412, ..Reply::xml(body) }
        }
        "ModifyInstanceAttribute" => {
            let behavior = form["InstanceInitiatedShutdownBehavior.Value"].clone();
            world.shutdowns.insert(form["InstanceId"].clone(), behavior);
            Reply::xml("<ModifyInstanceAttributeResponse><return>true</return></ModifyInstanceAttributeResponse>")
        }
        // "kernel: hello\n"
        "GetConsoleOutput" => {
            Reply::xml("<GetConsoleOutputResponse><output>a2VybmVsOiBoZWxsbwo=</output></GetConsoleOutputResponse>")
        }
        other => Reply { status: 400, ..Reply::refusal("InvalidAction", other) },
    }
}

fn left(world: &World, kind: &str, item: impl Fn(&str, &str) -> String) -> String {
    world.leftovers.iter().filter(|of| of.0 == kind).map(|of| item(of.1, of.2)).collect()
}

pub fn s3(world: &mut World, request: &Request) -> Reply {
    let (bucket, key) =
        request.path.trim_start_matches('/').split_once('/').unwrap_or((request.path.trim_start_matches('/'), ""));
    let has = |name: &str| request.query.contains_key(name);
    let known = world.buckets.contains_key(bucket);
    let call = match (request.method.as_str(), key.is_empty()) {
        ("HEAD", true) => "HeadBucket",
        ("HEAD", false) => "HeadObject",
        ("GET", true) if has("versions") => "ListObjectVersions",
        ("GET", true) if has("uploads") => "ListMultipartUploads",
        ("GET", true) if has("policy") => "GetBucketPolicy",
        ("GET", true) => "ListObjectsV2",
        ("GET", false) => "GetObject",
        ("PUT", true) => "PutBucketPolicy",
        ("PUT", false) => "PutObject",
        ("POST", _) => "DeleteObjects",
        ("DELETE", true) => "DeleteBucket",
        _ => "Other",
    };
    world.calls.push(format!("s3.{call}"));
    if !known {
        return if request.method == "HEAD" { Reply::status(404) } else { error(404, "NoSuchBucket") };
    }
    if let Some(looks) = world.late.get_mut(key).filter(|looks| **looks > 0) {
        *looks -= 1;
        return if request.method == "HEAD" { Reply::status(404) } else { error(404, "NoSuchKey") };
    }
    let object = world.buckets[bucket].get(key).and_then(|versions| versions.last().cloned().flatten());
    match call {
        "HeadBucket" => Reply::status(200),
        "HeadObject" => match object {
            Some(object) => Reply { headers: vec![("content-length", object.len().to_string())], ..Reply::status(200) },
            None => Reply::status(404),
        },
        "GetObject" => match object {
            Some(object) => Reply { body: object, ..Reply::status(200) },
            None => error(404, "NoSuchKey"),
        },
        "PutObject" => {
            let shut = world.policies.get(bucket).is_some_and(|policy| policy.contains("ShutsWritersOut"));
            if shut {
                return error(403, "AccessDenied");
            }
            world.buckets.get_mut(bucket).unwrap().entry(key.to_owned()).or_default().push(Some(request.body.clone()));
            Reply::status(200)
        }
        "ListObjectsV2" => {
            let prefix = request.query.get("prefix").cloned().unwrap_or_default();
            let after = request.query.get("start-after").cloned().unwrap_or_default();
            let keys = world.buckets[bucket].keys().filter(|key| key.starts_with(&prefix) && **key > after).take(1_000);
            let items: String = keys.map(|key| format!("<Contents><Key>{}</Key></Contents>", escaped(key))).collect();
            Reply { body: format!("<ListBucketResult>{items}</ListBucketResult>").into_bytes(), ..Reply::status(200) }
        }
        "ListObjectVersions" => {
            let item = |(key, version, marker): (String, usize, bool)| {
                let name = if marker { "DeleteMarker" } else { "Version" };
                format!("<{name}><Key>{}</Key><VersionId>v{version}</VersionId></{name}>", escaped(&key))
            };
            let items: String = world.versions(bucket).into_iter().take(1000).map(item).collect();
            Reply {
                body: format!("<ListVersionsResult>{items}</ListVersionsResult>").into_bytes(),
                ..Reply::status(200)
            }
        }
        "ListMultipartUploads" => Reply { body: b"<ListMultipartUploadsResult/>".to_vec(), ..Reply::status(200) },
        "GetBucketPolicy" => match world.policies.get(bucket) {
            Some(policy) => Reply { body: policy.clone().into_bytes(), ..Reply::status(200) },
            None => error(404, "NoSuchBucketPolicy"),
        },
        "PutBucketPolicy" => {
            world.policies.insert(bucket.to_owned(), String::from_utf8(request.body.clone()).unwrap());
            Reply::status(204)
        }
        "DeleteObjects" => delete_objects(world, bucket, &String::from_utf8_lossy(&request.body)),
        "DeleteBucket" if world.versions(bucket).is_empty() => {
            world.buckets.remove(bucket);
            Reply::status(204)
        }
        "DeleteBucket" => error(409, "BucketNotEmpty"),
        _ => error(400, "NotImplemented"),
    }
}

fn delete_objects(world: &mut World, bucket: &str, body: &str) -> Reply {
    let document = roxmltree::Document::parse(body).unwrap();
    let mut errors = String::new();
    let mut gone: Vec<(String, usize)> = Vec::new();
    for object in document.descendants().filter(|node| node.has_tag_name("Object")) {
        let text = |name: &str| {
            object
                .children()
                .find(|node| node.has_tag_name(name))
                .and_then(|node| node.text())
                .unwrap_or_default()
                .to_owned()
        };
        let (key, version) = (text("Key"), text("VersionId"));
        if world.locked.contains(&key) {
            errors.push_str(&format!("<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>"));
        } else {
            gone.push((key, version.trim_start_matches('v').parse().unwrap()));
        }
    }
    gone.sort();
    for (key, at) in gone.into_iter().rev() {
        let objects = world.buckets.get_mut(bucket).unwrap();
        let versions = objects.get_mut(&key).unwrap();
        if at < versions.len() {
            versions.remove(at);
        }
        if versions.is_empty() {
            objects.remove(&key);
        }
    }
    Reply { body: format!("<DeleteResult>{errors}</DeleteResult>").into_bytes(), ..Reply::status(200) }
}

fn error(status: u16, code: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    Reply { body: body.into_bytes(), ..Reply::status(status) }
}
