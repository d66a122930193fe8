"""The speed of GPU memory, in one run: every ratio beside its goal.

    python3 tests/bench/gpu BOOTSTRAP ENGINE [--rounds N] [--seconds S] [--json FILE]

Each round runs every program once, one after another, so that ratios hold even if the machine changes under them; a figure
is the median of its rounds, with the least and the most beside it. PREFAB_NIXL_PYTHON names a Python with NIXL's wheel and
PyTorch; without one the table says so. Ends with 0 when every goal that this machine can show was met, else with 1.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import goals
import nixl

# No program takes longer, or its row says so.
MOST_SECONDS = 240


def parse():
    parser = argparse.ArgumentParser(description="The speed of GPU memory, in one run")
    parser.add_argument("bootstrap", help="dist/prefab-bootstrap")
    parser.add_argument("engine", help="dist/prefab-fabric")
    parser.add_argument("--rounds", type=int, default=5, help="of all programs")
    parser.add_argument("--requests", type=int, default=20, help="of one program in a round")
    parser.add_argument("--json", metavar="FILE", help="every figure of every round")
    parser.add_argument("--within", type=int, default=3600, metavar="SECONDS", help="begin no round after this time")
    return parser.parse_args()


def output(command, environment=None):
    """The JSON that a program writes; what it said where it failed."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    try:
        return json.loads(ran.stdout), None
    except ValueError:
        return None, (ran.stderr.strip() or f"ended with {ran.returncode}").splitlines()[-1]


def bench(options, case):
    """One case of our benchmark; why there is none."""
    command = [options.bootstrap, "bench", "--local", "--engine", options.engine, "--progress", "none", "--json", "-",
               "--rounds", str(options.requests), *case.split()]
    report, failure = output(command)
    if report is None:
        return None, failure
    measured = report["cases"][0]
    if measured["failure"]:
        return None, measured["failure"]["cause"]
    return (measured, None) if measured["verified"] else (None, "not every block was verified")


def one_round(options, rows, number):
    """Every program once: figures by the names that rows ask for, and why some are absent. NIXL, which takes longer than all
    others together and whose distance no round changes, runs in the first two."""
    figures, failures = {}, {}
    for name in sorted({name for row in rows for name in row.needs}, key=list(goals.PROGRAMS).index):
        kind, arguments = goals.PROGRAMS[name]
        if kind == "nixl" and number > 1:
            continue
        begin = time.monotonic()
        if kind == "limits":
            found, failure = output([options.engine, "gpu-limits", "--rounds", str(options.requests), *arguments.split()])
        elif kind == "nixl":
            found, failure = nixl.run(arguments)
        else:
            found, failure = bench(options, arguments)
        print(f"  {name}: {failure or 'measured'} ({time.monotonic() - begin:.1f} s)", file=sys.stderr, flush=True)
        if failure:
            failures[name] = failure
        else:
            figures[name] = found
    return figures, failures


def render(rows, rounds, probe):
    lines = [f"{probe['gpus'][0]['name']} x {len(probe['gpus'])}, driver {probe['driver_version']}, CUDA "
             f"{probe['cuda_version']}; {len(rounds)} interleaved rounds; median (least to most)", ""]
    widths = (64, 29, 6, 7)
    head = ("what", "ratio or figure", "goal", "")
    lines.append("  ".join(text.ljust(width) for text, width in zip(head, widths)).rstrip())
    unmet = 0
    for row in rows:
        values = [row.value(figures) for figures, _ in rounds if all(name in figures for name in row.needs)]
        values = [value for value in values if value is not None]
        if not values:
            why = next((failures[name] for _, failures in rounds for name in row.needs if name in failures), "not measured")
            unmet += row.is_required
            lines.append(f"{row.what.ljust(widths[0])}  -  {why}")
            continue
        middle = statistics.median(values)
        figure = f"{middle:.3f} ({min(values):.3f} to {max(values):.3f})"
        goal = "" if row.least is None else f">={row.least:g}"
        verdict = "" if row.least is None else ("met" if middle >= row.least else "not met")
        unmet += verdict == "not met"
        cells = (row.what, figure, goal, verdict)
        lines.append("  ".join(text.ljust(width) for text, width in zip(cells, widths)).rstrip())
    return "\n".join([*lines, "", *goals.NOTES]) + "\n", unmet


def main():
    options = parse()
    options.bootstrap, options.engine = os.path.abspath(options.bootstrap), os.path.abspath(options.engine)
    probe, failure = output([options.engine, "gpus"])
    if probe is None or probe["unavailable"]:
        print(failure or probe["unavailable"], file=sys.stderr)
        return 1
    rows = goals.rows(len(probe["gpus"]))
    begin, rounds = time.monotonic(), []
    while len(rounds) < options.rounds and (not rounds or time.monotonic() - begin < options.within):
        print(f"[{len(rounds) + 1}/{options.rounds}]", file=sys.stderr, flush=True)
        rounds.append(one_round(options, rows, len(rounds)))
        if options.json:
            with open(options.json + ".new", "w", encoding="utf-8") as file:
                json.dump({"probe": probe, "rounds": [{"figures": f, "failures": e} for f, e in rounds]}, file, indent=1)
            os.replace(options.json + ".new", options.json)
    text, unmet = render(rows, rounds, probe)
    sys.stdout.write(text)
    return 1 if unmet else 0


if __name__ == "__main__":
    sys.exit(main())
