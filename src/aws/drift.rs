//! What was changed by hand, by the SDK of CloudFormation.

use aws_sdk_cloudformation::types::{StackDriftDetectionStatus, StackResourceDrift};

use super::Aws;
use super::problem::{garbled, of};
use super::stacks::text;
use crate::deploy::account::Problem;
use crate::deploy::drift::{Detection, Drifts, ResourceDrift};

/// A page has a hundred resources; no stack of ours has more pages.
const MOST_PAGES: usize = 10;

impl Drifts for Aws {
    fn detect_drift(&self, stack: &str) -> Result<String, Problem> {
        let reply = self.wait(self.cloudformation().detect_stack_drift().stack_name(stack).send()).map_err(of)?;
        reply.stack_drift_detection_id().map(str::to_owned).ok_or_else(|| garbled("a detection's id"))
    }

    fn detection(&self, id: &str) -> Result<Detection, Problem> {
        let call = self.cloudformation().describe_stack_drift_detection_status().stack_drift_detection_id(id);
        let reply = self.wait(call.send()).map_err(of)?;
        match reply.detection_status() {
            Some(StackDriftDetectionStatus::DetectionInProgress) => Ok(Detection::Running),
            Some(StackDriftDetectionStatus::DetectionComplete) => Ok(Detection::Complete),
            Some(StackDriftDetectionStatus::DetectionFailed) => {
                Ok(Detection::Failed(text(reply.detection_status_reason())))
            }
            _ => Err(garbled("a detection's state")),
        }
    }

    fn drifts(&self, stack: &str) -> Result<Vec<ResourceDrift>, Problem> {
        let (mut drifts, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self.cloudformation().describe_stack_resource_drifts().stack_name(stack).max_results(100);
            let reply = self.wait(call.set_next_token(token).send()).map_err(of)?;
            drifts.extend(reply.stack_resource_drifts().iter().map(drift));
            token = reply.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(drifts)
    }
}

fn drift(found: &StackResourceDrift) -> ResourceDrift {
    let differences = found.property_differences().iter().map(|difference| {
        let kind = difference.difference_type().map_or("", |kind| kind.as_str());
        let (path, expected, actual) =
            (difference.property_path(), difference.expected_value(), difference.actual_value());
        match kind {
            "ADD" => format!("{}: {} is there and was not made", text(path), text(actual)),
            "REMOVE" => format!("{}: {} was made and is gone", text(path), text(expected)),
            _ => format!("{}: {} → {}", text(path), text(expected), text(actual)),
        }
    });
    ResourceDrift {
        logical_id: text(found.logical_resource_id()),
        physical_id: text(found.physical_resource_id()),
        resource_type: text(found.resource_type()),
        status: found.stack_resource_drift_status().map_or_else(String::new, |status| status.as_str().to_owned()),
        reason: text(found.drift_status_reason()),
        differences: differences.collect(),
    }
}
