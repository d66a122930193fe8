//! Signed REST for the node: what a static program needs of the network, and nothing of the host's C library.
//!
//! `sign`, `retry`, `clock`, `date`, `url` and the parsing of answers are pure; `http` and `resolve` do the I/O. Every
//! service takes its base URL from [`endpoints::Endpoints`], and name resolution and certificates a root folder, so
//! that tests replace both. No function here follows a redirect, reads a proxy from the environment, or waits without
//! a bound.
#![forbid(unsafe_code)]

pub mod answer;
pub mod clock;
pub mod cloudformation;
pub mod credentials;
pub mod date;
pub mod endpoints;
pub mod error;
pub mod http;
pub mod imds;
mod json_protocol;
pub mod mlflow;
pub mod request;
pub mod resolve;
pub mod retry;
pub mod s3;
pub mod sagemaker;
pub mod secret;
pub mod secrets;
pub mod sign;
pub mod signed;
pub mod ssm;
pub mod tls;
pub mod url;
