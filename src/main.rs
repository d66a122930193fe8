//! Parse, call, report.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use prefab::cli::{Cli, Streams};
use prefab::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
    let ended = cli.run(&mut Streams { out: &mut out, err: &mut err });
    let exit = ended.and_then(|exit| out.flush().map(|()| exit).map_err(Into::into)).unwrap_or_else(|error| {
        // A closed standard error leaves nobody to tell; the exit code still does.
        let _ = writeln!(err, "error: {error:#}");
        Exit::Failed
    });
    exit.into()
}
