//! Where the report goes: a table for people, JSON and CSV for programs. Files are whole at every moment.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use prefab_contract::bench_report::BenchReport;

use super::options::Options;
use super::{case_lines, table};

/// Where documents go.
pub(crate) struct Reports<'a> {
    json: Option<&'a Path>,
    csv: Option<&'a Path>,
}

/// The path that stands for standard output.
const STDOUT: &str = "-";

impl<'a> Reports<'a> {
    /// Writes the empty report to every file.
    ///
    /// # Errors
    /// A path that cannot be written, or both documents to standard output.
    pub(crate) fn open(options: &'a Options, report: &BenchReport) -> Result<Self> {
        let reports = Self { json: options.json.as_deref(), csv: options.csv.as_deref() };
        ensure!(
            !(is_stdout(reports.json) && is_stdout(reports.csv)),
            "found JSON and CSV for standard output, expected one of them; write the other to a file"
        );
        reports.save(report)?;
        Ok(reports)
    }

    /// Writes the files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn save(&self, report: &BenchReport) -> Result<()> {
        if let Some(path) = self.json.filter(|path| *path != Path::new(STDOUT)) {
            write(path, &json(report)?)?;
        }
        if let Some(path) = self.csv.filter(|path| *path != Path::new(STDOUT)) {
            write(path, &case_lines::render(&report.cases)?)?;
        }
        Ok(())
    }

    /// The table to standard output; with a document there, the table goes to standard error.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn print(&self, report: &BenchReport) -> Result<()> {
        let table = table::render(report).into_bytes();
        let document = if is_stdout(self.json) {
            json(report)?
        } else if is_stdout(self.csv) {
            case_lines::render(&report.cases)?
        } else {
            return std::io::stdout().write_all(&table).context("writing to standard output");
        };
        std::io::stdout().write_all(&document).context("writing to standard output")?;
        // Whoever closed standard error does not want the table.
        let _unread = std::io::stderr().write_all(&table);
        Ok(())
    }
}

fn is_stdout(path: Option<&Path>) -> bool {
    path == Some(Path::new(STDOUT))
}

fn json(report: &BenchReport) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(report).context("writing the report")?;
    text.push(b'\n');
    Ok(text)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = File::create(path).and_then(|mut file| file.write_all(bytes));
    written
        .with_context(|| format!("cannot write the report to {}; choose a file in an existing folder", path.display()))
}
