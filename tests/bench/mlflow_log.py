#!/usr/bin/env python3
"""Logs 1,000 metrics to a real MLflow server on loopback, by prefab-bootstrap and by MLflow's own client in turn.

    .venv/bin/python3 tests/bench/mlflow_log.py dist/prefab-bootstrap

Both log the same: a parent run with a report as its file, a child run with 1,000 points, params and tags. Ours is a whole
process with its spool on disk; theirs is timed inside of a process that is loaded already, which is generous to it. Last
come the 1,000 metrics alone: what each spends on that one call.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

# The client would print two lines a run.
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

ROUNDS = 15
POINTS = 1000
GOAL = 1.0


def report(folder, number):
    """A report with one case of 1,000 rounds; another one each time, since equal ones are one record."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "bootstrap/tests/fixtures/mlflow/report.json"), encoding="utf-8") as file:
        document = json.load(file)
    document["cases"] = document["cases"][:1]
    document["cases"][0]["rounds_us"] = [1000.0 + number + point / 1000 for point in range(POINTS)]
    path = os.path.join(folder, f"report-{number}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)
    return path, document["cases"][0]


def ours(program, url, path, folder):
    command = [program, "mlflow-log", path, "--mlflow", url, "--experiment", "ours", "--spool", os.path.join(folder, "spool")]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def theirs(client, experiment, path, case):
    """The same by MLflow's client; also the time of the call with the 1,000 metrics."""
    params = [Param(key, str(case[key])) for key in sorted(case) if isinstance(case[key], (str, int))][:20]
    tags = [RunTag(f"env.{number}", "a value") for number in range(20)]
    now = int(time.time() * 1000)
    metrics = [Metric("rounds_us", value, now, step) for step, value in enumerate(case["rounds_us"])]
    began = time.perf_counter()
    parent = client.create_run(experiment, tags={"key": path}).info.run_id
    client.log_batch(parent, tags=tags)
    client.log_artifact(parent, path)
    child = client.create_run(experiment, tags={"key": path, "mlflow.parentRunId": parent}).info.run_id
    call = time.perf_counter()
    client.log_batch(child, metrics=metrics)
    call = time.perf_counter() - call
    client.log_batch(child, params=params, tags=tags)
    client.set_terminated(child)
    client.set_terminated(parent)
    return time.perf_counter() - began, call


def row(name, seconds):
    figures = sorted(second * 1000 for second in seconds)
    print(f"{name:52} {statistics.median(figures):9.1f} {figures[0]:8.1f} {figures[-1]:8.1f}")


def main():
    program = os.path.abspath(sys.argv[1])
    standin = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "standins/mlflow_server.py")
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, standin, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            client = MlflowClient(url)
            experiment = client.create_experiment("theirs")
            mine, whole, calls = [], [], []
            for number in range(-1, ROUNDS):
                path, case = report(folder, number)
                mine.append(ours(program, url, path, folder))
                both = theirs(client, experiment, path, case)
                whole.append(both[0])
                calls.append(both[1])
            # The first round of each warms the server.
            mine, whole, calls = mine[1:], whole[1:], calls[1:]
            ratios = sorted(theirs / ours for ours, theirs in zip(mine, whole))
            print(f"{'a benchmark with 1,000 points, to MLflow':52} {'median ms':>9} {'min':>8} {'max':>8}")
            row("prefab-bootstrap mlflow-log, the whole process", mine)
            row("MLflow's client, loaded already", whole)
            row("  of that, the call with the metrics", calls)
            ratio = statistics.median(ratios)
            verdict = "met" if ratio >= GOAL else "MISSED"
            print(f"median of the paired ratios {ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), goal {GOAL}: {verdict}")
        finally:
            server.stdin.close()
            server.wait(timeout=60)


main()
