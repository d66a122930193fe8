//! A loopback HTTP server that speaks to one client after another, each in a thread: enough for the SDK.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A request.
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// The service of the signature: `cloudformation`, `s3`, …
    pub fn service(&self) -> &str {
        let authorization = self.headers.get("authorization").map(String::as_str).unwrap_or_default();
        let scope = authorization.split("Credential=").nth(1).unwrap_or_default();
        scope.split('/').nth(3).unwrap_or_default()
    }

    /// The form of a Query request.
    pub fn form(&self) -> BTreeMap<String, String> {
        pairs(&String::from_utf8_lossy(&self.body))
    }
}

/// What a client gets.
pub enum Answer {
    Reply(Reply),
    /// The connection ends without a word.
    Cut,
    /// A whole header, half of a body, and the end.
    Half(Reply),
}

/// A reply.
#[derive(Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn xml(body: impl Into<String>) -> Self {
        Self { status: 200, content_type: "text/xml", headers: Vec::new(), body: body.into().into_bytes() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, content_type: "application/xml", ..Self::default() }
    }

    /// An error as the Query protocol writes it.
    pub fn refusal(code: &str, message: &str) -> Self {
        let status = if code == "Throttling" || code == "ValidationError" { 400 } else { 409 };
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{}</Message></Error><RequestId>1</RequestId></ErrorResponse>",
            escaped(message)
        );
        Self { status, ..Self::xml(body) }
    }
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Serves until the process ends. What it listens on.
pub fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || converse(stream, &*answer));
        }
    });
    address
}

fn converse(stream: TcpStream, answer: &dyn Fn(&Request) -> Answer) {
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader, &mut writer) {
        let head = request.method == "HEAD";
        let (reply, half) = match answer(&request) {
            Answer::Cut => return,
            Answer::Reply(reply) => (reply, false),
            Answer::Half(reply) => (reply, true),
        };
        let mut text = format!("HTTP/1.1 {} X\r\ncontent-type: {}\r\n", reply.status, reply.content_type);
        let length = if head { 0 } else { reply.body.len() };
        if !reply.headers.iter().any(|(name, _)| *name == "content-length") {
            text.push_str(&format!("content-length: {length}\r\n"));
        }
        for (name, value) in &reply.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let body = if head { &[][..] } else { &reply.body[..] };
        let body = if half { &body[..body.len() / 2] } else { body };
        // In one piece: a second one would wait for the first one's acknowledgement.
        let whole = [text.as_bytes(), body].concat();
        if writer.write_all(&whole).is_err() || half {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>, writer: &mut TcpStream) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    if headers.get("expect").is_some_and(|value| value == "100-continue") {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let body = match headers.get("content-length") {
        Some(length) => {
            let mut body = vec![0; length.parse().ok()?];
            reader.read_exact(&mut body).ok()?;
            body
        }
        None if headers.contains_key("transfer-encoding") => chunks(reader)?,
        None => Vec::new(),
    };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request { method, path: decoded(path), query: pairs(query), headers, body })
}

fn chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
        let mut chunk = vec![0; length];
        reader.read_exact(&mut chunk).ok()?;
        body.extend(chunk);
        line.clear();
        reader.read_line(&mut line).ok()?;
        if length == 0 {
            return Some(body);
        }
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
                at += 2;
            }
            b'+' => out.push(b' '),
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap()
}
