//! Runs as a person names them, and the reports that MLflow keeps of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use prefab_rest::mlflow::address::Address;
use prefab_rest::mlflow::client::Client;
use prefab_rest::mlflow::record;

use super::target::{Target, TargetOptions, variable};

/// All calls about the runs of one server together.
const BUDGET: Duration = Duration::from_secs(60);
/// Hexadecimal digits of a run's id.
const ID_DIGITS: usize = 32;
/// What stands before the id, in MLflow's own names of runs and in the addresses of its pages.
const RUNS: &str = "/runs/";

/// A run of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct RunName {
    /// The server by ARN or URL, where the name tells it.
    server: Option<String>,
    id: String,
}

impl RunName {
    /// Reads `ID`, `runs:/ID`, `ARN/runs/ID`, and the address of a run's page; `None` for a text of another kind, such as a
    /// path.
    ///
    /// # Errors
    /// An ARN or URL without a run.
    pub(in crate::cli) fn parse(text: &str) -> Result<Option<Self>, String> {
        if let Some(id) = id(text.strip_prefix("runs:/").unwrap_or(text)) {
            return Ok(Some(Self { server: None, id }));
        }
        if !["arn:", "http://", "https://", "runs:"].iter().any(|start| text.starts_with(start)) {
            return Ok(None);
        }
        let named = text.split_once(RUNS).and_then(|(server, rest)| {
            // `…/#/experiments/7` stands between a server and its runs.
            let server = server.split_once("/#").map_or(server, |(server, _)| server);
            Some(Self { server: Some(server.to_owned()), id: id(rest.split(['/', '?']).next()?)? })
        });
        named.map(Some).ok_or_else(|| {
            format!(
                "found no run in it, expected an id of {ID_DIGITS} hexadecimal digits after {RUNS}; copy the address of the \
                 run's page, or name the run by its id and the server by --mlflow"
            )
        })
    }
}

fn id(text: &str) -> Option<String> {
    let is_id = text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| text.to_owned())
}

/// Reports of runs, from as many servers as they name.
pub(in crate::cli) struct Reports<'a> {
    options: &'a TargetOptions,
    /// By what names the server; `None` is the one of the options.
    clients: BTreeMap<Option<String>, Client>,
}

impl<'a> Reports<'a> {
    /// Nobody is asked yet.
    pub(in crate::cli) fn of(options: &'a TargetOptions) -> Self {
        Self { options, clients: BTreeMap::new() }
    }

    /// The report of a run, at most `cap` bytes. Findings of a spec that is refused go to `err`.
    ///
    /// # Errors
    /// What was found, what was expected and what to do.
    pub(in crate::cli) fn read(&mut self, run: &RunName, cap: u64, err: &mut dyn Write) -> Result<Vec<u8>, String> {
        if !self.clients.contains_key(&run.server) {
            let client = self.client(run.server.as_deref(), err).map_err(|error| format!("{error:#}"))?;
            self.clients.insert(run.server.clone(), client);
        }
        record::report(&self.clients[&run.server], &run.id, cap)
    }

    fn client(&self, server: Option<&str>, err: &mut dyn Write) -> anyhow::Result<Client> {
        let target = match server {
            Some(server) => Target::At(Address::parse(server, variable)?),
            None => self.options.read(err)?.ok_or_else(|| {
                anyhow::anyhow!("the spec that names the MLflow is refused; correct it, or use --mlflow")
            })?,
        };
        target.reach(self.options)?.client(BUDGET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn every_way_to_name_a_run() {
        let arn = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/nixl-efa";
        for (text, server) in [
            (ID.to_owned(), None),
            (format!("runs:/{ID}"), None),
            (format!("{arn}/runs/{ID}"), Some(arn)),
            (format!("http://127.0.0.1:5000/#/experiments/7/runs/{ID}"), Some("http://127.0.0.1:5000")),
            (format!("https://a.example/mlflow/#/experiments/7/runs/{ID}/artifacts"), Some("https://a.example/mlflow")),
            (format!("https://a.example/#/experiments/7/runs/{ID}?o=1"), Some("https://a.example")),
            (format!("http://127.0.0.1:5000/runs/{ID}"), Some("http://127.0.0.1:5000")),
        ] {
            let expected = RunName { server: server.map(str::to_owned), id: ID.to_owned() };
            assert_eq!(RunName::parse(&text), Ok(Some(expected)), "{text}");
        }
    }

    #[test]
    fn paths_are_no_runs_and_servers_alone_are_refused() {
        for path in ["report.json", "before/runs/1.json", "0123", &ID.to_uppercase(), "./runs"] {
            assert_eq!(RunName::parse(path), Ok(None), "{path}");
        }
        for server in
            ["http://127.0.0.1:5000", "arn:aws:sagemaker:us-east-1:1:mlflow-app/a", "runs:/x", "https://a/runs/1"]
        {
            assert!(RunName::parse(server).unwrap_err().contains("expected an id of 32"), "{server}");
        }
    }
}
