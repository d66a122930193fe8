#!/usr/bin/env python3
"""Times `prefab synth` as whole processes, and a peer beside it in the same run where there is one.

    python3 tests/bench/synth.py dist/prefab

PREFAB_CDK_APP may name a folder with a CDK app; `cdk synth` then runs there, interleaved with ours.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15
PEER_ROUNDS = 3
NODES = (2, 50, 100, 200, 400)


def spec(nodes):
    prefill = nodes // 2
    return f"""version: 1
name: bench
region: us-east-1
availability_zone: us-east-1a
network: {{ public: true }}
cluster:
  prefill: {{ count: {prefill}, instance_type: g6e.12xlarge }}
  decode: {{ count: {nodes - prefill}, instance_type: g6e.12xlarge }}
"""


def measure(command, folder):
    """Wall milliseconds, CPU milliseconds and peak MB of one process and its children."""
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = (time.perf_counter() - began) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command} ended with {child.returncode} in {folder}")
    return wall, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1000


def row(name, runs):
    wall, cpu, peak = (sorted(figures) for figures in zip(*runs))
    print(f"{name:34} {statistics.median(wall):9.1f} {wall[0]:8.1f} {wall[-1]:8.1f} {statistics.median(cpu):9.1f} {max(peak):8.1f}")


def main():
    prefab = os.path.abspath(sys.argv[1])
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    print(f"{'synth':34} {'median ms':>9} {'min':>8} {'max':>8} {'CPU ms':>9} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        def ours(name, text):
            folder = os.path.join(scratch, name)
            os.makedirs(folder)
            with open(os.path.join(folder, "prefab.yaml"), "w", encoding="utf-8") as file:
                file.write(text)
            # Each run writes every file anew.
            return lambda number: measure([prefab, "synth", "--quiet", "--output", f"out{number}"], folder)

        with open(os.path.join(root, "templates/g6e-pair/prefab.yaml"), encoding="utf-8") as file:
            pair = ours("pair", file.read())
        app, runs, peer_runs = os.environ.get("PREFAB_CDK_APP"), [], []
        pair(-1)
        for number in range(ROUNDS):
            runs.append(pair(number))
            if app and number < PEER_ROUNDS:
                peer_runs.append(measure(["npx", "cdk", "synth", "--all", "--quiet"], app))
        row("g6e-pair", runs)
        if peer_runs:
            row("CDK app, the same run", peer_runs)
        else:
            print("CDK app: not compared; PREFAB_CDK_APP names no folder with one")
        for nodes in NODES:
            sized = ours(f"nodes{nodes}", spec(nodes))
            row(f"{nodes} nodes", [sized(number) for number in range(ROUNDS)])
    if shutil.which("nproc"):
        print(f"whole processes, files written and synced to disk, {os.cpu_count()} CPUs; the disk's sync bounds the wall time")


main()
