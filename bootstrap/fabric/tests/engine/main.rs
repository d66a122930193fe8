//! Engines as processes, without their supervisor. Nothing here asserts on time except on the bounds within which everything
//! ends.

mod cases;
#[path = "../../../../tests/standins/cuda_driver.rs"]
mod cuda_driver;
mod ends;
mod faults;
mod gpu;
mod libfabric;
mod memory;
mod pair;
mod program;
mod refusals;
#[path = "../../../../tests/standins/libfabric_stub/stub.rs"]
mod stub;
mod vm;
