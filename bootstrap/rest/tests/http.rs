//! The client against a server that misbehaves.

use std::time::{Duration, Instant};

use prefab_rest::error::Error;
use prefab_rest::request::{Method, Request};
use prefab_rest::url::Base;

use crate::folder::client;
use crate::server::{Reply, Server, ok, status, with_header};

fn get(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Result<String, Error>, Duration) {
    let server = Server::start(move |_| reply());
    let begun = Instant::now();
    let response = client().send(&Request::new(Method::Get, &server.base(), "/x"), 1000);
    (response.map(|response| String::from_utf8(response.body).unwrap()), begun.elapsed())
}

#[test]
fn verbs_headers_and_bodies_arrive_as_they_were_given() {
    let server = Server::start(|request| ok(&format!("{} {} {}", request.method, request.target, request.text())));
    for (method, body, expected) in [
        (Method::Get, "", "GET /p/a%20b%2Bc?q=x%20y%2Bz&e= "),
        (Method::Put, "", "PUT /p/a%20b%2Bc?q=x%20y%2Bz&e= "),
        (Method::Post, "in", "POST /p/a%20b%2Bc?q=x%20y%2Bz&e= in"),
        (Method::Patch, "in", "PATCH /p/a%20b%2Bc?q=x%20y%2Bz&e= in"),
        (Method::Delete, "", "DELETE /p/a%20b%2Bc?q=x%20y%2Bz&e= "),
    ] {
        let base = Base::parse(&format!("http://127.0.0.1:{}/p/", server.port)).unwrap();
        let mut request = Request::new(method, &base, "/a b+c").query("q", "x y+z").query("e", "").header("X-A", "b");
        request.body = body.as_bytes().to_vec();
        let response = client().send(&request, 1000).unwrap();
        assert_eq!(String::from_utf8(response.body).unwrap(), expected);
        let received = server.received().pop().unwrap();
        assert_eq!(received.header("x-a"), Some("b"));
        assert_eq!(received.header("host"), Some(format!("127.0.0.1:{}", server.port).as_str()));
        let names: Vec<&str> = received.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.iter().all(|name| ["host", "x-a", "user-agent", "content-length"].contains(name)), "{names:?}");
        assert_eq!(received.header("content-length").is_some(), !matches!(method, Method::Get | Method::Delete));
    }
}

/// The variables are those of a child, this test once more: other tests must not see them.
#[test]
fn an_environment_proxy_is_ignored() {
    if let Ok(server) = std::env::var("PREFAB_TEST_SERVER") {
        let base = Base::parse(&server).unwrap();
        assert_eq!(client().send(&Request::new(Method::Get, &base, "/"), 1000).unwrap().body, b"direct");
        return;
    }
    let proxy = Server::start(|_| ok("proxy"));
    let server = Server::start(|_| ok("direct"));
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "http::an_environment_proxy_is_ignored"])
        .env("PREFAB_TEST_SERVER", server.base().to_string())
        .envs(["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"].map(|name| (name, proxy.base().to_string())))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!((proxy.received().len(), server.received().len()), (0, 1));
}

#[test]
fn a_stall_ends_by_its_bound_and_a_drip_by_the_total() {
    let (result, took) = get(|| Reply::Stall(Duration::from_secs(20)));
    assert!(matches!(result, Err(Error::Timeout { phase: "reading (nothing came)", .. })), "{result:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let server = Server::start(|_| Reply::Drip);
    let request = Request::new(Method::Get, &server.base(), "/").within(Duration::from_millis(700));
    let begun = Instant::now();
    let error = client().send(&request, 2_000_000).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn resets_cuts_and_garbage_are_broken_exchanges() {
    for reply in [
        (|| Reply::Reset) as fn() -> Reply,
        || Reply::Cut { promised: 100, sent: b"half".to_vec() },
        || Reply::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()),
        || Reply::Raw(Vec::new()),
        || Reply::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()),
    ] {
        let (result, took) = get(reply);
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error:?}");
        assert!(error.is_transient() && error.is_unanswered());
        assert!(took < Duration::from_secs(2));
    }
}

#[test]
fn a_body_beyond_the_cap_is_not_read() {
    for reply in [(|| Reply::Endless) as fn() -> Reply, || ok(&"x".repeat(1001))] {
        let (result, took) = get(reply);
        assert!(matches!(result, Err(Error::TooLarge { cap: 1000, .. })), "{result:?}");
        assert!(took < Duration::from_secs(1));
    }
    assert_eq!(get(|| ok(&"x".repeat(1000))).0.unwrap().len(), 1000);
}

#[test]
fn no_redirect_is_followed() {
    let elsewhere = Server::start(|_| ok("stolen"));
    let target = elsewhere.base().to_string();
    for code in [301, 302, 303, 307, 308] {
        for method in [Method::Get, Method::Post] {
            let target = target.clone();
            let server = Server::start(move |_| with_header(code, ("Location", &target), ""));
            let request = Request::new(method, &server.base(), "/").header("authorization", "secret");
            let error = client().send(&request, 1000).unwrap_err();
            assert!(matches!(error, Error::Redirect { status, .. } if status == code), "{error:?}");
            assert!(error.to_string().contains(&elsewhere.port.to_string()));
        }
    }
    assert!(elsewhere.received().is_empty());
    let (result, _) = get(|| with_header(301, ("x-amz-bucket-region", "eu-west-1"), ""));
    assert!(result.unwrap_err().to_string().contains("points to \"region eu-west-1\""));
}

#[test]
fn refusals_carry_code_message_and_wait() {
    let server = Server::start(|_| {
        with_header(
            503,
            ("Retry-After", "3"),
            "<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>",
        )
    });
    let error = client().send(&Request::new(Method::Get, &server.base(), "/"), 10).unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(error.to_string(), format!("127.0.0.1:{}: answered 503 SlowDown: Reduce your rate.", server.port));
    let (result, _) = get(|| status(502, "<html><title>Bad Gateway</title>"));
    assert!(result.unwrap_err().to_string().contains("answered 502: an HTML page, \"Bad Gateway\""));
}

#[test]
fn nobody_listening_is_refused_and_said() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = Base::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    let error = client().send(&Request::new(Method::Get, &base, "/"), 10).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(error.is_transient() && !error.is_unanswered());
}

#[test]
fn what_cannot_be_written_is_an_error_before_it_is_sent() {
    let server = Server::start(|_| ok(""));
    let request = Request::new(Method::Get, &server.base(), "/").header("x", "a\r\nb: c");
    assert!(matches!(client().send(&request, 10), Err(Error::Input(_))));
    assert!(server.received().is_empty());
}
