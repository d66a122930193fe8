#!/usr/bin/env python3
"""Processor time of a command's own process, user and system: `apply.py COMMAND…` prints runs, median and least, ms."""
import os
import statistics
import sys

RUNS = 15


def once(command):
    pid = os.fork()
    if pid == 0:
        out = os.open(os.devnull, os.O_WRONLY)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.execv(command[0], command)
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with status {status}")
    return (usage.ru_utime + usage.ru_stime) * 1e3


command = sys.argv[1:]
once(command)
took = [once(command) for _ in range(RUNS)]
# The warm-up's calls count too.
print(RUNS + 1, round(statistics.median(took), 2), round(min(took), 2))
