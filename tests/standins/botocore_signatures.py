"""A second opinion on recorded signatures: botocore, which signs for the AWS CLI, must come to the same ones.

usage: botocore_signatures.py FOLDER     (a folder that node_services.py has written)

Prints one line for each signed request, `same SERVICE METHOD PATH` or `differs ...`.
"""

import json
import os
import sys

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

folder = sys.argv[1]
with open(os.path.join(folder, "behaviour.json"), encoding="utf-8") as file:
    behaviour = json.load(file)
credentials = Credentials(behaviour["access_key"], behaviour["secret_key"], behaviour["session_token"])

with open(os.path.join(folder, "requests.jsonl"), encoding="utf-8") as file:
    for line in file:
        recorded = json.loads(line)
        if recorded["service"] == "imds":
            continue
        headers = recorded["headers"]
        given = dict(part.strip().split("=", 1) for part in headers["authorization"].split(" ", 1)[1].split(","))
        signed = {name: headers[name] for name in given["SignedHeaders"].split(";")}
        url = f"http://{headers['host']}{recorded['path']}" + (f"?{recorded['query']}" if recorded["query"] else "")
        request = AWSRequest(recorded["method"], url, signed, recorded["body"].encode())
        request.context["timestamp"] = headers["x-amz-date"]
        signer = S3SigV4Auth if recorded["service"] == "s3" else SigV4Auth
        auth = signer(credentials, recorded["service"], behaviour["region"])
        to_sign = auth.string_to_sign(request, auth.canonical_request(request))
        same = auth.signature(to_sign, request) == given["Signature"]
        print("same" if same else "differs", recorded["service"], recorded["method"], recorded["path"])
