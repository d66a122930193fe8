//! A gate among strangers.

use super::*;
use crate::challenge::prove;

const KEY: [u8; 32] = [3; 32];

fn gate() -> Gate {
    Gate::open("127.0.0.1:0".parse().unwrap(), PairKey::from_bytes(KEY)).unwrap()
}

fn enter(gate: &Gate, purpose: Purpose, session: &Session) -> Result<(TcpStream, Session)> {
    let mut stream = TcpStream::connect(gate.address())?;
    let until = Instant::now() + Duration::from_secs(10);
    let session = prove(&mut stream, &PairKey::from_bytes(KEY), purpose, session, until)?;
    Ok((stream, session))
}

#[test]
fn ten_thousand_strangers_change_nothing_and_the_right_peer_still_comes_in() {
    let mut gate = gate();
    let (mut control, mut silent) = (None, Vec::new());
    for number in 0..10_000_u32 {
        let mut stranger = TcpStream::connect(gate.address()).unwrap();
        match number % 4 {
            // Garbage, a torn hello, nothing, nothing for ever.
            0 => drop(stranger.write_all(&number.to_le_bytes().repeat(64))),
            1 => drop(stranger.write_all(b"prefab/2\0\0torn")),
            2 => {}
            _ if silent.len() < 400 => silent.push(stranger),
            _ => {}
        }
        if number == 5000 {
            // In the middle of it, every place taken.
            control = Some(enter(&gate, Purpose::Control, &NO_SESSION).unwrap());
        }
    }
    let (_, session) = control.unwrap();
    gate.admit(Purpose::Control, || Ok(())).unwrap();
    assert!(enter(&gate, Purpose::Control, &NO_SESSION).is_err(), "a second control connection");
    assert!(enter(&gate, Purpose::Payload(0), &NO_SESSION).is_err(), "payload of no session");
    let _payload = enter(&gate, Purpose::Payload(1), &session).unwrap();
    let _ceiling = enter(&gate, Purpose::Ceiling(0), &session).unwrap();
    gate.admit(Purpose::Ceiling(0), || Ok(())).unwrap();
    gate.admit(Purpose::Payload(1), || Ok(())).unwrap();
}

#[test]
fn a_silent_stranger_is_thrown_out() {
    let gate = gate();
    let mut silent = TcpStream::connect(gate.address()).unwrap();
    // The test's own time limit is the bound.
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
}

#[test]
fn waiting_ends_with_whoever_waits() {
    let error = gate().admit(Purpose::Control, || bail!("enough")).unwrap_err();
    assert_eq!(error.to_string(), "enough");
}

#[test]
fn a_wildcard_address_is_refused() {
    let error = Gate::open("0.0.0.0:0".parse().unwrap(), PairKey::from_bytes([0; 32])).err().unwrap();
    assert!(error.to_string().contains("wildcard"), "{error}");
}
