//! `prefab demo`: the whole idea on one machine. A spec becomes templates, then a KV-cache transfer is measured.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use super::Streams;
use super::folder::Folder;
use super::init::Example;
use super::synth::{Format, files};
use crate::exit::Exit;
use crate::spec::{Spec, Surroundings};

/// Synthesize the g6e-pair example, then measure a KV-cache transfer between two processes of this machine
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
    /// Ends by becoming the benchmark: its signals and its exit code are this command's.
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let bootstrap = program("prefab-bootstrap")?;
        program("prefab-fabric")?;
        let example = Example::G6ePair;
        let (spec, findings) = Spec::read(example.text().as_bytes(), &NoFiles);
        let spec = spec.context("the example spec, which a test keeps valid, is refused")?;
        let folder = Folder::new(&self.output.join("templates"));
        let (mut files, _) = files(&spec, &findings, Format::Yaml)?;
        files.push(("prefab.yaml".to_owned(), example.text().to_owned()));
        writeln!(streams.out, "One spec becomes reviewable CloudFormation: {}", spec.name)?;
        for file in folder.write(&files)? {
            writeln!(streams.out, "  {file}")?;
        }
        writeln!(streams.out, "\nA KV cache moves between two processes of this machine, verified block by block:")?;
        streams.out.flush()?;
        let report = self.output.join("report.json");
        let error = Command::new(&bootstrap).args(BENCH).arg(&report).exec();
        Err(error).with_context(|| format!("starting {}", bootstrap.display()))
    }
}

/// A node program: in `PREFAB_DIST`, or beside this one.
fn program(name: &str) -> anyhow::Result<PathBuf> {
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
