"""A way to an MLflow server that breaks: a proxy on a free loopback port that forwards, records and disturbs.

usage: mlflow_proxy.py FOLDER UPSTREAM_PORT

FOLDER/fault.json says {"fault": NAME, "after": N, "times": M}: after N requests the next M meet the fault, then all is well
again; a new file begins anew. The first line of standard output is the port. The server ends when its standard input does.
"""

import http.client
import json
import os
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER, UPSTREAM = sys.argv[1], int(sys.argv[2])
LOCK = threading.Lock()
STATE = {"read": 0.0, "seen": 0, "fault": {}}

# Hop by hop, or this proxy's own business.
DROPPED = {"connection", "transfer-encoding", "content-length", "host", "authorization", "keep-alive"}


def fault_now():
    """The fault that this request meets, if any."""
    with LOCK:
        path = os.path.join(FOLDER, "fault.json")
        changed = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
        if changed != STATE["read"]:
            with open(path, encoding="utf-8") as file:
                STATE.update(read=changed, seen=0, fault=json.load(file))
        STATE["seen"] += 1
        fault = STATE["fault"]
        first = fault.get("after", 0)
        if not first < STATE["seen"] <= first + fault.get("times", 0):
            return None
        # Who disturbs wants to know that somebody was disturbed.
        with open(os.path.join(FOLDER, "met"), "a", encoding="utf-8") as file:
            file.write("x")
        return fault.get("fault")


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):
        pass

    def forward(self, body):
        upstream = http.client.HTTPConnection("127.0.0.1", UPSTREAM, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in DROPPED}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        return answer.status, answer.getheader("Content-Type", "application/json"), content

    def answer(self, status, kind, content, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def reset(self):
        # Closed with nothing to linger for, TCP says RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = fault_now()
        if fault == "closed":
            self.close_connection = True
        elif fault == "reset":
            self.reset()
        elif fault == "throttled":
            self.answer(429, "application/json", b'{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow"}', [("Retry-After", "1")])
        elif fault == "internal":
            self.answer(500, "application/json", b'{"error_code":"INTERNAL_ERROR","message":"try again"}')
        elif fault == "unavailable page":
            self.answer(503, "text/html", b"<html><head><title>503 Service Unavailable</title></head></html>")
        elif fault == "refusal":
            self.answer(400, "application/json", b'{"error_code":"INVALID_PARAMETER_VALUE","message":"a name of the server\'s liking"}')
        elif fault == "empty refusal":
            self.answer(400, "application/json", b"")
        elif fault == "refused":
            self.reset()
            REOPEN.set()
            threading.Thread(target=SERVER[0].shutdown, daemon=True).start()
        elif fault == "expired":
            self.answer(403, "application/json", b'{"__type":"ExpiredTokenException","message":"The security token is expired"}')
        elif fault == "redirect":
            self.answer(302, "text/html", b"", [("Location", "http://127.0.0.1:1/login")])
        elif fault == "garbage":
            self.wfile.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
            self.close_connection = True
        elif fault == "portal":
            self.answer(200, "text/html", b"<html><body>Please log in</body></html>")
        else:
            status, kind, content = self.forward(body)
            if fault == "lost answer":
                self.reset()
                return
            if fault == "cut answer":
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content) + 1))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
                return
            if fault == "torn document":
                content = content[: len(content) // 2]
            if fault == "slow":
                time.sleep(1.5)
            self.answer(status, kind, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


REFUSING_SECONDS = 0.4
REOPEN, SERVER = threading.Event(), [Listener(("127.0.0.1", 0), Proxy)]
PORT = SERVER[0].server_address[1]


def serve():
    """Serves; after a fault that closes the port nobody listens for a while."""
    while True:
        SERVER[0].serve_forever(poll_interval=0.02)
        SERVER[0].server_close()
        if not REOPEN.is_set():
            return
        REOPEN.clear()
        time.sleep(REFUSING_SECONDS)
        SERVER[0] = Listener(("127.0.0.1", PORT), Proxy)


threading.Thread(target=serve, daemon=True).start()
print(PORT, flush=True)
sys.stdin.read()
