//! Where the values of secrets come from. Only names and ARNs are ever written down.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use prefab_contract::task_file::MAX_VALUE_BYTES;

use super::directory::Directory;
use super::mask::MIN_SECRET_BYTES;
use crate::cloud::Aws;

/// A store of secrets.
pub(crate) trait Secrets {
    /// The value of the secret with this ARN.
    ///
    /// # Errors
    /// It cannot be had; the message never holds a value.
    fn fetch(&self, arn: &str) -> Result<String>;
}

/// Parameter Store and Secrets Manager, asked with this node's role. Only a node has a seed, and nothing is asked before
/// a task needs a secret.
pub(super) struct Account<'a> {
    /// Where the node's seed lies.
    pub(super) seed: &'a Path,
}

impl Secrets for Account<'_> {
    fn fetch(&self, arn: &str) -> Result<String> {
        let seed = self.seed.display();
        let text = std::fs::read_to_string(self.seed).with_context(|| {
            format!("cannot fetch {arn}: found no {seed}, which every node has; give --secrets-from FILE elsewhere")
        })?;
        let seed = serde_json::from_str(&text).with_context(|| format!("reading {seed}"))?;
        Aws::new(&seed, Path::new("/"), 1, |_| ())?.secret(arn).with_context(|| format!("fetching {arn}"))
    }
}

/// A private JSON file: an object from ARN to value.
pub(super) struct SecretsFile(BTreeMap<String, String>);

impl SecretsFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Others can read or write it, or it is no such object.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            bail!("{} is no file", path.display())
        };
        let folder = Directory::find(folder)?.with_context(|| format!("found no folder {}", folder.display()))?;
        let bytes = folder.read(name)?.with_context(|| format!("found no {}", path.display()))?;
        // The parser's own message could quote a value.
        let Ok(values) = serde_json::from_slice(&bytes) else { bail!("{} is no JSON object of texts", path.display()) };
        Ok(Self(values))
    }
}

impl Secrets for SecretsFile {
    fn fetch(&self, arn: &str) -> Result<String> {
        self.0.get(arn).cloned().with_context(|| format!("the file of secrets has no {arn}"))
    }
}

/// The value of a secret that a task names, by its ARN or by a name that stands for one.
///
/// # Errors
/// The name is unknown, or the value cannot travel or be masked.
pub(super) fn fetch(reference: &str, arns: &BTreeMap<String, String>, secrets: &dyn Secrets) -> Result<String> {
    let arn = if reference.starts_with("arn:") {
        reference
    } else {
        arns.get(reference)
            .with_context(|| format!("the secret `{reference}` has no ARN; give --secret {reference}=ARN"))?
    };
    let value = secrets.fetch(arn)?;
    ensure!(!value.contains('\0'), "the value of {arn} holds a NUL byte, which no environment can");
    ensure!(
        (MIN_SECRET_BYTES..=MAX_VALUE_BYTES).contains(&value.len()),
        "the value of {arn} has {} bytes, expected {MIN_SECRET_BYTES} to {MAX_VALUE_BYTES}: a shorter one cannot be masked, a longer one not be passed",
        value.len()
    );
    Ok(value)
}
