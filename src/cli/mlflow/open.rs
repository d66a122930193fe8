//! `prefab mlflow open`: the user interface in a browser.
//!
//! The link logs in whoever holds it. It is printed where it was asked for, or handed to a browser in a file that only its
//! owner reads: a command line could be seen by every user of this machine.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use prefab_rest::mlflow::address::Address;

use super::target::{TargetOptions, variable};
use crate::cli::Streams;
use crate::exit::Exit;

/// How long a browser may take to read the file.
const READING: Duration = Duration::from_secs(20);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(100);
/// How a browser is started: on Linux, on macOS.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// Print a link to the user interface, or open it in a browser
#[derive(Debug, Args)]
pub(super) struct Open {
    #[command(flatten)]
    target: TargetOptions,
    /// Open the link in a browser instead of printing it
    #[arg(long)]
    browser: bool,
    /// How long the link can be used, seconds; it works once
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(5..=300))]
    valid: u64,
    /// How long the session lasts, minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(30..=720))]
    session: u64,
}

impl Open {
    pub(super) fn run(&self, streams: &mut Streams<'_>) -> anyhow::Result<Exit> {
        let Some(target) = self.target.read(streams.err)? else { return Ok(Exit::Failed) };
        let reached = target.reach(&self.target)?;
        let link = match &reached.resource {
            Some(resource) => {
                let (valid, session) = (Duration::from_secs(self.valid), Duration::from_secs(self.session * 60));
                let link = reached.control_plane().presigned_url(resource, valid, session).with_context(|| {
                    format!(
                        "asking for a link to {}; it takes sagemaker:CreatePresignedMlflow…Url and \
                         sagemaker-mlflow:AccessUI",
                        reached.name()
                    )
                })?;
                link.reveal().to_owned()
            }
            None => match reached.address()? {
                Address::Plain { base } => base.to_string(),
                Address::SageMaker { .. } => bail!("only SageMaker signs links"),
            },
        };
        if self.browser {
            writeln!(streams.err, "opening a browser for {}", reached.name())?;
            in_browser(&link)?;
            return Ok(Exit::Done);
        }
        writeln!(streams.out, "{link}")?;
        if reached.resource.is_some() {
            writeln!(
                streams.err,
                "This link logs in whoever opens it first, within {} s. Keep it to yourself.",
                self.valid
            )?;
        }
        Ok(Exit::Done)
    }
}

/// A page that leads on, in a file of this user, gone when the browser had time to read it.
fn in_browser(link: &str) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("prefab-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
        .context("making a folder for the link")?;
    let page = folder.path().join("open.html");
    let escaped = link.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let text = format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\"><meta \
         http-equiv=\"refresh\" content=\"0;url={escaped}\"><title>MLflow</title>"
    );
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&page).context("writing the link")?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .and_then(|()| file.write_all(text.as_bytes()))
        .context("writing the link")?;
    let named = variable("BROWSER");
    for program in named.iter().map(String::as_str).chain(OPENERS) {
        let started =
            Command::new(program).arg(&page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(mut browser) = started else { continue };
        let end = Instant::now() + READING;
        // An opener ends at once, a browser with its last window: either way it had its time to read.
        while Instant::now() < end {
            if browser.try_wait().context("waiting for the browser")?.is_some_and(|status| !status.success()) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        if browser.try_wait().context("waiting for the browser")?.is_none_or(|status| status.success()) {
            return Ok(());
        }
    }
    bail!("found no browser, expected one behind BROWSER, xdg-open or open; leave out --browser to print the link")
}
