//! The two programs together, as processes on loopback. Nothing here asserts on time: each test waits for an event.
#![expect(clippy::print_stderr, reason = "a test says what it left out")]

#[path = "../../../tests/standins/cuda_driver.rs"]
mod cuda_driver;
mod failures;
mod flows;
mod gpu;
mod libfabric;
mod network;
mod peers;
mod programs;
mod refused;
mod report;
#[path = "../../../tests/standins/libfabric_stub/stub.rs"]
mod stub;
