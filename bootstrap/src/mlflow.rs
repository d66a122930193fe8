//! The record of the experiment: a report becomes runs of MLflow, through a spool that loses nothing and doubles nothing.
//!
//! [`Recording`] is what a benchmark holds; `record` makes its runs, `fields` is the table of what they say.

mod check;
mod connect;
mod destination;
mod facts;
mod fields;
mod git;
mod log;
mod reach;
mod record;
mod recording;
mod spool;
mod sync;

pub(crate) use check::{Options as CheckOptions, run as check};
pub(crate) use destination::Destination;
pub(crate) use log::{Options as LogOptions, run as log};
pub(crate) use reach::reach;
pub(crate) use recording::Recording;
pub(crate) use sync::{Options as SyncOptions, run as sync};
