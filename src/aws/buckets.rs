//! Objects by the SDK of S3.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use sha2::Digest as _;

use super::Aws;
use super::problem::{chain, of};
use super::stacks::text;
use crate::deploy::account::{Objects, Problem, Undeleted, Version};

impl Aws {
    fn s3(&self) -> aws_sdk_s3::Client {
        self.clients.borrow().s3.clone()
    }

    /// Where CloudFormation reads an object.
    pub(super) fn object_url(&self, bucket: &str, key: &str) -> String {
        match &self.clients.borrow().s3_endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}"),
            None => {
                let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                format!("https://{bucket}.s3.{}.{suffix}/{key}", self.region)
            }
        }
    }
}

/// `None` for what is not there.
fn present<T>(answer: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Problem::Absent(_)) => Ok(None),
        Err(problem) => Err(problem),
    }
}

impl Objects for Aws {
    fn object_bytes(&self, bucket: &str, key: &str) -> Result<Option<u64>, Problem> {
        let reply = self.wait(self.s3().head_object().bucket(bucket).key(key).send()).map_err(of);
        let reply = present(reply.map_err(bodiless))?;
        Ok(reply.map(|reply| reply.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default()))
    }

    fn object(&self, bucket: &str, key: &str, most: usize) -> Result<Option<Vec<u8>>, Problem> {
        let range = format!("bytes=0-{}", most.saturating_sub(1));
        let read = async {
            let reply = self.s3().get_object().bucket(bucket).key(key).range(range).send().await.map_err(of)?;
            let body = reply.body.collect().await.map_err(|error| Problem::Passing(chain(&error)))?;
            Ok(body.to_vec())
        };
        present(self.wait(read))
    }

    fn put(&self, bucket: &str, key: &str, content: &[u8]) -> Result<(), Problem> {
        let digest = aws_smithy_types::base64::encode(sha2::Sha256::digest(content));
        let body = ByteStream::from(content.to_vec());
        let call = self.s3().put_object().bucket(bucket).key(key).checksum_sha256(digest).body(body);
        self.wait(call.send()).map(|_| ()).map_err(of)
    }

    fn keys(&self, bucket: &str, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Problem> {
        let call = self.s3().list_objects_v2().bucket(bucket).prefix(prefix).set_start_after(after.map(str::to_owned));
        let reply = self.wait(call.send()).map_err(of)?;
        Ok(reply.contents().iter().filter_map(|object| object.key()).map(str::to_owned).collect())
    }

    fn bucket_exists(&self, bucket: &str) -> Result<bool, Problem> {
        let reply = self.wait(self.s3().head_bucket().bucket(bucket).send()).map_err(of);
        Ok(present(reply.map_err(bodiless))?.is_some())
    }

    fn versions(&self, bucket: &str) -> Result<Vec<Version>, Problem> {
        let reply = present(self.wait(self.s3().list_object_versions().bucket(bucket).send()).map_err(of))?;
        let Some(reply) = reply else { return Ok(Vec::new()) };
        let version = |key: Option<&str>, version: Option<&str>| Version { key: text(key), version: text(version) };
        let versions = reply.versions().iter().map(|of| version(of.key(), of.version_id()));
        let markers = reply.delete_markers().iter().map(|of| version(of.key(), of.version_id()));
        Ok(versions.chain(markers).collect())
    }

    fn delete_versions(&self, bucket: &str, versions: &[Version]) -> Result<Vec<Undeleted>, Problem> {
        let identify = |of: &Version| {
            let version = (!of.version.is_empty()).then(|| of.version.clone());
            ObjectIdentifier::builder().key(&of.key).set_version_id(version).build()
        };
        let refused = |error: &dyn std::error::Error| Problem::Refused(chain(error));
        let objects: Result<Vec<_>, _> = versions.iter().map(identify).collect();
        let objects = objects.map_err(|error| refused(&error))?;
        let delete =
            Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(|error| refused(&error))?;
        let reply = self.wait(self.s3().delete_objects().bucket(bucket).delete(delete).send()).map_err(of)?;
        let kept = |error: &aws_sdk_s3::types::Error| Undeleted { key: text(error.key()), reason: text(error.code()) };
        Ok(reply.errors().iter().map(kept).collect())
    }

    fn abort_uploads(&self, bucket: &str) -> Result<usize, Problem> {
        let mut ended = 0;
        let mut markers = (None, None);
        loop {
            let call = self.s3().list_multipart_uploads().bucket(bucket);
            let call = call.set_key_marker(markers.0).set_upload_id_marker(markers.1);
            let Some(reply) = present(self.wait(call.send()).map_err(of))? else { return Ok(ended) };
            for upload in reply.uploads() {
                let call = self.s3().abort_multipart_upload().bucket(bucket);
                let call =
                    call.set_key(upload.key().map(str::to_owned)).set_upload_id(upload.upload_id().map(str::to_owned));
                present(self.wait(call.send()).map(|_| ()).map_err(of))?;
                ended += 1;
            }
            if !reply.is_truncated().unwrap_or_default() {
                return Ok(ended);
            }
            markers = (reply.next_key_marker().map(str::to_owned), reply.next_upload_id_marker().map(str::to_owned));
        }
    }

    fn bucket_policy(&self, bucket: &str) -> Result<String, Problem> {
        let reply = present(self.wait(self.s3().get_bucket_policy().bucket(bucket).send()).map_err(of))?;
        Ok(text(reply.as_ref().and_then(|reply| reply.policy())))
    }

    fn set_bucket_policy(&self, bucket: &str, policy: &str) -> Result<(), Problem> {
        self.wait(self.s3().put_bucket_policy().bucket(bucket).policy(policy).send()).map(|_| ()).map_err(of)
    }

    fn delete_bucket(&self, bucket: &str) -> Result<(), Problem> {
        present(self.wait(self.s3().delete_bucket().bucket(bucket).send()).map(|_| ()).map_err(of)).map(|_| ())
    }
}

/// A reply to HEAD has no body, so that its status is all that it says.
fn bodiless(problem: Problem) -> Problem {
    match problem {
        Problem::Passing(text) if text.starts_with("HTTP 404") => Problem::Absent(text),
        Problem::Passing(text) if text.starts_with("HTTP 403") => Problem::Denied(text),
        Problem::Passing(text) if text.starts_with("HTTP 301") => Problem::Refused(text),
        // So S3 refuses expired credentials where it can say no more.
        Problem::Passing(text) if text.starts_with("HTTP 400") => Problem::Credentials(text),
        problem => problem,
    }
}
