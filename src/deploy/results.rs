//! What nodes and runs left in the bucket, and what it is called on a person's machine.

use std::collections::BTreeMap;

use super::operator::Stop;
use super::run_command::RunRecord;
use super::session::Session;

/// Pages of a thousand: more objects are not a cluster's results.
const MOST_PAGES: usize = 1_000;

/// Everything below a cluster's prefix.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// Every key, in order.
    pub keys: Vec<String>,
    /// Every run by name.
    pub runs: BTreeMap<String, RunRecord>,
}

/// Lists what a cluster left.
///
/// # Errors
/// The account gives no answer.
pub fn left(session: Session<'_>, bucket: &str, stack_uuid: &str) -> Result<Left, Stop> {
    let doing = format!("listing the results in {bucket}");
    let prefix = format!("results/{stack_uuid}/");
    let mut keys: Vec<String> = Vec::new();
    for _ in 0..MOST_PAGES {
        let after = keys.last().cloned();
        let page = session.call(&doing, |account| account.keys(bucket, &prefix, after.as_deref()))?;
        let new: Vec<String> = page.into_iter().filter(|key| after.as_ref().is_none_or(|after| key > after)).collect();
        if new.is_empty() {
            break;
        }
        keys.extend(new);
    }
    let mut runs = BTreeMap::new();
    for key in keys.iter().filter(|key| key.ends_with("/run.json")) {
        let found = RunRecord::fetch(session, bucket, key).map_err(|problem| session.stopped(&doing, problem))?;
        if let Some(record) = found.filter(|record| RunRecord::key(stack_uuid, &record.run) == **key) {
            runs.insert(record.run.clone(), record);
        }
    }
    Ok(Left { keys, runs })
}

/// Where an object goes below the folder of results; `None` for a key that leads out of it.
///
/// What a node left goes to `<node>/`, what a run printed to `<run>/<node>/`.
pub fn place(left: &Left, stack_uuid: &str, key: &str) -> Option<String> {
    let path = key.strip_prefix(&format!("results/{stack_uuid}/"))?;
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains(char::is_control);
    if !parts.iter().all(plain) {
        return None;
    }
    match parts.as_slice() {
        ["commands", run, "run.json"] => Some(format!("{run}/run.json")),
        // `commands/<run>/<command>/<instance>/…/<stream>`
        ["commands", run, _, instance, .., stream] => {
            let record = left.runs.get(*run);
            let node = record.and_then(|record| record.nodes.iter().find(|(_, node)| node.instance_id == *instance));
            let name = node.map_or(*instance, |(name, _)| name.as_str());
            let is_report = record.is_some_and(|record| record.kind == "bench") && *stream == "stdout";
            Some(format!("{run}/{name}/{}", if is_report { "report.json" } else { stream }))
        }
        _ => Some(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_go_to_the_folder_of_their_node_or_run_and_never_out_of_it() {
        let record = r#"{"schema_version":1,"run":"r1","kind":"bench","what":"x","limit_seconds":9,
            "nodes":{"Decode0":{"instance_id":"i-1","comment":"c"}}}"#;
        let runs = BTreeMap::from([("r1".to_owned(), RunRecord::read(record.as_bytes()).unwrap())]);
        let left = Left { keys: Vec::new(), runs };
        let agent = "awsrunShellScript/0.awsrunShellScript";
        for (key, expected) in [
            ("results/u/Decode0/check.json", Some("Decode0/check.json".to_owned())),
            ("results/u/commands/r1/run.json", Some("r1/run.json".to_owned())),
            (&format!("results/u/commands/r1/c-1/i-1/{agent}/stdout"), Some("r1/Decode0/report.json".to_owned())),
            (&format!("results/u/commands/r1/c-1/i-1/{agent}/stderr"), Some("r1/Decode0/stderr".to_owned())),
            (&format!("results/u/commands/r2/c-1/i-1/{agent}/stdout"), Some("r2/i-1/stdout".to_owned())),
            ("results/u/../../etc/passwd", None),
            ("results/u//x", None),
            ("results/u/a\nb", None),
            ("boot/u/x", None),
        ] {
            assert_eq!(place(&left, "u", key), expected, "{key}");
        }
    }
}
