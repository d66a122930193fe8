//! Where the dynamic loader looks, without asking it.

use super::elf::Elf;
use super::environment;
use crate::host::{Host, Unreadable};

/// Folders that the loader of Debian, Ubuntu, Amazon Linux and RHEL trusts.
const TRUSTED: &[&str] =
    &["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// No chain of libraries is longer.
const MAX_LIBRARIES: usize = 500;

/// The loader's folders, in its order.
pub(super) struct Loader<'a> {
    host: &'a Host,
    folders: Vec<String>,
}

impl<'a> Loader<'a> {
    /// LD_LIBRARY_PATH as services get it, then /etc/ld.so.conf with what it includes, then the trusted folders.
    pub(super) fn new(host: &'a Host) -> Result<Self, Unreadable> {
        let path = environment::lookup(host, "LD_LIBRARY_PATH")?.map_or(String::new(), |(path, _)| path);
        let mut folders: Vec<String> = path.split(':').filter(|folder| !folder.is_empty()).map(str::to_owned).collect();
        for name in host.names("/etc/ld.so.conf.d")?.into_iter().filter(|name| name.ends_with(".conf")) {
            folders.extend(listed(&host.text(&format!("/etc/ld.so.conf.d/{name}"))?.unwrap_or_default()));
        }
        folders.extend(listed(&host.text("/etc/ld.so.conf")?.unwrap_or_default()));
        folders.extend(TRUSTED.iter().map(|&folder| folder.to_owned()));
        Ok(Self { host, folders })
    }

    /// The same loader with more folders in front, as a program that loads libraries by hand has.
    pub(super) fn with(mut self, folders: Vec<String>) -> Self {
        self.folders.splice(0..0, folders);
        self
    }

    /// Every file of this name, by real path, in the loader's order.
    pub(super) fn all(&self, name: &str) -> Result<Vec<String>, Unreadable> {
        let mut found: Vec<String> = Vec::new();
        for folder in &self.folders {
            let real = self.host.real_path(&format!("{folder}/{name}"))?;
            found.extend(real.filter(|real| !found.contains(real)));
        }
        Ok(found)
    }

    /// The file that the loader takes.
    pub(super) fn find(&self, name: &str) -> Result<Option<String>, Unreadable> {
        Ok(self.all(name)?.into_iter().next())
    }

    /// Names in the loader's folders that begin so.
    pub(super) fn beginning_with(&self, prefix: &str) -> Result<Vec<String>, Unreadable> {
        let mut found = Vec::new();
        for folder in &self.folders {
            let names = self.host.names(folder)?.into_iter().filter(|name| name.starts_with(prefix));
            found.extend(names.map(|name| format!("{folder}/{name}")));
        }
        Ok(found)
    }

    /// Needed libraries of a file, direct and further, that the loader would not find.
    pub(super) fn missing(&self, file: &str) -> Result<Vec<String>, Unreadable> {
        let (mut queue, mut seen, mut missing) = (vec![file.to_owned()], Vec::new(), Vec::new());
        while let Some(path) = queue.pop() {
            if seen.len() >= MAX_LIBRARIES || seen.contains(&path) {
                continue;
            }
            let bytes = self.host.bytes(&path)?.unwrap_or_default();
            let elf = Elf::parse(&bytes).ok_or_else(|| Unreadable::new(&path, "it is no 64-bit ELF file"))?;
            for name in &elf.needed {
                match self.of_library(&path, &elf, name)? {
                    Some(next) => queue.push(next),
                    None if is_of_c_library(name) || missing.contains(name) => {}
                    None => missing.push(name.clone()),
                }
            }
            seen.push(path);
        }
        Ok(missing)
    }

    fn of_library(&self, library: &str, elf: &Elf, name: &str) -> Result<Option<String>, Unreadable> {
        let own = library.rsplit_once('/').map_or("/", |(folder, _)| folder);
        for folder in &elf.search {
            let folder = folder.replace("$ORIGIN", own).replace("${ORIGIN}", own);
            if let Some(found) = self.host.real_path(&format!("{folder}/{name}"))? {
                return Ok(Some(found));
            }
        }
        self.find(name)
    }
}

/// Part of every system that runs dynamic programs at all; another check's duty, were it missing.
fn is_of_c_library(name: &str) -> bool {
    const STEMS: &[&str] =
        &["libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "ld-linux", "libgcc_s.so", "libstdc++.so"];
    STEMS.iter().any(|stem| name.starts_with(stem))
}

fn listed(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| line.starts_with('/')).map(str::to_owned).collect()
}
