//! The target's case: open the gate for one peer, then serve what it asks for.

mod opening;
mod served;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use prefab_contract::engine::{Event, Stage, Start};

use crate::challenge::Purpose;
use crate::control::{Control, Message, PeerEnded};
use crate::counters::Counters;
use crate::cuda::decode::Decoding;
use crate::cuda::loaded::Loaded;
use crate::events::emit;
use crate::gate::Gate;
use crate::store::Store;
use crate::transport::{Unavailable, check};
use crate::watch::Watch;
use opening::TargetEnd;
use served::Case;

/// Runs the case for whichever peer holds the key.
///
/// # Errors
/// Whatever ends the case early; the initiator is told.
pub(crate) fn run(start: &Start, listen: SocketAddr, watch: &Arc<Watch>) -> Result<()> {
    let loaded = Loaded::for_case(start, watch)?;
    watch.enter(Stage::Connect, 0);
    let mut gate = Gate::open(listen, start.pair_key.clone())?;
    emit(&Event::Listening { address: gate.address() });
    let mut control = Control::new(gate.admit(Purpose::Control, || Ok(()))?, watch)?;
    // Kept until the initiator knows the end: connections that break without a word would hide it.
    let mut held = Held { loaded, ..Held::default() };
    let result = serve(start, gate, &mut control, watch, &mut held);
    result.map_err(|error| explain(error, &mut control, watch))
}

/// What a case takes; given back in this order.
#[derive(Default)]
struct Held {
    end: Option<TargetEnd>,
    store: Option<Store>,
    loaded: Option<Loaded>,
}

fn serve(start: &Start, mut gate: Gate, control: &mut Control, watch: &Arc<Watch>, held: &mut Held) -> Result<()> {
    let case = &start.case;
    let (theirs, pid) = match control.receive()? {
        Message::Agree { case, pid } => (case, pid),
        other => bail!("found the control message {other:?}, expected the initiator's case"),
    };
    ensure!(theirs == *case, "found another case at the initiator; give both ends the same shape, operation and seed");
    check(case)?;
    control.send(&Message::Agreed { gpu: held.loaded.as_ref().map(|loaded| loaded.facts.clone()) })?;
    watch.enter(Stage::Register, case.shape.pool_bytes());
    let store = held.store.insert(Store::for_case(case, held.loaded.as_ref())?);
    let end = held.end.insert(opening::open(start, store, pid, &mut gate, control, watch)?);
    drop(gate);
    let counters = Counters::of(&end.cards);
    let decoding = store.gpu().filter(|_| case.decode).map(Decoding::new).transpose()?;
    Case { start, case, control, store, end, watch, decoding, decoded: None }.run()?;
    emit(&Event::Counters { counters: counters.moved() });
    // Whoever reads `Finished` can reach this memory no more.
    drop(held.end.take());
    control.send(&Message::Finished {})
}

/// Gives the initiator the reason, unless it has said its own; that is the better one.
fn explain(error: anyhow::Error, control: &mut Control, watch: &Watch) -> anyhow::Error {
    if error.is::<PeerEnded>() {
        return error;
    }
    if let Some(words) = control.last_words(std::time::Duration::ZERO) {
        return words.into();
    }
    let message = match error.downcast_ref::<Unavailable>() {
        Some(Unavailable(reason)) => Message::Unavailable { reason: reason.clone() },
        None => Message::Failed { stage: watch.stage(), cause: format!("{error:#}") },
    };
    let _gone = control.send(&message);
    error
}
