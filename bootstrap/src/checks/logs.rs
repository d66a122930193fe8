//! Logs of the node's own runs, and what their lines prove. Checks only read them; tasks and services write them.

use crate::host::{Host, Unreadable};

/// Where tasks and services of a node log.
pub(super) const FOLDER: &str = "/var/log/prefab";

/// The first line of any log that holds all words, as `file: line`.
pub(super) fn first_line_with_all(host: &Host, words: &[&str]) -> Result<Option<String>, Unreadable> {
    for (name, text) in all(host)? {
        if let Some(line) = text.lines().find(|line| words.iter().all(|word| line.contains(word))) {
            return Ok(Some(format!("{name}: {}", line.trim())));
        }
    }
    Ok(None)
}

/// Every log, by name.
pub(super) fn all(host: &Host) -> Result<Vec<(String, String)>, Unreadable> {
    let mut logs = Vec::new();
    for name in host.names(FOLDER)?.into_iter().filter(|name| name.ends_with(".log")) {
        if let Some(text) = host.log(&format!("{FOLDER}/{name}"))? {
            logs.push((name, text));
        }
    }
    Ok(logs)
}
