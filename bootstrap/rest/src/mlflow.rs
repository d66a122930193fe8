//! MLflow's REST API 2.0, as far as an experiment's record needs it: SageMaker's tracking servers and apps by ARN, plain
//! servers by URL.
//!
//! [`address`] finds the server, [`limits`] cuts what it would refuse, [`client`] speaks, [`upload`] brings a whole
//! record, once, whatever breaks on the way.

pub mod address;
pub mod artifacts;
pub mod client;
pub mod limits;
pub mod upload;
