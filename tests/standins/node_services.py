"""What a node talks to at boot, on one loopback port: IMDSv2, S3 and CloudFormation's query API.

usage: node_services.py FOLDER

FOLDER/behaviour.json says how to behave; FOLDER/program is what the bucket holds. The port is the first line of
standard output. Each request is one line of FOLDER/requests.jsonl. The server ends when its standard input does.

It refuses what AWS refuses: metadata without a token, wrong signatures, clocks more than 15 minutes off. Like S3
without s3:ListBucket, it answers 403 for keys that are not there.
"""

import datetime
import hashlib
import hmac
import json
import os
import socketserver
import sys
import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

FOLDER = sys.argv[1]
with open(os.path.join(FOLDER, "behaviour.json"), encoding="utf-8") as file:
    BEHAVIOUR = json.load(file)
KEYS = {name: BEHAVIOUR[name] for name in ("access_key", "secret_key", "session_token")}
REGION = BEHAVIOUR["region"]
IMDS_TOKEN = BEHAVIOUR["imds_token"]
LOCK = threading.Lock()
COUNTS = {}


def server_time():
    return time.time() + BEHAVIOUR.get("clock_ahead", 0)


def count(what):
    with LOCK:
        COUNTS[what] = COUNTS.get(what, 0) + 1
        return COUNTS[what]


def public_secrets():
    """Secrets that some process shows in its command line or environment right now."""
    secrets = [KEYS["secret_key"], KEYS["session_token"], IMDS_TOKEN, KEYS["secret_key"].encode().hex()]
    shown = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for file_name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{file_name}", "rb") as shown_file:
                    text = shown_file.read()
            except OSError:
                continue
            if any(secret.encode() in text for secret in secrets):
                shown.append(f"{file_name} of {text[:60]!r}")
    return shown


def signature_fault(method, path, query, headers, body):
    """Why the signature is refused, as (code, message), or None. Written from the specification, not from the script."""
    given = headers.get("authorization", "")
    try:
        algorithm, rest = given.split(" ", 1)
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        access_key, day, region, service, end = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
    except (ValueError, KeyError):
        return "AccessDenied", "Access Denied: no signature"
    if algorithm != "AWS4-HMAC-SHA256" or end != "aws4_request" or region != REGION:
        return "AuthorizationHeaderMalformed", "the authorization header is malformed"
    if access_key != KEYS["access_key"] or headers.get("x-amz-security-token") != KEYS["session_token"]:
        return "InvalidToken", "The provided token is malformed or otherwise invalid."
    must_sign = {"host", "x-amz-date", "x-amz-security-token"} | {n for n in headers if n.startswith("x-amz-")}
    if names != sorted(names) or not must_sign <= set(names):
        return "AccessDenied", "There were headers present in the request which were not signed"
    stamp = headers["x-amz-date"]
    signed_at = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
    if abs(signed_at - server_time()) > 900:
        if service == "s3":
            return "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
        return "SignatureDoesNotMatch", f"Signature expired: {stamp} is now earlier than the allowed time."
    body_hash = hashlib.sha256(body).hexdigest()
    if headers.get("x-amz-content-sha256", body_hash) != body_hash:
        return "XAmzContentSHA256Mismatch", "The provided x-amz-content-sha256 header does not match what was computed."
    canonical_headers = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    canonical = "\n".join([method, path, query, canonical_headers, ";".join(names), body_hash])
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join([algorithm, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + KEYS["secret_key"]).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), fields["Signature"]):
        return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
    return None


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):
        pass

    def date_time_string(self, timestamp=None):
        return formatdate(server_time(), usegmt=True)

    def answer(self, status, body=b"", headers=(), kind="text/plain"):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, code, message):
        # Real S3 quotes the request here, the session token with it.
        quoted = f"<CanonicalRequest>x-amz-security-token:{KEYS['session_token']}</CanonicalRequest>"
        self.answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message>{quoted}</Error>", kind="application/xml")

    def record(self, service, body=b"", fault=None):
        path, _, query = self.path.partition("?")
        line = {
            "service": service,
            "method": self.command,
            "path": path,
            "query": query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode("utf-8", "replace"),
            "fault": fault,
            "public_secrets": public_secrets(),
        }
        with LOCK, open(os.path.join(FOLDER, "requests.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if path.startswith("/latest/"):
            self.record("imds")
            self.imds(path.removeprefix("/latest/"))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = signature_fault(self.command, path, query, headers, body)
        service = "cloudformation" if self.command == "POST" else "s3"
        self.record(service, body, fault)
        if fault:
            self.error(403, *fault)
        elif service == "cloudformation":
            self.cloudformation(body)
        else:
            self.s3(path.removeprefix("/"))

    do_GET = do_PUT = do_POST = handle_any

    def imds(self, path):
        if BEHAVIOUR.get("imds") == "down":
            self.answer(503)
        elif path == "api/token":
            if self.command != "PUT" or "X-aws-ec2-metadata-token-ttl-seconds" not in self.headers:
                self.answer(400)
            else:
                self.answer(200, IMDS_TOKEN)
        elif self.headers.get("X-aws-ec2-metadata-token") != IMDS_TOKEN:
            self.answer(401)
        elif path == "meta-data/instance-id":
            self.answer(200, BEHAVIOUR["instance_id"])
        elif path == "meta-data/tags/instance/prefab:node":
            # Tags reach a new instance late.
            missing = count("tag") <= BEHAVIOUR.get("tag_missing", 0)
            self.answer(404 if missing else 200, "" if missing else BEHAVIOUR["logical_id"])
        elif path == "meta-data/iam/security-credentials/":
            missing = count("role") <= BEHAVIOUR.get("credentials_missing", 0)
            self.answer(404 if missing else 200, "" if missing else "a-role")
        elif path == "meta-data/iam/security-credentials/a-role":
            document = {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": KEYS["access_key"],
                "SecretAccessKey": BEHAVIOUR.get("served_secret_key", KEYS["secret_key"]),
                "Token": KEYS["session_token"],
            }
            self.answer(200, json.dumps(document, indent=2))
        else:
            self.answer(404)

    def cloudformation(self, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if count("signal") <= BEHAVIOUR.get("signal_unavailable", 0):
            self.error(503, "ServiceUnavailable", "try again")
        elif form.get("Action") != "SignalResource" or form.get("StackName") != BEHAVIOUR["stack_id"]:
            self.error(400, "ValidationError", "no such stack")
        else:
            self.answer(200, "<SignalResourceResponse/>", kind="text/xml")

    def s3(self, key):
        if self.command == "PUT":
            forbidden = BEHAVIOUR.get("reason") == "forbidden"
            self.error(403, "AccessDenied", "Access Denied") if forbidden else self.answer(200)
            return
        with open(os.path.join(FOLDER, "program"), "rb") as file:
            program = file.read()
        if key != BEHAVIOUR["program_key"]:
            self.error(403, "AccessDenied", "Access Denied")
            return
        self.program(BEHAVIOUR.get("program", "whole"), program, count("program"))

    def program(self, how, program, attempt):
        how, _, number = how.partition(":")
        if how == "whole" or (how.endswith("-until") and attempt >= int(number)):
            self.answer(200, program)
        elif how in ("forbidden", "forbidden-until"):
            self.error(403, "AccessDenied", "User is not authorized to perform: s3:GetObject")
        elif how == "unavailable-until":
            self.error(503, "SlowDown", "Please reduce your request rate.")
        elif how == "not-found":
            self.error(404, "NoSuchKey", "The specified key does not exist.")
        elif how == "other":
            self.answer(200, program + b"\n# one more line\n")
        elif how == "empty":
            self.answer(200, b"")
        elif how == "html":
            self.answer(200, "<html><body>Please log in</body></html>", kind="text/html")
        elif how == "redirect":
            self.answer(307, headers=[("Location", f"http://{self.headers['Host']}/elsewhere")])
        elif how == "unsized":
            # No length, and more than is allowed.
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(int(number)):
                self.wfile.write(b"\0" * 65536)
            self.close_connection = True
        elif how in ("cut", "stall", "slow"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(program)))
            self.end_headers()
            self.wfile.write(program[: len(program) * int(number) // 100])
            self.wfile.flush()
            for byte in program if how == "slow" else b"":
                self.wfile.write(bytes([byte]))
                time.sleep(0.001)
            if how == "stall":
                time.sleep(BEHAVIOUR.get("stall_seconds", 20))
            self.close_connection = True
        else:
            raise ValueError(how)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        # The client gives up on stalled and oversized answers: that is what is tested.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


with Server(("127.0.0.1", 0), Node) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
