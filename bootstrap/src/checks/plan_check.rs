//! `environment.plan`: whether this machine is one of those that were planned.

use super::outcome::{Outcome, Verdict};
use super::plan::{CONFIG, Plan};
use crate::host::Host;

/// The firmware's name of the machine against the config's types.
pub(super) fn plan(_host: &Host, plan: &Plan) -> Verdict {
    if !plan.is_planned {
        return Ok(Outcome::skip(format!("no config (looked for {CONFIG}): only what is there is judged")));
    }
    let types: Vec<_> = plan.types.keys().cloned().collect();
    let expected = format!("one of the planned types: {}", types.join(", "));
    Ok(match &plan.instance_type {
        Some(name) if plan.types.contains_key(name) => Outcome::pass(format!("{name}, as planned")),
        Some(name) => {
            let hint = "the config belongs to another cluster, or the type was changed: `prefab apply`";
            Outcome::fail(name, expected, hint)
        }
        None if types.len() == 1 => {
            Outcome::warn("the firmware names no instance type", expected, "is this an EC2 instance?")
        }
        None => Outcome::fail("the firmware names no instance type", expected, "run on the node itself, as root"),
    })
}
