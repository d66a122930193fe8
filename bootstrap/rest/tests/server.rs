//! An HTTP server on a free loopback port that does what a test scripts, well or badly.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prefab_rest::url::Base;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// 1 for the first request to this server.
    pub number: usize,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What to do with a request.
pub enum Reply {
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Promise a length, send less, close.
    Cut {
        promised: usize,
        sent: Vec<u8>,
    },
    /// Send the head and a part, then nothing for so long.
    Stall(Duration),
    /// Reset the connection.
    Reset,
    /// Bytes without length, for ever.
    Endless,
    /// These bytes and close.
    Raw(Vec<u8>),
    /// One byte each 50 ms, for ever: never a stall, never an end.
    Drip,
}

pub fn ok(body: &str) -> Reply {
    status(200, body)
}

pub fn status(status: u16, body: &str) -> Reply {
    Reply::Answer(status, Vec::new(), body.as_bytes().to_vec())
}

pub fn with_header(status: u16, header: (&str, &str), body: &str) -> Reply {
    Reply::Answer(status, vec![(header.0.to_owned(), header.1.to_owned())], body.as_bytes().to_vec())
}

/// The server; its thread ends with the process.
pub struct Server {
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    pub fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&received), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                std::thread::spawn(move || connection(&stream, &log, script.as_ref()));
            }
        });
        Self { port, received }
    }

    pub fn base(&self) -> Base {
        Base::parse(&format!("http://127.0.0.1:{}", self.port)).unwrap()
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

fn connection(stream: &TcpStream, log: &Mutex<Vec<Received>>, script: &(dyn Fn(&Received) -> Reply + Send + Sync)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(mut request) = read_request(&mut reader) {
        {
            let mut log = log.lock().unwrap();
            request.number = log.len() + 1;
            log.push(request.clone());
        }
        // The client hangs up on bad replies: that is what is tested.
        if !matches!(reply(stream, script(&request)), Ok(true)) {
            return;
        }
    }
}

/// Reads one request; also used behind TLS.
pub fn read_request(reader: &mut impl BufRead) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { method, target, headers, body, number: 0 })
}

fn reply(mut stream: &TcpStream, reply: Reply) -> std::io::Result<bool> {
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    match reply {
        Reply::Answer(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let mut bytes =
                format!("HTTP/1.1 {status} Text\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend(body);
            stream.write_all(&bytes)?;
            return Ok(true);
        }
        Reply::Cut { promised, sent } => {
            stream.write_all(&[head(promised), sent].concat())?;
        }
        Reply::Stall(duration) => {
            stream.write_all(&[head(100), b"part".to_vec()].concat())?;
            std::thread::sleep(duration);
        }
        Reply::Reset => {
            // A linger of nothing makes the close a reset.
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[0; 65_536])?;
            }
        }
        Reply::Raw(bytes) => stream.write_all(&bytes)?,
        Reply::Drip => {
            stream.write_all(&head(1_000_000))?;
            loop {
                stream.write_all(b"x")?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    Ok(false)
}
