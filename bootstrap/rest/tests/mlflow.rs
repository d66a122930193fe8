//! MLflow's client against servers that answer in every way that servers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prefab_rest::error::Error;
use prefab_rest::mlflow::address::{Address, ENDPOINT_VARIABLE};
use prefab_rest::mlflow::client::Client;
use prefab_rest::mlflow::limits::{Batch, Metric};
use prefab_rest::mlflow::runs::RunInfo;
use prefab_rest::retry::System;
use prefab_rest::secret::Secret;

use crate::node::{node, patient};
use crate::server::{Received, Reply, Server, ok, status, with_header};

const ARN: &str = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/a";

fn client(server: &Server, budget: Duration) -> Client {
    Client::new(Address::parse(&server.base().to_string(), |_| None).unwrap(), patient(server).signed, budget)
}

fn by_arn(server: &Server) -> Client {
    let base = server.base().to_string();
    let address = Address::parse(ARN, |name| (name == ENDPOINT_VARIABLE).then(|| base.clone())).unwrap();
    Client::new(address, node(server).signed, Duration::from_secs(10))
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn searches_and_histories_are_read_to_their_end_and_circles_end_too() {
    let server = Server::start(|request| {
        let body = request.text();
        let run = |id: &str| format!(r#"{{"info":{{"run_id":"{id}","artifact_uri":"s3://b/m"}}}}"#);
        match request.target.split('?').next().unwrap() {
            "/api/2.0/mlflow/runs/search" if body.contains("circle") => {
                ok(&format!(r#"{{"runs":[{}],"next_page_token":"again"}}"#, run("r")))
            }
            "/api/2.0/mlflow/runs/search" if body.contains("\"page_token\":\"2\"") => {
                ok(&format!(r#"{{"runs":[{}]}}"#, run("b")))
            }
            "/api/2.0/mlflow/runs/search" => ok(&format!(r#"{{"runs":[{}],"next_page_token":"2"}}"#, run("a"))),
            _ if request.target.contains("metric_key=circle") => {
                ok(r#"{"metrics":[{"key":"m","value":1,"timestamp":1}],"next_page_token":"again"}"#)
            }
            _ if request.target.contains("page_token=2") => {
                ok(r#"{"metrics":[{"key":"m","value":"NaN","timestamp":"2","step":"1"}]}"#)
            }
            _ => ok(r#"{"metrics":[{"key":"m","value":1,"timestamp":1}],"next_page_token":"2"}"#),
        }
    });
    let client = client(&server, MINUTE);
    let ids =
        |filter| client.search_runs("1", filter).unwrap().into_iter().map(|run| run.info.run_id).collect::<Vec<_>>();
    assert_eq!(ids("tags.`a` = 'b'"), ["a", "b"]);
    assert_eq!(ids("circle"), ["r", "r"]);
    let points = client.history("r", "m +ü").unwrap();
    assert_eq!((points.len(), points[1].step, points[1].value.is_nan()), (2, 1, true));
    assert_eq!(client.history("r", "circle").unwrap().len(), 2);
    // Without a number some servers answer with nothing, for ever.
    let asked: Vec<Received> = server.received().into_iter().filter(|request| request.method == "GET").collect();
    assert!(asked.len() == 4 && asked.iter().all(|request| request.target.contains("max_results=")), "{asked:?}");
    assert!(asked[0].target.contains("metric_key=m%20%2B%C3%BC"), "{}", asked[0].target);
}

#[test]
fn an_experiment_that_another_one_makes_first_is_that_ones() {
    let server = Server::start(|request| match (request.target.contains("get-by-name"), request.number) {
        (true, 1) => status(404, r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no"}"#),
        (true, _) => ok(r#"{"experiment":{"experiment_id":"7","lifecycle_stage":"active"}}"#),
        _ => status(400, r#"{"error_code":"RESOURCE_ALREADY_EXISTS","message":"(sqlite3.IntegrityError) …"}"#),
    });
    assert_eq!(client(&server, MINUTE).experiment("e").unwrap(), "7");
    assert_eq!(server.received().len(), 3);
}

#[test]
fn an_experiment_that_was_deleted_or_a_page_instead_of_one_is_an_error_that_says_so() {
    let server = Server::start(|request| {
        if request.target.contains("gone") {
            ok(r#"{"experiment":{"experiment_id":"7","lifecycle_stage":"deleted"}}"#)
        } else {
            status(404, "<!doctype html><title>404 Not Found</title>")
        }
    });
    let client = client(&server, MINUTE);
    assert!(client.experiment("gone").unwrap_err().to_string().contains("restore it, or choose another name"));
    let error = client.experiment("page").unwrap_err().to_string();
    assert!(error.contains("answered 404: an HTML page, \"404 Not Found\""), "{error}");
}

/// What makes something twice is sent once; what says the same twice is sent until it is heard.
#[test]
fn only_what_may_be_repeated_is_repeated() {
    let server = Server::start(|request| match request.target.as_str() {
        "/api/2.0/mlflow/runs/create" => status(503, ""),
        _ if request.number < 4 => with_header(429, ("Retry-After", "1"), "{}"),
        _ => ok("{}"),
    });
    let client = client(&server, MINUTE);
    assert!(client.create_run("1", "n", 1, &[]).unwrap_err().is_transient());
    assert_eq!(server.received().len(), 1);
    let metric = Metric { key: "m".to_owned(), value: 1.5, timestamp: 1, step: 0 };
    client.log_batch("r", &Batch { metrics: vec![metric], ..Batch::default() }).unwrap();
    let received = server.received();
    assert_eq!(received.len(), 4);
    assert!(received[1..].iter().all(|request| request.text() == received[1].text()));
}

/// K137: however a server fails, the budget is the end.
#[test]
fn k137_the_budget_is_the_end_whatever_the_server_does() {
    for reply in [
        || status(503, ""),
        || with_header(429, ("Retry-After", "3600"), ""),
        || Reply::Drip,
        || ok("<html>Please log in</html>"),
    ] {
        let server = Server::start(move |_| reply());
        let address = Address::parse(&server.base().to_string(), |_| None).unwrap();
        let mut signed = node(&server).signed;
        signed.pace = Arc::new(System::default());
        let client = Client::new(address, signed, Duration::from_secs(1));
        let begun = Instant::now();
        assert!(client.run("r").is_err());
        // The client's own bound of an exchange, and a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        let error = client.run("r").unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(9) && !error.to_string().is_empty());
    }
}

/// Neither a signature nor a token goes to where an answer points.
#[test]
fn redirects_lead_nowhere() {
    let elsewhere = Server::start(|_| ok("{}"));
    let target = format!("{}/x?X-Amz-Signature=canary", elsewhere.base());
    let server = Server::start(move |_| with_header(302, ("Location", &target), ""));
    for client in [by_arn(&server), client(&server, MINUTE).token(Some(Secret::new("canary-token")))] {
        let error = client.run("r").unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }) && !format!("{error} {error:?}").contains("canary"), "{error}");
    }
    assert!(elsewhere.received().is_empty());
}

/// A link that lets in whoever holds it is in no text of an error, wherever it fails.
#[test]
fn a_refused_link_stays_a_secret() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let server = Server::start(move |request| {
        let host = request.header("host").unwrap();
        if request.target.starts_with("/a-bucket/") || request.target.starts_with("/link") {
            seen.fetch_add(1, Ordering::Relaxed);
            return status(403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");
        }
        ok(&format!(r#"{{"presigned_url":"http://{host}/link/x?X-Amz-Signature=canary","headers":{{}}}}"#))
    });
    let uri = "s3://a-bucket/mlflow/1/r/artifacts".to_owned();
    let run = RunInfo { run_id: "r".to_owned(), status: String::new(), artifact_uri: uri };
    let error = by_arn(&server).put_artifact(&run, "report.json", "application/json", b"{}").unwrap_err();
    assert!(error.is_denied() && !format!("{error} {error:?}").contains("canary"), "{error:?}");
    // The bucket, then the link.
    assert_eq!(count.load(Ordering::Relaxed), 2);
    let put = server.received().into_iter().find(|request| request.target.starts_with("/link")).unwrap();
    assert!(put.header("authorization").is_none() && put.text() == "{}");
}
