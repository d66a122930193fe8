//! `prefab synth`: the templates of a spec, for review. Offline: no account, clock or network takes part.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::Streams;
use super::folder::{Folder, Written};
use super::spec_file::SpecFile;
use crate::exit::Exit;
use crate::finding::Findings;
use crate::spec::Spec;
use crate::stacks::{self, Stack, node_config, operator_policy, user_policy};
use crate::summary::Summary;

/// Write the CloudFormation templates of a spec, for review, offline
#[derive(Debug, Args)]
pub(super) struct Synth {
    #[command(flatten)]
    spec: SpecFile,
    /// Where to write; by default beside the spec
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    output: Option<PathBuf>,
    /// What the templates are written as
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Write nothing; say which files differ from what the spec gives (exit code 3)
    #[arg(long)]
    check: bool,
    /// Print the summary as JSON on standard output instead of text on standard error
    #[arg(long)]
    json: bool,
    /// Leave out the summary
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

/// What templates are written as.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// YAML with short tags
    Yaml,
    /// Indented JSON
    Json,
}

impl Synth {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let loaded = self.spec.load();
        self.spec.report(&loaded.findings, streams.err)?;
        let Some(spec) = loaded.spec else { return Ok(Exit::Failed) };
        let (files, summary) = files(&spec, &loaded.findings, self.format)?;
        let folder = Folder::new(self.output.as_deref().unwrap_or_else(|| self.spec.folder()));
        if self.check {
            return check(&folder, &files, streams);
        }
        let written = folder.write(&files)?;
        if self.json {
            write!(streams.out, "{}", summary.json())?;
        } else if !self.quiet {
            writeln!(streams.err, "{summary}")?;
        }
        report(&written, folder.path(), streams)?;
        Ok(Exit::Done)
    }
}

/// The files of a spec by name, and their summary.
pub(super) fn files(
    spec: &Spec,
    findings: &Findings,
    format: Format,
) -> anyhow::Result<(Vec<(String, String)>, Summary)> {
    let stacks = stacks::of(spec)?;
    let summary = Summary::of(spec, &stacks, findings);
    let template = |stack: &Stack| match format {
        Format::Yaml => (format!("{}.template.yaml", stack.kind.name()), stack.template.yaml()),
        Format::Json => (format!("{}.template.json", stack.kind.name()), stack.template.pretty_json()),
    };
    let config = serde_json::to_value(node_config::of(spec)).context("writing the NodeConfig")?;
    let others = [
        ("node-config.json", format!("{config:#}\n")),
        ("operator-policy.json", format!("{:#}\n", operator_policy::of(spec))),
        ("summary.json", summary.json()),
        ("user-policy.json", format!("{:#}\n", user_policy::of(spec))),
    ];
    let files = stacks.iter().map(template).chain(others.map(|(name, text)| (name.to_owned(), text))).collect();
    Ok((files, summary))
}

fn check(folder: &Folder, files: &[(String, String)], streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
    let stale = folder.differences(files)?;
    if stale.is_empty() {
        writeln!(streams.out, "{} is what the spec gives.", folder.path().display())?;
        return Ok(Exit::Done);
    }
    for difference in &stale {
        writeln!(streams.out, "{difference}")?;
    }
    writeln!(
        streams.out,
        "Next: `prefab synth` without `--check` writes them; read the difference before it is committed."
    )?;
    Ok(Exit::Differs)
}

fn report(written: &[Written], folder: &Path, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    for file in written {
        writeln!(streams.err, "{file}")?;
    }
    writeln!(
        streams.err,
        "Next: read {}/cluster.template.*; `prefab synth --check` tells later whether it is still what the spec gives.",
        folder.display()
    )?;
    Ok(())
}
