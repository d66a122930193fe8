//! One authenticated read: whether this machine could log.

use std::path::Path;
use std::time::Duration;

use prefab_rest::mlflow::check;

use super::connect;

/// A check of a node waits no longer.
const BUDGET: Duration = Duration::from_secs(15);

/// Asks for an experiment; nothing is written. An error says what was found and what to do.
///
/// # Errors
/// Why nothing could be logged.
pub(crate) fn reach(target: &str, root: &Path) -> Result<(), String> {
    let client = connect::client(target, root, BUDGET, |_| ()).map_err(|error| error.to_string())?;
    check::reach(&client)
}
