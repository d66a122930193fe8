//! Trust: the right certificate, and every wrong one.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prefab_rest::error::Error;
use prefab_rest::http::Client;
use prefab_rest::request::{Method, Request};
use prefab_rest::tls::BUNDLES;
use prefab_rest::url::Base;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::certificates::{Authority, Served};
use crate::folder;
use crate::server::read_request;

const VALID: (i32, i32) = (2020, 2090);

/// An HTTPS server on a free port that says hello.
pub fn serve(served: Served) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(served.certificate)],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(served.key)),
        )
        .unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut reader = BufReader::new(rustls::StreamOwned::new(connection, stream));
            if read_request(&mut reader).is_some() {
                let _hung_up = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
                let _hung_up = reader.get_mut().flush();
            }
        }
    });
    port
}

fn get(bundle: Option<(&str, &str)>, port: u16) -> Result<String, Error> {
    let root = folder::root(&[("etc/hosts", "127.0.0.1 service.test\n")]);
    if let Some((path, pem)) = bundle {
        folder::write(root.path(), path, pem.as_bytes());
    }
    let base = Base::parse(&format!("https://service.test:{port}")).unwrap();
    let client = Client::new(root.path(), folder::BOUNDS);
    let body = client.send(&Request::new(Method::Get, &base, "/"), 100)?.body;
    Ok(String::from_utf8(body).unwrap())
}

fn why(result: Result<String, Error>) -> String {
    match result {
        Err(Error::Tls { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_distribution_s_bundle_is_found_and_damage_in_it_skipped() {
    let authority = Authority::new();
    let port = serve(authority.sign("service.test", VALID));
    for path in BUNDLES {
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n# comment\n";
        let pem = format!("{damaged}{}{}", Authority::new().pem(), authority.pem());
        assert_eq!(get(Some((path, &pem)), port).unwrap(), "hello", "{path}");
    }
}

#[test]
fn wrong_certificates_are_refused_with_their_cause() {
    let authority = Authority::new();
    let pem = authority.pem();
    let bundle = Some((BUNDLES[0], pem.as_str()));
    for (served, cause, hint) in [
        (Authority::new().sign("service.test", VALID), "UnknownIssuer", "proxy inspects TLS"),
        (authority.sign("service.test", (2020, 2021)), "expired", "compare this machine's clock first"),
        (authority.sign("service.test", (2080, 2090)), "not valid yet", "compare this machine's clock first"),
        (authority.sign("other.test", VALID), "other.test", "someone else answers"),
    ] {
        let why = why(get(bundle, serve(served)));
        assert!(why.contains(cause) && why.contains(hint), "{why}");
    }
}

#[test]
fn no_bundle_is_named_before_anything_is_sent() {
    let port = serve(Authority::new().sign("service.test", VALID));
    for bundle in [None, Some((BUNDLES[0], "no certificate"))] {
        let why = why(get(bundle, port));
        assert!(why.contains("install the package ca-certificates"), "{why}");
    }
}

#[test]
fn a_port_without_tls_and_one_that_is_silent() {
    let pem = Authority::new().pem();
    let bundle = Some((BUNDLES[0], pem.as_str()));
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let error = get(bundle, port).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let error = get(bundle, silent.local_addr().unwrap().port()).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}
