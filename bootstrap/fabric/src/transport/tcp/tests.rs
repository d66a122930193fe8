//! Raw frames against a target: what it refuses. Right requests are tested over all built-in transports together.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use prefab_contract::engine::Operation;
use prefab_contract::transfer::Run;

use super::frame::{Header, Kind, encode_table};
use super::*;
use crate::transport::flow::Flow;
use crate::transport::memory::Pool;
use crate::transport::vectored::Piece;
use crate::transport::{Setting, Target};
use crate::watch::Watch;

/// What a target of 4096 bytes says to raw frames.
fn served(operation: Operation, frames: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.write_all(frames).unwrap();
    drop(ours);
    let setting = Setting { operation, watch: Watch::asleep() };
    let mut target = TcpTarget::new(setting, listener.accept().unwrap().0).unwrap();
    target.prepare(0, &[Run { source_offset: 0, destination_offset: 0, bytes: 8 }]).unwrap();
    let mut pool = Pool::new(4096).unwrap();
    format!("{:#}", target.serve(pool.window(), &Flow::of(2)).unwrap_err())
}

fn header(kind: Kind) -> Header {
    Header { kind, is_last: true, handle: 0, first: 0, pieces: 1, bytes: 8, request: 0 }
}

fn frame(kind: Kind, offset: u64, bytes: u64) -> Vec<u8> {
    let mut wire = Header { bytes, ..header(kind) }.encode().to_vec();
    encode_table(&[Piece { offset, bytes }], &mut wire);
    wire
}

#[test]
fn frames_out_of_bounds_or_out_of_turn_are_refused() {
    use Operation::{Packed, Read, Write};
    let packed = |header: Header| header.encode().to_vec();
    for (operation, frames, part) in [
        (Read, frame(Kind::Read, 4000, 97), "must not touch"),
        (Write, frame(Kind::Write, u64::MAX, 1), "must not touch"),
        (Read, frame(Kind::Write, 0, 8), "in a case of operation read"),
        (Write, frame(Kind::Read, 0, 8), "in a case of operation write"),
        (Packed, frame(Kind::Write, 0, 8), "in a case of operation packed"),
        (Write, frame(Kind::Answer, 0, 8), "in a case of operation write"),
        (Read, vec![0xee; 100], "unknown kind"),
        (Read, Vec::new(), "closed the data connection"),
        (Packed, packed(Header { handle: 1, ..header(Kind::Packed) }), "unknown handle"),
        (Packed, packed(Header { first: 1, ..header(Kind::Packed) }), "from piece 1 on, expected 0"),
        (Packed, packed(Header { pieces: 2, ..header(Kind::Packed) }), "beyond the handle's table"),
        (Packed, packed(Header { bytes: 16, ..header(Kind::Packed) }), "of 16 bytes, expected 8"),
    ] {
        let error = served(operation, &frames);
        assert!(error.contains(part), "{error}");
    }
}
