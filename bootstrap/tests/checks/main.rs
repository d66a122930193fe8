//! `prefab-bootstrap check` as a process: on folders that stand for machines, and on this machine.

mod cases;
mod command;
mod elf;
mod fixture;
mod machine;
mod mlflow;
mod public_bugs;
mod sources;
