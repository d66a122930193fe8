//! Files of a run: to S3 where the server keeps them there, else through the server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::client::{Ask, Client};
use super::runs::RunInfo;
use crate::endpoints::is_near;
use crate::error::{Error, Result};
use crate::request::{Method, Request};
use crate::s3::Bucket;
use crate::url::Base;

/// One file's transfer, at most.
const TRANSFER: Duration = Duration::from_secs(30);
/// How long a presigned link is good for.
const LINK: Duration = Duration::from_secs(900);
/// S3 answers a stored object with nothing.
const CAP: u64 = 64 * 1024;

/// Whether S3 refused this client's own credentials, so that the server's links are used at once.
#[derive(Debug, Default)]
pub(super) struct Refused(AtomicBool);

/// Where a run's files lie.
enum Store<'a> {
    /// A bucket, and the prefix of the run's keys.
    S3 { bucket: &'a str, prefix: &'a str },
    /// The server's own; the path of the run in it.
    Proxy { path: &'a str },
}

impl<'a> Store<'a> {
    fn of(uri: &'a str) -> Result<Self> {
        if let Some(rest) = uri.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            return Ok(Self::S3 { bucket, prefix: prefix.trim_matches('/') });
        }
        if let Some(rest) = uri.strip_prefix("mlflow-artifacts:") {
            // `mlflow-artifacts:/1/abc/artifacts`, or with a host that stands for this server.
            let path = rest.strip_prefix("//").map_or(rest, |rest| rest.split_once('/').map_or("", |(_, path)| path));
            return Ok(Self::Proxy { path: path.trim_matches('/') });
        }
        Err(Error::Input(format!(
            "found the artifact store {uri:?}, expected s3:// or mlflow-artifacts:; start the server with \
             --serve-artifacts"
        )))
    }
}

impl Client {
    /// Stores a file of a run under `path`, whole. S3 takes it with this client's own credentials; where they are refused,
    /// by a link that the server signs, so that no right on the bucket is needed.
    ///
    /// # Errors
    /// As [`Signed::call`](crate::signed::Signed::call); an artifact store that cannot be reached from here.
    pub fn put_artifact(&self, run: &RunInfo, path: &str, kind: &str, bytes: &[u8]) -> Result<()> {
        match Store::of(&run.artifact_uri)? {
            Store::S3 { bucket, prefix } => {
                let key = joined(prefix, path);
                self.patiently(|| self.put_to_s3(run, (bucket, &key), path, kind, bytes))
            }
            Store::Proxy { path: root } => {
                let request = self.request(&proxied(root, path), Ask::Put(kind, bytes)).within(TRANSFER);
                self.patiently(|| self.exchange(&request).map(drop))
            }
        }
    }

    /// A file of a run, at most `cap` bytes of it.
    ///
    /// # Errors
    /// As [`Client::put_artifact`]; no such file, or a larger one.
    pub fn artifact(&self, run: &RunInfo, path: &str, cap: u64) -> Result<Vec<u8>> {
        match Store::of(&run.artifact_uri)? {
            Store::S3 { bucket, prefix } => {
                let (bucket, key) = (Bucket::new(&self.signed, bucket), joined(prefix, path));
                self.patiently(|| bucket.get_once(&key, cap, TRANSFER.min(self.left())))
            }
            Store::Proxy { path: root } => {
                let request = self.request(&proxied(root, path), Ask::Get(&[])).within(TRANSFER);
                self.patiently(|| self.exchange_up_to(&request, cap))
            }
        }
    }

    /// Removes a file of a run.
    ///
    /// # Errors
    /// As [`Client::put_artifact`]; a role that may only write is refused.
    pub fn delete_artifact(&self, run: &RunInfo, path: &str) -> Result<()> {
        match Store::of(&run.artifact_uri)? {
            Store::S3 { bucket, prefix } => {
                Bucket::new(&self.signed, bucket).delete(&joined(prefix, path), TRANSFER.min(self.left()))
            }
            Store::Proxy { path: root } => {
                let request = self.request(&proxied(root, path), Ask::Delete);
                self.patiently(|| self.exchange(&request).map(drop))
            }
        }
    }

    fn put_to_s3(&self, run: &RunInfo, object: (&str, &str), path: &str, kind: &str, bytes: &[u8]) -> Result<()> {
        let Refused(refused) = &self.s3_refused;
        let denied = if refused.load(Ordering::Relaxed) {
            None
        } else {
            let (bucket, key) = object;
            match Bucket::new(&self.signed, bucket).put_once(key, kind, bytes, TRANSFER.min(self.left())) {
                Err(error) if error.is_denied() => Some(error),
                done => return done,
            }
        };
        match (self.put_by_link(run, path, bytes), denied) {
            (Ok(()), _) => {
                refused.store(true, Ordering::Relaxed);
                Ok(())
            }
            // A server without links: what S3 said is what can be mended.
            (Err(error), Some(denied)) if !error.is_transient() => Err(denied),
            (Err(error), _) => Err(error),
        }
    }

    /// The link's signature lets in whoever holds it: it is in no text of an error.
    fn put_by_link(&self, run: &RunInfo, path: &str, bytes: &[u8]) -> Result<()> {
        #[derive(Deserialize)]
        struct Presigned {
            presigned_url: String,
            #[serde(default)]
            headers: BTreeMap<String, String>,
        }
        let body = json!({ "run_id": run.run_id, "path": path, "expiration": LINK.as_secs() });
        let presigned: Presigned = self.once("artifacts/presigned-upload-url", &body)?;
        let request = presigned_request(&presigned.presigned_url)?;
        let mut request = presigned.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.body = bytes.to_vec();
        self.signed.http.send(&request.within(TRANSFER.min(self.left())), CAP).map(drop)
    }
}

fn joined(prefix: &str, path: &str) -> String {
    if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") }
}

fn proxied(root: &str, path: &str) -> String {
    format!("/api/2.0/mlflow-artifacts/artifacts/{}", joined(root, path))
}

/// A PUT to a link that somebody else has signed: sent byte for byte as it was signed, or not at all.
fn presigned_request(url: &str) -> Result<Request> {
    let wrong = |found: &str| Error::Answer { what: "a presigned https URL".to_owned(), found: found.to_owned() };
    let (address, query) = url.split_once('?').ok_or_else(|| wrong("a text without a query"))?;
    let path_at = address.find("://").and_then(|at| address.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
    let (origin, path) = address.split_at(path_at.ok_or_else(|| wrong("a text without a path"))?);
    let base = Base::parse(origin).map_err(|_| wrong("another text"))?;
    if !base.secure() && !is_near(base.host()) {
        return Err(wrong("a URL without TLS"));
    }
    let mut request = Request::new(Method::Put, &base, "/");
    request.path = path.to_owned();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        request = request.query(&decode(name), &decode(value));
    }
    if request.url() == url { Ok(request) } else { Err(wrong("one that is encoded in a way of its own")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_is_sent_as_it_was_signed_or_not_at_all() {
        let url =
            "https://b.s3.us-east-1.amazonaws.com/m/a%20b/r.json?X-Amz-Credential=AK%2F20261125&X-Amz-Signature=ab";
        assert_eq!(presigned_request(url).unwrap().url(), url);
        for wrong in ["https://b/x", "x?y", "http://example.com/a?b=c", "https://b/x?a=b+c", "https://b/x?a=%2f"] {
            let error = presigned_request(wrong).unwrap_err().to_string();
            assert!(error.contains("presigned") && !error.contains("a=b"), "{error}");
        }
    }

    #[test]
    fn each_kind_of_store_is_read_from_the_runs_uri() {
        let read = |uri| match Store::of(uri) {
            Ok(Store::S3 { bucket, prefix }) => format!("s3 {bucket} {}", joined(prefix, "a/b.json")),
            Ok(Store::Proxy { path }) => proxied(path, "a/b.json"),
            Err(error) => error.to_string(),
        };
        assert_eq!(read("s3://bucket/mlflow/1/run/artifacts"), "s3 bucket mlflow/1/run/artifacts/a/b.json");
        assert_eq!(read("s3://bucket"), "s3 bucket a/b.json");
        let proxy = "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/a/b.json";
        assert_eq!(read("mlflow-artifacts:/1/run/artifacts"), proxy);
        assert_eq!(read("mlflow-artifacts://host:5000/1/run/artifacts"), proxy);
        assert!(read("/mlruns/1").contains("--serve-artifacts"));
    }
}
