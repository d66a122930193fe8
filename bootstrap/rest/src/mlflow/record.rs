//! What a benchmark left: its report, by its run.

use super::advice::{Plane, advice};
use super::client::{Client, is_code};
use super::runs::Run;
use super::upload::{MISSING_TAG, NOTHING, PARENT_TAG};

/// The file of a benchmark's run that holds all that was measured.
pub const REPORT: &str = "report.json";

/// The report of a benchmark's run, byte for byte as it was logged, at most `cap` bytes.
///
/// # Errors
/// What was found, what was expected and what to do: no such run, the run of a single case, a run without a report, a refusal.
pub fn report(client: &Client, run_id: &str, cap: u64) -> Result<Vec<u8>, String> {
    let run = client.run(run_id).map_err(|error| {
        if is_code(&error, "RESOURCE_DOES_NOT_EXIST") {
            return format!(
                "found no run {run_id} in {}, expected a benchmark's; copy its id from `prefab mlflow open`, or from what the \
                 benchmark said at its end",
                client.address()
            );
        }
        with(&error.to_string(), &advice(client.address(), Plane::Data("GetRun"), &error))
    })?;
    if let Some(parent) = tag(&run, PARENT_TAG) {
        return Err(format!("found run {run_id} of a single case, expected a whole benchmark's; name {parent}"));
    }
    client.artifact(&run.info, REPORT, cap).map_err(|error| {
        let missing = tag(&run, MISSING_TAG).filter(|missing| *missing != NOTHING);
        let hint = missing.map_or_else(
            || advice(client.address(), Plane::Stored(&run.info.artifact_uri), &error),
            |missing| format!("the run itself says what it lacks: {missing}"),
        );
        with(&format!("{REPORT} of run {run_id}: {error}"), &hint)
    })
}

fn tag<'a>(run: &'a Run, key: &str) -> Option<&'a str> {
    run.data.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
}

fn with(found: &str, hint: &str) -> String {
    if hint.is_empty() { found.to_owned() } else { format!("{found}; {hint}") }
}
