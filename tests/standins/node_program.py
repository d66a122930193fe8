#!/usr/bin/python3 -I
"""Stands in for prefab-bootstrap on a node: notes how it was started, and signals SUCCESS.

It signs for itself, from the specification, and reads the machine's own certificates and name server.
"""

import datetime
import email.utils
import hashlib
import hmac
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

IMDS = "http://169.254.169.254/latest/"

with open(__file__, "rb") as file:
    sha256 = hashlib.sha256(file.read()).hexdigest()
umask = os.umask(0o077)
started = {"arguments": sys.argv, "environment": dict(os.environ), "umask": umask, "sha256": sha256, "folder": os.getcwd()}
with open("/started.jsonl", "a", encoding="utf-8") as file:
    file.write(json.dumps(started) + "\n")

with open(sys.argv[sys.argv.index("--seed") + 1], encoding="utf-8") as file:
    seed = json.load(file)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(method, url, headers, body=None):
    request = urllib.request.Request(url, body, headers, method=method)
    with opener.open(request, timeout=10) as answer:
        return answer.read().decode()


token = ask("PUT", IMDS + "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})


def metadata(path):
    return ask("GET", f"{IMDS}meta-data/{path}", {"X-aws-ec2-metadata-token": token})


role = metadata("iam/security-credentials/")
credentials = json.loads(metadata("iam/security-credentials/" + role))
form = {
    "Action": "SignalResource",
    "Version": "2010-05-15",
    "StackName": seed["stack_id"],
    "LogicalResourceId": metadata("tags/instance/prefab:node"),
    "UniqueId": metadata("instance-id"),
    "Status": "SUCCESS",
}
body = urllib.parse.urlencode(form).encode()
host = f"cloudformation.{seed['region']}.{seed['url_suffix']}"


def signal(now):
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": host,
        "x-amz-date": stamp,
        "x-amz-security-token": credentials["Token"],
    }
    canonical = ["POST", "/", "", *(f"{name}:{value}" for name, value in headers.items()), "", ";".join(headers)]
    canonical.append(hashlib.sha256(body).hexdigest())
    scope = [stamp[:8], seed["region"], "cloudformation", "aws4_request"]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), digest])
    key = ("AWS4" + credentials["SecretAccessKey"]).encode()
    for part in [*scope, to_sign]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials['AccessKeyId']}/{'/'.join(scope)}, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={key.hex()}"
    )
    ask("POST", f"https://{host}/", headers, body)


try:
    signal(datetime.datetime.now(datetime.timezone.utc))
except urllib.error.HTTPError as refused:
    # A clock that is wrong: once more with the server's.
    signal(email.utils.parsedate_to_datetime(refused.headers["Date"]))
