//! The kernel's messages from `/dev/kmsg`: `priority,sequence,microseconds,flags;text`.

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Host, Unreadable, plain};

const PATH: &str = "/dev/kmsg";

/// The kernel refuses to hand out a record in parts; none is longer than this.
const RECORD_BYTES: usize = 8192;

/// More records than any ring buffer holds.
const MAX_RECORDS: usize = 200_000;

impl Host {
    /// The messages, oldest first; none when there is no log (a container).
    pub(crate) fn kernel_log(&self) -> Result<Option<Vec<String>>, Unreadable> {
        if !self.is_machine() {
            return Ok(self.text(PATH)?.map(|text| text.lines().filter_map(message).collect()));
        }
        let Some(handle) = self.open_below(PATH, OFlags::RDONLY | OFlags::NONBLOCK)? else { return Ok(None) };
        let (mut messages, mut record) = (Vec::new(), [0; RECORD_BYTES]);
        for _ in 0..MAX_RECORDS {
            match rustix::io::read(&handle, &mut record) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(length) => messages.extend(message(&plain(&String::from_utf8_lossy(&record[..length])))),
                // The ring overwrote the record while we read; the next read goes on behind it.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(error) => return Err(Unreadable::new(PATH, std::io::Error::from(error))),
            }
        }
        Ok(Some(messages))
    }
}

/// The text of a record. A line of a fixture without the prefix counts whole, as `dmesg` prints it.
fn message(record: &str) -> Option<String> {
    let line = record.lines().next().filter(|line| !line.is_empty())?;
    let text = line.split_once(';').filter(|(prefix, _)| prefix.matches(',').count() >= 3);
    Some(text.map_or(line, |(_, text)| text).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_prefix_and_the_continuation_lines_go() {
        assert_eq!(message("4,7,99,-;NVRM: Xid; more\n SUBSYSTEM=pci\n").unwrap(), "NVRM: Xid; more");
        assert_eq!(message("[ 1.0] plain; text").unwrap(), "[ 1.0] plain; text");
        assert_eq!(message(""), None);
    }

    proptest! {
        #[test]
        fn no_record_panics(record in "\\PC*") {
            message(&record);
        }
    }
}
