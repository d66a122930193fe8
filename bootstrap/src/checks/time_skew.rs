//! The clock against a server's.

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Reach};

/// AWS refuses signatures that are more than five minutes off.
const REFUSED_SECONDS: u64 = 300;

/// Half of that is no state to leave a node in; records of two nodes become hard to compare long before.
const WARNED_SECONDS: u64 = 5;

/// `time.skew`: the `Date` of an answer, which every server sends.
pub(super) fn skew(host: &Host, _plan: &Plan) -> Verdict {
    let served = match host.https("time")? {
        Reach::NotYet(why) => return Ok(Outcome::skip(why)),
        Reach::Failed(why) => {
            return Ok(Outcome::skip(format!("no server answers: {why}; network.endpoints says why")));
        }
        Reach::Answered(served) => served,
    };
    let hint = "`systemctl restart chrony`: 169.254.169.123 serves the time inside a VPC";
    let expected = format!("at most {WARNED_SECONDS} s");
    let Some(theirs) = served.date_seconds else {
        return Ok(Outcome::fail("the server's answer has no Date", "a Date header", hint));
    };
    let skew = host.clock_seconds()?.abs_diff(theirs);
    let found = format!("{skew} s from a server's clock");
    Ok(if skew <= WARNED_SECONDS {
        Outcome::pass(found)
    } else if skew < REFUSED_SECONDS {
        Outcome::warn(found, expected, hint)
    } else {
        Outcome::fail(format!("{found}: signatures are refused"), expected, hint)
    })
}
