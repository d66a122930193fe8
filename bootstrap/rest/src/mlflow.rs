//! MLflow's REST API 2.0, as far as an experiment's record needs it: SageMaker's tracking servers and apps by ARN, plain
//! servers by URL.
//!
//! [`address`] finds the server, [`limits`] cuts what it would refuse, [`client`] speaks of [`runs`] and their files,
//! [`upload`] brings a whole record, once, whatever breaks on the way; [`record`] reads one back; [`check`] goes through all of
//! it and says what is wrong.

pub mod address;
mod advice;
mod artifacts;
pub mod check;
pub mod client;
mod experiments;
pub mod limits;
pub mod record;
pub mod runs;
pub mod upload;
