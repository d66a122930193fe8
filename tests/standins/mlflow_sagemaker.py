"""An account with SageMaker's MLflow: control plane, data plane, artifact bucket and instance metadata on one loopback port.

usage: mlflow_sagemaker.py FOLDER UPSTREAM_PORT

The data plane is a real MLflow server, reached only by calls that botocore would have signed in the same way, with the right
ARN header, by a caller who may. Its runs' artifacts lie in S3. Who may what is FOLDER/behaviour.json, read at each call:

    access_key, secret_key, session_token   whose calls are right
    arn                                     of the tracking server or app
    region
    actions      what the caller may do, as IAM writes it; the rest is refused
    statuses     what the control plane says of the server, one word a look; the last one stays
    ahead        seconds that this account's clock is ahead of the machine's
    links        whether the server signs upload links
    absent       "control" or "data": there is no such server

Each call is a line of FOLDER/calls.jsonl: plane, action, status, and whether its signature was right. The first line of
standard output is the port; the server ends when its standard input does.
"""

import datetime
import email.utils
import hashlib
import http.client
import json
import os
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import get_session
from botocore.validate import ParamValidator

FOLDER, UPSTREAM = sys.argv[1], int(sys.argv[2])
LOCK = threading.Lock()
BUCKET = "artifact-bucket"
TOLERANCE_SECONDS = 300
MODEL = get_session().get_service_model("sagemaker")
STATE = {"looks": 0, "changed": None}

# The action of IAM behind each call of MLflow's API.
ACTIONS = {
    "experiments/get-by-name": "GetExperimentByName",
    "experiments/create": "CreateExperiment",
    "experiments/search": "SearchExperiments",
    "runs/create": "CreateRun",
    "runs/get": "GetRun",
    "runs/search": "SearchRuns",
    "runs/log-batch": "LogBatch",
    "runs/set-tag": "SetTag",
    "runs/log-metric": "LogMetric",
    "runs/log-parameter": "LogParam",
    "runs/update": "UpdateRun",
    "runs/delete": "DeleteRun",
    "metrics/get-history": "GetMetricHistory",
}


def behaviour():
    with open(os.path.join(FOLDER, "behaviour.json"), encoding="utf-8") as file:
        return json.load(file)


class Refused(Exception):
    """An answer that is no 200."""

    def __init__(self, status, code, message, content=None):
        super().__init__(message)
        self.status, self.code, self.message, self.content = status, code, message, content


class Account(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(self.now(), usegmt=True)

    def now(self):
        return time.time() + behaviour().get("ahead", 0)

    def answer(self, status, content, kind="application/json", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def verify(self, service, body):
        """The signature is the one that botocore makes of what arrived."""
        whose, headers = behaviour(), {name.lower(): value for name, value in self.headers.items()}
        authorization = headers.get("authorization", "")
        if not authorization.startswith("AWS4-HMAC-SHA256 "):
            raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        fields = dict(part.strip().split("=", 1) for part in authorization.split(" ", 1)[1].split(","))
        scope = fields["Credential"].split("/")
        if scope[0] != whose["access_key"] or headers.get("x-amz-security-token") != whose.get("session_token"):
            raise Refused(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        if scope[2:] != [whose["region"], service, "aws4_request"]:
            raise Refused(403, "InvalidSignatureException", f"Credential should be scoped to {service}, not {scope}")
        stamp = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if abs(stamp.timestamp() - self.now()) > TOLERANCE_SECONDS:
            raise Refused(403, "InvalidSignatureException", f"Signature expired: {headers['x-amz-date']}")
        digest = hashlib.sha256(body).hexdigest()
        if service != "sagemaker" or self.path != "/":
            if headers.get("x-amz-content-sha256") != digest:
                raise Refused(403, "InvalidSignatureException", "x-amz-content-sha256 is not the body's")
        signed = {name: headers[name] for name in fields["SignedHeaders"].split(";") if name != "host"}
        for needed in ["x-amz-date", "x-amz-security-token"] if whose.get("session_token") else ["x-amz-date"]:
            if needed not in signed:
                raise Refused(403, "InvalidSignatureException", f"{needed} is not signed")
        if "host" not in fields["SignedHeaders"].split(";"):
            raise Refused(403, "InvalidSignatureException", "host is not signed")
        request = AWSRequest(self.command, f"http://{headers['host']}{self.path}", signed, body)
        request.context["timestamp"] = headers["x-amz-date"]
        credentials = Credentials(whose["access_key"], whose["secret_key"], headers.get("x-amz-security-token"))
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, whose["region"])
        expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        if expected != fields["Signature"]:
            raise Refused(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        return signed

    def allow(self, action):
        if action not in behaviour()["actions"]:
            raise Refused(403, "AccessDeniedException", f"User is not authorized to perform: {action}")

    def control(self, body):
        operation = self.headers["x-amz-target"].removeprefix("SageMaker.")
        self.call = ("control", operation)
        self.verify("sagemaker", body)
        self.allow(f"sagemaker:{operation}")
        given, whose = json.loads(body), behaviour()
        model = MODEL.operation_model(operation)
        report = ParamValidator().validate(given, model.input_shape)
        if report.has_errors():
            raise Refused(400, "ValidationException", report.generate_report())
        name = whose["arn"].split("/")[-1]
        if whose.get("absent") == "control" or given.get("TrackingServerName", name) != name:
            raise Refused(400, "ResourceNotFound", f"There is no {given}")
        statuses = whose.get("statuses", ["Started"])
        with LOCK:
            key = json.dumps(statuses)
            if STATE["changed"] != key:
                STATE.update(changed=key, looks=0)
            status = statuses[min(STATE["looks"], len(statuses) - 1)]
            if operation.startswith("Describe"):
                STATE["looks"] += 1
        said = {
            "DescribeMlflowTrackingServer": {
                "TrackingServerArn": whose["arn"], "TrackingServerName": name, "TrackingServerStatus": status,
                "IsActive": "Active" if status in ("Created", "Started", "Updating") else "Inactive",
                "MlflowVersion": "3.0", "ArtifactStoreUri": f"s3://{BUCKET}/mlflow",
            },
            "DescribeMlflowApp": {
                "Arn": whose["arn"], "Name": "the-app", "Status": "Created", "MlflowVersion": "3.10.1",
                "ArtifactStoreUri": f"s3://{BUCKET}/mlflow",
            },
            "ListMlflowApps": {"Summaries": [
                {"Arn": whose["arn"] + "-old", "Name": "the-app", "Status": "Deleted"},
                {"Arn": whose["arn"], "Name": "the-app", "Status": "Created"},
            ]},
            "CreatePresignedMlflowTrackingServerUrl": {"AuthorizedUrl": "https://ui.example/auth?authToken=canary-link&a=b"},
            "CreatePresignedMlflowAppUrl": {"AuthorizedUrl": "https://ui.example/app?authToken=canary-link"},
            "StartMlflowTrackingServer": {"TrackingServerArn": whose["arn"]},
            "StopMlflowTrackingServer": {"TrackingServerArn": whose["arn"]},
        }[operation]
        if operation.startswith(("Start", "Stop")) and status.endswith("ing"):
            raise Refused(400, "ConflictException", f"The server is {status}")
        if operation.startswith(("Start", "Stop")):
            with LOCK:
                STATE["looks"] += 1
        unknown = set(said) - set(model.output_shape.members)
        assert not unknown, unknown
        self.answer(200, json.dumps(said).encode(), "application/x-amz-json-1.1")

    def data(self, body):
        method = urllib.parse.urlsplit(self.path).path.removeprefix("/api/2.0/mlflow/")
        self.call = ("data", ACTIONS.get(method, method))
        whose = behaviour()
        is_app = ":mlflow-app/" in whose["arn"]
        header = "x-sm-mlflow-app-arn" if is_app else "x-mlflow-sm-tracking-server-arn"
        signed = self.verify("sagemaker" if is_app else "sagemaker-mlflow", body)
        if signed.get(header) != whose["arn"]:
            raise Refused(400, "BAD_REQUEST", f"{header} is not signed, or another ARN")
        if whose.get("absent") == "data":
            raise Refused(404, "", "", b"<html><head><title>404 Not Found</title></head></html>")
        if is_app:
            self.allow("sagemaker:CallMlflowAppApi")
        if method == "artifacts/presigned-upload-url":
            if not whose.get("links"):
                raise Refused(404, "", "", b"<html><head><title>404 Not Found</title></head></html>")
            given = json.loads(body)
            key = urllib.parse.quote(f"{given['run_id']}/{given['path']}")
            link = f"http://{self.headers['host']}/link/{key}?X-Amz-Expires={given['expiration']}&X-Amz-Signature=canary"
            self.answer(200, json.dumps({"presigned_url": link, "headers": {"x-amz-acl": "private"}}).encode())
            return
        self.allow(f"sagemaker-mlflow:{ACTIONS.get(method, method)}")
        upstream = http.client.HTTPConnection("127.0.0.1", UPSTREAM, timeout=60)
        kept = {name: value for name, value in self.headers.items() if name.lower() in ("content-type", "accept")}
        upstream.request(self.command, self.path, body, kept)
        reply = upstream.getresponse()
        content = reply.read().replace(b"mlflow-artifacts:/", f"s3://{BUCKET}/mlflow/".encode())
        upstream.close()
        self.status = reply.status
        self.answer(reply.status, content, reply.getheader("Content-Type", "application/json"))

    def bucket(self, body):
        key = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path.removeprefix(f"/s3/{BUCKET}/"))
        self.call = ("s3", f"{self.command} {key}")
        self.verify("s3", body)
        action = {"PUT": "PutObject", "GET": "GetObject", "DELETE": "DeleteObject"}[self.command]
        if f"s3:{action}" not in behaviour()["actions"]:
            text = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            raise Refused(403, "", "", text.encode())
        if self.command == "GET":
            self.answer(200, self.stored(key), "application/octet-stream")
            return
        self.store(key, body)
        self.answer(204 if self.command == "DELETE" else 200, b"")

    def link(self, body):
        key = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path.removeprefix("/link/"))
        self.call = ("link", key)
        if "authorization" in self.headers or self.headers.get("x-amz-acl") != "private":
            raise Refused(400, "InvalidRequest", "a link carries its own signature and its own headers")
        self.store(key, body)
        self.answer(200, b"")

    def stored(self, key):
        path = os.path.join(FOLDER, "objects", *key.split("/"))
        if not os.path.exists(path):
            text = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
            raise Refused(404, "", "", text.encode())
        with open(path, "rb") as file:
            return file.read()

    def store(self, key, body):
        path = os.path.join(FOLDER, "objects", *key.split("/"))
        if self.command == "PUT":
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(body)
        elif self.command == "DELETE" and os.path.exists(path):
            os.remove(path)

    def metadata(self, body):
        path = self.path.removeprefix("/imds/latest/")
        self.call = ("metadata", path)
        if path == "api/token" and self.command == "PUT":
            self.answer(200, b"metadata-token", "text/plain", [("X-aws-ec2-metadata-token-ttl-seconds", "21600")])
            return
        if self.headers.get("x-aws-ec2-metadata-token") != "metadata-token":
            raise Refused(401, "", "", b"")
        whose = behaviour()
        credentials = {
            "Code": "Success", "AccessKeyId": whose["access_key"], "SecretAccessKey": whose["secret_key"],
            "Token": whose.get("session_token"), "Expiration": "2999-01-01T00:00:00Z",
        }
        texts = {
            "meta-data/iam/security-credentials/": "node-role",
            "meta-data/iam/security-credentials/node-role": json.dumps(credentials),
            "meta-data/instance-id": "i-0123456789abcdef0",
            "meta-data/instance-type": "g6e.12xlarge",
            "meta-data/ami-id": "ami-0123456789abcdef0",
            "meta-data/placement/availability-zone": "us-east-1c",
            "meta-data/placement/availability-zone-id": "use1-az6",
            "meta-data/instance-life-cycle": "on-demand",
            "meta-data/tags/instance/prefab:node": "Prefill0",
            "meta-data/tags/instance/prefab:config": "ab" * 32,
        }
        if path not in texts:
            raise Refused(404, "", "", b"")
        self.answer(200, texts[path].encode(), "text/plain")

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.call, self.status, verdict = ("unknown", self.path), 200, "right"
        try:
            if self.path.startswith("/imds/"):
                self.metadata(body)
            elif self.path.startswith("/link/"):
                self.link(body)
            elif self.path.startswith(f"/s3/{BUCKET}/"):
                self.bucket(body)
            elif self.path.startswith("/api/2.0/mlflow/"):
                self.data(body)
            elif "x-amz-target" in self.headers:
                self.control(body)
            else:
                raise Refused(404, "", "", b"<html></html>")
        except Refused as refused:
            self.status = refused.status
            if "ignature" in refused.code or "Token" in refused.code or "Client" in refused.code:
                verdict = refused.message
            content = refused.content
            if content is None:
                content = json.dumps({"__type": refused.code, "message": refused.message}).encode()
            kind = "text/html" if content.startswith(b"<html") else "application/json"
            self.answer(refused.status, content, kind)
        plane, action = self.call
        line = {"plane": plane, "action": action, "status": self.status, "signature": verdict}
        with LOCK, open(os.path.join(FOLDER, "calls.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


server = ThreadingHTTPServer(("127.0.0.1", 0), Account)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
