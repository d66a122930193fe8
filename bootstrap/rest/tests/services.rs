//! What all signed calls share, and parameters and secrets.

use std::sync::Arc;

use prefab_rest::credentials::Provider;
use prefab_rest::date;
use prefab_rest::imds::Imds;
use prefab_rest::s3::Bucket;
use prefab_rest::secrets;
use prefab_rest::signed::Signed;

use crate::folder::{Hasty, client};
use crate::node::{NOW, node};
use crate::server::{Received, Server, ok, status, with_header};
use crate::signal::{ACCEPTED, ready};
use crate::signatures::{by_botocore, line, signature};

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

#[test]
fn botocore_accepts_what_each_service_is_sent() {
    let server = Server::start(|request| match (request.method.as_str(), request.header("x-amz-target")) {
        ("POST", Some("AmazonSSM.GetParameter")) => ok(r#"{"Parameter":{"Value":"v"}}"#),
        ("POST", Some(_)) => ok(r#"{"SecretString":"v"}"#),
        ("POST", None) => ok(ACCEPTED),
        _ if request.target.contains("continuation-token") => ok("<ListBucketResult/>"),
        _ if request.target.contains("list-type") => ok(
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>1+a/b==</NextContinuationToken></ListBucketResult>",
        ),
        _ => ok(""),
    });
    let node = node(&server);
    let bucket = Bucket::new(&node.signed, "a-bucket");
    bucket.get("boot/0f1e/Prefill 0+ü~.json", 10).unwrap();
    bucket.put("results/empty", "application/json", b"").unwrap();
    bucket.put("results/é+ &", "application/json", "{\"ü\": 1}".as_bytes()).unwrap();
    bucket.list("roster/0f1e/a b+").unwrap();
    ready(&node).unwrap();
    secrets::by_arn(&node.signed, "arn:aws:ssm:us-east-1:1:parameter/ü").unwrap();
    secrets::by_arn(&node.signed, "arn:aws:secretsmanager:eu-west-1:1:secret:a").unwrap();
    let received = server.received();
    let lines: Vec<String> = received
        .iter()
        .map(|request| {
            let authorization = request.header("authorization").unwrap();
            let scope: Vec<&str> = authorization.split('/').collect();
            let url = format!("http://{}{}", request.header("host").unwrap(), request.target);
            line(&request.method, &url, &request.headers, &request.body, (scope[3], scope[2]))
        })
        .collect();
    let ours: Vec<String> = received.iter().map(|request| signature(&request.headers)).collect();
    assert_eq!((ours.len(), by_botocore(&lines)), (8, ours));
}

/// Tasks and checks run in threads beside each other.
const _: fn(&Signed) = |signed| {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(signed);
};
