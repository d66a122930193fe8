//! Progress as lines, as JSON, and as bars that move.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use crate::deploy::account::{Event, STACK_TYPE};
use crate::deploy::capacity_block::span;
use crate::deploy::operator::Notice;
use crate::deploy::review::{Review, What, line};

/// Progress as lines.
pub(super) struct Lines;

/// `2m05s`
pub(super) fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

impl Lines {
    pub(super) fn text(&self, notice: &Notice, elapsed: Duration) -> String {
        let at = format!("{:>7}", time(elapsed.as_secs()));
        match notice {
            Notice::Said(text) => text.clone(),
            Notice::Warned(text) => format!("warning: {text}"),
            Notice::Uploaded { key, bytes, present } => {
                format!("{at}  {} {key}, {bytes} bytes", if *present { "there already" } else { "uploaded" })
            }
            Notice::Began { stack, operation, typical_seconds } => {
                let about = typical_seconds.map(|seconds| format!(", typically {}", time(seconds))).unwrap_or_default();
                format!("{at}  {stack}: {operation}{about}")
            }
            Notice::Happened { stack, event } => format!("{at}  {}", happened(stack, event)),
            Notice::Boot { node, stage, reason } => {
                let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                format!("{at}  {node} boots: {stage}{why}")
            }
            Notice::Waiting { stack, seconds, typical_seconds, pending } => {
                let left = typical_seconds.map(|typical| match typical.checked_sub(*seconds) {
                    Some(left) if left > 0 => format!(", typically {} more", time(left)),
                    _ => ", longer than typical".to_owned(),
                });
                let on = if pending.is_empty() { String::new() } else { format!(": {}", pending.join(", ")) };
                format!("{at}  {stack}: {} so far{}{on}", time(*seconds), left.unwrap_or_default())
            }
            Notice::Command { node, state, details, .. } => {
                let more =
                    if details.is_empty() || details == state.name() { String::new() } else { format!(" ({details})") };
                format!("{at}  {node}: {}{more}", state.name())
            }
            Notice::Countdown { what, seconds: 0, .. } => format!("{at}  {what} begins any moment"),
            Notice::Countdown { what, seconds, .. } => {
                format!("{at}  {what} begins in {}", span(i64::try_from(*seconds).unwrap_or(i64::MAX)))
            }
            Notice::Ended { stack, status, seconds } => format!("{at}  {stack}: {status} after {}", time(*seconds)),
        }
    }

    pub(super) fn json(notice: &Notice, elapsed: Duration) -> Json {
        let mut json = match notice {
            Notice::Said(text) => json!({ "kind": "said", "text": text }),
            Notice::Warned(text) => json!({ "kind": "warned", "text": text }),
            Notice::Uploaded { key, bytes, present } => {
                json!({ "kind": "uploaded", "key": key, "bytes": bytes, "present": present })
            }
            Notice::Began { stack, operation, typical_seconds } => {
                json!({ "kind": "began", "stack": stack, "operation": operation, "typical_seconds": typical_seconds })
            }
            Notice::Happened { stack, event } => json!({
                "kind": "happened", "stack": stack, "logical_id": event.logical_id, "physical_id": event.physical_id,
                "resource_type": event.resource_type, "status": event.status, "reason": event.reason,
                "at_seconds": event.at,
            }),
            Notice::Boot { node, stage, reason } => {
                json!({ "kind": "boot", "node": node, "stage": stage, "reason": reason })
            }
            Notice::Waiting { stack, seconds, typical_seconds, pending } => json!({
                "kind": "waiting", "stack": stack, "seconds": seconds, "typical_seconds": typical_seconds,
                "pending": pending,
            }),
            Notice::Command { node, state, details, seconds } => json!({
                "kind": "command", "node": node, "state": state.name(), "details": details, "seconds": seconds,
            }),
            Notice::Countdown { what, seconds, .. } => {
                json!({ "kind": "countdown", "what": what, "seconds": seconds })
            }
            Notice::Ended { stack, status, seconds } => {
                json!({ "kind": "stack-ended", "stack": stack, "status": status, "seconds": seconds })
            }
        };
        json["elapsed_seconds"] = elapsed.as_secs().into();
        json
    }

    pub(super) fn review(review: &Review) -> Json {
        let stacks: Vec<Json> = review
            .stacks
            .iter()
            .map(|of| {
                let what = match of.what {
                    What::Create => "create",
                    What::Update => "update",
                    What::Recreate => "recreate",
                    What::Nothing => "nothing",
                };
                let changes = of.changes.as_ref().map(|changes| changes.iter().map(line).collect::<Vec<_>>());
                json!({ "stack": of.stack, "what": what, "difference": of.diff, "change_set": changes })
            })
            .collect();
        json!({ "kind": "review", "place": review.place, "stacks": stacks, "notes": review.notes })
    }
}

fn happened(stack: &str, event: &Event) -> String {
    let why = if event.reason.is_empty() { String::new() } else { format!(": {}", event.reason) };
    if event.resource_type == STACK_TYPE {
        return format!("{stack}: {}{why}", event.status);
    }
    format!("{:<12} {:<28} {}{why}", event.logical_id, event.status, event.resource_type)
}

/// A bar for each resource that is worked on, below the lines of what is done.
pub(super) struct Bars {
    all: MultiProgress,
    pending: RefCell<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self { all: MultiProgress::new(), pending: RefCell::new(BTreeMap::new()) }
    }

    /// Whether a bar says it, so that no line needs to.
    pub(super) fn shows(notice: &Notice) -> bool {
        match notice {
            Notice::Waiting { .. } | Notice::Countdown { .. } => true,
            Notice::Happened { event, .. } => event.status.ends_with("_IN_PROGRESS"),
            Notice::Command { state, .. } => !state.has_ended(),
            _ => false,
        }
    }

    pub(super) fn line(&self, text: &str) {
        let _unheard = self.all.println(text);
    }

    pub(super) fn follow(&self, notice: &Notice) {
        match notice {
            Notice::Began { stack, operation, typical_seconds } => {
                let about = typical_seconds.map(|seconds| format!(" of about {}", time(seconds))).unwrap_or_default();
                self.begin(stack, "", &format!("{operation}{about}"));
            }
            Notice::Happened { stack, event } if event.resource_type != STACK_TYPE => {
                let name = format!("{stack}/{}", event.logical_id);
                if event.status.ends_with("_IN_PROGRESS") {
                    self.begin(&name, "└ ", &format!("{} {}", event.status, event.reason));
                } else {
                    self.finish(&name);
                }
            }
            Notice::Boot { node, stage, reason } => {
                let pending = self.pending.borrow();
                let bar = pending.iter().find(|(name, _)| name.ends_with(&format!("/{node}")));
                if let Some((_, bar)) = bar {
                    bar.set_message(format!("boots: {stage} {reason}"));
                }
            }
            Notice::Countdown { what, seconds: 0, .. } => self.finish(what),
            Notice::Countdown { what, seconds, .. } => {
                self.begin(what, "", &format!("begins in {}", span(i64::try_from(*seconds).unwrap_or(i64::MAX))));
            }
            Notice::Command { node, state, .. } if state.has_ended() => self.finish(node),
            Notice::Command { node, state, .. } => self.begin(node, "", state.name()),
            Notice::Ended { stack, .. } => {
                self.finish(stack);
                let names: Vec<String> = self.pending.borrow().keys().cloned().collect();
                for name in names.iter().filter(|name| name.starts_with(&format!("{stack}/"))) {
                    self.finish(name);
                }
            }
            _ => {}
        }
    }

    fn begin(&self, name: &str, lead: &str, text: &str) {
        const TICK: Duration = Duration::from_millis(120);
        let mut pending = self.pending.borrow_mut();
        let bar = pending.entry(name.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed:>5} {prefix} {wide_msg}");
            let bar = self.all.add(ProgressBar::new_spinner());
            if let Ok(style) = style {
                bar.set_style(style);
            }
            let shown = name.rsplit('/').next().unwrap_or(name);
            bar.set_prefix(format!("{lead}{shown}"));
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(text.to_owned());
    }

    fn finish(&self, name: &str) {
        if let Some(bar) = self.pending.borrow_mut().remove(name) {
            bar.finish_and_clear();
        }
    }

    pub(super) fn clear(&self) {
        for (_, bar) in std::mem::take(&mut *self.pending.borrow_mut()) {
            bar.finish_and_clear();
        }
    }
}
