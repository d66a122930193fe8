//! Everything over loopback: a scripted HTTP server, a scripted name server, an authority made for the test.
#![allow(missing_docs, unreachable_pub)]

mod certificates;
mod dns;
mod dns_server;
mod folder;
mod http;
mod imds;
mod mlflow;
mod node;
mod objects;
mod root;
mod server;
mod services;
mod signal;
mod signatures;
mod tls;
