//! `prefab demo`: the whole idea on one machine. A spec becomes templates, a KV-cache transfer is measured, and what was
//! measured becomes a report.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use super::folder::Folder;
use super::init::Example;
use super::synth::{Format, files};
use super::{Streams, report};
use crate::exit::Exit;
use crate::spec::{Spec, Surroundings};

mod child;

/// Synthesize the g6e-pair example, measure a KV-cache transfer between two processes of this machine, and report it
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where to write the templates and the report
    #[arg(short = 'o', long = "output", value_name = "DIR", default_value = "demo")]
    output: PathBuf,
}

/// What is measured: the example's model and a prompt of 4,096 tokens, in the smallest pieces, scattered.
const BENCH: &[&str] = &[
    "bench",
    "--local",
    "--model",
    "Qwen2.5-32B-Instruct",
    "--tp",
    "4",
    "--tokens",
    "4096",
    "--layout",
    "kv-split",
    "--fragmentation",
    "1",
    "--op",
    "read,write",
    "--transport",
    "builtin-tcp,builtin-vm",
    "--json",
];

impl Demo {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let bootstrap = program("prefab-bootstrap")?;
        program("prefab-fabric")?;
        self.synthesize(streams)?;
        writeln!(streams.out, "\nA KV cache moves between two processes of this machine, verified block by block:")?;
        streams.out.flush()?;
        let measured = self.output.join("report.json");
        let ended = child::run(Command::new(&bootstrap).args(BENCH).arg(&measured))?;
        if matches!(ended, Exit::Interrupted | Exit::Terminated) {
            return Ok(ended);
        }
        // What a failed benchmark did measure is in its file, and worth a look.
        writeln!(streams.out, "\nWhat was measured becomes a report:\n")?;
        match report::write(streams, &[measured], &self.output.join("report.html"))? {
            Exit::Done => Ok(ended),
            failed => Ok(failed),
        }
    }

    fn synthesize(&self, streams: &mut Streams<'_>) -> anyhow::Result<()> {
        let example = Example::G6ePair;
        let (spec, findings) = Spec::read(example.text().as_bytes(), &NoFiles);
        let spec = spec.context("the example spec, which a test keeps valid, is refused")?;
        let (mut files, _) = files(&spec, &findings, Format::Yaml)?;
        files.push(("prefab.yaml".to_owned(), example.text().to_owned()));
        writeln!(streams.out, "One spec becomes reviewable CloudFormation: {}", spec.name)?;
        for file in Folder::new(&self.output.join("templates")).write(&files)? {
            writeln!(streams.out, "  {file}")?;
        }
        Ok(())
    }
}

/// A node program: in `PREFAB_DIST`, or beside this one.
pub(super) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("PREFAB_DIST") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_exe().context("finding this program's folder")?.with_file_name(""),
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "found no {name} in {}, expected it beside `prefab`; run `make build`, or set PREFAB_DIST",
            folder.display()
        );
    }
    Ok(path)
}

/// The example refers to no file.
struct NoFiles;

impl Surroundings for NoFiles {
    fn model_config(&self, path: &str) -> Result<String, String> {
        Err(format!("{path} is not part of the example"))
    }
}
