//! One integration crate: what the programs do, seen from outside.

#[test]
fn placeholder() {}

mod user_data;
