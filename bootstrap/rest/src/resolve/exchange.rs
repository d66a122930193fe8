//! One question to one server: UDP, and TCP where the answer does not fit.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::message::{Question, Reading};

/// A random id. The kernel picks a random source port for each socket; both together make an answer hard to forge.
pub(super) fn random_id() -> u16 {
    let mut bytes = [0; 2];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(2) => u16::from_ne_bytes(bytes),
        // Two bytes come whole; without them the port alone protects.
        _ => u16::from_ne_bytes([0x5a, 0xa5]),
    }
}

/// Whom to ask, and how long.
pub(super) struct Exchange {
    pub(super) server: IpAddr,
    pub(super) port: u16,
    pub(super) within: Duration,
}

impl Exchange {
    /// The server's answer, or in words why there is none.
    pub(super) fn run(&self, question: &Question, aliases: usize, tcp_only: bool) -> Result<Reading, String> {
        let deadline = Instant::now() + self.within;
        let reading = if tcp_only { Ok(Reading::Truncated) } else { self.by_udp(question, aliases, deadline) };
        let reading = match reading {
            Ok(Reading::Truncated) => self.by_tcp(question, aliases, deadline),
            other => other,
        };
        match reading {
            Ok(Reading::Truncated | Reading::Foreign) => Err("an answer to another question".to_owned()),
            Ok(reading) => Ok(reading),
            Err(error) if is_timeout(&error) => Err(format!("no answer within {:.1} s", self.within.as_secs_f64())),
            Err(error) => Err(error.to_string()),
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.server, self.port)
    }

    fn by_udp(&self, question: &Question, aliases: usize, deadline: Instant) -> io::Result<Reading> {
        let any: IpAddr =
            if self.server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        // Connected: the kernel drops what comes from elsewhere, and reports a closed port.
        socket.connect(self.address())?;
        socket.send(question.bytes())?;
        let mut buffer = vec![0; 65_535];
        loop {
            socket.set_read_timeout(Some(left(deadline)?))?;
            let length = socket.recv(&mut buffer)?;
            match question.read(buffer.get(..length).unwrap_or_default(), aliases) {
                Reading::Foreign => {}
                reading => return Ok(reading),
            }
        }
    }

    fn by_tcp(&self, question: &Question, aliases: usize, deadline: Instant) -> io::Result<Reading> {
        let mut stream = TcpStream::connect_timeout(&self.address(), left(deadline)?)?;
        let length = u16::try_from(question.bytes().len()).map_err(io::Error::other)?;
        let mut message = length.to_be_bytes().to_vec();
        message.extend_from_slice(question.bytes());
        stream.set_write_timeout(Some(left(deadline)?))?;
        stream.write_all(&message)?;
        let mut prefix = [0; 2];
        read_exact(&mut stream, &mut prefix, deadline)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(prefix))];
        read_exact(&mut stream, &mut answer, deadline)?;
        Ok(question.read(&answer, aliases))
    }
}

/// As `Read::read_exact`, but the deadline holds for the whole and not for each byte.
fn read_exact(stream: &mut TcpStream, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => buffer = buffer.get_mut(length..).unwrap_or_default(),
        }
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
