//! Who keeps the clock. A node that just began may not have heard of its time server: the check waits, bounded.

use std::time::Duration;

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Ended, Host, Program};

const TRACKING: Program = Program {
    name: "chronyc-tracking",
    path: "/usr/bin/chronyc",
    arguments: &["-n", "-c", "tracking"],
    bound: Duration::from_secs(5),
};

/// Asks every two seconds, ten times.
const WAIT: Program = Program {
    name: "chronyc-waitsync",
    path: "/usr/bin/chronyc",
    arguments: &["-n", "waitsync", "10", "0", "0", "2"],
    bound: Duration::from_secs(24),
};

/// systemd-timesyncd leaves it once it has set the clock.
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";

/// What `chronyc -c tracking` says.
#[derive(Debug, PartialEq, Eq)]
struct Tracking<'a> {
    /// The time server's address.
    server: &'a str,
    /// How far the clock is from chrony's own estimate, in seconds, as written.
    offset_seconds: &'a str,
    is_synchronised: bool,
}

impl<'a> Tracking<'a> {
    /// Fourteen fields: reference id and address first, the offset fifth, the leap status last.
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.trim().split(',').collect();
        let [id, server, _, _, offset_seconds, .., leap] = fields[..] else { return None };
        // 7F7F0101 is the clock itself, which `local` in its configuration lets pass for a server.
        let is_synchronised = leap != "Not synchronised" && id != "7F7F0101" && fields.len() == 14;
        Some(Self { server, offset_seconds, is_synchronised })
    }
}

/// `time.sync`: signed requests and records of two nodes need a clock that somebody keeps.
pub(super) fn sync(host: &Host, plan: &Plan) -> Verdict {
    let expected = "chrony, synchronised with a time server";
    let Some(ran) = host.run(&TRACKING)? else {
        return Ok(if host.exists(TIMESYNCD)? {
            Outcome::pass("systemd-timesyncd has set the clock")
        } else if plan.is_planned {
            let found = "neither chrony nor a systemd-timesyncd that has set the clock";
            Outcome::warn(found, expected, "install chrony: inside a VPC it asks 169.254.169.123")
        } else {
            Outcome::skip("no chrony and no systemd-timesyncd: somebody else keeps this clock")
        });
    };
    if ran.ended != Ended::Code(0) {
        let found = format!("chrony does not answer: {}", ran.last_words());
        return Ok(Outcome::fail(found, expected, "`systemctl enable --now chrony`, or chronyd"));
    }
    match Tracking::parse(&ran.output) {
        Some(tracking) if tracking.is_synchronised => {
            Ok(Outcome::pass(format!("chrony follows {}, {} s off", tracking.server, tracking.offset_seconds)))
        }
        Some(_) if host.run(&WAIT)?.is_some_and(|ran| ran.ended == Ended::Code(0)) => {
            Ok(Outcome::pass("chrony has a time server now, after a wait"))
        }
        Some(_) => {
            let hint =
                "`chronyc sources`: is 169.254.169.123 among them? another server needs UDP 123 in the security group";
            Ok(Outcome::fail("chrony has no time server, also after 20 s", expected, hint))
        }
        None => Ok(Outcome::fail(format!("chronyc says: {}", ran.last_words()), expected, "run `chronyc tracking`")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_of_chrony_4_3_is_understood() {
        let line = "A9FEA97B,169.254.169.123,4,1795592517.084,0.000012,0.0,0.0,0.0,0.0,0.0,0.0,0.0,64.0,Normal\n";
        let tracking = Tracking::parse(line).unwrap();
        assert_eq!(tracking, Tracking { server: "169.254.169.123", offset_seconds: "0.000012", is_synchronised: true });
        for line in [
            "00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised",
            "7F7F0101,,5,1795592517.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,Normal",
        ] {
            assert!(!Tracking::parse(line).unwrap().is_synchronised, "{line}");
        }
        assert_eq!(Tracking::parse("506 Cannot talk to daemon"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([0-9A-F.]{0,4},?){0,20}\\PC*") {
            Tracking::parse(&text);
        }
    }
}
