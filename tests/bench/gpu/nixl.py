"""NIXL on the same shape, where a Python has its wheel."""
import json
import os
import statistics
import subprocess

PLAN = {"descriptor_bytes": 8192, "descriptors": 32768, "pool_blocks": 131072, "requests": 5, "seed": 1}
MOST_SECONDS = 120


def run(tls):
    """Its rate with these transports of UCX, or why there is none."""
    python = os.environ.get("PREFAB_NIXL_PYTHON")
    if not python:
        return None, "PREFAB_NIXL_PYTHON names no Python with NIXL's wheel and PyTorch"
    pair = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nixl_pair.py")
    environment = {**os.environ, "UCX_TLS": tls, "UCX_LOG_LEVEL": "error"}
    try:
        ran = subprocess.run([python, "-B", pair], input=json.dumps(PLAN), capture_output=True, text=True,
                             timeout=MOST_SECONDS, env=environment)
        said = json.loads(ran.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return None, f"NIXL with UCX_TLS={tls} was not done after {MOST_SECONDS} s"
    except (OSError, ValueError, IndexError):
        return None, (ran.stderr.strip().splitlines() or [f"NIXL ended with {ran.returncode}"])[-1][:200]
    if said["verified"] != said["requests"] * PLAN["descriptors"]:
        return None, f"NIXL placed {said['verified']} of {said['requests'] * PLAN['descriptors']} blocks rightly"
    payload = PLAN["descriptor_bytes"] * PLAN["descriptors"]
    return {"gb_per_s": payload / statistics.median(said["request_s"]) / 1e9, **said}, None
