//! Signatures against botocore: a table of requests that signers get wrong.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use prefab_rest::request::{Method, Request};
use prefab_rest::sign::{Rules, Scope, sign};
use prefab_rest::url::Base;

use crate::node::{NOW, credentials};

/// Python of the environment that `make setup` builds. Absent is a failure, not a skip.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let environment = std::env::var_os("PREFAB_VENV").map_or_else(|| root.join(".venv"), PathBuf::from);
    let python = environment.join("bin/python");
    assert!(python.exists(), "{} is missing; run `make setup`", python.display());
    python
}

/// Each kind of path, query, body and header under the rules where it matters.
fn table() -> Vec<(Request, Rules)> {
    let bases = ["https://a-bucket.s3.us-east-1.amazonaws.com", "http://127.0.0.1:5061/prefix", "https://h:443"];
    let paths = [
        "/",
        "/a/b",
        "/a b",
        "/a+b",
        "/ü/日本",
        "/a%20b",
        "/a:b@c,d;e=f!g$h&i'j(k)l*m",
        "/a~b-c_d.e",
        "/trailing/",
        "//double//slash",
        "/a/./b/../c",
        "/\"quoted\"<x>\\y^z`{|}",
    ];
    let queries: [&[(&str, &str)]; 9] = [
        &[],
        &[("empty", "")],
        &[("b", "2"), ("a", "1")],
        &[("a", "2"), ("a", "1"), ("a-b", "0"), ("aa", "")],
        &[("q", "a b+c&d=e/f?g#h%i")],
        &[("ü", "日本")],
        &[("list-type", "2"), ("prefix", "roster/0f1e/"), ("continuation-token", "1x+y/z==")],
        &[("~-._", "~-._"), ("A", "upper"), ("_", "under")],
        &[("filter", "tags.`run key` = 'a''b' AND metrics.x > 1e-3")],
    ];
    let mut table = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        for rules in [Rules::S3, Rules::Plain, Rules::HashedBody] {
            let base = Base::parse(bases[number % bases.len()]).unwrap();
            table.push((Request::new(Method::Get, &base, path), rules));
        }
    }
    for (number, query) in queries.iter().enumerate() {
        for rules in [Rules::S3, Rules::Plain] {
            let base = Base::parse(bases[number % bases.len()]).unwrap();
            let request = query
                .iter()
                .fold(Request::new(Method::Get, &base, "/p"), |request, (name, value)| request.query(name, value));
            table.push((request, rules));
        }
    }
    let base = Base::parse(bases[0]).unwrap();
    for (method, body) in [
        (Method::Post, Vec::new()),
        (Method::Post, b"Action=SignalResource&Version=2010-05-15".to_vec()),
        (Method::Put, vec![0, 255, 10, 13]),
        (Method::Put, vec![b'x'; 100_000]),
        (Method::Patch, "ü".as_bytes().to_vec()),
        (Method::Delete, Vec::new()),
    ] {
        table
            .push((Request::new(method, &base, "/k").body("application/json; charset=utf-8", body), Rules::HashedBody));
    }
    let long = (0..300).fold(Request::new(Method::Get, &base, "/"), |request, number| {
        request.query(&format!("name {}", number % 17), &format!("value/{number}"))
    });
    table.push((long, Rules::S3));
    let headers = Request::new(Method::Get, &base, "/")
        .header("X-Spaced", "  a   b \t c  ")
        .header("Zeta", "last")
        .header("accept", "*/*")
        .header("x-mlflow-sm-tracking-server-arn", "arn:aws:sagemaker:us-east-1:1:mlflow-tracking-server/a")
        .header("User-Agent", "not signed");
    table.push((headers, Rules::HashedBody));
    table
}

/// One line for the verifier.
pub fn line(method: &str, url: &str, headers: &[(String, String)], body: &[u8], scope: (&str, &str)) -> String {
    let hex = body.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let credentials = credentials();
    let (service, region) = scope;
    serde_json::json!({
        "method": method, "url": url, "headers": headers, "body": hex, "service": service, "region": region,
        "s3": service == "s3", "access_key": credentials.access_key_id,
        "secret_key": credentials.secret_access_key.reveal(),
    })
    .to_string()
}

/// The signature in an `authorization` header.
pub fn signature(headers: &[(String, String)]) -> String {
    let (_, value) = headers.iter().find(|(name, _)| name == "authorization").unwrap();
    value.rsplit('=').next().unwrap().to_owned()
}

/// What botocore computes for each line.
pub fn by_botocore(lines: &[String]) -> Vec<String> {
    let mut child = Command::new(python())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/botocore_signatures.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = lines.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let signatures: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(signatures.len(), lines.len());
    signatures
}

#[test]
fn botocore_comes_to_the_same_signatures() {
    let mut lines = Vec::new();
    let mut ours = Vec::new();
    for (request, rules) in table() {
        for token in [true, false] {
            let mut credentials = credentials();
            if !token {
                credentials.session_token = None;
            }
            let mut request = request.clone();
            let service = if rules == Rules::S3 { "s3" } else { "sagemaker-mlflow" };
            sign(&mut request, &credentials, Scope { region: "us-east-1", service, rules }, NOW);
            ours.push((signature(&request.headers), format!("{request:?} {rules:?}")));
            let (method, url) = (request.method.as_str(), request.url());
            lines.push(line(method, &url, &request.headers, &request.body, (service, "us-east-1")));
        }
    }
    assert!(lines.len() > 120, "{}", lines.len());
    let theirs = by_botocore(&lines);
    let differ: Vec<&String> = ours
        .iter()
        .zip(&theirs)
        .filter(|((ours, _), theirs)| ours != *theirs)
        .map(|((_, request), _)| request)
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
}
