//! What a channel makes of bytes.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;
use crate::watch::Watch;

fn pair() -> (TcpStream, Control) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (stream, Control::new(listener.accept().unwrap().0, &Watch::asleep()).unwrap())
}

fn framed(text: &str) -> Vec<u8> {
    [u32::try_from(text.len()).unwrap().to_le_bytes().as_slice(), text.as_bytes()].concat()
}

fn received(bytes: &[u8]) -> anyhow::Result<Message> {
    let (mut stream, mut control) = pair();
    stream.write_all(bytes).unwrap();
    drop(stream);
    control.receive()
}

#[test]
fn oversized_torn_and_foreign_documents_are_errors() {
    assert_eq!(received(&framed(r#"{"message":"finish"}"#)).unwrap(), Message::Finish {});
    for (bytes, part) in [
        (u32::MAX.to_le_bytes().to_vec(), "expected at most"),
        (framed(r#"{"message":"finish"}"#)[..9].to_vec(), "closed"),
        (framed(r#"{"message":"finish","now":1}"#), "reading a control message"),
        (framed("nonsense"), "reading a control message"),
        (Vec::new(), "closed"),
    ] {
        let error = received(&bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_steers_the_flow_is_heard_while_nobody_receives() {
    let (mut stream, control) = pair();
    assert!(!control.flow().is_over(7).unwrap());
    stream.write_all(&framed(r#"{"message":"ends-after","handles":7}"#)).unwrap();
    while !control.flow().is_over(7).unwrap() {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(stream);
    // A peer that has gone breaks the flow off.
    while control.flow().check().is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_peers_last_words_are_found_behind_earlier_answers() {
    let (mut stream, mut control) = pair();
    stream.write_all(&framed(r#"{"message":"prepared"}"#)).unwrap();
    stream.write_all(&framed(r#"{"message":"failed","stage":"check","cause":"c"}"#)).unwrap();
    let words = control.last_words(Duration::from_secs(20)).unwrap();
    assert_eq!(words.to_string(), "the peer failed in its stage check: c");
}
