"""MiniStack 1.5.33 with the resource types that our stacks need and it lacks, on loopback only.

Usage: ministack_nodes.py PORT FAULTS

FAULTS is a JSON file that is read at each launch: {"nodes": {"Decode0": "why it is not ready"},
"launches": {"Prefill0": "why EC2 refuses"}}. A node that is not in it boots at once: it leaves its verdict in the bucket
and signals. MiniStack is one reading of CloudFormation, not CloudFormation: what passes here proves our own logic.
The names that begin with an underscore are MiniStack's own, hence the exact version.
"""

import json
import os
import re
import secrets
import sys
import threading
import time

PORT, FAULTS = sys.argv[1], sys.argv[2]
# Its listeners beside the gateway bind every address.
os.environ.update(GATEWAY_PORT=PORT, BIND_HOST="127.0.0.1", IOT_MTLS_ENABLED="0", SFTP_ENABLED="0")

from ministack.core.responses import get_account_id, get_region, set_request_region  # noqa: E402
from ministack.services import ec2, s3  # noqa: E402
from ministack.services.cloudformation import provisioners, stacks, wait_conditions  # noqa: E402

HANDLERS = provisioners._RESOURCE_HANDLERS

# Properties that replace, of the types that are added here (CloudFormation resource schemas of 2026-10-20).
REPLACING = {
    "AWS::EC2::Instance": {"LaunchTemplate", "ImageId", "SubnetId", "NetworkInterfaces", "AvailabilityZone"},
    "AWS::EC2::LaunchTemplate": {"LaunchTemplateName"},
    "AWS::EC2::PlacementGroup": {"Strategy", "SpreadLevel", "PartitionCount", "Tags"},
    "AWS::EC2::SecurityGroupIngress": {"GroupId", "IpProtocol", "SourceSecurityGroupId", "CidrIp"},
    "AWS::EC2::SecurityGroupEgress": {"GroupId", "IpProtocol", "DestinationSecurityGroupId", "CidrIp"},
    "AWS::SageMaker::MlflowTrackingServer": {"TrackingServerName"},
    "AWS::SageMaker::MlflowApp": {"Name", "RoleArn"},
}
recreation_of_others = stacks._property_recreation


def recreation(resource_type, name):
    if resource_type in REPLACING:
        return "Always" if name in REPLACING[resource_type] else "Never"
    return recreation_of_others(resource_type, name)


stacks._property_recreation = recreation


def faults(kind):
    try:
        with open(FAULTS) as file:
            return json.load(file).get(kind, {})
    except FileNotFoundError:
        return {}


def plain(resource_type, prefix, attributes):
    """A type that is nothing but an id with attributes. A replacing change makes another id."""

    def create(_logical_id, props, _stack):
        physical = f"{prefix}-{secrets.token_hex(8)}0"
        return physical, {"Ref": physical, **attributes(physical, props)}

    def update(physical, old, new, stack):
        if any(old.get(name) != new.get(name) for name in REPLACING[resource_type]):
            return create(None, new, stack)
        return physical, {"Ref": physical, **attributes(physical, new)}

    HANDLERS[resource_type] = {"create": create, "update": update, "delete": lambda physical, props: None}


def arn(kind, name):
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name}"


plain("AWS::EC2::PlacementGroup", "pg", lambda physical, props: {"GroupName": physical})
plain("AWS::EC2::SecurityGroupIngress", "sgr", lambda physical, props: {"Id": physical})
plain("AWS::EC2::SecurityGroupEgress", "sgr", lambda physical, props: {"Id": physical})
plain(
    "AWS::SageMaker::MlflowTrackingServer",
    "mlflow",
    lambda physical, props: {"TrackingServerArn": arn("mlflow-tracking-server", props["TrackingServerName"])},
)
plain("AWS::SageMaker::MlflowApp", "app", lambda physical, props: {"Arn": arn("mlflow-app", physical)})


def boot(region, stack_id, logical_id, instance_id, bucket, why):
    """What a node does at its end: its verdict into the bucket, then one signal."""
    set_request_region(region)
    uuid = stack_id.rsplit("/", 1)[-1]
    verdict = {
        "schema_version": 1,
        "node": logical_id,
        "instance_id": instance_id,
        "stage": "checks" if why else "ready",
        "exit_code": 1 if why else 0,
        "reason": why or "",
    }
    put(bucket, f"boot/{uuid}/{logical_id}.json", json.dumps(verdict).encode())
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if wait_conditions.signal_resource(stack_id, logical_id, instance_id, "FAILURE" if why else "SUCCESS"):
            return
        time.sleep(0.02)


def put(bucket, key, content):
    """Over HTTP, as a node does."""
    import urllib.request

    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/{bucket}/{key}", data=content, method="PUT", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        reply.read()


def text_of(user_data):
    import base64

    return base64.b64decode(user_data).decode()


def launch(logical_id, props, stack):
    refused = faults("launches").get(logical_id)
    if refused:
        raise RuntimeError(refused)
    template = ec2._launch_templates[props["LaunchTemplate"]["LaunchTemplateId"]]
    version = int(props["LaunchTemplate"]["Version"])
    data = next(of for of in template["Versions"] if of["VersionNumber"] == version)["LaunchTemplateData"]
    interface = data["NetworkInterfaces"][0]
    (instance,) = ec2._launch_instances_internal(
        image_id=data["ImageId"],
        instance_type=data["InstanceType"],
        subnet_id=interface["SubnetId"],
        count=1,
        key_name="",
        user_data=data["UserData"],
        sg_ids=interface["Groups"],
        requested_private_ip=None,
        iam_profile=None,
    )
    instance_id = instance["InstanceId"]
    stack_id = provisioners._cr_stack_id(stack)
    tags = props.get("Tags", []) + [
        {"Key": "aws:cloudformation:stack-name", "Value": stack},
        {"Key": "aws:cloudformation:stack-id", "Value": stack_id},
        {"Key": "aws:cloudformation:logical-id", "Value": logical_id},
    ]
    ec2._tags[instance_id] = tags
    bucket = re.search(r"^BUCKET='([^']*)'$", text_of(data["UserData"]), re.MULTILINE).group(1)
    slot = wait_conditions.register_slot(stack_id)
    why = faults("nodes").get(logical_id)
    node = threading.Thread(
        target=boot, args=(get_region(), stack_id, logical_id, instance_id, bucket, why), daemon=True
    )
    node.start()
    provisioners_policy = provisioners._cfn_wait_condition_definition(stack, logical_id).get("CreationPolicy") or {}
    timeout = wait_conditions.validate_resource_signal_timeout(
        provisioners_policy["ResourceSignal"]["Timeout"], logical_id
    )
    try:
        wait_conditions.wait_for(slot, stack_id, stack, logical_id, "AWS::EC2::Instance", 1, timeout)
    except RuntimeError as error:
        # The instance that said no is there, as in EC2; CloudFormation knows its id.
        raise RuntimeError(
            "Received 1 FAILURE signal(s) out of 1. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"
        ) from error
    return instance_id, {
        "Ref": instance_id,
        "InstanceId": instance_id,
        "PrivateIp": instance["PrivateIpAddress"],
        "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
    }


def terminate(instance_id, _props):
    if instance_id in ec2._instances:
        ec2._instances[instance_id]["State"] = {"Code": 48, "Name": "terminated"}


def change(instance_id, old, new, stack, logical_id=None):
    if old.get("LaunchTemplate") != new.get("LaunchTemplate"):
        made = launch(logical_id, new, stack)
        terminate(instance_id, old)
        return made
    kept = [tag for tag in ec2._tags.get(instance_id, []) if tag["Key"].startswith("aws:")]
    ec2._tags[instance_id] = new.get("Tags", []) + kept
    return instance_id, {"Ref": instance_id, "InstanceId": instance_id}


HANDLERS["AWS::EC2::Instance"] = {
    "create": launch,
    "update": change,
    "update_with_logical_id": True,
    "delete": terminate,
}

# A launch waits for its signal, so that it may not hold up the server that takes the signal.
on_thread = stacks._runs_on_worker_thread
stacks._runs_on_worker_thread = lambda resource_type, *rest: (
    resource_type == "AWS::EC2::Instance" or on_thread(resource_type, *rest)
)

from ministack.app import main  # noqa: E402

sys.argv = ["ministack"]
main()
