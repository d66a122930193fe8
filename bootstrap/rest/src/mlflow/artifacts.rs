//! Files of a run: to S3 where the server keeps them there, else through the server.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::client::{Ask, Client, RunInfo};
use crate::error::{Error, Result};
use crate::request::{Method, Request};
use crate::retry::Policy;
use crate::s3::Bucket;
use crate::url::Base;

/// One file's transfer, at most.
const TRANSFER: Duration = Duration::from_secs(30);

/// How files go to S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With this program's own credentials, to the artifact bucket.
    Direct,
    /// By a URL that the server signs, so that no right on the bucket is needed.
    Presigned,
}

impl Client {
    /// Stores a file of a run under `path`, whole.
    ///
    /// # Errors
    /// As [`Signed::call`](crate::signed::Signed::call); an artifact store that cannot be reached from here.
    pub fn put_artifact(&self, run: &RunInfo, path: &str, kind: &str, bytes: &[u8], way: Way) -> Result<()> {
        let policy = Policy { budget: self.left(), denied: Duration::ZERO, ..Policy::BOOT };
        policy.run(self.signed.pace.as_ref(), &self.signed.say, || self.put_once(run, path, kind, bytes, way))
    }

    fn put_once(&self, run: &RunInfo, path: &str, kind: &str, bytes: &[u8], way: Way) -> Result<()> {
        let uri = run.artifact_uri.as_str();
        if let Some(rest) = uri.strip_prefix("s3://") {
            if way == Way::Presigned {
                return self.put_presigned(run, path, bytes);
            }
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let key = format!("{}/{path}", prefix.trim_end_matches('/'));
            let within = TRANSFER.min(self.left());
            return Bucket::new(&self.signed, bucket).put_once(key.trim_start_matches('/'), kind, bytes, within);
        }
        if let Some(rest) = uri.strip_prefix("mlflow-artifacts:") {
            // `mlflow-artifacts:/1/abc/artifacts`, or with a host that stands for this server.
            let root = rest.strip_prefix("//").map_or(rest, |rest| rest.split_once('/').map_or("", |(_, path)| path));
            let path = format!("/api/2.0/mlflow-artifacts/artifacts/{}/{path}", root.trim_matches('/'));
            return self.once(&self.request(&path, Ask::Put(kind, bytes)).within(TRANSFER)).map(drop);
        }
        Err(Error::Input(format!(
            "found the artifact store {uri:?}, expected s3:// or mlflow-artifacts:; start the server with --serve-artifacts"
        )))
    }

    fn put_presigned(&self, run: &RunInfo, path: &str, bytes: &[u8]) -> Result<()> {
        #[derive(Deserialize)]
        struct Presigned {
            presigned_url: String,
            #[serde(default)]
            headers: std::collections::BTreeMap<String, String>,
        }
        let body = json!({ "run_id": run.run_id, "path": path, "expiration": 900 });
        let presigned: Presigned = self.read("artifacts/presigned-upload-url", Ask::Post(&body))?;
        let request = presigned_request(&presigned.presigned_url)?;
        let mut request = presigned.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.body = bytes.to_vec();
        self.signed.http.send(&request.within(TRANSFER.min(self.left())), 64 * 1024).map(drop)
    }
}

/// A PUT to a URL that somebody else has signed, byte for byte: nothing of it is encoded again.
fn presigned_request(url: &str) -> Result<Request> {
    let wrong = || Error::Answer { what: "a presigned URL".to_owned(), found: "another text".to_owned() };
    let (address, query) = url.split_once('?').ok_or_else(wrong)?;
    let path_at = address.find("://").and_then(|at| address.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
    let (origin, path) = address.split_at(path_at.ok_or_else(wrong)?);
    let base = Base::parse(origin).map_err(|_| wrong())?;
    let mut request = Request::new(Method::Put, &base, "/");
    request.path = path.to_owned();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        request = request.query(&decode(name), &decode(value));
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_is_sent_as_it_was_signed() {
        let url =
            "https://b.s3.us-east-1.amazonaws.com/m/a%20b/r.json?X-Amz-Credential=AK%2F20261125&X-Amz-Signature=ab";
        assert_eq!(presigned_request(url).unwrap().url(), url);
        assert!(presigned_request("https://b/x").is_err() && presigned_request("x?y").is_err());
    }
}
