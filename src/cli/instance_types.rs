//! `prefab instance-types`.

use clap::Args;

use super::Streams;
use crate::exit::Exit;

/// The instance types that prefab knows, with EFA facts and sources
#[derive(Debug, Args)]
pub(super) struct InstanceTypes {}

impl InstanceTypes {
    pub(super) fn run(self, _streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        Ok(Exit::Done)
    }
}
