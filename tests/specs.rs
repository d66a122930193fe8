//! The spec reader, held against a corpus of files, against the JSON Schema and against arbitrary bytes.

mod cases;
mod commands;
mod corpus;
mod documents;
mod fixture;
mod mutation;
mod robustness;
mod schema;
