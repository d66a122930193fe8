//! A time after which nodes end themselves: a timer on each of them, and a shutdown that terminates the instance.
//!
//! A forgotten node costs until somebody looks. The timer needs nobody: it survives reboots, and catches up where the node was
//! off when its time came.

use std::time::Duration;

use super::operator::Stop;
use super::run_command::{self, Job, NodeRun, reachable, script};
use super::session::Session;
use super::status::NodeStatus;

/// How long the agents of new nodes may take to report, in looks: ten minutes.
const POLL: Duration = Duration::from_secs(10);
const MOST_POLLS: u32 = 60;

/// How long a script that writes two files may take, seconds.
const LIMIT_SECONDS: u32 = 300;

/// Shortest and longest, seconds.
const LEAST: u64 = 600;
const MOST: u64 = 30 * 86_400;

/// What becomes of nodes that nobody ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// They end themselves after so many seconds from now.
    Seconds(u64),
    /// They stay.
    Endless,
}

impl Lifetime {
    /// Reads `90m`, `8h`, `2d` or `off`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Endless);
        }
        let units = [('m', 60), ('h', 3_600), ('d', 86_400)];
        let parsed = units
            .into_iter()
            .find_map(|(unit, seconds)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(seconds));
        match parsed.filter(|seconds| (LEAST..=MOST).contains(seconds)) {
            Some(seconds) => Ok(Self::Seconds(seconds)),
            None => Err(format!("found `{text}`, expected a time such as 90m, 8h or 2d, from 10m to 30d, or `off`")),
        }
    }
}

/// Where it is set.
pub struct Place<'a> {
    /// Unique for this run.
    pub run: &'a str,
    /// The nodes.
    pub nodes: &'a [NodeStatus],
    /// The bucket of results.
    pub bucket: &'a str,
    /// The end of the stack's ARN.
    pub stack_uuid: &'a str,
}

/// Sets the lifetime of nodes, all of it or with every node named that has none.
///
/// # Errors
/// The account gives no answer, or a node did not take it.
pub fn set(session: Session<'_>, place: &Place<'_>, lifetime: Lifetime) -> Result<(), Stop> {
    let terminates = lifetime != Lifetime::Endless;
    wait_for_agents(session, place.nodes)?;
    // First what a shutdown means: a timer that only stopped instances would leave their disks, and a block's instances, behind.
    for node in place.nodes {
        let doing = format!("setting what a shutdown of {} means", node.name);
        session.call(&doing, |account| account.set_terminates_on_shutdown(&node.instance_id, terminates))?;
    }
    let script = match lifetime {
        Lifetime::Seconds(seconds) => script::lifetime(place.run, seconds),
        Lifetime::Endless => script::endless(place.run),
    };
    let job = Job {
        run: place.run,
        kind: "lifetime",
        what: format!("{lifetime:?}"),
        scripts: place.nodes.iter().map(|node| (node.clone(), script.clone())).collect(),
        stack_uuid: place.stack_uuid,
        bucket: place.bucket,
        limit_seconds: LIMIT_SECONDS,
    };
    let ran = run_command::run(session, &job, &mut |_| ())?;
    let failed: Vec<String> = ran.nodes.iter().filter(|run| !run.succeeded()).map(without).collect();
    match ran.interrupted {
        Some(signal) => Err(Stop::Interrupted(signal, "interrupted while the lifetime was being set".to_owned())),
        None if failed.is_empty() => Ok(()),
        None => Err(Stop::Failed(failed.join("\n"))),
    }
}

fn without(run: &NodeRun) -> String {
    let said = String::from_utf8_lossy(&run.outputs.stderr.bytes).replace(char::is_control, " ");
    format!("{} did not take its lifetime ({}): {}", run.node, run.ending(), said.trim())
}

fn wait_for_agents(session: Session<'_>, nodes: &[NodeStatus]) -> Result<(), Stop> {
    let all: Vec<&NodeStatus> = nodes.iter().collect();
    for _ in 1..MOST_POLLS {
        match reachable(session, &all) {
            Err(Stop::Refused(_)) => {}
            answer => return answer,
        }
        session.operator.pause(POLL);
        session.heed("interrupted before the lifetime was set")?;
    }
    reachable(session, &all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_with_their_unit_and_within_bounds() {
        assert_eq!(Lifetime::read("90m"), Ok(Lifetime::Seconds(5_400)));
        assert_eq!(Lifetime::read("8h"), Ok(Lifetime::Seconds(28_800)));
        assert_eq!(Lifetime::read("30d"), Ok(Lifetime::Seconds(2_592_000)));
        assert_eq!(Lifetime::read("off"), Ok(Lifetime::Endless));
        for text in ["", "8", "9m", "31d", "-1h", "1w", "99999999999999999999d", "18446744073709551615h"] {
            assert!(Lifetime::read(text).is_err(), "{text}");
        }
    }
}
