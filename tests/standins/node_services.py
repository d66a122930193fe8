"""What a node talks to at boot: IMDSv2, S3 and CloudFormation's query API.

usage: node_services.py FOLDER                          one node: everything on one loopback port, without TLS
       node_services.py FOLDER ADDRESS CERTIFICATE KEY  many nodes, told apart by their addresses as AWS does: IMDS on
                                                        port 80, S3 and CloudFormation by TLS on 443, and a DNS server
                                                        that knows ADDRESS as every AWS endpoint. It takes every
                                                        address of its network namespace, so give it one of its own.

FOLDER/behaviour.json says how to behave towards the node; FOLDER/program is what the bucket holds for it. Each request
is one line of FOLDER/requests.jsonl. Of many nodes each has such a folder, FOLDER/nodes/<its address>; other objects are
kept in FOLDER/bucket. The first line of standard output, a port, says that it is ready. The server ends when its
standard input does.

It refuses what AWS refuses: metadata without a token, wrong signatures, clocks more than 15 minutes off. Like S3
without s3:ListBucket, it answers 403 for keys that are not there.
"""

import datetime
import hashlib
import hmac
import json
import os
import re
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

FOLDER = sys.argv[1]
LOCK = threading.Lock()


class Site:
    """One node, as the services see it."""

    counts = {}

    def __init__(self, folder):
        self.folder = folder
        # Read for each request: a node may meet a fault that was not there when it began to boot.
        with open(os.path.join(folder, "behaviour.json"), encoding="utf-8") as file:
            self.behaviour = json.load(file)

    def time(self):
        return time.time() + self.behaviour.get("clock_ahead", 0)

    def count(self, what):
        with LOCK:
            # A behaviour may name the boot that it is for: counts begin anew with each.
            key = self.folder, self.behaviour.get("boot"), what
            self.counts[key] = self.counts.get(key, 0) + 1
            return self.counts[key]

    def seconds_since_first(self, what):
        with LOCK:
            now = time.monotonic()
            return now - self.counts.setdefault((self.folder, self.behaviour.get("boot"), "first", what), now)

    def public_secrets(self):
        """Secrets that some process shows in its command line or environment right now."""
        secrets = [self.behaviour[name] for name in ("secret_key", "session_token", "imds_token")]
        secrets.append(self.behaviour["secret_key"].encode().hex())
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

    def metadata(self):
        """What IMDS tells, by path, but for the role's credentials."""
        address = self.behaviour.get("address", "127.0.0.1")
        name = f"ip-{address.replace('.', '-')}.ec2.internal"
        metadata = {
            "ami-id": "ami-0123456789abcdef0",
            "hostname": name,
            "iam/info": json.dumps({"Code": "Success", "InstanceProfileArn": "arn:aws:iam::111122223333:instance-profile/a"}),
            "iam/security-credentials/a-role": "",
            "instance-id": self.behaviour["instance_id"],
            "instance-type": "p5.48xlarge",
            "local-hostname": name,
            "local-ipv4": address,
            "mac": self.behaviour.get("mac", "02:00:00:00:00:01"),
            "placement/availability-zone": self.behaviour["region"] + "a",
            "placement/region": self.behaviour["region"],
        }
        # Tags reach a new instance late.
        if self.seconds_since_first("tags") >= self.behaviour.get("tags_late", 0):
            tags = {"prefab:node": self.behaviour["logical_id"], **self.behaviour.get("tags", {})}
            for tag, seconds in self.behaviour.get("late_tags", {}).items():
                if self.seconds_since_first(f"tag {tag}") < seconds:
                    tags.pop(tag, None)
            metadata.update({f"tags/instance/{tag}": value for tag, value in tags.items()})
        document = {"accountId": "111122223333", "instanceId": metadata["instance-id"], "region": self.behaviour["region"]}
        return {
            **{f"meta-data/{path}": value for path, value in metadata.items()},
            "dynamic/instance-identity/document": json.dumps(document),
            "user-data": self.behaviour.get("user_data", ""),
        }


def listing(tree, folder):
    """The names below a folder of the tree; folders end in a slash."""
    prefix = folder.rstrip("/") + "/" if folder.strip("/") else ""
    below = [path.removeprefix(prefix) for path in tree if path.startswith(prefix)]
    return "\n".join(sorted({path.split("/")[0] + ("/" if "/" in path else "") for path in below}))


def signature_fault(site, method, path, query, headers, body):
    """Why the signature is refused, as (code, message), or None. Written from the specification, not from the script."""
    given = headers.get("authorization", "")
    try:
        algorithm, rest = given.split(" ", 1)
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        access_key, day, region, service, end = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
    except (ValueError, KeyError):
        return "AccessDenied", "Access Denied: no signature"
    if algorithm != "AWS4-HMAC-SHA256" or end != "aws4_request" or region != site.behaviour["region"]:
        return "AuthorizationHeaderMalformed", "the authorization header is malformed"
    if access_key != site.behaviour["access_key"] or headers.get("x-amz-security-token") != site.behaviour["session_token"]:
        return "InvalidToken", "The provided token is malformed or otherwise invalid."
    must_sign = {"host", "x-amz-date", "x-amz-security-token"} | {n for n in headers if n.startswith("x-amz-")}
    if names != sorted(names) or not must_sign <= set(names):
        return "AccessDenied", "There were headers present in the request which were not signed"
    stamp = headers["x-amz-date"]
    signed_at = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
    if abs(signed_at - site.time()) > 900:
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
    key = ("AWS4" + site.behaviour["secret_key"]).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), fields["Signature"]):
        return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
    return None


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):
        pass

    def setup(self):
        super().setup()
        self.folder = self.server.folder_of(self.client_address[0])

    def date_time_string(self, timestamp=None):
        return formatdate(self.site.time(), usegmt=True)

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
        quoted = f"<CanonicalRequest>x-amz-security-token:{self.site.behaviour['session_token']}</CanonicalRequest>"
        self.answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message>{quoted}</Error>", kind="application/xml")

    def record(self, service, body=b"", fault=None):
        path, _, query = self.path.partition("?")
        line = {
            "at": round(time.time(), 3),
            "service": service,
            "method": self.command,
            "path": path,
            "query": query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode("utf-8", "replace"),
            "fault": fault,
            "public_secrets": self.site.public_secrets(),
        }
        with LOCK, open(os.path.join(self.folder, "requests.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def handle_any(self):
        self.site = Site(self.folder)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        version = re.fullmatch(r"/(latest|\d{4}-\d\d-\d\d)/(.*)", path)
        if version and self.server.has_metadata:
            self.record("imds")
            if self.is_lost("imds"):
                self.answer(503)
            else:
                self.imds(version[2])
            return
        if self.is_lost("network"):
            # As if the way there had ended: no answer, no record.
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = signature_fault(self.site, self.command, path, query, headers, body)
        service = "cloudformation" if self.command == "POST" else "s3"
        self.record(service, body, fault)
        if fault:
            self.error(403, *fault)
        elif service == "cloudformation":
            self.cloudformation(body)
        else:
            self.s3(path.removeprefix("/"), query, body)

    do_GET = do_PUT = do_POST = handle_any

    def is_lost(self, what):
        """Whether this request comes after so many that were answered, and before the end of that."""
        lost = self.site.behaviour.get(f"{what}_lost")
        if lost is None or self.site.count(what) <= lost["after"]:
            return False
        return self.site.seconds_since_first(f"{what} lost") < lost["seconds"]

    def imds(self, path):
        behaviour = self.site.behaviour
        known_token = self.headers.get("X-aws-ec2-metadata-token") == behaviour["imds_token"]
        name = path.removeprefix("meta-data/")
        if behaviour.get("imds") == "down":
            self.answer(503)
        elif path == "api/token":
            if behaviour.get("imds") == "silent":
                # As if the answer needed one hop more than it is allowed.
                time.sleep(4)
                self.close_connection = True
            elif self.command != "PUT" or "X-aws-ec2-metadata-token-ttl-seconds" not in self.headers:
                self.answer(400)
            else:
                lifetime = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
                self.answer(200, behaviour["imds_token"], [("X-aws-ec2-metadata-token-ttl-seconds", lifetime)])
        elif not known_token:
            self.answer(401)
        elif name == "tags/instance/prefab:node" and self.site.count("tag") <= behaviour.get("tag_missing", 0):
            self.answer(404)
        elif name == "iam/security-credentials/":
            missing = self.site.count("role") <= behaviour.get("credentials_missing", 0)
            self.answer(404 if missing else 200, "" if missing else "a-role")
        elif name == "iam/security-credentials/a-role":
            document = {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": behaviour["access_key"],
                "SecretAccessKey": behaviour.get("served_secret_key", behaviour["secret_key"]),
                "Token": behaviour["session_token"],
            }
            self.answer(200, json.dumps(document, indent=2))
        else:
            tree = self.site.metadata()
            found = tree.get(path) or listing(tree, path)
            self.answer(200 if found else 404, found)

    def cloudformation(self, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if self.site.count("signal") <= self.site.behaviour.get("signal_unavailable", 0):
            self.error(503, "ServiceUnavailable", "try again")
        elif form.get("Action") != "SignalResource" or form.get("StackName") != self.site.behaviour["stack_id"]:
            self.error(400, "ValidationError", "no such stack")
        else:
            with LOCK, open(os.path.join(self.folder, "signals.jsonl"), "a", encoding="utf-8") as file:
                file.write(json.dumps(form) + "\n")
            self.answer(200, "<SignalResourceResponse/>", kind="text/xml")

    def s3(self, key, query, body):
        behaviour = self.site.behaviour
        # With an endpoint of one's own the bucket is the first part of the path.
        key = key.removeprefix(behaviour.get("bucket", "") + "/") if "bucket" in behaviour else key

        def meant(how):
            return any(f"{self.command} {key}".startswith(prefix) for prefix in behaviour.get(how, []))

        if meant("forbidden"):
            self.error(403, "AccessDenied", "Access Denied")
        elif meant("unavailable"):
            self.error(503, "SlowDown", "Please reduce your request rate.")
        elif meant("html"):
            self.answer(200, "<html><body>Please log in</body></html>", kind="text/html")
        elif not key:
            self.listing(dict(urllib.parse.parse_qsl(query)))
        elif self.command == "PUT":
            if behaviour.get("reason") == "forbidden":
                self.error(403, "AccessDenied", "Access Denied")
            else:
                write_object(key, body)
                self.answer(200)
        elif key == behaviour["program_key"]:
            with open(os.path.join(self.folder, "program"), "rb") as file:
                program = file.read()
            self.program(behaviour.get("program", "whole"), program, self.site.count("program"))
        else:
            found = read_object(key)
            if found is None:
                self.error(403, "AccessDenied", "Access Denied")
            else:
                self.answer(200, found, kind="application/octet-stream")

    def listing(self, asked):
        """ListObjectsV2, which the nodes' role may ask of the roster alone."""
        prefix = asked.get("prefix", "")
        if self.command != "GET" or asked.get("list-type") != "2" or not prefix.startswith("roster/"):
            self.error(403, "AccessDenied", "Access Denied")
            return
        keys = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>{size}</Size></Contents>"
            for key, size in objects(prefix)
        )
        self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>", kind="application/xml")

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
        elif how in ("cut", "reset", "stall", "slow"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(program)))
            self.end_headers()
            self.wfile.write(program[: len(program) * int(number) // 100])
            self.wfile.flush()
            for at in range(0, len(program), 16) if how == "slow" else ():
                self.wfile.write(program[at : at + 16])
                time.sleep(0.016)
            if how == "reset":
                # Closed with nothing to linger for, TCP says RST instead of FIN.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if how == "stall":
                time.sleep(self.site.behaviour.get("stall_seconds", 20))
            self.close_connection = True
        else:
            raise ValueError(how)


def object_file(key):
    # One flat folder: a key is no path.
    return os.path.join(FOLDER, "bucket", urllib.parse.quote(key, safe=""))


def read_object(key):
    try:
        with open(object_file(key), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def objects(prefix):
    """Keys and sizes of the objects below a prefix, in the order of their keys."""
    folder = os.path.join(FOLDER, "bucket")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    # A file on its way to its place has a space in its name, and no key has.
    keys = sorted(urllib.parse.unquote(name) for name in names if " " not in name)
    return [(key, os.path.getsize(object_file(key))) for key in keys if key.startswith(prefix)]


def write_object(key, body):
    with LOCK:
        os.makedirs(os.path.join(FOLDER, "bucket"), exist_ok=True)
        # Another node reads an object whole or not at all.
        with open(object_file(key) + " new", "wb") as file:
            file.write(body)
        os.replace(object_file(key) + " new", object_file(key))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address, tls=None):
        super().__init__(address, Node)
        self.tls = tls
        self.has_metadata = tls is None

    def folder_of(self, client):
        return FOLDER if MANY is None else os.path.join(FOLDER, "nodes", client)

    def finish_request(self, request, client_address):
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        # In the request's own thread: a client that dislikes the certificate keeps nobody waiting.
        with self.tls.wrap_socket(request, server_side=True) as stream:
            super().finish_request(stream, client_address)

    def handle_error(self, request, client_address):
        # The client gives up on stalled and oversized answers: that is what is tested.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Names(socketserver.BaseRequestHandler):
    """Answers for names of AWS with the one address, and that there are no others."""

    def handle(self):
        question, channel = self.request
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace").lower())
            at += 1 + question[at]
        kind = int.from_bytes(question[at + 1 : at + 3], "big")
        known = labels[-2:] == ["amazonaws", "com"]
        answer = b""
        if known and kind == 1:
            answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(MANY[0])
        flags = b"\x81\x80" if known else b"\x81\x83"
        counts = bytes([0, 1, 0, 1 if answer else 0]) + bytes(4)
        channel.sendto(question[:2] + flags + counts + question[12 : at + 5] + answer, self.client_address)


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


MANY = sys.argv[2:] or None
if MANY is None:
    print(serve(Server(("127.0.0.1", 0))).server_address[1], flush=True)
else:
    _, certificate, key = MANY
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    serve(Server(("", 80)))
    serve(Server(("", 443), context))
    serve(socketserver.ThreadingUDPServer(("", 53), Names))
    print(443, flush=True)
sys.stdin.read()
