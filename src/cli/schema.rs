//! `prefab schema`: the form of a spec as JSON Schema.

use clap::Args;

use super::Streams;
use crate::exit::Exit;
use crate::spec;

/// Print the JSON Schema of a spec, for editors
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        writeln!(streams.out, "{:#}", spec::schema())?;
        Ok(Exit::Done)
    }
}
