//! Objects of a bucket, from servers that cut, stall, lie and point elsewhere.

use prefab_rest::error::Error;
use prefab_rest::s3::{Bucket, Listed};
use prefab_rest::sign::digest;

use crate::node::{node, patient};
use crate::server::{Reply, Server, ok, status, with_header};

#[test]
fn objects_are_read_verified_written_and_nothing_secret_is_said() {
    let server = Server::start(|request| match request.method.as_str() {
        "PUT" => ok(""),
        _ => ok("program"),
    });
    let node = node(&server);
    let bucket = Bucket::new(&node.signed, "a-bucket");
    assert_eq!(bucket.get("config/a b+ü.json", 100).unwrap(), b"program");
    assert_eq!(bucket.get_verified("k", &digest(b"program"), 100).unwrap(), b"program");
    bucket.put("results/x", "application/json", b"{}").unwrap();
    let received = server.received();
    assert_eq!(received[0].target, "/a-bucket/config/a%20b%2B%C3%BC.json");
    let put = &received[2];
    assert_eq!((put.method.as_str(), put.text().as_str()), ("PUT", "{}"));
    assert_eq!(put.header("x-amz-content-sha256"), Some(digest(b"{}").as_str()));
    assert!(put.header("authorization").unwrap().contains("AKID/20261125/us-east-1/s3/aws4_request"));
    for key in ["", "/a", "a//b", "../a", "a/./b"] {
        assert!(matches!(bucket.get(key, 1), Err(Error::Input(_))), "{key}");
    }
}

#[test]
fn a_download_appears_whole_verified_and_with_its_mode_or_not_at_all() {
    use std::os::unix::fs::PermissionsExt;
    let program = "x".repeat(200_000);
    let sha256 = digest(program.as_bytes());
    let body = program.clone();
    let server = Server::start(move |request| match (request.target.as_str(), request.number) {
        ("/a-bucket/whole", _) => ok(&body),
        // Cut, reset and stalled once each, then whole.
        ("/a-bucket/flaky", 2) => Reply::Cut { promised: body.len(), sent: body.as_bytes()[..70_000].to_vec() },
        ("/a-bucket/flaky", 3) => Reply::Reset,
        ("/a-bucket/flaky", _) => ok(&body),
        ("/a-bucket/wrong", _) => ok("other"),
        ("/a-bucket/page", _) => ok("<html>log in</html>"),
        ("/a-bucket/empty", _) => ok(""),
        ("/a-bucket/endless", _) => Reply::Endless,
        ("/a-bucket/cut", _) => Reply::Cut { promised: body.len(), sent: Vec::new() },
        ("/a-bucket/elsewhere", _) => with_header(307, ("Location", "http://127.0.0.1:1/"), ""),
        _ => status(404, "<Error><Code>NoSuchKey</Code></Error>"),
    });
    let (patient, hasty) = (patient(&server), node(&server));
    let bucket = Bucket::new(&patient.signed, "a-bucket");
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("program");
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    // A planted link is replaced, not followed.
    std::os::unix::fs::symlink(&victim, &target).unwrap();
    for key in ["whole", "flaky"] {
        bucket.download(key, &sha256, 1_000_000, &target, 0o755).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), program);
        let metadata = std::fs::symlink_metadata(&target).unwrap();
        assert!(metadata.is_file() && metadata.permissions().mode() & 0o7777 == 0o755);
        std::fs::remove_file(&target).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    let bucket = Bucket::new(&hasty.signed, "a-bucket");
    for (key, expected) in [
        ("wrong", "found SHA-256"),
        ("page", "found SHA-256"),
        ("empty", "found SHA-256"),
        ("endless", "longer than the 1000000 B"),
        ("cut", "the exchange broke"),
        ("elsewhere", "no redirect is followed"),
        ("absent", "NoSuchKey"),
    ] {
        let error = bucket.download(key, &sha256, 1_000_000, &target, 0o755).unwrap_err();
        assert!(error.to_string().contains(expected), "{key}: {error}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["victim"], "{key}");
    }
    let nowhere = folder.path().join("absent/program");
    assert!(matches!(bucket.download("whole", &sha256, 1_000_000, &nowhere, 0o755), Err(Error::File { .. })));
}

#[test]
fn listings_are_read_to_their_end_and_loops_end_too() {
    let server = Server::start(|request| {
        let page = |more: &str, key: &str| {
            ok(&format!(
                "<ListBucketResult>{more}<Contents><Key>{key}</Key><Size>1</Size></Contents></ListBucketResult>"
            ))
        };
        let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>a+b/=</NextContinuationToken>";
        if request.target.contains("prefix=loop") {
            page(more, "again")
        } else if request.target.contains("continuation-token=a%2Bb%2F%3D") {
            page("<IsTruncated>false</IsTruncated>", "roster/2")
        } else {
            page(more, "roster/1")
        }
    });
    let node = node(&server);
    let bucket = Bucket::new(&node.signed, "a-bucket");
    let listed = |key: &str| Listed { key: key.to_owned(), size: 1 };
    assert_eq!(bucket.list("roster/").unwrap(), [listed("roster/1"), listed("roster/2")]);
    assert!(matches!(bucket.list("loop"), Err(Error::Answer { .. })));
}

/// A limit on the size of files stands for a full disk; it is that of a child, this test once more.
#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    if let Ok(folder) = std::env::var("PREFAB_TEST_FOLDER") {
        let target = std::path::Path::new(&folder).join("program");
        let program = "x".repeat(2_000_000);
        let sha256 = digest(program.as_bytes());
        let server = Server::start(move |_| ok(&program));
        let node = node(&server);
        let error =
            Bucket::new(&node.signed, "a-bucket").download("k", &sha256, 3_000_000, &target, 0o755).unwrap_err();
        assert!(matches!(error, Error::File { .. }) && server.received().len() == 1, "{error:?}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("program"), "old").unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" --exact objects::a_full_disk_leaves_the_file_as_it_was"])
        .arg(std::env::current_exe().unwrap())
        .env("PREFAB_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["program"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("program")).unwrap(), "old");
}
