//! `prefab init`: a commented spec to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use super::Streams;
use crate::exit::Exit;

/// Write a commented spec to begin with
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Which one
    #[arg(long, value_enum, default_value_t = Example::G6ePair)]
    example: Example,
    /// Where to
    #[arg(short = 'o', long = "output", value_name = "FILE", default_value = "prefab.yaml")]
    output: PathBuf,
}

/// The specs of `templates/`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Example {
    /// One prefill and one decode node of g6e.12xlarge, with a tracking server
    #[value(name = "g6e-pair")]
    G6ePair,
    /// The smallest cluster: two g5.8xlarge, no MLflow
    #[value(name = "g5-minimal")]
    G5Minimal,
    /// 2 + 2 g6e.48xlarge in a private subnet
    #[value(name = "g6e-private")]
    G6ePrivate,
    /// 4 + 4 p5.48xlarge in a capacity block, with an MLflow app
    #[value(name = "p5-block")]
    P5Block,
    /// 4 + 4 p6-b300.48xlarge
    #[value(name = "p6-b300")]
    P6B300,
}

impl Example {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::G6ePair => include_str!("../../templates/g6e-pair/prefab.yaml"),
            Self::G5Minimal => include_str!("../../templates/g5-minimal/prefab.yaml"),
            Self::G6ePrivate => include_str!("../../templates/g6e-private/prefab.yaml"),
            Self::P5Block => include_str!("../../templates/p5-block/prefab.yaml"),
            Self::P6B300 => include_str!("../../templates/p6-b300/prefab.yaml"),
        }
    }
}

impl Init {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let path = self.output.display();
        // `create_new`: a spec that somebody wrote is never overwritten, not even in a race.
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&self.output) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("{path} exists already, and a spec is never overwritten; name another file with `-o FILE`")
            }
            Err(error) => return Err(error).with_context(|| format!("creating {path}")),
        };
        file.write_all(self.example.text().as_bytes()).with_context(|| format!("writing {path}"))?;
        writeln!(streams.out, "Wrote {path}. Next: edit it, then `prefab validate -f {path}`.")?;
        Ok(Exit::Done)
    }
}
