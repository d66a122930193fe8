//! Both halves over one loopback pair, without processes.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Barrier;

use prefab_contract::engine::{Operation, Waiting};
use prefab_contract::transfer::{Run, Scatter, Shape, coalesce, descriptors};

use super::frame::{Header, Kind, encode_table};
use super::*;
use crate::pattern::Pattern;
use crate::pool_data::{fill, poison_destinations, verify};
use crate::transport::memory::Pool;
use crate::transport::vectored::Piece;
use crate::transport::{Initiator, Setting, Target};
use crate::watch::Watch;

const SCATTER: Scatter = Scatter { fragmentation_ppm: 500_000, seed: 11 };

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (stream, listener.accept().unwrap().0)
}

/// The connections of both ends.
fn connections() -> (Connections, Connections) {
    let (payload, ceiling) = (pair(), pair());
    (Connections::new(payload.0, ceiling.0).unwrap(), Connections::new(payload.1, ceiling.1).unwrap())
}

fn setting(operation: Operation) -> Setting {
    Setting { operation, watch: Watch::asleep() }
}

fn request(initiator: &mut TcpInitiator, pool: &mut Pool, round: u64) -> anyhow::Result<u64> {
    initiator.post(pool, round)?;
    loop {
        if let Some(bytes) = initiator.poll(pool)? {
            return Ok(bytes);
        }
    }
}

const LOOPS: &[Waiting] = super::plain_loop::CEILINGS;

/// One round as the end that holds the given side of the data sees it: data before, `transfer`, verdict after.
fn round(
    holds_destination: bool,
    pool: &mut Pool,
    shape: &Shape,
    number: u64,
    transfer: impl FnOnce(&mut Pool, &[Run]),
) {
    let table = descriptors(shape, SCATTER, number);
    let pattern = Pattern { seed: 1, round: number };
    if holds_destination {
        poison_destinations(pool, &table).unwrap();
    } else {
        fill(pool, &table, pattern).unwrap();
    }
    transfer(pool, &coalesce(shape, &table));
    if holds_destination {
        assert_eq!(verify(pool, &table, pattern).unwrap(), shape.descriptors());
    }
}

/// Moves three rounds and runs each plain loop.
fn moves_all(operation: Operation, shape: &Shape) {
    let (ours, theirs) = connections();
    let ready = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut target = TcpTarget::new(setting(operation), theirs).unwrap();
            let mut pool = Pool::new(shape.pool_bytes()).unwrap();
            for number in 0..3 {
                round(operation == Operation::Write, &mut pool, shape, number, |pool, runs| {
                    ready.wait();
                    target.serve(pool).unwrap();
                    assert_eq!(target.target_bytes(number).unwrap(), shape.payload_bytes());
                    for &waiting in LOOPS {
                        target.prepare_ceiling(runs);
                        target.serve_ceiling(waiting, pool).unwrap();
                    }
                });
            }
        });
        let mut initiator = TcpInitiator::new(setting(operation), ours).unwrap();
        let mut pool = Pool::new(shape.pool_bytes()).unwrap();
        for number in 0..3 {
            round(operation == Operation::Read, &mut pool, shape, number, |pool, runs| {
                initiator.prepare(runs).unwrap();
                ready.wait();
                assert_eq!(request(&mut initiator, pool, number).unwrap(), shape.payload_bytes());
                for &waiting in LOOPS {
                    initiator.run_ceiling(waiting, pool).unwrap();
                }
            });
        }
    });
}

/// Small, many and large descriptors, one class and two.
fn shapes() -> Vec<Shape> {
    [vec![(8, 3, 1)], vec![(64, 7, 300)], vec![(8192, 4, 200), (64, 3, 100)], vec![(3 << 20, 1, 5)]]
        .into_iter()
        .map(|classes| Shape::with_working_set(classes, 1 << 20).unwrap())
        .collect()
}

#[test]
fn every_block_arrives_by_read() {
    shapes().iter().for_each(|shape| moves_all(Operation::Read, shape));
}

#[test]
fn every_block_arrives_by_write() {
    shapes().iter().for_each(|shape| moves_all(Operation::Write, shape));
}

/// What a target of 4096 bytes says to raw frames.
fn served(operation: Operation, frames: &[u8]) -> String {
    let (mut ours, theirs) = connections();
    ours.payload.write_all(frames).unwrap();
    drop(ours);
    let mut target = TcpTarget::new(setting(operation), theirs).unwrap();
    let mut pool = Pool::new(4096).unwrap();
    format!("{:#}", target.serve(&mut pool).unwrap_err())
}

fn frame(kind: Kind, offset: u64, bytes: u64) -> Vec<u8> {
    let header = Header { kind, pieces: 1, bytes, round: 0 };
    [header.encode().as_slice(), &encode_table(&[Piece { offset, bytes }])].concat()
}

#[test]
fn frames_out_of_bounds_or_out_of_turn_are_refused() {
    use Operation::{Read, Write};
    for (operation, frames, part) in [
        (Read, frame(Kind::Read, 4000, 97), "must not touch"),
        (Write, frame(Kind::Write, u64::MAX, 1), "must not touch"),
        (Read, frame(Kind::Write, 0, 8), "in a case of operation read"),
        (Write, frame(Kind::Read, 0, 8), "in a case of operation write"),
        (Write, frame(Kind::Answer, 0, 8), "frame of 1 pieces"),
        (Read, vec![0xee; 100], "unknown kind"),
        (Read, Vec::new(), "closed the data connection"),
        (Read, Header { kind: Kind::End, pieces: 0, bytes: 9, round: 0 }.encode().to_vec(), "expected 9"),
    ] {
        let error = served(operation, &frames);
        assert!(error.contains(part), "{error}");
    }
}
