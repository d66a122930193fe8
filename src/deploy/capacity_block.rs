//! Capacity blocks and reservations in time: when a block may be used, how long until then, and whether it has room.
//!
//! Source: EC2 user guide, "Capacity Blocks for ML": instances run only while the block is active, and EC2 ends them from 30
//! minutes before its end on.

use std::time::Duration;

use super::account::Problem;
use super::machines::Reservation;
use super::operator::{Notice, Stop};
use super::session::Session;

/// How long before a block's end EC2 begins to end its instances, seconds.
const ENDS_EARLY_SECONDS: i64 = 30 * 60;

/// A window that is shorter than this is worth a warning, seconds.
const SHORT_SECONDS: i64 = 2 * 3600;

/// How often the time is looked at, and how soon again near the start.
const STEP: Duration = Duration::from_secs(60);

/// How long after its start a block may take to become active, seconds.
const LATE_SECONDS: i64 = 30 * 60;

/// How often a block that is due, or whose instances are to return, is looked at.
const POLL: Duration = Duration::from_secs(15);

/// How long EC2 may take to return the instances of a block, in polls: an hour.
const MOST_POLLS: u32 = 240;

/// What a reservation is good for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It may be used.
    Active,
    /// It begins later: seconds since the epoch, when EC2 says so.
    Later(Option<i64>),
    /// It is over, or never comes.
    Over,
}

/// What a reservation is good for.
pub fn readiness(found: &Reservation) -> Readiness {
    match found.state.as_str() {
        "active" => Readiness::Active,
        "scheduled" | "payment-pending" | "pending" | "assessing" | "delayed" => {
            Readiness::Later(seconds(&found.starts))
        }
        _ => Readiness::Over,
    }
}

/// The reservation of this id.
///
/// # Errors
/// There is none, or the account gives no answer.
pub fn find(session: Session<'_>, id: &str) -> Result<Reservation, Stop> {
    match session.ask(|account| account.reservation(id)) {
        Ok(found) => Ok(found),
        Err(Problem::Absent(_)) => Err(Stop::refused(format!(
            "found no reservation {id} in {}, expected one that this account may use; correct `cluster.capacity.id`, or buy one: `prefab capacity`",
            session.account.region()
        ))),
        Err(problem) => Err(session.stopped(&format!("reading the reservation {id}"), problem)),
    }
}

/// What a person should know of a window that ends; `None` for one without an end.
pub fn ending(found: &Reservation, now: i64) -> Option<String> {
    let last = seconds(&found.ends)? - ENDS_EARLY_SECONDS;
    let left = last - now;
    let text = format!("{} ends at {}; EC2 ends its instances from 30 minutes before on", found.id, found.ends);
    Some(match left {
        ..=0 => {
            format!("{text}, which is now: measure nothing any more, and bring home the results (`prefab results`)")
        }
        1..SHORT_SECONDS => format!("{text}, in {}: bring home the results before (`prefab results`)", span(left)),
        _ => format!("{text}, in {}", span(left)),
    })
}

/// Waits for a block's start, and until EC2 says that it is active.
///
/// # Errors
/// It is over, it does not become active, or a signal came.
pub fn wait_until_active(session: Session<'_>, id: &str) -> Result<Reservation, Stop> {
    let mut spoke: Option<i64> = None;
    loop {
        let found = find(session, id)?;
        let starts = match readiness(&found) {
            Readiness::Active => return Ok(found),
            Readiness::Over => {
                return Err(Stop::refused(format!(
                    "found {id} in the state {}, expected it to begin; buy another block: `prefab capacity`",
                    found.state
                )));
            }
            Readiness::Later(starts) => starts,
        };
        let Some(starts) = starts else {
            return Err(Stop::refused(format!("found {id} without a start, expected one; it is {}", found.state)));
        };
        let left = starts - session.operator.now_seconds();
        if left < -LATE_SECONDS {
            return Err(Stop::Failed(format!(
                "{id} should have begun at {}, and is {} still; its artifacts and MLflow are applied: run `prefab apply` when it is active",
                found.starts, found.state
            )));
        }
        // Between two looks at the account, time passes here.
        let until = session.operator.now_seconds() + left.clamp(1, 600);
        while session.operator.now_seconds() < until {
            let left = (starts - session.operator.now_seconds()).max(0);
            let due = spoke.is_none_or(|spoke| spoke - left >= every(left));
            if due {
                spoke = Some(left);
            }
            let seconds = u64::try_from(left).unwrap_or_default();
            session.operator.tell(Notice::Countdown { what: id.to_owned(), seconds, due });
            let step = if left <= 0 { POLL } else { STEP.min(Duration::from_secs(seconds)) };
            session.operator.pause(step);
            session.heed(&format!(
                "interrupted before {id} began; what was applied before it stays, and nothing of the cluster exists"
            ))?;
        }
    }
}

/// How often a wait is spoken of, seconds.
fn every(left: i64) -> i64 {
    match left {
        ..=600 => 60,
        601..=7_200 => 600,
        _ => 1_800,
    }
}

/// Waits until a reservation has room: EC2 takes minutes to return what ended.
///
/// # Errors
/// It has no room within an hour, or a signal came.
pub fn wait_for_room(session: Session<'_>, id: &str, needed: u32) -> Result<(), Stop> {
    let on = format!("the nodes are out of the stack; `prefab apply` brings them in again as soon as {id} has room");
    let mut said = None;
    for poll in 0..MOST_POLLS {
        let found = find(session, id)?;
        if found.free >= needed {
            return Ok(());
        }
        if readiness(&found) == Readiness::Over {
            return Err(Stop::Failed(format!("{id} is {}: nothing can be launched in it any more; {on}", found.state)));
        }
        if said.replace(found.free) != Some(found.free) || poll % 4 == 0 {
            session.say(format!("{id}: {} of {needed} instances are back", found.free));
        }
        session.operator.pause(POLL);
        session.heed(&format!("interrupted while waiting for room; {on}"))?;
    }
    Err(Stop::Failed(format!("{id} had no room for {needed} instances within an hour; {on}")))
}

/// `3 days 4 h`, `2 h 05 min`, `12 min`.
pub fn span(seconds: i64) -> String {
    let minutes = seconds.max(0) / 60;
    match minutes {
        0..60 => format!("{minutes} min"),
        60..2_880 => format!("{} h {:02} min", minutes / 60, minutes % 60),
        _ => format!("{} days {} h", minutes / 1_440, minutes % 1_440 / 60),
    }
}

/// Seconds since the epoch of `2026-01-31T12:00:00Z`, with or without a fraction, by the days of the civil calendar (Howard
/// Hinnant, "chrono-compatible low-level date algorithms").
pub fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split('.').next()?.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(0..10_000).contains(&year) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_ec2_writes_them() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2000-02-29T12:34:00.000Z"), Some(951_827_640));
        assert_eq!(seconds("2026-11-24T23:59:59Z"), Some(1_795_564_799));
        for text in ["", "2026-01-01", "2026-01-01T11:30:00+01:00", "x-01-01T00:00:00Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn spans_are_short_and_an_end_that_is_near_says_what_to_save() {
        assert_eq!([span(-5), span(720), span(7_500), span(273_600)], ["0 min", "12 min", "2 h 05 min", "3 days 4 h"]);
        let mut block =
            Reservation { id: "cr-1".into(), ends: "1970-01-02T00:00:00Z".into(), ..Reservation::default() };
        let said = |block: &Reservation, now| ending(block, now).unwrap();
        assert!(said(&block, 0).ends_with("in 23 h 30 min"));
        assert!(said(&block, 80_000).contains("in 1 h 16 min: bring home"));
        assert!(said(&block, 86_000).contains("which is now"));
        block.ends.clear();
        assert_eq!(ending(&block, 0), None);
    }
}
