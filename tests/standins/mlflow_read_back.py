"""What MLflow's own client finds of an experiment, as one JSON document.

usage: mlflow_read_back.py URL EXPERIMENT
"""

import json
import sys

from mlflow.tracking import MlflowClient

client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name(sys.argv[2])
found = []
token = None
while experiment is not None:
    page = client.search_runs([experiment.experiment_id], max_results=500, page_token=token)
    for run in page:
        found.append({
            "run_id": run.info.run_id,
            "status": run.info.status,
            "params": run.data.params,
            "metrics": run.data.metrics,
            "points": {key: len(client.get_metric_history(run.info.run_id, key)) for key in run.data.metrics},
            "tags": run.data.tags,
            "artifacts": [file.path for file in client.list_artifacts(run.info.run_id)],
        })
    token = page.token
    if not token:
        break
print(json.dumps(found))
