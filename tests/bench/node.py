#!/usr/bin/env python3
"""Times `prefab-bootstrap check` as whole processes, and reads how much memory it had at most.

    python3 tests/bench/node.py dist/prefab-bootstrap FOLDER

FOLDER stands for a machine: 32 EFA devices, 8 GPUs, a serving environment. Programs and network of it are recorded answers, so
what is measured there is the checks' own time. Figures are printed beside their goals and judged by nobody else.
"""
import fcntl
import json
import os
import statistics
import subprocess
import sys
import termios
import time

ROUNDS = 40
SET_PIPE_SIZE = 1031
PIPE_BYTES = 4096
PATIENCE_SECONDS = 30


def measure(command):
    """Wall and CPU milliseconds of one process, and what it printed."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = (time.perf_counter() - began) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {child.returncode}")
    return wall, (usage.ru_utime + usage.ru_stime) * 1000, output


def peak_mb(command):
    """The most memory that a process had: its report waits in a full pipe while its own figure is read.

    The rusage of a child counts the memory of whoever started it, here Python.
    """
    reading, writing = os.pipe()
    fcntl.fcntl(writing, SET_PIPE_SIZE, PIPE_BYTES)
    child = subprocess.Popen(command, stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    deadline = time.monotonic() + PATIENCE_SECONDS
    waiting = 0
    while waiting < PIPE_BYTES:
        if time.monotonic() > deadline:
            child.kill()
            raise SystemExit(f"{command} printed no {PIPE_BYTES} bytes within {PATIENCE_SECONDS} s")
        time.sleep(0.001)
        waiting = int.from_bytes(fcntl.ioctl(reading, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
    with open(f"/proc/{child.pid}/status", encoding="ascii") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    with os.fdopen(reading, "rb") as pipe:
        pipe.read()
    child.wait()
    return kib * 1024 / 1e6


def row(name, figures, unit, goal=None):
    median = statistics.median(figures)
    verdict = "" if goal is None else f"at most {goal:g}: {'met' if median <= goal else 'MISSED'}"
    print(f"{name:52} {median:8.1f} {min(figures):8.1f} {max(figures):8.1f} {unit:4} {verdict}")


def main():
    program, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    every = [program, "check", "--json", "--profile", "serving", "--root", folder]
    print(f"{'prefab-bootstrap':52} {'median':>8} {'min':>8} {'max':>8}")
    first = [measure([program, "check", "--json", "--only", "environment.plan"]) for _ in range(ROUNDS)]
    row("start to the end of a first check", [wall for wall, _, _ in first], "ms", 20)
    runs = [measure(every) for _ in range(ROUNDS)]
    count = len(json.loads(runs[0][2])["checks"])
    row(f"all {count} checks of a p5.48xlarge as files", [wall for wall, _, _ in runs], "ms", 1000)
    row("  processor time of them", [cpu for _, cpu, _ in runs], "ms")
    row("  memory at most", [peak_mb(every) for _ in range(5)], "MB", 20)
    here = [measure([program, "check", "--json", "--profile", "serving"]) for _ in range(5)]
    row("all checks of this machine, its programs included", [wall for wall, _, _ in here], "ms")
    print(f"whole processes, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")


main()
