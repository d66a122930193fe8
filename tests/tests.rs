//! Everything that is tested from outside: the commands, their files, and what other programs say of them.

mod golden;
mod prefab;
mod python;

mod synth;
mod user_data;
