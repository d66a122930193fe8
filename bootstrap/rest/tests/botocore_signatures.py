"""Another opinion on signatures: botocore, which signs for the AWS CLI, must come to the same ones.

usage: botocore_signatures.py     (one JSON request a line on standard input)

Prints for each request the signature that botocore computes. The body's hash is recomputed, not believed.
"""

import hashlib
import json
import sys

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

for line in sys.stdin:
    given = json.loads(line)
    body = bytes.fromhex(given["body"])
    headers = dict(given["headers"])
    fields = dict(part.strip().split("=", 1) for part in headers["authorization"].split(" ", 1)[1].split(","))
    signed = {name: headers[name] for name in fields["SignedHeaders"].split(";") if name != "host"}
    if "x-amz-content-sha256" in signed:
        signed["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    credentials = Credentials(given["access_key"], given["secret_key"], headers.get("x-amz-security-token"))
    request = AWSRequest(given["method"], given["url"], signed, body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = (S3SigV4Auth if given["s3"] else SigV4Auth)(credentials, given["service"], given["region"])
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    print(auth.signature(to_sign, request))
