//! A folder that nodes share in place of the bucket: for machines outside AWS, and for two network namespaces of one.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use super::{Cloud, Identity};

/// Nodes that share a folder in place of the bucket
#[derive(Debug, Args)]
pub(crate) struct FolderOptions {
    /// A folder that all nodes see, in place of the bucket; whoever reads it can be any of them
    #[arg(long, value_name = "DIR", requires_all = ["node", "address"], help_heading = "Outside AWS")]
    roster: Option<PathBuf>,
    /// This node's name
    #[arg(long, value_name = "NAME", requires = "roster", help_heading = "Outside AWS")]
    node: Option<String>,
    /// This node's one address
    #[arg(long, value_name = "ADDRESS", requires = "roster", help_heading = "Outside AWS")]
    address: Option<IpAddr>,
}

impl FolderOptions {
    /// The folder and this node's name, where they are given.
    pub(crate) fn open(&self) -> Result<Option<(Folder, String)>> {
        let (Some(path), Some(node), Some(address)) = (&self.roster, &self.node, self.address) else { return Ok(None) };
        ensure!(path.is_dir(), "found no folder {}; make one that all nodes see", path.display());
        ensure!(
            !address.is_unspecified(),
            "found the wildcard address {address}, expected the address of one interface; give that"
        );
        ensure!(is_plain(node), "found the node name `{node}`, expected letters and digits; use another");
        Ok(Some((Folder { path: path.clone(), address }, node.clone())))
    }
}

/// The folder as one node sees it.
pub(crate) struct Folder {
    path: PathBuf,
    address: IpAddr,
}

impl Folder {
    /// The stack of every folder: it holds one cluster.
    pub(crate) const STACK_UUID: &str = "folder";

    fn place(&self, key: &str) -> Result<PathBuf> {
        ensure!(key.split('/').all(is_key_part), "found the key `{key}`, expected plain names between slashes");
        Ok(self.path.join(key))
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
}

fn is_key_part(part: &str) -> bool {
    is_plain(&part.replace('.', "-")) && !part.starts_with('.')
}

impl Cloud for Folder {
    fn identity(&self) -> Result<Identity> {
        Ok(Identity { instance_id: "none".to_owned(), instance_type: "none".to_owned(), address: self.address })
    }

    fn tag(&self, _key: &str) -> Result<Option<String>> {
        Ok(None)
    }

    fn object(&self, key: &str, at_most: usize) -> Result<Vec<u8>> {
        let path = self.place(key)?;
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(bytes.len() <= at_most, "{} has {} bytes, expected at most {at_most}", path.display(), bytes.len());
        Ok(bytes)
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let Ok(entries) = std::fs::read_dir(self.path.join(prefix)) else { return Ok(Vec::new()) };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut keys: Vec<String> =
            names.filter(|name| is_key_part(name)).map(|name| format!("{prefix}{name}")).collect();
        keys.sort();
        Ok(keys)
    }

    fn put(&self, key: &str, body: &[u8]) -> Result<()> {
        let path = self.place(key)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        // A file appears whole, and only its owner reads the secret in it.
        let mut file =
            tempfile::NamedTempFile::new_in(folder).with_context(|| format!("writing {}", path.display()))?;
        std::io::Write::write_all(&mut file, body).context("writing an object")?;
        file.persist(&path).map(drop).with_context(|| format!("writing {}", path.display()))
    }

    fn put_once(&self, key: &str, body: &[u8]) -> Result<()> {
        self.put(key, body)
    }

    fn signal(&self, _node: &str, _instance_id: &str, _success: bool) -> Result<()> {
        bail!("a folder has no CloudFormation")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_files_and_keys_stay_inside() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder { path: root.path().to_owned(), address: IpAddr::from([127, 0, 0, 1]) };
        folder.put("roster/folder/Decode0.json", b"{}").unwrap();
        folder.put("roster/folder/Decode0.json", b"[]").unwrap();
        assert_eq!(folder.object("roster/folder/Decode0.json", 2).unwrap(), b"[]");
        assert_eq!(folder.keys("roster/folder/").unwrap(), ["roster/folder/Decode0.json"]);
        assert!(folder.object("roster/folder/Decode0.json", 1).is_err());
        for wrong in ["../x", "roster//x", "/etc/passwd", "roster/../../x", ""] {
            assert!(folder.put(wrong, b"").is_err() && folder.object(wrong, 10).is_err(), "{wrong}");
        }
        assert_eq!(folder.keys("absent/").unwrap(), Vec::<String>::new());
    }
}
