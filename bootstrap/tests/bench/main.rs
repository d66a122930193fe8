//! The two programs together, as processes on loopback. Nothing here asserts on time: each test waits for an event.

mod failures;
mod programs;
mod report;
