//! `prefab size`.

use clap::Args;

use super::Streams;
use crate::exit::Exit;

/// KV-cache arithmetic: what fits, how long a prompt may be, how long its transfer takes
#[derive(Debug, Args)]
pub(super) struct Size {}

impl Size {
    pub(super) fn run(self, _streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        Ok(Exit::Done)
    }
}
