//! A name server on loopback, UDP and TCP on one port, that answers as a test scripts.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simple_dns::rdata::{A, AAAA, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

/// A question as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    pub name: String,
    pub aaaa: bool,
    pub tcp: bool,
    pub bytes: Vec<u8>,
}

impl Asked {
    /// An answer to this question with records in zone-file order: `("a.test", Record)`.
    pub fn answer(&self, records: &[(&str, Record)]) -> Vec<u8> {
        self.packet(records, RCODE::NoError, PacketFlag::empty())
    }

    pub fn fail(&self, rcode: RCODE) -> Vec<u8> {
        self.packet(&[], rcode, PacketFlag::empty())
    }

    pub fn truncated(&self) -> Vec<u8> {
        let mut bytes = self.packet(&[], RCODE::NoError, PacketFlag::TRUNCATION);
        // It promises a record and ends within it.
        bytes[7] = 1;
        bytes.extend([0xc0, 0x0c, 0]);
        bytes
    }

    fn packet(&self, records: &[(&str, Record)], rcode: RCODE, flags: PacketFlag) -> Vec<u8> {
        let mut packet = Packet::parse(&self.bytes).unwrap().into_reply();
        packet.set_flags(flags | PacketFlag::RECURSION_AVAILABLE);
        *packet.rcode_mut() = rcode;
        for (name, record) in records {
            let data = match record {
                Record::Address(IpAddr::V4(address)) => RData::A(A { address: (*address).into() }),
                Record::Address(IpAddr::V6(address)) => RData::AAAA(AAAA { address: (*address).into() }),
                Record::Alias(target) => RData::CNAME(CNAME(Name::new(target).unwrap().into_owned())),
            };
            packet.answers.push(ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 60, data));
        }
        packet.build_bytes_vec_compressed().unwrap()
    }
}

#[derive(Debug, Clone)]
pub enum Record {
    Address(IpAddr),
    Alias(String),
}

pub fn address(text: &str) -> Record {
    Record::Address(text.parse().unwrap())
}

pub fn alias(text: &str) -> Record {
    Record::Alias(text.to_owned())
}

/// The server at 127.0.0.1; its threads end with the process.
pub struct NameServer {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Script = dyn Fn(&Asked) -> Vec<(Duration, Vec<u8>)> + Send + Sync;

impl NameServer {
    /// `script` gives the answers to a question, in order, each after its delay.
    pub fn start(script: impl Fn(&Asked) -> Vec<(Duration, Vec<u8>)> + Send + Sync + 'static) -> Self {
        let sockets = bind(&["127.0.0.1"]).remove(0);
        Self::on(sockets, script)
    }

    /// Answers at once.
    pub fn prompt(script: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |asked| vec![(Duration::ZERO, script(asked))])
    }

    /// A prompt one at 127.0.0.1 on port 53, which only a namespace of one's own has free.
    pub fn well_known(script: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let at = ("127.0.0.1", 53);
        let sockets = (UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap());
        Self::on(sockets, move |asked| vec![(Duration::ZERO, script(asked))])
    }

    /// Two prompt ones on one port, at 127.0.0.1 and 127.0.0.2.
    pub fn pair(
        first: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static,
        second: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static,
    ) -> (Self, Self) {
        let mut sockets = bind(&["127.0.0.1", "127.0.0.2"]);
        let other = sockets.remove(1);
        let now = Duration::ZERO;
        let first = Self::on(sockets.remove(0), move |asked| vec![(now, first(asked))]);
        (first, Self::on(other, move |asked| vec![(now, second(asked))]))
    }

    fn on(
        (udp, tcp): (UdpSocket, TcpListener),
        script: impl Fn(&Asked) -> Vec<(Duration, Vec<u8>)> + Send + Sync + 'static,
    ) -> Self {
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let (log, of_udp) = (Arc::clone(&asked), Arc::clone(&script));
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
                for (delay, answer) in respond(&buffer[..length], false, &log, of_udp.as_ref()) {
                    std::thread::sleep(delay);
                    udp.send_to(&answer, peer).unwrap();
                }
            }
        });
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let mut prefix = [0; 2];
                stream.read_exact(&mut prefix).unwrap();
                let mut question = vec![0; usize::from(u16::from_be_bytes(prefix))];
                stream.read_exact(&mut question).unwrap();
                for (delay, answer) in respond(&question, true, &log, script.as_ref()) {
                    std::thread::sleep(delay);
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    // In two pieces: a reader must not expect the message whole.
                    let (first, second) = answer.split_at(answer.len() / 2);
                    stream.write_all(&[&length, first].concat()).unwrap();
                    std::thread::sleep(Duration::from_millis(5));
                    let _hung_up = stream.write_all(second);
                }
            }
        });
        Self { port: address.port(), asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// UDP and TCP on one free port of each address: another test may hold one of them, so several ports are tried.
fn bind(addresses: &[&str]) -> Vec<(UdpSocket, TcpListener)> {
    for _ in 0..100 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let sockets = addresses
            .iter()
            .map(|address| UdpSocket::bind((*address, port)).ok().zip(TcpListener::bind((*address, port)).ok()))
            .collect::<Option<Vec<_>>>();
        if let Some(sockets) = sockets {
            return sockets;
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn respond(bytes: &[u8], tcp: bool, log: &Mutex<Vec<Asked>>, script: &Script) -> Vec<(Duration, Vec<u8>)> {
    let packet = Packet::parse(bytes).unwrap();
    let question = packet.questions.first().unwrap();
    let asked = Asked {
        name: question.qname.to_string(),
        aaaa: question.qtype == QTYPE::TYPE(TYPE::AAAA),
        tcp,
        bytes: bytes.to_vec(),
    };
    log.lock().unwrap().push(asked.clone());
    script(&asked)
}
