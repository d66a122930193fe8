//! The two programs together, as processes on loopback. Nothing here asserts on time: each test waits for an event.

mod failures;
mod libfabric;
mod programs;
mod report;
#[path = "../../../tests/standins/libfabric_stub/stub.rs"]
mod stub;
