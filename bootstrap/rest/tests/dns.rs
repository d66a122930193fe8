//! Names: hosts file, search list, servers that fail in every way.

use std::collections::BTreeSet;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use prefab_rest::resolve::{Failure, Resolver};
use simple_dns::RCODE;

use crate::dns_server::{Asked, NameServer, Record, address, alias};
use crate::folder;

const CONF: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

fn resolve_with(conf: &str, hosts: &str, port: u16, name: &str) -> (Result<Vec<String>, Failure>, Duration) {
    let root = folder::root(&[("etc/resolv.conf", conf), ("etc/hosts", hosts)]);
    let begun = Instant::now();
    let found = Resolver::new(root.path()).port(port).resolve(name, begun + Duration::from_secs(4));
    (found.map(|found| found.iter().map(IpAddr::to_string).collect()), begun.elapsed())
}

fn resolve(server: &NameServer, name: &str) -> Result<Vec<String>, Failure> {
    resolve_with(CONF, "", server.port, name).0
}

fn one(asked: &Asked) -> Vec<u8> {
    let name = asked.name.clone();
    if asked.aaaa { asked.answer(&[]) } else { asked.answer(&[(&name, address("10.1.2.3"))]) }
}

#[test]
fn literals_hosts_and_localhost_need_no_server() {
    let server = NameServer::prompt(one);
    for (name, expected) in [
        ("10.0.0.1", vec!["10.0.0.1"]),
        ("::1", vec!["::1"]),
        ("[::1]", vec!["::1"]),
        ("peer", vec!["10.9.8.7"]),
        ("PEER.Example.", vec!["10.9.8.7"]),
        ("localhost", vec!["127.0.0.1", "::1"]),
        ("a.localhost", vec!["127.0.0.1", "::1"]),
    ] {
        let (found, _) = resolve_with(CONF, "10.9.8.7 peer.example peer\n", server.port, name);
        assert_eq!(found.unwrap(), expected, "{name}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn several_addresses_then_aaaa_only_where_there_is_no_a() {
    let server = NameServer::prompt(|asked| match (asked.name.as_str(), asked.aaaa) {
        ("four.test", false) => asked.answer(&[("four.test", address("10.0.0.1")), ("FOUR.test", address("10.0.0.2"))]),
        ("six.test", true) => asked.answer(&[("six.test", address("fd00::1"))]),
        _ => asked.answer(&[]),
    });
    assert_eq!(resolve(&server, "four.test").unwrap(), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(server.asked().len(), 1);
    assert_eq!(resolve(&server, "six.test").unwrap(), ["fd00::1"]);
    assert!(matches!(resolve(&server, "none.test"), Err(Failure::NoAddress { .. })));
}

#[test]
fn aliases_are_followed_within_an_answer_and_beyond_it() {
    let server = NameServer::prompt(|asked| match asked.name.as_str() {
        "a.test" => {
            asked.answer(&[("b.test", alias("c.test")), ("c.test", address("10.0.0.9")), ("a.test", alias("b.test"))])
        }
        "far.test" => asked.answer(&[("far.test", alias("farther.test"))]),
        "farther.test" => asked.answer(&[("farther.test", address("10.0.0.8"))]),
        // Records of other names are no answer.
        "poison.test" => asked.answer(&[("bank.test", address("6.6.6.6"))]),
        _ => asked.fail(RCODE::NameError),
    });
    assert_eq!(resolve(&server, "a.test").unwrap(), ["10.0.0.9"]);
    assert_eq!(resolve(&server, "far.test").unwrap(), ["10.0.0.8"]);
    assert!(matches!(resolve(&server, "poison.test"), Err(Failure::NoAddress { .. })));
}

#[test]
fn a_circle_of_a_hundred_aliases_ends() {
    let next = |name: &str| {
        let number: usize = name.trim_start_matches('n').trim_end_matches(".test").parse().unwrap();
        format!("n{}.test", (number + 1) % 100)
    };
    // All in one answer, and one in each.
    let server = NameServer::prompt(move |asked| {
        let names: Vec<String> = (0..100).map(|number| format!("n{number}.test")).collect();
        let records: Vec<(&str, Record)> = names.iter().map(|name| (name.as_str(), alias(&next(name)))).collect();
        asked.answer(&records)
    });
    assert!(matches!(resolve(&server, "n0.test"), Err(Failure::Aliases { .. })));
    let server = NameServer::prompt(move |asked| asked.answer(&[(asked.name.as_str(), alias(&next(&asked.name)))]));
    assert!(matches!(resolve(&server, "n0.test"), Err(Failure::Aliases { .. })));
    assert!(server.asked().len() <= 17, "{}", server.asked().len());
}

#[test]
fn a_name_that_does_not_exist_is_final() {
    let server = NameServer::prompt(|asked| asked.fail(RCODE::NameError));
    let failure = resolve(&server, "typo.test").unwrap_err();
    assert!(matches!(failure, Failure::NoSuchName { .. }) && !failure.is_transient());
    assert_eq!(
        failure.to_string(),
        "typo.test: the name does not exist (asked 127.0.0.1); check its spelling and the network's DNS"
    );
}

#[test]
fn the_next_server_is_asked_where_one_fails() {
    let conf = "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1 attempts:1\n";
    for rcode in [RCODE::ServerFailure, RCODE::Refused, RCODE::NotImplemented, RCODE::FormatError] {
        let (first, second) = NameServer::pair(move |asked| asked.fail(rcode), one);
        assert_eq!(resolve_with(conf, "", first.port, "a.test").0.unwrap(), ["10.1.2.3"], "{rcode:?}");
        assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
    }
    // A closed port is noticed at once, by the kernel's report.
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (found, took) = resolve_with(CONF, "", closed, "a.test");
    assert!(matches!(found, Err(Failure::NoAnswer { .. })) && took < Duration::from_millis(500), "{found:?} {took:?}");
}

#[test]
fn a_truncated_answer_is_asked_for_by_tcp() {
    let server = NameServer::prompt(|asked| if asked.tcp { one(asked) } else { asked.truncated() });
    assert_eq!(resolve(&server, "a.test").unwrap(), ["10.1.2.3"]);
    assert_eq!(server.asked().iter().map(|asked| asked.tcp).collect::<Vec<_>>(), [false, true]);
    // Truncated there too: no answer, and no loop.
    let server = NameServer::prompt(Asked::truncated);
    assert!(matches!(resolve(&server, "a.test"), Err(Failure::NoAnswer { .. })));
    // By request.
    let server = NameServer::prompt(one);
    let (found, _) = resolve_with("nameserver 127.0.0.1\noptions use-vc\n", "", server.port, "a.test");
    assert_eq!(found.unwrap(), ["10.1.2.3"]);
    assert!(server.asked().iter().all(|asked| asked.tcp));
}

#[test]
fn a_slow_server_is_waited_for_within_its_bound() {
    let slow = |delay| NameServer::start(move |asked| vec![(Duration::from_millis(delay), one(asked))]);
    assert_eq!(resolve(&slow(300), "a.test").unwrap(), ["10.1.2.3"]);
    let (found, took) = resolve_with(CONF, "", slow(3000).port, "a.test");
    assert!(found.unwrap_err().to_string().contains("no answer within 1.0 s"));
    assert!(took < Duration::from_millis(1500), "{took:?}");
    // The caller's deadline bounds all attempts together.
    let root = folder::root(&[("etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")]);
    let begun = Instant::now();
    let found = Resolver::new(root.path()).port(slow(9000).port).resolve("a.test", begun + Duration::from_millis(400));
    assert!(found.is_err() && begun.elapsed() < Duration::from_millis(700));
}

#[test]
fn garbage_wrong_ids_and_other_questions_do_not_count_and_the_true_answer_does() {
    let at_once = |bytes| (Duration::ZERO, bytes);
    let server = NameServer::start(move |asked| {
        let good = asked.answer(&[(asked.name.as_str(), address("10.1.2.3"))]);
        let forged = asked.answer(&[(asked.name.as_str(), address("6.6.6.6"))]);
        let mut wrong_id = forged.clone();
        wrong_id[0] ^= 1;
        let mut a_question = forged.clone();
        a_question[2] &= 0x7f;
        let mut other_name = forged.clone();
        other_name[13] = b'z';
        let cut = forged[..forged.len() - 3].to_vec();
        vec![
            at_once(b"\0".to_vec()),
            at_once(vec![0xff; 600]),
            at_once(wrong_id),
            at_once(a_question),
            at_once(other_name),
            at_once(cut),
            at_once(good),
        ]
    });
    assert_eq!(resolve(&server, "a.test").unwrap(), ["10.1.2.3"]);
    let server = NameServer::prompt(|_| b"garbage".to_vec());
    assert!(matches!(resolve(&server, "a.test"), Err(Failure::NoAnswer { .. })));
}

#[test]
fn the_search_list_is_tried_in_its_order() {
    let server =
        NameServer::prompt(|asked| if asked.name == "host.b.test" { one(asked) } else { asked.fail(RCODE::NameError) });
    let conf = "nameserver 127.0.0.1\nsearch a.test b.test\n";
    assert_eq!(resolve_with(conf, "", server.port, "host").0.unwrap(), ["10.1.2.3"]);
    let names = |server: &NameServer| server.asked().into_iter().map(|asked| asked.name).collect::<Vec<_>>();
    assert_eq!(names(&server), ["host.a.test", "host.b.test"]);
    // A dot at the end forbids it.
    assert!(resolve_with(conf, "", server.port, "host.").0.is_err());
    assert_eq!(names(&server).last().unwrap(), "host");
}

#[test]
fn ids_and_ports_differ_from_question_to_question() {
    let server = NameServer::prompt(one);
    for _ in 0..20 {
        resolve(&server, "a.test").unwrap();
    }
    let ids: BTreeSet<[u8; 2]> = server.asked().iter().map(|asked| [asked.bytes[0], asked.bytes[1]]).collect();
    assert!(ids.len() > 15, "{ids:?}");
}

#[test]
fn what_is_no_name_is_not_asked_for() {
    let server = NameServer::prompt(one);
    for name in ["", ".", "a..b", &"x".repeat(64), &"abc.".repeat(80)] {
        assert!(matches!(resolve(&server, name), Err(Failure::Malformed { .. })), "{name:?}");
    }
    assert!(server.asked().is_empty());
}
