//! What a script printed: Systems Manager's excerpt where that is all of it, else what the agent left in the bucket.

use std::time::Duration;

use crate::deploy::commands::{Invocation, InvocationState};
use crate::deploy::session::Session;

/// Characters of an excerpt, less the words in which Systems Manager says that it cut: what is shorter is whole.
const WHOLE_OUTPUT: usize = 23_000;
const WHOLE_ERRORS: usize = 7_000;

/// The largest output that is brought along, bytes.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// The agent leaves its files soon after the end.
const LOOKS: u32 = 12;
const PAUSE: Duration = Duration::from_secs(5);

/// One stream of a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// What it printed.
    pub bytes: Vec<u8>,
    /// Where the rest is, when this is its beginning only.
    pub cut: Option<String>,
}

/// Both streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
}

/// Where the agent leaves the streams of a command: its own form, by the names of the document's step.
pub(super) fn key(prefix: &str, command: &str, instance: &str, stream: &str) -> String {
    format!("{prefix}/{command}/{instance}/awsrunShellScript/0.awsrunShellScript/{stream}")
}

/// Where a command's streams are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The bucket.
    pub(super) bucket: &'a str,
    /// The run's prefix.
    pub(super) prefix: &'a str,
    /// The command.
    pub(super) command: &'a str,
    /// Its instance.
    pub(super) instance: &'a str,
}

/// Brings both streams of a command that has ended.
pub(super) fn bring(session: Session<'_>, place: Place<'_>, invocation: &Invocation) -> Outputs {
    let ended_early = matches!(invocation.state, InvocationState::Cancelled | InvocationState::TimedOut);
    let stream = |name: &str, excerpt: &str, whole: usize| {
        let key = key(place.prefix, place.command, place.instance, name);
        let characters = excerpt.chars().count();
        if characters < whole && !(ended_early && excerpt.is_empty()) {
            return Output { bytes: excerpt.as_bytes().to_vec(), cut: None };
        }
        // Whoever was ended early may have printed nothing.
        let looks = if characters < whole { 1 } else { LOOKS };
        match from_bucket(session, place.bucket, &key, looks) {
            Some(output) => output,
            None if characters < whole => Output::default(),
            None => Output { bytes: excerpt.as_bytes().to_vec(), cut: Some(key) },
        }
    };
    Outputs {
        stdout: stream("stdout", &invocation.output, WHOLE_OUTPUT),
        stderr: stream("stderr", &invocation.errors, WHOLE_ERRORS),
    }
}

fn from_bucket(session: Session<'_>, bucket: &str, key: &str, looks: u32) -> Option<Output> {
    for look in 0..looks {
        if look > 0 {
            session.operator.pause(PAUSE);
        }
        let Ok(Some(size)) = session.clean(|account| account.object_bytes(bucket, key)) else { continue };
        if let Ok(Some(bytes)) = session.clean(|account| account.object(bucket, key, MOST_BYTES)) {
            let cut = usize::try_from(size).is_ok_and(|size| size > bytes.len()).then(|| key.to_owned());
            return Some(Output { bytes, cut });
        }
    }
    None
}
