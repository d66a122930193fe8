//! The target's part of the challenge, without a socket: bytes come in, bytes go out, a verdict falls.

use anyhow::{Context, Result, bail, ensure};
use hmac::Mac;
use prefab_contract::engine::PairKey;

use super::{ACCEPTED, HELLO_BYTES, MAGIC, PROOF_BYTES, Purpose, Session, fresh_nonce, mac};

/// The challenge of one connection.
pub(crate) struct Examiner {
    received: Vec<u8>,
    step: Step,
}

enum Step {
    /// Magic, purpose and nonce are to come.
    Hello,
    /// The initiator's proof is to come.
    Proof { purpose: Purpose, session: Session, theirs: Session, own: Session },
}

/// What to do with the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Read on.
    More,
    /// Send this, then read on.
    Send(Vec<u8>),
    /// Send this, and let the peer in.
    Admit {
        /// The last bytes of the challenge.
        answer: Vec<u8>,
        /// What the connection is for.
        purpose: Purpose,
        /// This target's nonce.
        nonce: Session,
    },
}

impl Examiner {
    /// Nothing has come yet.
    pub(crate) fn new() -> Self {
        Self { received: Vec::with_capacity(HELLO_BYTES), step: Step::Hello }
    }

    /// How many bytes the next step takes: never more, so that what follows the challenge is left to whoever comes in.
    pub(crate) fn wanted(&self) -> usize {
        let step = match self.step {
            Step::Hello => HELLO_BYTES,
            Step::Proof { .. } => PROOF_BYTES,
        };
        step - self.received.len()
    }

    /// Takes at most [`Examiner::wanted`] bytes. `session_for` gives the session that a purpose must belong to, or refuses it.
    ///
    /// # Errors
    /// Whoever is there does not hold the key, or speaks something else.
    pub(crate) fn take(
        &mut self,
        key: &PairKey,
        bytes: &[u8],
        session_for: impl Fn(Purpose) -> Option<Session>,
    ) -> Result<Verdict> {
        ensure!(bytes.len() <= self.wanted(), "found more bytes than were asked for");
        self.received.extend_from_slice(bytes);
        if self.wanted() > 0 {
            // Another protocol shows with its first bytes, and need not be waited for.
            let is_ours = !matches!(self.step, Step::Hello) || self.received.iter().zip(MAGIC).all(|(a, b)| a == b);
            ensure!(is_ours, "found another protocol");
            return Ok(Verdict::More);
        }
        let received = std::mem::take(&mut self.received);
        match self.step {
            Step::Hello => self.hello(key, &received, session_for),
            Step::Proof { purpose, session, theirs, own } => {
                let signed = mac(key, "initiator", purpose, &session, &theirs, &own);
                ensure!(signed.verify_slice(&received).is_ok(), "the initiator does not hold the pair key");
                Ok(Verdict::Admit { answer: vec![ACCEPTED], purpose, nonce: own })
            }
        }
    }

    fn hello(
        &mut self,
        key: &PairKey,
        hello: &[u8],
        session_for: impl Fn(Purpose) -> Option<Session>,
    ) -> Result<Verdict> {
        let rest = hello.strip_prefix(MAGIC).context("found another protocol")?;
        let (purpose, theirs) = rest.split_first_chunk().context("found a torn hello")?;
        let Some(purpose) = Purpose::from_bytes(*purpose) else { bail!("found the unknown purpose {purpose:?}") };
        let Some(session) = session_for(purpose) else { bail!("found a {purpose:?} connection out of turn") };
        let theirs: Session = theirs.try_into().context("found a torn hello")?;
        let own = fresh_nonce()?;
        let proof = mac(key, "target", purpose, &session, &theirs, &own).finalize().into_bytes();
        self.step = Step::Proof { purpose, session, theirs, own };
        Ok(Verdict::Send([own.as_slice(), &proof].concat()))
    }
}
