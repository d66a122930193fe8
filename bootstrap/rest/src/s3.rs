//! Objects of a bucket: read and verified, written, listed.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use prefab_contract::sha256::Sha256;
use sha2::Digest;

use crate::answer::looks_like_html;
use crate::endpoints::Service;
use crate::error::{Error, Result};
use crate::http::Response;
use crate::request::{Method, Request};
use crate::sign::{Rules, Scope, digest};
use crate::signed::Signed;

/// One transfer: enough for a program of some MB on a slow link, and with the 60 s in which attempts begin not more
/// than the 120 s in which a boot must answer.
const TRANSFER: Duration = Duration::from_secs(60);
/// A page of a listing has at most 1000 keys of at most 1 KiB, XML around them.
const PAGE_CAP: u64 = 4 * 1024 * 1024;
/// Rosters have 64 objects; more pages than this is a loop.
const MOST_PAGES: usize = 100;

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length, bytes.
    pub size: u64,
}

/// A bucket.
#[derive(Debug, Clone, Copy)]
pub struct Bucket<'a> {
    signed: &'a Signed,
    name: &'a str,
}

impl<'a> Bucket<'a> {
    /// The bucket of this name in the region of the endpoints.
    pub fn new(signed: &'a Signed, name: &'a str) -> Self {
        Self { signed, name }
    }

    /// An object's bytes, at most `cap`.
    ///
    /// # Errors
    /// As [`Signed::call`]; without permission to list, an absent object is a 403.
    pub fn get(&self, key: &str, cap: u64) -> Result<Vec<u8>> {
        Ok(self.signed.call(&self.request(Method::Get, key)?, self.scope(), cap)?.body)
    }

    /// As [`Bucket::get`], tried once within `time`.
    ///
    /// # Errors
    /// As [`Signed::call_once`].
    pub fn get_once(&self, key: &str, cap: u64, time: Duration) -> Result<Vec<u8>> {
        let request = self.request(Method::Get, key)?.within(time);
        Ok(self.signed.call_once(&request, self.scope(), cap)?.body)
    }

    /// An object's bytes if they have this digest.
    ///
    /// # Errors
    /// As [`Bucket::get`], and [`Error::Digest`].
    pub fn get_verified(&self, key: &str, sha256: &Sha256, cap: u64) -> Result<Vec<u8>> {
        let bytes = self.get(key, cap)?;
        self.verify(key, &digest(&bytes), sha256)?;
        Ok(bytes)
    }

    /// Downloads to a file that appears only whole, verified and on disk, with these permission bits. The folder must
    /// exist; a file or link at `path` is replaced, never followed.
    ///
    /// # Errors
    /// As [`Bucket::get_verified`], and [`Error::File`]; then `path` is as it was.
    pub fn download(&self, key: &str, sha256: &Sha256, cap: u64, path: &Path, mode: u32) -> Result<()> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let request = self.request(Method::Get, key)?.within(TRANSFER);
        self.signed.attempts(&request, self.scope(), |http, request| {
            let mut file = tempfile::Builder::new().prefix(".prefab-").tempfile_in(folder).map_err(failed)?;
            let mut hash = sha2::Sha256::new();
            http.stream(request, cap, &mut |chunk| {
                hash.update(chunk);
                file.write_all(chunk).map_err(failed)
            })?;
            self.verify(key, &Sha256::from_bytes(hash.finalize().into()), sha256)?;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
            file.as_file().sync_all().map_err(failed)?;
            file.persist(path).map_err(|error| failed(error.error))?;
            // The rename lasts only when the folder is on disk too.
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
        })
    }

    fn verify(&self, key: &str, found: &Sha256, expected: &Sha256) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(Error::Digest {
            what: format!("s3://{}/{key}", self.name),
            found: found.to_string(),
            expected: expected.to_string(),
        })
    }

    /// Stores an object; its hash is part of the signature. Repeated attempts store the same bytes.
    ///
    /// # Errors
    /// As [`Signed::call`].
    pub fn put(&self, key: &str, kind: &str, bytes: &[u8]) -> Result<()> {
        let request = self.request(Method::Put, key)?.body(kind, bytes).within(TRANSFER);
        taken(key, &self.signed.call(&request, self.scope(), PAGE_CAP)?)
    }

    /// As [`Bucket::put`], tried once within `time`: for what may be missed.
    ///
    /// # Errors
    /// As [`Signed::call_once`].
    pub fn put_once(&self, key: &str, kind: &str, bytes: &[u8], time: Duration) -> Result<()> {
        let request = self.request(Method::Put, key)?.body(kind, bytes).within(time);
        taken(key, &self.signed.call_once(&request, self.scope(), PAGE_CAP)?)
    }

    /// Removes an object, tried once within `time`. One that is not there is removed, too.
    ///
    /// # Errors
    /// As [`Signed::call_once`].
    pub fn delete(&self, key: &str, time: Duration) -> Result<()> {
        let request = self.request(Method::Delete, key)?.within(time);
        self.signed.call_once(&request, self.scope(), PAGE_CAP).map(drop)
    }

    /// All objects whose keys begin with `prefix`, in key order.
    ///
    /// # Errors
    /// As [`Signed::call`], and an answer that is no listing.
    pub fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let (base, path) = self.signed.endpoints.bucket(self.name)?;
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut request =
                Request::new(Method::Get, &base, &format!("{path}/")).query("list-type", "2").query("prefix", prefix);
            if let Some(token) = &token {
                request = request.query("continuation-token", token);
            }
            let body = self.signed.call(&request, self.scope(), PAGE_CAP)?.body;
            let (page, next) = parse_listing(&String::from_utf8_lossy(&body))?;
            found.extend(page);
            match next {
                Some(next) => token = Some(next),
                None => return Ok(found),
            }
        }
        Err(Error::Answer {
            what: format!("the end of the listing of {prefix}"),
            found: format!("{MOST_PAGES} pages and more"),
        })
    }

    fn request(&self, method: Method, key: &str) -> Result<Request> {
        // HTTP servers on the way resolve such segments before S3 sees the key.
        if key.is_empty() || key.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::Input(format!(
                "found the key {key:?}, expected segments that are not empty, '.' or '..'"
            )));
        }
        let (base, path) = self.signed.endpoints.bucket(self.name)?;
        Ok(Request::new(method, &base, &format!("{path}/{key}")))
    }

    fn scope(&self) -> Scope<'a> {
        Scope { region: self.signed.endpoints.region(), service: Service::S3.name(), rules: Rules::S3 }
    }
}

/// The objects of one page, and the token of the next.
fn parse_listing(text: &str) -> Result<(Vec<Listed>, Option<String>)> {
    let wrong = |found: &str| Error::Answer { what: "a ListBucketResult".to_owned(), found: found.to_owned() };
    if looks_like_html(text) {
        return Err(wrong("an HTML page"));
    }
    let document = roxmltree::Document::parse(text).map_err(|_| wrong("no XML"))?;
    let root = document.root_element();
    if root.tag_name().name() != "ListBucketResult" {
        return Err(wrong(root.tag_name().name()));
    }
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        node.children().find(|child| child.tag_name().name() == name).and_then(|child| child.text()).map(str::to_owned)
    };
    let objects = root
        .children()
        .filter(|node| node.tag_name().name() == "Contents")
        .map(|node| {
            let size = child(node, "Size").and_then(|size| size.parse().ok());
            child(node, "Key")
                .zip(size)
                .map(|(key, size)| Listed { key, size })
                .ok_or_else(|| wrong("an object without key or size"))
        })
        .collect::<Result<Vec<_>>>()?;
    let more = child(root, "IsTruncated").as_deref() == Some("true");
    match (more, child(root, "NextContinuationToken")) {
        (false, _) => Ok((objects, None)),
        (true, Some(token)) => Ok((objects, Some(token))),
        (true, None) => Err(wrong("a truncated page without a token")),
    }
}

/// A page of a portal with status 200 is no acceptance.
fn taken(key: &str, response: &Response) -> Result<()> {
    if looks_like_html(&String::from_utf8_lossy(&response.body)) {
        return Err(Error::Answer {
            what: format!("S3's answer to the put of {key}"),
            found: "an HTML page".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let page = "<ListBucketResult xmlns=\"http://s3/\"><IsTruncated>true</IsTruncated><Contents><Key>a&amp;b</Key><Size>3</Size></Contents><NextContinuationToken>x=</NextContinuationToken></ListBucketResult>";
        let (objects, next) = parse_listing(page).unwrap();
        assert_eq!(objects, [Listed { key: "a&b".to_owned(), size: 3 }]);
        assert_eq!(next.as_deref(), Some("x="));
        assert_eq!(parse_listing("<ListBucketResult/>").unwrap(), (vec![], None));
        for wrong in [
            "<html>",
            "",
            "<Other/>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        ] {
            assert!(matches!(parse_listing(wrong), Err(Error::Answer { .. })), "{wrong}");
        }
    }
}
