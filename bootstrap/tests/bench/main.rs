//! The two programs together, as processes on loopback. Nothing here asserts on time: each test waits for an event.

mod engines;
mod failures;
mod programs;
mod report;
