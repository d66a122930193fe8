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
        // Who reads has enough, such as `head`: there is nothing to say and nobody to say it to.
        if !is_closed_pipe(&error) {
            // A closed standard error leaves nobody to tell; the exit code still does.
            let _ = writeln!(err, "error: {error:#}");
        }
        Exit::Failed
    });
    exit.into()
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    };
    error.chain().any(closed)
}
