"""What MLflow's own client finds of experiments.

usage: mlflow_read_back.py

Each line of standard input is a JSON list, URL and experiment; each is answered by one line, the runs as JSON. The first
line of standard output says that the client is loaded, which takes seconds.
"""

import json
import sys

from mlflow.tracking import MlflowClient


def points(client, run, key):
    """Step and value of each point, in the order of the steps."""
    return sorted((point.step, point.value) for point in client.get_metric_history(run, key))


def runs(url, name):
    client = MlflowClient(url)
    experiment, token, found = client.get_experiment_by_name(name), None, []
    while experiment is not None:
        page = client.search_runs([experiment.experiment_id], max_results=500, page_token=token)
        for run in page:
            found.append({
                "run_id": run.info.run_id,
                "status": run.info.status,
                "start_time": run.info.start_time,
                "end_time": run.info.end_time,
                "params": run.data.params,
                "metrics": run.data.metrics,
                "points": {key: points(client, run.info.run_id, key) for key in run.data.metrics},
                "tags": run.data.tags,
                "artifacts": [file.path for file in client.list_artifacts(run.info.run_id)],
            })
        token = page.token
        if not token:
            break
    return found


print("loaded", flush=True)
for line in sys.stdin:
    print(json.dumps(runs(*json.loads(line))), flush=True)
