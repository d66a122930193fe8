//! `tasks`: runs a task file. Each command is a bash of its own; what is done stays done, what is not is never called so.

mod account;
mod console;
mod directory;
mod environment;
mod journal;
mod keeper;
mod lock;
mod mask;
mod options;
mod plan;
mod run;
mod secrets;
mod show;
mod state;
mod step;
mod syntax;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::error::ErrorKind;
use prefab_contract::sha256::Sha256;
use prefab_contract::task_file::{MAX_FILE_BYTES, Suite, TaskFile, Value};
use sha2::Digest;

use crate::exit::Outcome;
use crate::interrupt::Interrupt;
use directory::Directory;
use journal::Journal;
pub(crate) use keeper::{KeeperOptions, keep};
use lock::Lock;
use mask::Mask;
pub(crate) use options::Options;
use plan::{Action, plan};
use run::Run;
use secrets::{NoStore, Secrets, SecretsFile};
use state::State;

/// The folder of tasks inside the state folder.
const TASKS: &str = "tasks";

/// Runs, lists or shows a task file.
///
/// # Errors
/// A file that cannot be read, a state folder that cannot be trusted, or another run.
pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let set = options.set().unwrap_or_else(|message| usage(&message));
    let arns = options.secret_arns().unwrap_or_else(|message| usage(&message));
    let suite = match read(&options.file)?.and_then(|file| Suite::bind(file, set)) {
        Ok(suite) => suite,
        Err(findings) => return report(&options.file, findings.iter().map(ToString::to_string)),
    };
    let unreadable = syntax::check(&suite)?;
    if !unreadable.is_empty() {
        return report(&options.file, unreadable.into_iter());
    }
    let digest = Sha256::from_bytes(sha2::Sha256::digest(suite.canonical()?.as_bytes()).into());
    if options.dry_run || options.list {
        return show(options, &suite, &digest);
    }
    let accounts = run::accounts(&suite)?;
    // A run that is asked for what cannot be must not leave folders behind.
    let planned =
        plan(&suite, &find_state(options, &suite, &digest)?, options).unwrap_or_else(|message| usage(&message));
    let secrets = fetch_secrets(options, &suite, &planned, &arns)?;
    let mut mask = Mask::default();
    for (name, value) in &secrets {
        mask.add(name, value);
    }
    let interrupt = Interrupt::watch()?;
    let tasks_folder = Directory::make(&std::path::absolute(&options.state_dir)?)?.make_private(TASKS)?;
    let _lock = Lock::take(&tasks_folder, &suite.file.name)?;
    let folder = tasks_folder.make_private(digest.as_str())?;
    // Read again under the lock: another run may have ended just now.
    let mut state = load(&folder, options, &suite, &digest)?;
    let actions = plan(&suite, &state, options).unwrap_or_else(|message| usage(&message));
    let run = Run {
        suite: &suite,
        actions: &actions,
        accounts: &accounts,
        secrets: &secrets,
        mask: &mask,
        tasks_folder: &tasks_folder,
        folder: &folder,
        delay_divisor: options.delay_divisor,
        interrupt: &interrupt,
    };
    let mut journal = Journal::begin(&folder, options.json);
    let outcome = run.run(&mut state, &mut journal, digest.as_str())?;
    if outcome == Outcome::Failed && !options.json {
        let again = again(options);
        writeln!(std::io::stdout(), "Mend the cause, then run `{again}` again: it goes on where it stopped").ok();
    }
    Ok(outcome)
}

fn again(options: &Options) -> String {
    format!("prefab-bootstrap tasks {}", options.file.display())
}

fn read(path: &Path) -> Result<Result<TaskFile, Vec<prefab_contract::task_file::Finding>>> {
    use std::io::Read;
    let file = std::fs::File::open(path).with_context(|| format!("opening the task file {}", path.display()))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES)? + 1;
    file.take(limit).read_to_end(&mut bytes).with_context(|| format!("reading the task file {}", path.display()))?;
    Ok(TaskFile::parse(&bytes))
}

fn report(path: &Path, findings: impl Iterator<Item = String>) -> Result<Outcome> {
    let mut text = String::new();
    let mut count = 0;
    for finding in findings {
        text += &format!("error: {finding}\n");
        count += 1;
    }
    text += &format!("{}: {count} found; nothing was run\n", path.display());
    // A closed standard error leaves nobody to tell; the code tells too.
    let _unread = std::io::stderr().write_all(text.as_bytes());
    Ok(Outcome::Failed)
}

fn show(options: &Options, suite: &Suite, digest: &Sha256) -> Result<Outcome> {
    let state = find_state(options, suite, digest)?;
    let text = if options.list {
        show::list(suite, &state, options.json)?
    } else {
        let actions = plan(suite, &state, options).unwrap_or_else(|message| usage(&message));
        show::dry_run(suite, &actions, digest.as_str(), options.json)?
    };
    // A reader that has enough is no error.
    let _unread = std::io::stdout().write_all(text.as_bytes());
    Ok(Outcome::Done)
}

/// The state as it is, without making anything.
fn find_state(options: &Options, suite: &Suite, digest: &Sha256) -> Result<State> {
    let found = Directory::find(&std::path::absolute(&options.state_dir)?)?;
    let tasks = found.map(|found| found.find_private(TASKS)).transpose()?.flatten();
    match tasks.map(|tasks| tasks.find_private(digest.as_str())).transpose()?.flatten() {
        Some(folder) => load(&folder, options, suite, digest),
        None => Ok(State::new(digest, &suite.file.name)),
    }
}

fn load(folder: &Directory, options: &Options, suite: &Suite, digest: &Sha256) -> Result<State> {
    let fresh = || State::new(digest, &suite.file.name);
    if options.force && options.from.is_none() && options.only.is_none() {
        return Ok(fresh());
    }
    Ok(State::load(folder, digest)?.unwrap_or_else(fresh))
}

/// The secrets that the tasks of this run name, by variable.
fn fetch_secrets(
    options: &Options,
    suite: &Suite,
    actions: &[Action],
    arns: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let store: Box<dyn Secrets> = match &options.secrets_from {
        Some(path) => Box::new(SecretsFile::open(path)?),
        None => Box::new(NoStore),
    };
    let running = suite.tasks.iter().zip(actions).filter(|(_, action)| **action == Action::Run);
    let mut values = BTreeMap::new();
    for name in running.flat_map(|(task, _)| task.names()) {
        if let Some(Value::Secret(reference)) = suite.values.get(name)
            && !values.contains_key(name)
        {
            values.insert(name.to_owned(), secrets::fetch(reference, arns, store.as_ref())?);
        }
    }
    for name in arns.keys() {
        let is_used = suite.values.values().any(|value| matches!(value, Value::Secret(reference) if reference == name));
        ensure!(is_used, "--secret {name}: no variable of the file names this secret");
    }
    Ok(values)
}

/// A wrong use of the command line, told and ended as clap does.
fn usage(message: &str) -> ! {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n")).exit()
}
