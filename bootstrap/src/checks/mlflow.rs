//! MLflow: one read-only authenticated request, by a permission that a node has. A check creates nothing.

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Reach};

/// What a node's services read.
const ENVIRONMENT: &str = "/etc/prefab/environment";

/// The variable by which MLflow's own clients find their server.
const VARIABLE: &str = "MLFLOW_TRACKING_URI";

/// `mlflow.tracking`: an experiment can be asked for.
pub(super) fn tracking(host: &Host, _plan: &Plan) -> Verdict {
    let target = target(&host.text(ENVIRONMENT)?.unwrap_or_default());
    Ok(match host.mlflow(target.as_deref())? {
        Reach::NotYet(why) => Outcome::skip(why),
        Reach::Answered(()) => Outcome::pass("MLflow answers an authenticated read"),
        Reach::Failed(why) => {
            let hint = "`prefab-bootstrap mlflow-check` goes through it step by step; results wait on disk meanwhile";
            Outcome::fail(why, "an answer of MLflow to an authenticated read", hint)
        }
    })
}

/// The value in a systemd environment file.
fn target(environment: &str) -> Option<String> {
    let value = environment.lines().find_map(|line| line.strip_prefix(VARIABLE)?.strip_prefix('='))?;
    Some(value.trim().trim_matches('"').to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_read_from_the_environment_file() {
        assert_eq!(target("A=\"b\"\nMLFLOW_TRACKING_URI=\"arn:aws:x\"\n").as_deref(), Some("arn:aws:x"));
        for none in ["", "MLFLOW_TRACKING_URI=\"\"", "XMLFLOW_TRACKING_URI=a"] {
            assert_eq!(target(none), None, "{none}");
        }
    }
}
