//! MLflow: one read-only authenticated request. A check creates no run.

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Reach};

/// `mlflow.tracking`: experiments can be searched.
pub(super) fn tracking(host: &Host, _plan: &Plan) -> Verdict {
    let expected = "an answer 200 of MLflow's experiment search";
    Ok(match host.https("mlflow")? {
        Reach::NotYet(why) => Outcome::skip(why),
        Reach::Failed(why) => {
            let hint = "is the tracking server running (`prefab mlflow start`)? results wait on disk until then";
            Outcome::fail(why, expected, hint)
        }
        Reach::Answered(served) => match served.status {
            200 => Outcome::pass("MLflow answers 200"),
            401 | 403 => {
                let hint = "the node's role lacks sagemaker-mlflow:* on the server, or the ARN is another one";
                Outcome::fail(format!("MLflow answers {}", served.status), expected, hint)
            }
            status => Outcome::fail(format!("MLflow answers {status}"), expected, "read the tracking server's log"),
        },
    })
}
