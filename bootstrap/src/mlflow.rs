//! The record of the experiment: a report becomes runs of MLflow, through a spool that loses nothing and doubles nothing.

mod check;
mod connect;
mod facts;
mod fields;
mod log;
mod reach;
mod spool;
mod sync;

pub(crate) use check::{Options as CheckOptions, run as check};
pub(crate) use log::{Options as LogOptions, run as log};
pub(crate) use reach::reach;
pub(crate) use sync::{Options as SyncOptions, run as sync};
