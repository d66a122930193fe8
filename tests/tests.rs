//! Everything that is tested from outside: the commands, their files, and what other programs say of them.
#![allow(unreachable_pub, reason = "modules of one test program share their builders")]

mod golden;
mod prefab;
mod python;

mod cloud_init;
mod licences;
mod synth;
mod user_data;
