//! Initiator and examiner over one connection, and an examiner alone.

use std::net::TcpListener;

use proptest::prelude::*;

use super::*;

fn examine(stream: &mut TcpStream, key: &PairKey, session: Session) -> Result<(Purpose, Session)> {
    let mut examiner = Examiner::new();
    loop {
        let mut bytes = vec![0; examiner.wanted()];
        let count = stream.read(&mut bytes)?;
        ensure!(count > 0, "closed");
        match examiner.take(key, &bytes[..count], |_| Some(session))? {
            Verdict::More => {}
            Verdict::Send(answer) => stream.write_all(&answer)?,
            Verdict::Admit { answer, purpose, nonce } => {
                stream.write_all(&answer)?;
                return Ok((purpose, nonce));
            }
        }
    }
}

fn meet(ours: [u8; 32], theirs: [u8; 32], session: Session) -> (Result<Session>, Result<(Purpose, Session)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let target = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        examine(&mut stream, &PairKey::from_bytes(theirs), NO_SESSION)
    });
    let mut stream = TcpStream::connect(address).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let proved = prove(&mut stream, &PairKey::from_bytes(ours), Purpose::Payload(5), &session, until);
    drop(stream);
    (proved, target.join().unwrap())
}

#[test]
fn ends_with_one_key_accept_each_other_and_share_the_session() {
    let (proved, examined) = meet([1; 32], [1; 32], NO_SESSION);
    assert_eq!((Purpose::Payload(5), proved.unwrap()), examined.unwrap());
}

#[test]
fn another_key_or_session_is_refused_by_both_ends() {
    for (ours, session) in [([2; 32], NO_SESSION), ([1; 32], [9; 32])] {
        let (proved, examined) = meet(ours, [1; 32], session);
        assert!(proved.unwrap_err().is::<WrongKey>());
        assert!(examined.is_err());
    }
}

#[test]
fn another_protocol_is_refused_at_its_first_byte() {
    let key = PairKey::from_bytes([1; 32]);
    let refused = Examiner::new().take(&key, b"G", |_| Some(NO_SESSION)).unwrap_err();
    assert!(refused.to_string().contains("another protocol"), "{refused}");
    assert_eq!(Examiner::new().take(&key, b"pre", |_| Some(NO_SESSION)).unwrap(), Verdict::More);
}

proptest! {
    #[test]
    fn nothing_but_the_key_is_ever_admitted(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..80), 1..6), ours: bool) {
        let key = PairKey::from_bytes([1; 32]);
        let mut examiner = Examiner::new();
        if ours {
            examiner.take(&key, MAGIC, |_| Some(NO_SESSION)).unwrap();
        }
        for chunk in chunks {
            let count = chunk.len().min(examiner.wanted());
            match examiner.take(&key, &chunk[..count], |_| Some(NO_SESSION)) {
                Ok(Verdict::Admit { .. }) => prop_assert!(false, "admitted"),
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
}
