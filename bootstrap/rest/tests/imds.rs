//! The metadata service as it is: late tags, roles that come, tokens that end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prefab_rest::credentials::Provider;
use prefab_rest::error::Error;
use prefab_rest::imds::Imds;

use crate::folder::{Hasty, client};
use crate::server::{Received, Reply, Server, ok, status};

/// Answers as IMDSv2 does: nothing without a token.
fn v2(token: &'static str, script: impl Fn(&str, &Received) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        let path = request.target.strip_prefix("/latest/").unwrap_or_default();
        if path == "api/token" {
            let asked = request.method == "PUT" && request.header("x-aws-ec2-metadata-token-ttl-seconds").is_some();
            return if asked { ok(token) } else { status(400, "") };
        }
        match request.header("x-aws-ec2-metadata-token") {
            Some(given) if given == token => script(path, request),
            _ => status(401, ""),
        }
    })
}

fn imds(server: &Server) -> Imds {
    Imds::new(client(), server.base(), Arc::new(Hasty::default()))
}

fn count(server: &Server, end: &str) -> usize {
    server.received().iter().filter(|request| request.target.ends_with(end)).count()
}

#[test]
fn facts_come_with_one_token_and_v1_is_never_used() {
    let server = v2("token-a", |path, _| match path {
        "meta-data/instance-id" => ok("i-0123456789abcdef0\n"),
        "meta-data/placement/region" => ok("us-east-1"),
        "meta-data/placement/availability-zone" => ok("us-east-1c"),
        "meta-data/placement/availability-zone-id" => ok("use1-az4"),
        "meta-data/instance-type" => ok("g6e.12xlarge"),
        "meta-data/local-ipv4" => ok("10.0.0.5"),
        "meta-data/mac" => ok("02:00:00:00:00:01"),
        "meta-data/tags/instance/prefab:node" => ok("Prefill0"),
        _ => status(404, ""),
    });
    let imds = imds(&server);
    assert_eq!(imds.instance_id().unwrap(), "i-0123456789abcdef0");
    assert_eq!(imds.region().unwrap(), "us-east-1");
    assert_eq!(imds.availability_zone().unwrap(), "us-east-1c");
    assert_eq!(imds.availability_zone_id().unwrap(), "use1-az4");
    assert_eq!(imds.instance_type().unwrap(), "g6e.12xlarge");
    assert_eq!(imds.local_ipv4().unwrap().to_string(), "10.0.0.5");
    assert_eq!(imds.mac().unwrap(), "02:00:00:00:00:01");
    assert_eq!(imds.tag("prefab:node").unwrap().as_deref(), Some("Prefill0"));
    assert_eq!(imds.tag("other").unwrap(), None);
    assert!(matches!(imds.tag("a/../b"), Err(Error::Input(_))));
    assert_eq!(count(&server, "api/token"), 1);
    let reads = server.received().into_iter().filter(|request| request.method == "GET");
    assert!(reads.into_iter().all(|request| request.header("x-aws-ec2-metadata-token") == Some("token-a")));
}

#[test]
fn a_token_that_ended_is_renewed_once() {
    let server = Server::start(|request| match (request.method.as_str(), request.number) {
        ("PUT", _) => ok(&format!("token-{}", request.number)),
        // The first token holds for one read.
        ("GET", number) if number > 2 && request.header("x-aws-ec2-metadata-token") == Some("token-1") => {
            status(401, "")
        }
        _ => ok("i-1"),
    });
    let imds = imds(&server);
    assert_eq!(imds.instance_id().unwrap(), "i-1");
    assert_eq!(imds.instance_id().unwrap(), "i-1");
    assert_eq!(count(&server, "api/token"), 2);
    let refusing = Server::start(|request| if request.method == "PUT" { ok("t") } else { status(401, "") });
    let error = self::imds(&refusing).instance_id().unwrap_err();
    assert!(matches!(error, Error::Refusal(ref refusal) if refusal.status == 401), "{error:?}");
    assert!(refusing.received().len() <= 4);
}

#[test]
fn a_dropped_token_request_ends_within_five_seconds_and_names_the_hop_limit() {
    let server = Server::start(|_| Reply::Stall(Duration::from_secs(20)));
    let begun = Instant::now();
    let error = imds(&server).instance_id().unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(error.to_string().contains("hop limit"), "{error}");
}

#[test]
fn faults_heal_and_a_page_is_no_fact() {
    let server = v2("t", |path, request| match path {
        "meta-data/instance-id" if request.number < 4 => status(503, ""),
        "meta-data/mac" => ok("<html>log in</html>"),
        "meta-data/instance-type" => ok("two\nlines"),
        "meta-data/local-ipv4" => ok("nonsense"),
        _ => ok("i-1"),
    });
    let imds = imds(&server);
    assert_eq!(imds.instance_id().unwrap(), "i-1");
    assert!(matches!(imds.mac(), Err(Error::Answer { .. })));
    assert!(matches!(imds.instance_type(), Err(Error::Answer { .. })));
    assert!(matches!(imds.local_ipv4(), Err(Error::Answer { .. })));
}

#[test]
fn a_tag_is_waited_for_and_its_absence_names_those_that_are_there() {
    let server = v2("t", |path, request| match path {
        "meta-data/tags/instance/prefab:node" if request.number > 4 => ok("Decode1"),
        "meta-data/tags/instance" => ok("Name\nowner"),
        _ => status(404, ""),
    });
    let imds = imds(&server);
    assert_eq!(imds.tag_when_present("prefab:node", Duration::from_secs(5)).unwrap(), "Decode1");
    let error = imds.tag_when_present("prefab:config", Duration::from_millis(60)).unwrap_err();
    assert!(error.to_string().contains("found the tags Name, owner where the instance tag prefab:config"), "{error}");
}

fn document(key: &str, expiration: &str) -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{key}","SecretAccessKey":"hidden-secret","Token":"hidden-token","Expiration":"{expiration}"}}"#
    )
}

#[test]
fn role_credentials_are_renewed_before_they_expire_and_kept_when_imds_fails() {
    let server = v2("t", |path, request| match path {
        "meta-data/iam/security-credentials/" => ok("a-role"),
        "meta-data/iam/security-credentials/a-role" if request.number <= 3 => {
            ok(&document("FIRST", "2026-01-01T06:00:00Z"))
        }
        "meta-data/iam/security-credentials/a-role" if request.number <= 5 => {
            ok(&document("SECOND", "2026-01-01T12:00:00Z"))
        }
        _ => status(404, ""),
    });
    let provider = Provider::role(Arc::new(imds(&server)));
    let at = |hour: i64, minute: i64| 1_767_225_600 + hour * 3600 + minute * 60;
    let key = |now| provider.credentials(now).unwrap().access_key_id.clone();
    assert_eq!(key(at(0, 0)), "FIRST");
    assert_eq!(key(at(5, 54)), "FIRST");
    assert_eq!(count(&server, "a-role"), 1);
    assert_eq!(key(at(5, 56)), "SECOND");
    assert!(!format!("{:?}", provider.credentials(at(6, 0)).unwrap()).contains("hidden"));
    assert_eq!(count(&server, "a-role"), 2);
    // Now there is no role any more: those that are held go on.
    assert_eq!(key(at(11, 58)), "SECOND");
    assert_eq!(key(at(13, 0)), "SECOND");
}

#[test]
fn no_role_a_refused_role_and_a_broken_document() {
    for (listed, body, expected) in [
        (None, "", "found no role"),
        (Some("r"), r#"{"Code":"AssumeRoleUnauthorizedAccess"}"#, "AssumeRoleUnauthorizedAccess"),
        (Some("r"), r#"{"Code":"Success","SecretAccessKey":"hidden-secret"}"#, "expected Success and keys"),
        (Some("r"), r#"{"SecretAccessKey":"hidden-secret""#, "as JSON"),
        (Some("r"), "<html>", "as JSON"),
    ] {
        let server = v2("t", move |path, _| match (path.ends_with('/'), listed) {
            (true, Some(role)) => ok(role),
            (false, Some(_)) => ok(body),
            _ => status(404, ""),
        });
        let error = imds(&server).role_credentials().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
    }
}
