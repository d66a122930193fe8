//! `apply`, `diff`, `destroy` and `recover` through the real SDK, against accounts on loopback.

mod account;
mod cloudformation;
mod drift_detection;
mod http;
mod others;
mod systems_manager;
mod world;

mod capacity;
mod cases;
mod drift;
mod faults;
mod lifecycle;
mod ministack;
mod moto;
mod nodes;
mod planted;
mod preflight;
mod removals;
mod scripts;
mod sessions;
mod signals;
mod states;
mod unchanged;
