//! CloudFormation's comparison of a stack with what it made, over the [`World`].

use super::world::World;

/// Begins one; none while another goes on, for which time passes here too.
pub fn begin(world: &mut World, at: usize) -> Option<String> {
    if world.detects.is_none() {
        world.detects = Some(at);
        return Some(format!("<StackDriftDetectionId>{at}</StackDriftDetectionId>"));
    }
    if world.detection.0 == 0 {
        world.detects = None;
    }
    world.detection.0 = world.detection.0.saturating_sub(1);
    None
}

/// How far it is.
pub fn state(world: &mut World, id: &str) -> String {
    let (status, reason) = match world.detection {
        (0, Some(reason)) => ("DETECTION_FAILED", reason),
        (0, None) => ("DETECTION_COMPLETE", ""),
        _ => ("DETECTION_IN_PROGRESS", ""),
    };
    world.detection.0 = world.detection.0.saturating_sub(1);
    if status != "DETECTION_IN_PROGRESS" {
        world.detects = None;
    }
    let stack = &world.stacks[id.parse::<usize>().unwrap()].id;
    format!(
        "<StackId>{stack}</StackId><StackDriftDetectionId>{id}</StackDriftDetectionId><DetectionStatus>{status}</DetectionStatus><DetectionStatusReason>{reason}</DetectionStatusReason><Timestamp>2026-01-31T12:00:00Z</Timestamp>"
    )
}

/// What it found of each resource.
pub fn found(world: &World, at: usize) -> String {
    let id = &world.stacks[at].id;
    let member = |(logical, physical, kind, _): (String, String, String, String)| {
        let (status, difference) = match world.drifts.iter().find(|of| of.0 == logical) {
            Some((_, status, path, before, after)) => (
                *status,
                format!(
                    "<member><PropertyPath>{path}</PropertyPath><ExpectedValue>{before}</ExpectedValue><ActualValue>{after}</ActualValue><DifferenceType>NOT_EQUAL</DifferenceType></member>"
                ),
            ),
            None => ("IN_SYNC", String::new()),
        };
        format!(
            "<member><StackId>{id}</StackId><LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId><ResourceType>{kind}</ResourceType><StackResourceDriftStatus>{status}</StackResourceDriftStatus><PropertyDifferences>{difference}</PropertyDifferences><Timestamp>2026-01-31T12:00:00Z</Timestamp></member>"
        )
    };
    format!(
        "<StackResourceDrifts>{}</StackResourceDrifts>",
        world.resources(at).into_iter().map(member).collect::<String>()
    )
}
