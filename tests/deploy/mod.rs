//! `apply`, `diff`, `destroy` and `recover` through the real SDK, against accounts on loopback.

mod account;
mod cloudformation;
mod http;
mod others;
mod world;

mod cases;
mod faults;
mod lifecycle;
mod ministack;
mod planted;
mod preflight;
mod removals;
mod signals;
mod states;
