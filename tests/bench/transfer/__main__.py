"""Our transfer and its peers, interleaved in one run.

    python3 tests/bench/transfer dist/prefab-bootstrap [--only TEXT] [--rounds N] [--seconds S] [--json FILE]

PREFAB_FABTESTS names a folder with fabtests (else PATH), PREFAB_NIXL_PYTHON a Python with NIXL's wheel. Ends with 0 when
every goal was measured and met, else with 1.
"""
import argparse
import dataclasses
import json
import os
import sys

import libfabric
import machine
import table
from goals import goals
from rounds import measure


def parse():
    parser = argparse.ArgumentParser(description="Our transfer and its peers, interleaved in one run")
    parser.add_argument("bootstrap", help="dist/prefab-bootstrap")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose names of ours or of a peer hold this text")
    parser.add_argument("--rounds", type=int, default=9, help="an odd number, at least 9 for a verdict")
    parser.add_argument("--seconds", type=int, default=2, help="of each program in each round")
    parser.add_argument("--baseline", choices=["stopgo"], help="hold what stands in for fi_rma_bw against it")
    parser.add_argument("--json", metavar="FILE", help="every figure of every round")
    options = parser.parse_args()
    if options.rounds % 2 == 0 or options.rounds < 1 or options.seconds < 1:
        parser.error("expected an odd number of rounds, and at least one second")
    return options


def keep(path, document):
    """The file is whole at every moment."""
    if path:
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        os.replace(path + ".new", path)


def main():
    options = parse()
    about = machine.describe()
    bootstrap = os.path.abspath(options.bootstrap)
    everything = goals(bootstrap, libfabric.tcp_of(bootstrap), options.baseline == "stopgo")
    chosen = [goal for goal in everything if options.only in goal.ours.name or any(options.only in peer.name for peer in goal.peers)]
    rows, document = [], {"machine": about, "rounds": options.rounds, "seconds": options.seconds, "rows": []}
    for number, goal in enumerate(chosen, start=1):
        def keep_row(row):
            keep(options.json, {**document, "rows": [*document["rows"], dataclasses.asdict(row)]})

        print(f"[{number}/{len(chosen)}] {goal.ours.name}", file=sys.stderr, flush=True)
        rows.append(measure(goal, options.rounds, options.seconds, keep_row))
        document["rows"].append(dataclasses.asdict(rows[-1]))
    sys.stdout.write(table.render(rows, about, options.rounds, options.seconds))
    failed = [row for row in rows if not row.informs and (row.failure or (row.verdict and not row.verdict.is_met))]
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
