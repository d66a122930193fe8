//! Where the dynamic loader looks, without asking it.

use std::collections::{BTreeMap, BTreeSet};

use super::elf::Elf;
use super::environment;
use crate::host::{Host, Unreadable};

/// Folders that the loader of Debian, Ubuntu, Amazon Linux and RHEL trusts.
const TRUSTED: &[&str] =
    &["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// No chain of libraries is longer.
const MAX_LIBRARIES: usize = 500;

/// The libraries of a process: the file of each name that was asked for.
pub(super) type Loaded = BTreeMap<String, String>;

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

    /// What the loader would not find for a file: needed libraries, direct and further, and versions of them. `loaded` holds
    /// those that the process has already, by name; what this file brings is added.
    pub(super) fn missing(&self, file: &str, loaded: &mut Loaded) -> Result<Vec<String>, Unreadable> {
        let (mut queue, mut missing) = (vec![(file.to_owned(), Vec::new())], BTreeSet::new());
        for _ in 0..MAX_LIBRARIES {
            let Some((path, inherited)) = queue.pop() else { break };
            let elf = self.elf(&path)?;
            let own = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
            let here = |folder: &String| folder.replace("$ORIGIN", own).replace("${ORIGIN}", own);
            let rpath: Vec<String> = elf.rpath.iter().map(here).chain(inherited).collect();
            let search = if elf.runpath.is_empty() { rpath.clone() } else { elf.runpath.iter().map(here).collect() };
            for name in elf.needed.iter().filter(|name| !loaded.contains_key(*name)).cloned().collect::<Vec<_>>() {
                match self.first_in(&search, &name)? {
                    Some(next) => {
                        loaded.insert(name, next.clone());
                        queue.push((next, rpath.clone()));
                    }
                    None if is_of_c_library(&name) => {}
                    None => {
                        missing.insert(name);
                    }
                }
            }
            for (name, version) in elf.wanted_versions {
                let Some(library) = loaded.get(&name) else { continue };
                let versions = self.elf(library)?.versions;
                // The loader lets a library without any version pass.
                if !versions.is_empty() && !versions.contains(&version) {
                    missing.insert(format!("{version} of {library}"));
                }
            }
        }
        Ok(missing.into_iter().collect())
    }

    fn elf(&self, path: &str) -> Result<Elf, Unreadable> {
        let file = self.host.parts(path)?.ok_or_else(|| Unreadable::new(path, "it is not there"))?;
        Elf::read(&file).ok_or_else(|| Unreadable::new(path, "it is no 64-bit ELF file"))
    }

    /// In a library's own folders, then in everybody's; a name with a folder is the path itself.
    fn first_in(&self, search: &[String], name: &str) -> Result<Option<String>, Unreadable> {
        if name.contains('/') {
            return self.host.real_path(name);
        }
        for folder in search {
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Builds a shared library: its name without `lib` and `.so`, its versions, further options of the compiler.
    fn build(folder: &Path, name: &str, code: &str, versions: &str, options: &[&str]) {
        let script = folder.join(format!("{name}.map"));
        std::fs::write(&script, versions).unwrap();
        let source = folder.join(format!("{name}.c"));
        std::fs::write(&source, code).unwrap();
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o"]).arg(folder.join(format!("lib{name}.so")));
        command.arg(source).arg(format!("-Wl,--version-script={}", script.display()));
        command.arg(format!("-L{}", folder.display())).args(options);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the loader itself says that it misses.
    fn ldd(file: &Path) -> BTreeSet<String> {
        let output = Command::new("ldd").arg(file).env("LC_ALL", "C").env_remove("LD_LIBRARY_PATH").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let missing = text.lines().filter(|line| line.contains("not found"));
        missing
            .map(|line| match line.split_once("version `") {
                // `/…/liba.so: /…/libb.so: version `B_2' not found (required by /…/liba.so)`
                Some((before, after)) => {
                    let library = before.trim().trim_end_matches(':').rsplit(": ").next().unwrap();
                    format!("{} of {library}", after.split('\'').next().unwrap())
                }
                None => line.split_whitespace().next().unwrap().to_owned(),
            })
            .collect()
    }

    #[test]
    fn it_agrees_with_the_loader_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let host = Host::open(Path::new("/")).unwrap();
        let agree = |what: &str, expected: &[String]| {
            let file = path.join("liba.so");
            let ours = Loader::new(&host).unwrap().missing(file.to_str().unwrap(), &mut Loaded::new()).unwrap();
            assert_eq!((ours.as_slice(), ldd(&file)), (expected, expected.iter().cloned().collect()), "{what}");
        };
        // Large constants move the dynamic section beyond everything that is read of a text.
        let large = "const char large[6 << 20] = {1};";
        let of_k = "extern int k(void); int b(void) { return k(); }";
        build(path, "k", "int k(void) { return 1; }", "K_1 { global: k; };", &[]);
        build(path, "b", of_k, "B_1 { }; B_2 { global: b; } B_1;", &["-lk"]);
        let rpath = format!("-Wl,--disable-new-dtags,-rpath,{}", path.display());
        let code = format!("{large} extern int b(void); int a(void) {{ return b(); }}");
        build(path, "a", &code, "A_1 { global: a; };", &["-lb", &rpath]);
        agree("RPATH holds for what a library loads", &[]);
        build(path, "b", of_k, "B_1 { global: b; };", &[path.join("libk.so").to_str().unwrap()]);
        agree("an older library, which needs another by its path", &[format!("B_2 of {}/libb.so", path.display())]);
        std::fs::remove_file(path.join("libb.so")).unwrap();
        agree("none at all", &["libb.so".to_owned()]);
    }
}
