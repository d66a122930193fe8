//! S3, the signal, parameters and secrets, against servers that check, fail and lie.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prefab_rest::clock::Clock;
use prefab_rest::cloudformation::{Signal, Signalled, Status, signal};
use prefab_rest::credentials::{Credentials, Provider};
use prefab_rest::date;
use prefab_rest::endpoints::{Endpoints, Service};
use prefab_rest::error::Error;
use prefab_rest::imds::Imds;
use prefab_rest::s3::{Bucket, Listed};
use prefab_rest::secret::Secret;
use prefab_rest::secrets;
use prefab_rest::sign::digest;
use prefab_rest::signed::Signed;

use crate::folder::{Hasty, QUICK, client};
use crate::server::{Received, Reply, Server, ok, status, with_header};

pub const NOW: i64 = 1_795_573_492;

pub fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKID".to_owned(),
        secret_access_key: Secret::new("hidden-secret"),
        session_token: Some(Secret::new("hidden-token")),
        expires_at: None,
    }
}

struct Node {
    signed: Signed,
    said: Arc<Mutex<Vec<String>>>,
}

fn node(server: &Server) -> Node {
    let services = [Service::S3, Service::CloudFormation, Service::Ssm, Service::SecretsManager];
    let endpoints = services.iter().fold(Endpoints::new("us-east-1", "amazonaws.com"), |endpoints, service| {
        endpoints.with(*service, server.base())
    });
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    let signed = Signed {
        http: client(),
        endpoints,
        provider: Provider::fixed(credentials()),
        clock: Clock::new(|| NOW),
        pace: Arc::new(Hasty::default()),
        policy: QUICK,
        say: Box::new(move |line| log.lock().unwrap().push(line.to_owned())),
    };
    Node { signed, said }
}

const ARN: &str = "arn:aws:cloudformation:us-east-1:1:stack/a/0f1e";

fn ready(node: &Node) -> Result<Signalled, Error> {
    let signal_ =
        Signal { stack_id: ARN, logical_id: "Prefill0", instance_id: "i-0123456789abcdef0", status: Status::Success };
    signal(&node.signed, signal_)
}

const ACCEPTED: &str = "<SignalResourceResponse xmlns=\"http://x/\"><ResponseMetadata/></SignalResourceResponse>";

fn validation(message: &str) -> Reply {
    status(
        400,
        &format!(
            "<ErrorResponse><Error><Code>ValidationError</Code><Message>{message}</Message></Error></ErrorResponse>"
        ),
    )
}

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
    let node = node(&server);
    let bucket = Bucket::new(&node.signed, "a-bucket");
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

#[test]
fn the_signal_names_stack_node_and_instance() {
    let server = Server::start(|_| ok(ACCEPTED));
    let node = node(&server);
    assert_eq!(ready(&node).unwrap(), Signalled::Accepted);
    let body = server.received()[0].text();
    assert_eq!(
        body,
        "Action=SignalResource&LogicalResourceId=Prefill0&StackName=arn%3Aaws%3Acloudformation%3Aus-east-1%3A1%3Astack%2Fa%2F0f1e&Status=SUCCESS&UniqueId=i-0123456789abcdef0&Version=2010-05-15"
    );
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_signal_whose_answer_was_lost_has_one_effect() {
    // The server takes the first signal and loses the answer in five ways.
    for lost in [
        (|| Reply::Reset) as fn() -> Reply,
        || Reply::Raw(Vec::new()),
        || Reply::Stall(Duration::from_secs(9)),
        || status(503, "busy"),
        || with_header(500, ("Content-Type", "text/html"), "<html>"),
    ] {
        for (again, expected) in [
            (
                "Signal with ID i-0 for resource Prefill0 already exists. Signals may only be updated with a FAILURE status.",
                Signalled::AlreadySignalled,
            ),
            (
                "Resource Prefill0 is in CREATE_COMPLETE state and cannot be signaled",
                Signalled::NotWaiting(
                    "Resource Prefill0 is in CREATE_COMPLETE state and cannot be signaled".to_owned(),
                ),
            ),
        ] {
            let effects = Arc::new(Mutex::new(0));
            let counted = Arc::clone(&effects);
            let server = Server::start(move |_| {
                let mut effects = counted.lock().unwrap();
                if *effects > 0 {
                    return validation(again);
                }
                *effects += 1;
                lost()
            });
            let mut node = node(&server);
            node.signed.policy.budget = Duration::from_secs(2);
            assert_eq!(ready(&node).unwrap(), expected);
            assert_eq!((*effects.lock().unwrap(), server.received().len()), (1, 2));
        }
    }
}

#[test]
fn a_signal_is_not_taken_for_sent_where_it_was_not() {
    for reply in [
        (|| ok("<html>log in</html>")) as fn() -> Reply,
        || ok(""),
        || ok("<OtherResponse/>"),
        || validation("Stack a does not exist"),
        || status(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
        || Reply::Reset,
    ] {
        let server = Server::start(move |_| reply());
        assert!(ready(&node(&server)).is_err());
    }
}

#[test]
fn throttling_is_waited_out_and_said() {
    let server = Server::start(|request| match request.number {
        1 => status(
            400,
            "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
        ),
        2 => status(429, ""),
        3 => status(503, "<Error><Code>SlowDown</Code></Error>"),
        _ => ok(ACCEPTED),
    });
    let node = node(&server);
    assert_eq!(ready(&node).unwrap(), Signalled::Accepted);
    let said = node.said.lock().unwrap().clone();
    assert_eq!(said.len(), 3);
    assert!(said[0].contains("400 Throttling: Rate exceeded; next attempt in 0.0 s"), "{said:?}");
}

#[test]
fn permissions_that_are_late_are_waited_for_only_where_the_policy_says() {
    let server = || {
        Server::start(|request| {
            if request.number < 3 { status(403, "<Error><Code>AccessDenied</Code></Error>") } else { ok(ACCEPTED) }
        })
    };
    assert!(ready(&node(&server())).is_err());
    let late = server();
    let mut node = node(&late);
    node.signed.policy.denied = Duration::from_secs(1);
    assert_eq!(ready(&node).unwrap(), Signalled::Accepted);
}

fn http_date(at: i64) -> String {
    // Only the fields that are read need to be right; the weekday is not.
    let iso = date::iso(at);
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        [iso[5..7].parse::<usize>().unwrap() - 1];
    format!("Mon, {} {month} {} {} GMT", &iso[8..10], &iso[..4], &iso[11..19])
}

#[test]
fn a_clock_twenty_minutes_off_is_corrected_and_said_once() {
    for ahead in [1200, -1200] {
        for code in ["RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"] {
            let server = Server::start(move |request| {
                let stamp = request.header("x-amz-date").unwrap();
                if stamp == date::amz(NOW + ahead) {
                    return ok("{}");
                }
                with_header(403, ("Date", &http_date(NOW + ahead)), &format!("<Error><Code>{code}</Code></Error>"))
            });
            let node = node(&server);
            let bucket = Bucket::new(&node.signed, "a-bucket");
            bucket.get("a", 100).unwrap();
            bucket.get("b", 100).unwrap();
            assert_eq!(server.received().len(), 3);
            let said = node.said.lock().unwrap().clone();
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains("1200 s"));
        }
    }
}

#[test]
fn expired_credentials_are_fetched_anew_once() {
    let metadata = Server::start(|request| match request.target.as_str() {
        "/latest/api/token" => ok("t"),
        "/latest/meta-data/iam/security-credentials/" => ok("r"),
        _ => ok(&format!(
            r#"{{"Code":"Success","AccessKeyId":"KEY{}","SecretAccessKey":"hidden-secret","Token":"hidden-token","Expiration":"2999-01-01T00:00:00Z"}}"#,
            request.number
        )),
    });
    let server = Server::start(|request| {
        if request.header("authorization").unwrap().contains("=KEY3/") {
            status(400, "<Error><Code>ExpiredToken</Code><Message>hidden-token is over</Message></Error>")
        } else {
            ok("fresh")
        }
    });
    let mut node = node(&server);
    let imds = Imds::new(client(), metadata.base(), Arc::new(Hasty::default()));
    node.signed.provider = Provider::role(Arc::new(imds));
    assert_eq!(Bucket::new(&node.signed, "a-bucket").get("a", 100).unwrap(), b"fresh");
    assert_eq!(server.received().len(), 2);
}

#[test]
fn no_error_quotes_a_secret() {
    let echo = |request: &Received| {
        let quoted = format!("{:?}", request.headers);
        status(
            403,
            &format!("<Error><Code>SignatureDoesNotMatch</Code><Message>hidden-token {quoted}</Message></Error>"),
        )
    };
    let server = Server::start(echo);
    let node = node(&server);
    let error = Bucket::new(&node.signed, "a-bucket").get("a", 100).unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", node.signed).contains("hidden"), "{error:?}");
    assert!(error.to_string().contains("***"));
}

#[test]
fn parameters_and_secrets_by_arn() {
    let server = Server::start(|request| match request.header("x-amz-target") {
        Some("AmazonSSM.GetParameter") => {
            assert_eq!(request.text(), r#"{"Name":"arn:aws:ssm:us-east-1:1:parameter/a","WithDecryption":true}"#);
            ok(r#"{"Parameter":{"Name":"a","Type":"SecureString","Value":"hidden-value"}}"#)
        }
        Some("secretsmanager.GetSecretValue") if request.text().contains("secret:binary") => {
            ok(r#"{"SecretBinary":"aGk="}"#)
        }
        Some("secretsmanager.GetSecretValue") if request.text().contains("secret:broken") => {
            ok(r#"{"SecretString":"hidden-value""#)
        }
        Some("secretsmanager.GetSecretValue") => ok(r#"{"SecretString":"hidden-other"}"#),
        _ => status(400, r#"{"__type":"UnknownOperationException"}"#),
    });
    let node = node(&server);
    let value = secrets::by_arn(&node.signed, "arn:aws:ssm:us-east-1:1:parameter/a").unwrap();
    assert_eq!((value.reveal(), format!("{value:?}").as_str()), ("hidden-value", "***"));
    let value = secrets::by_arn(&node.signed, "arn:aws:secretsmanager:eu-west-1:1:secret:a").unwrap();
    assert_eq!(value.reveal(), "hidden-other");
    assert!(server.received()[1].header("authorization").unwrap().contains("/eu-west-1/secretsmanager/"));
    for (arn, expected) in [("binary", "binary data"), ("broken", "something else")] {
        let error =
            secrets::by_arn(&node.signed, &format!("arn:aws:secretsmanager:us-east-1:1:secret:{arn}")).unwrap_err();
        assert!(error.to_string().contains(expected) && !format!("{error:?}").contains("hidden"), "{error:?}");
    }
}
