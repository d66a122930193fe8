"""A real MLflow server on loopback that ends with whoever started it.

usage: mlflow_server.py FOLDER

Everything that it keeps lies in FOLDER. The first line of standard output is the port, once the server answers. Lines of
standard input: `kill` ends it as a power cut does, `start` starts it again on the same port and records; each is answered
by `done`. The end of standard input ends everything, and so does every other end of this process.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

FOLDER = sys.argv[1]
MLFLOW = os.path.join(os.path.dirname(sys.executable), "mlflow")
BOUND_SECONDS = 180
# MLflow starts processes of its own, which outlive the first one, so the whole group is killed: when the first one ends, and
# when nobody holds the other end of standard input any more, whatever became of them.
GROUP = '("$@" < /dev/null; kill -9 0) & cat > /dev/null; kill -9 0'

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]


def start():
    log = open(os.path.join(FOLDER, "log"), "ab")
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Nothing here needs the five consumers of a job queue.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    server = subprocess.Popen(
        [
            "sh", "-c", GROUP, "sh", MLFLOW, "server", "--host", "127.0.0.1", "--port", str(PORT), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{FOLDER}/store.sqlite",
            "--artifacts-destination", f"{FOLDER}/artifacts", "--serve-artifacts",
        ],
        stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True,
    )
    end = time.monotonic() + BOUND_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            sys.exit(f"MLflow ended with {server.returncode}; see {FOLDER}/log")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5) as answer:
                if answer.read() == b"OK":
                    return server
        except OSError:
            time.sleep(0.1)
    kill(server)
    sys.exit(f"MLflow did not answer within {BOUND_SECONDS} s; see {FOLDER}/log")


def kill(server):
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    server.wait()


server = start()
print(PORT, flush=True)
for line in sys.stdin:
    if line.strip() == "kill":
        kill(server)
    elif line.strip() == "start":
        server = start()
    print("done", flush=True)
kill(server)
