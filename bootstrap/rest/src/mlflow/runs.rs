//! Runs: made, filled, found, read.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::client::{Ask, Client};
use super::limits::{Batch, Pair};
use crate::error::{Error, Result};

/// Runs of a page.
const PAGE: u32 = 100;
/// More pages than this are no answer to our questions.
const MOST_PAGES: usize = 100;
/// Points of a page of a history. Without a number some servers answer with none, and a token that leads back to the start.
const MOST_POINTS: u32 = 10_000;

/// A run.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// Its identity.
    pub info: RunInfo,
    /// What was logged.
    #[serde(default)]
    pub data: RunData,
}

/// A run's identity.
#[derive(Debug, Clone, Deserialize)]
pub struct RunInfo {
    /// 32 hexadecimal digits.
    pub run_id: String,
    /// `RUNNING`, `FINISHED`, `FAILED` or `KILLED`.
    #[serde(default)]
    pub status: String,
    /// Where its artifacts go: `s3://…`, `mlflow-artifacts:/…` or a path of the server's.
    #[serde(default)]
    pub artifact_uri: String,
}

/// What was logged to a run.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RunData {
    /// The last point of each metric.
    #[serde(default)]
    pub metrics: Vec<Point>,
    /// All params.
    #[serde(default)]
    pub params: Vec<Pair>,
    /// All tags.
    #[serde(default)]
    pub tags: Vec<Pair>,
}

/// A metric as MLflow gives it back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Point {
    /// Its name.
    pub key: String,
    /// Its value. Servers write what is not finite as text.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "integer")]
    pub timestamp: i64,
    /// Its place in a series.
    #[serde(default, deserialize_with = "integer")]
    pub step: i64,
}

/// How a run ended. MLflow ignores words that it does not know, so there is no other way to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Well.
    Finished,
    /// Not.
    Failed,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
        }
    }
}

/// A run in its envelope.
#[derive(Deserialize)]
struct Answer {
    run: Run,
}

#[derive(Deserialize)]
struct RunPage {
    #[serde(default)]
    runs: Vec<Run>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct PointPage {
    #[serde(default)]
    metrics: Vec<Point>,
    #[serde(default)]
    next_page_token: String,
}

impl Client {
    /// Makes a run. Tried once: after a lost answer, search for it before it is made again.
    ///
    /// # Errors
    /// As [`Signed::call_once`](crate::signed::Signed::call_once).
    pub fn create_run(&self, experiment_id: &str, name: &str, start_ms: i64, tags: &[Pair]) -> Result<Run> {
        let body = json!({ "experiment_id": experiment_id, "run_name": name, "start_time": start_ms, "tags": tags });
        Ok(self.once::<Answer>("runs/create", &body)?.run)
    }

    /// One run.
    ///
    /// # Errors
    /// As [`Signed::call`](crate::signed::Signed::call).
    pub fn run(&self, run_id: &str) -> Result<Run> {
        Ok(self.repeated::<Answer>("runs/get", Ask::Get(&[("run_id", run_id)]))?.run)
    }

    /// The runs of an experiment that a filter finds, such as `` tags.`a.b` = 'c' ``; all of them, page by page.
    ///
    /// # Errors
    /// As [`Client::run`]; a search without an end.
    pub fn search_runs(&self, experiment_id: &str, filter: &str) -> Result<Vec<Run>> {
        let mut body = json!({ "experiment_ids": [experiment_id], "filter": filter, "max_results": PAGE });
        let (mut found, mut last) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let page: RunPage = self.repeated("runs/search", Ask::Post(&body))?;
            found.extend(page.runs);
            // The same token twice is a circle.
            if page.next_page_token.is_empty() || page.next_page_token == last {
                return Ok(found);
            }
            body["page_token"] = page.next_page_token.clone().into();
            last = page.next_page_token;
        }
        Err(Error::Answer { what: "the end of a search".to_owned(), found: format!("{} runs and more", found.len()) })
    }

    /// The newest runs of an experiment, at most `most`.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn newest_runs(&self, experiment_id: &str, most: u32) -> Result<Vec<Run>> {
        let body = json!({
            "experiment_ids": [experiment_id], "max_results": most, "order_by": ["attributes.start_time DESC"],
        });
        Ok(self.repeated::<RunPage>("runs/search", Ask::Post(&body))?.runs)
    }

    /// Logs a batch. The same batch twice is the same record.
    ///
    /// # Errors
    /// As [`Client::run`]; a param that has another value.
    pub fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        let Batch { metrics, params, tags } = batch;
        let body = json!({ "run_id": run_id, "metrics": metrics, "params": params, "tags": tags });
        self.repeated::<IgnoredAny>("runs/log-batch", Ask::Post(&body)).map(drop)
    }

    /// Ends a run.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn end_run(&self, run_id: &str, status: Status, end_ms: i64) -> Result<()> {
        let body = json!({ "run_id": run_id, "status": status.name(), "end_time": end_ms });
        self.repeated::<IgnoredAny>("runs/update", Ask::Post(&body)).map(drop)
    }

    /// Deletes a run, as MLflow does: it is hidden, and can be restored.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn delete_run(&self, run_id: &str) -> Result<()> {
        self.repeated::<IgnoredAny>("runs/delete", Ask::Post(&json!({ "run_id": run_id }))).map(drop)
    }

    /// All points of a metric, page by page.
    ///
    /// # Errors
    /// As [`Client::run`]; a history without an end.
    pub fn history(&self, run_id: &str, metric: &str) -> Result<Vec<Point>> {
        let most = MOST_POINTS.to_string();
        let (mut found, mut token) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let mut query = vec![("run_id", run_id), ("metric_key", metric), ("max_results", most.as_str())];
            if !token.is_empty() {
                query.push(("page_token", token.as_str()));
            }
            let page: PointPage = self.repeated("metrics/get-history", Ask::Get(&query))?;
            let is_empty = page.metrics.is_empty();
            found.extend(page.metrics);
            if page.next_page_token.is_empty() || page.next_page_token == token || is_empty {
                return Ok(found);
            }
            token = page.next_page_token;
        }
        Err(Error::Answer {
            what: format!("the end of the history of {metric}"),
            found: format!("{} points and more", found.len()),
        })
    }
}

/// A number, or its text: `"NaN"`, `"Infinity"`.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let read = value.as_f64().or_else(|| match value.as_str()? {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    });
    read.ok_or_else(|| serde::de::Error::custom("no number"))
}

/// An integer, or its text, as protocol buffers write 64 bits.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let read = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    read.ok_or_else(|| serde::de::Error::custom("no integer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_each_form_that_servers_write() {
        let point = |text: &str| serde_json::from_str::<Point>(text);
        let read = point(r#"{"key":"a","value":1.5,"timestamp":"1795573492000","step":"3"}"#).unwrap();
        assert_eq!((read.value.to_string().as_str(), read.timestamp, read.step), ("1.5", 1_795_573_492_000, 3));
        assert!(point(r#"{"key":"a","value":"NaN"}"#).unwrap().value.is_nan());
        assert_eq!(point(r#"{"key":"a","value":"-Infinity"}"#).unwrap().value.to_string(), "-inf");
        assert!(point(r#"{"key":"a","value":"much"}"#).is_err());
    }
}
