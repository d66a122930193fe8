//! `prefab validate`: all findings of a spec, nothing else.

use clap::Args;
use serde_json::json;

use super::Streams;
use super::spec_file::SpecFile;
use crate::exit::Exit;
use crate::stacks;

/// Check a spec: all findings at once, offline
#[derive(Debug, Args)]
pub(super) struct Validate {
    #[command(flatten)]
    spec: SpecFile,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

impl Validate {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let loaded = self.spec.load();
        // What the templates alone can refuse is part of the answer.
        let built = loaded.spec.as_ref().map(stacks::of).transpose();
        if self.json {
            let findings: Vec<_> = loaded.findings.iter().collect();
            writeln!(
                streams.out,
                "{:#}",
                json!({ "file": self.spec.name(), "valid": loaded.spec.is_some(), "findings": findings })
            )?;
        } else {
            self.spec.report(&loaded.findings, streams.err)?;
        }
        built?;
        let Some(spec) = loaded.spec else { return Ok(Exit::Failed) };
        if !self.json {
            writeln!(
                streams.out,
                "{} is valid: {} nodes. Next: `prefab synth` writes its templates.",
                spec.name,
                spec.cluster.node_count()
            )?;
        }
        Ok(Exit::Done)
    }
}
