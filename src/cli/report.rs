//! `prefab report`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;

use super::folder::Folder;
use super::instance_types::finding;
use super::mlflow::{Reports, TargetOptions};
use super::{Streams, report_files};
use crate::exit::Exit;
use crate::instance_types as catalogue;
use crate::report::input::{Inputs, Unreadable};
use crate::report::{self, Settings, html, markdown, terminal};

/// Show what was measured: a page that opens from disk, the same as Markdown, and a summary here
///
/// Reads reports of `prefab-bootstrap bench --json` and `check --json`, from files or from the runs of MLflow that keep them; what
/// one holds says which it is.
#[derive(Debug, Args)]
pub(super) struct Report {
    /// Reports, folders of them, or runs of MLflow by id or address
    #[arg(value_name = "FILE|RUN", required = true)]
    files: Vec<PathBuf>,
    /// Check reports of the machines; may be repeated
    #[arg(long, value_name = "FILE")]
    checks: Vec<PathBuf>,
    /// The page; the Markdown lies beside it, with the ending .md
    #[arg(short = 'o', long = "output", value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    /// The time to first token of which a transfer's share is told
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    ttft_budget_ms: u32,
    /// The EC2 type of the nodes, where the report does not tell what their link carries
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    #[command(flatten, next_help_heading = "Runs of MLflow")]
    mlflow: TargetOptions,
}

impl Report {
    pub(super) fn run(self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let paths = [self.files, self.checks].concat();
        let instance_type = match self.instance_type.as_deref().map(catalogue::find).transpose() {
            Ok(found) => found,
            Err(refusal) => {
                writeln!(streams.err, "{}", finding(&refusal, "--instance-type"))?;
                return Ok(Exit::Failed);
            }
        };
        let settings = Settings { ttft_budget_ms: f64::from(self.ttft_budget_ms), instance_type };
        let names = Names::of(&self.output)?;
        let inputs = report_files::read(&paths, &mut Reports::of(&self.mlflow), streams.err);
        write_with(streams, inputs, &self.output, names, settings)
    }
}

/// The report of another command's result.
pub(super) fn write(streams: &mut Streams<'_>, paths: &[PathBuf], output: &Path) -> anyhow::Result<Exit> {
    write_with(streams, report_files::read_files(paths), output, Names::of(output)?, Settings::default())
}

fn write_with(
    streams: &mut Streams<'_>,
    inputs: Result<Inputs, Vec<Unreadable>>,
    output: &Path,
    names: Names,
    settings: Settings,
) -> anyhow::Result<Exit> {
    let inputs = match inputs {
        Ok(inputs) => inputs,
        Err(refused) => {
            refused.iter().try_for_each(|unreadable| writeln!(streams.err, "{unreadable}"))?;
            return Ok(Exit::Failed);
        }
    };
    let report = report::model(&inputs, settings);
    write!(streams.out, "{}", terminal::render(&report))?;
    let files = [(names.page, html::render(&report)), (names.markdown, markdown::render(&report))];
    writeln!(streams.out)?;
    for file in names.folder.write(&files)? {
        writeln!(streams.out, "{file}")?;
    }
    writeln!(streams.out, "Next: open {} in a browser.", output.display())?;
    Ok(Exit::Done)
}

/// Where the files go.
struct Names {
    folder: Folder,
    page: String,
    markdown: String,
}

impl Names {
    fn of(output: &Path) -> anyhow::Result<Self> {
        let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        let page = name(output).context("found no name of a file in --output, expected one such as report.html")?;
        ensure!(
            output.extension().is_some_and(|ending| ending == "html"),
            "found --output {}, expected a name that ends in .html; the Markdown is written beside it",
            output.display()
        );
        let markdown = name(&output.with_extension("md")).context("a name with another ending is a name")?;
        let folder = output.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        Ok(Self { folder: Folder::new(folder), page, markdown })
    }
}
