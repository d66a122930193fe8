#!/usr/bin/env python3
"""Times `prefab report` on a thousand cases that nobody measured, as whole processes, and weighs the page.

    python3 tests/bench/report.py dist/prefab

The goal: under a second and 3 MB.
"""
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 9
GOAL_MS, GOAL_MB = 1_000, 3


def main():
    prefab = os.path.abspath(sys.argv[1])
    fixture = pathlib.Path(__file__).resolve().parent.parent / "report" / "fixture.py"
    with tempfile.TemporaryDirectory() as scratch:
        cases = pathlib.Path(scratch, "cases.json")
        with open(cases, "wb") as file:
            subprocess.run([sys.executable, fixture, "thousand"], stdout=file, check=True)
        print(f"{'1,000 cases':12} {'median ms':>9} {'min':>8} {'max':>8} {'CPU ms':>8} {'MB':>6}")
        for command in (["report", cases, "-o", "page.html"], ["compare", cases], ["compare", cases, cases, "--csv"]):
            walls, cpus = [], []
            for _ in range(ROUNDS):
                before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                subprocess.run([prefab, *command], cwd=scratch, stdout=subprocess.DEVNULL, check=True)
                walls.append((time.perf_counter() - began) * 1000)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpus.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
            page = pathlib.Path(scratch, "page.html").stat().st_size / 1e6 if command[0] == "report" else None
            size = "" if page is None else f"{page:6.2f}"
            name = " ".join(part for part in map(str, command) if part in ("report", "compare", "--csv"))
            print(
                f"{name:12} {statistics.median(walls):9.1f} {min(walls):8.1f} {max(walls):8.1f} "
                f"{statistics.median(cpus):8.1f} {size:>6}"
            )
            if page is not None:
                met = statistics.median(walls) < GOAL_MS and page < GOAL_MB
                print(f"  goal {GOAL_MS} ms and {GOAL_MB} MB: {'met' if met else 'MISSED'}")


main()
