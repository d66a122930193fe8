//! AWS Signature Version 4 in headers. Pure: the moment and the credentials are arguments.

use hmac::{Hmac, KeyInit, Mac};
use prefab_contract::sha256::Sha256;
use sha2::Digest;

use crate::credentials::Credentials;
use crate::date;
use crate::request::Request;
use crate::url::{encode_path, encode_query};

/// Headers that proxies change on the way, or that are not signed by definition.
const UNSIGNED: [&str; 5] = ["authorization", "connection", "expect", "transfer-encoding", "user-agent"];

/// What a signature covers beside the request.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Such as `us-east-1`.
    pub region: &'a str,
    /// The signing name, such as `s3` or `sagemaker-mlflow`.
    pub service: &'a str,
    /// How the service reads paths and bodies.
    pub rules: Rules,
}

/// How a service reads what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// S3: the path as it is sent, and the body's hash in a header.
    S3,
    /// Others: the path without `.` and `..`, encoded once more.
    Plain,
    /// As [`Rules::Plain`], with the body's hash in a header, as SageMaker's MLflow wants it.
    HashedBody,
}

/// The SHA-256 of bytes as text.
pub fn digest(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// Adds `x-amz-date`, the token, the body's hash where the rules want it, and `authorization`. Every header that the
/// request already has is signed. `at` is seconds since 1970.
pub fn sign(request: &mut Request, credentials: &Credentials, scope: Scope<'_>, at: i64) {
    let stamp = date::amz(at);
    let body_hash = digest(&request.body);
    let mut add = |name: &str, value: &str| {
        request.headers.retain(|(given, _)| given != name);
        request.headers.push((name.to_owned(), value.to_owned()));
    };
    add("x-amz-date", &stamp);
    if scope.rules != Rules::Plain {
        add("x-amz-content-sha256", body_hash.as_str());
    }
    if let Some(token) = &credentials.session_token {
        add("x-amz-security-token", token.reveal());
    }
    let (canonical, names) = canonical_request(request, scope.rules, &body_hash);
    let day = stamp.get(..8).unwrap_or_default();
    let scope_text = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope_text}\n{}", digest(canonical.as_bytes()));
    let first = format!("AWS4{}", credentials.secret_access_key.reveal()).into_bytes();
    let key = [day, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(first, |key, part| mac(&key, part.as_bytes()).to_vec());
    let signature = Sha256::from_bytes(mac(&key, to_sign.as_bytes()));
    let access_key_id = &credentials.access_key_id;
    request.headers.retain(|(given, _)| given != "authorization");
    request.headers.push((
        "authorization".to_owned(),
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/{scope_text}, SignedHeaders={names}, Signature={signature}"
        ),
    ));
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of every length; there is no error to report.
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The canonical request, and the names of its headers joined by semicolons.
fn canonical_request(request: &Request, rules: Rules, body_hash: &Sha256) -> (String, String) {
    let sent = request.full_path();
    let path = if rules == Rules::S3 { sent } else { encode_path(&without_dots(&sent)) };
    let mut pairs: Vec<(String, String)> =
        request.query.iter().map(|(name, value)| (encode_query(name), encode_query(value))).collect();
    pairs.sort();
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut headers: Vec<(&str, String)> = request
        .headers
        .iter()
        .filter(|(name, _)| !UNSIGNED.contains(&name.as_str()) && name != "host")
        .map(|(name, value)| (name.as_str(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        .chain([("host", request.base.authority())])
        .collect();
    // Stable: headers of one name keep their order and are joined.
    headers.sort_by_key(|(name, _)| *name);
    let mut lines: Vec<(&str, String)> = Vec::new();
    for (name, value) in headers {
        match lines.last_mut() {
            Some((last, values)) if *last == name => {
                values.push(',');
                values.push_str(&value);
            }
            _ => lines.push((name, value)),
        }
    }
    let names = lines.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = lines.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let method = request.method.as_str();
    (format!("{method}\n{path}\n{}\n{lines}\n{names}\n{body_hash}", query.join("&")), names)
}

/// A path with `.`, `..` and empty segments resolved, as all services but S3 sign it.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Method;
    use crate::secret::Secret;
    use crate::url::Base;

    fn credentials(key: &str, secret: &str, token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: key.to_owned(),
            secret_access_key: Secret::new(secret),
            session_token: token.map(Secret::new),
            expires_at: None,
        }
    }

    fn signature(request: &Request) -> &str {
        request.headers.iter().find(|(name, _)| name == "authorization").unwrap().1.rsplit('=').next().unwrap()
    }

    fn header<'a>(request: &'a Request, name: &str) -> &'a str {
        &request.headers.iter().find(|(given, _)| given == name).unwrap().1
    }

    /// The examples of the S3 documentation, "Signature Calculations for the Authorization Header".
    #[test]
    fn the_published_examples_of_s3() {
        let key = credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None);
        let base = Base::parse("https://examplebucket.s3.amazonaws.com").unwrap();
        let get = |path| Request::new(Method::Get, &base, path);
        let mut put = Request::new(Method::Put, &base, "/test$file.text")
            .header("Date", "Fri, 24 May 2013 00:00:00 GMT")
            .header("x-amz-storage-class", "REDUCED_REDUNDANCY");
        put.body = b"Welcome to Amazon S3.".to_vec();
        for (mut request, expected) in [
            (
                get("/test.txt").header("Range", "bytes=0-9"),
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (put, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            (get("/").query("lifecycle", ""), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            (
                get("/").query("max-keys", "2").query("prefix", "J"),
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let scope = Scope { region: "us-east-1", service: "s3", rules: Rules::S3 };
            sign(&mut request, &key, scope, 1_369_353_600);
            assert_eq!(signature(&request), expected, "{request:?}");
        }
    }

    /// `get-vanilla` and `get-vanilla-query-order-key-case` of AWS's test suite for signature version 4.
    #[test]
    fn vectors_of_the_published_suite() {
        let key = credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None);
        let base = Base::parse("https://example.amazonaws.com").unwrap();
        let get = Request::new(Method::Get, &base, "/");
        for (mut request, expected) in [
            (get.clone(), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                get.query("Param2", "value2").query("Param1", "value1"),
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let scope = Scope { region: "us-east-1", service: "service", rules: Rules::Plain };
            sign(&mut request, &key, scope, 1_440_938_160);
            assert_eq!(signature(&request), expected, "{request:?}");
        }
    }

    /// What sagemaker-mlflow 0.5.0 sent to an echo server.
    #[test]
    fn the_golden_vectors_of_sagemaker_mlflow() {
        let key = credentials("AKID", "secret", Some("tok"));
        let base = Base::parse("http://127.0.0.1:5061").unwrap();
        let common = |request: Request| {
            request
                .header("accept", "*/*")
                .header("accept-encoding", "gzip, deflate")
                .header("x-mlflow-client-version", "3.4.0")
                .header(
                    "x-mlflow-sm-tracking-server-arn",
                    "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/kvx",
                )
        };
        let create = Request::new(Method::Post, &base, "/api/2.0/mlflow/experiments/create")
            .header("content-length", "15")
            .body("application/json", br#"{"name": "a b"}"#);
        let by_name =
            Request::new(Method::Get, &base, "/api/2.0/mlflow/experiments/get-by-name").query("experiment_name", "a b");
        for (request, expected) in [
            (create, "a2fc1082d2abc81060b0b51f25db4c00b2e98ebcc970a75dfa0b3c7612cf2ac0"),
            (by_name, "0338af8a8529a41bfaaec4b01f7e13f236c4156df095b3a49f86b6b05e7b50c1"),
        ] {
            let mut request = common(request);
            let scope = Scope { region: "us-east-1", service: "sagemaker-mlflow", rules: Rules::HashedBody };
            sign(&mut request, &key, scope, 1_795_573_492);
            assert_eq!(header(&request, "x-amz-date"), "20261125T022452Z");
            assert_eq!(signature(&request), expected, "{request:?}");
        }
    }

    #[test]
    fn signing_twice_replaces_the_first_signature() {
        let key = credentials("AKID", "secret", Some("tok"));
        let base = Base::parse("http://127.0.0.1").unwrap();
        let scope = Scope { region: "r", service: "s", rules: Rules::S3 };
        let mut once = Request::new(Method::Get, &base, "/");
        sign(&mut once, &key, scope, 2_000);
        let mut twice = Request::new(Method::Get, &base, "/");
        sign(&mut twice, &key, scope, 1_000);
        sign(&mut twice, &key, scope, 2_000);
        assert_eq!(once.headers.len(), twice.headers.len());
        assert_eq!(signature(&once), signature(&twice));
    }

    #[test]
    fn dots_and_empty_segments_are_resolved() {
        for (path, expected) in [("/a/../b", "/b"), ("//a//b/", "/a/b/"), ("/./", "/"), ("/..", "/"), ("/a/b", "/a/b")]
        {
            assert_eq!(without_dots(path), expected, "{path}");
        }
    }
}
