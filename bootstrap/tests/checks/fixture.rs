//! A machine as one text file.
//!
//! ```text
//! # A comment, before the first section.
//! base: g6e-healthy                       what this case differs from
//! profile: base                           [default: serving]
//! expect: efa.memlock fail "65536"        text that found, expected or hint holds; whatever is not expected passes
//! remove: dev/infiniband                  a file, or a folder with all in it
//! edit: proc/meminfo | 5128 | 0           text to replace in a file of the base
//! == etc/hostname                         a file, up to the next section
//! == lib/a.so.1 -> a.so.1.2               a link
//! == lib/a.so.1.2 elf needed=b.so,c.so rpath=$ORIGIN wants=b.so:B_1.2 versions=A_1.0,A_1.1 text=up to the line's end
//! == bin/x mode=755                       an executable file
//! == sys/y unreadable                     neither there nor absent
//! == sys/d{n}/vendor for=0..32            32 files
//! == a.out each=0..32                     one file with 32 copies of the text, {n} replaced
//! += var/log/prefab/a.log                 more text for a file of the base
//!
//! `{message_version}` anywhere is that of the engine's messages.
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::elf;

/// One case.
#[derive(Debug, Default)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) profile: String,
    pub(crate) expected: Vec<Expected>,
    entries: BTreeMap<String, Entry>,
}

/// One line `expect:`.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) id: String,
    pub(crate) outcome: String,
    pub(crate) text: String,
}

#[derive(Debug, Clone)]
enum Entry {
    Text(String, u32),
    Bytes(Vec<u8>),
    Link(String),
}

/// Where the cases lie.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checks")
}

/// The bases, then every case, sorted.
pub(crate) fn all() -> Vec<Fixture> {
    let mut files: Vec<PathBuf> = [folder().join("base"), folder()].iter().flat_map(|folder| files(folder)).collect();
    files.sort();
    files.iter().map(|file| Fixture::read(file)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "fixture")).collect()
}

impl Fixture {
    /// A base by its name.
    pub(crate) fn base(name: &str) -> Self {
        Self::read(&folder().join("base").join(format!("{name}.fixture")))
    }

    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let text = text.replace("{message_version}", &prefab_contract::engine::MESSAGE_VERSION.to_string());
        let mut sections = text.split_inclusive('\n').peekable();
        let mut fixture = Self { profile: "serving".to_owned(), ..Self::default() };
        while let Some(line) = sections.next_if(|line| !is_head(line)) {
            fixture.directive(line.trim(), file);
        }
        fixture.name = file.file_stem().unwrap().to_string_lossy().into_owned();
        while let Some(head) = sections.next() {
            let mut body = String::new();
            while let Some(line) = sections.next_if(|line| !is_head(line)) {
                body.push_str(line);
            }
            fixture.section(head.trim(), &body, file);
        }
        fixture
    }

    fn directive(&mut self, line: &str, file: &Path) {
        let at = file.display();
        match line.split_once(':').map(|(key, value)| (key, value.trim())) {
            None if line.is_empty() => {}
            _ if line.starts_with('#') => {}
            // A case inherits the tree of its base and none of its verdicts: they are all passes.
            Some(("base", name)) => self.entries = Self::base(name).entries,
            Some(("profile", name)) => self.profile = name.to_owned(),
            Some(("expect", rest)) => self.expected.push(expected(rest).unwrap_or_else(|| panic!("{at}: {line}"))),
            Some(("remove", path)) => {
                let before = self.entries.len();
                self.entries.retain(|name, _| name != path && !name.starts_with(&format!("{path}/")));
                assert!(self.entries.len() < before, "{at}: nothing to remove at {path}");
            }
            Some(("edit", rest)) => {
                // Nothing behind the last bar removes the text.
                let rest = format!("{rest} ");
                let parts: Vec<&str> = rest.split(" | ").map(|part| part.strip_suffix(' ').unwrap_or(part)).collect();
                let [path, from, to] = parts[..] else { panic!("{at}: {line}") };
                let Some(Entry::Text(text, _)) = self.entries.get_mut(path) else { panic!("{at}: no file {path}") };
                assert!(text.contains(from), "{at}: no '{from}' in {path}");
                *text = text.replace(from, to);
            }
            _ => panic!("{at}: what is '{line}'?"),
        }
    }

    fn section(&mut self, head: &str, body: &str, file: &Path) {
        if let Some(path) = head.strip_prefix("+= ") {
            let Some(Entry::Text(text, _)) = self.entries.get_mut(path) else {
                panic!("{}: no {path}", file.display())
            };
            text.push_str(body);
            return;
        }
        let mut words = head.strip_prefix("== ").unwrap().split(' ');
        let path = words.next().unwrap();
        let words: Vec<&str> = words.collect();
        let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
        let entry = match words[..] {
            ["->", target] | ["->", target, _] => Entry::Link(target.to_owned()),
            // A link to itself: opening it is an error that is not "no such file".
            ["unreadable"] => Entry::Link(Path::new(path).file_name().unwrap().to_string_lossy().into_owned()),
            ["elf", ..] => {
                let words = |name: &str| option(name).map_or(Vec::new(), |list| list.split(',').collect());
                let library = elf::Library {
                    needed: words("needed="),
                    search: option("rpath="),
                    wants: words("wants=").into_iter().map(|want| want.split_once(':').unwrap()).collect(),
                    versions: words("versions="),
                    text: head.split_once("text=").map_or("", |(_, text)| text),
                };
                Entry::Bytes(library.file())
            }
            _ => Entry::Text(repeated(body, option("each=")), option("mode=").map_or(0o644, octal)),
        };
        for number in range(option("for=").unwrap_or("0..1")) {
            let with = |text: &str| text.replace("{n}", &number.to_string());
            let entry = match &entry {
                Entry::Text(text, mode) if option("for=").is_some() => Entry::Text(with(text), *mode),
                Entry::Link(target) => Entry::Link(with(target)),
                other => other.clone(),
            };
            self.entries.insert(with(path), entry);
        }
    }

    /// The names of its files.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = self.entries.iter().filter(|(_, entry)| !matches!(entry, Entry::Link(_)));
        files.map(|(name, _)| name.clone()).collect()
    }

    /// Makes the folder.
    pub(crate) fn unpack(&self) -> TempDir {
        // Tens of thousands of small files: in memory, where there is some, that takes a tenth of the time.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        self.unpack_into(root.path());
        root
    }

    fn unpack_into(&self, root: &Path) {
        for (name, entry) in &self.entries {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match entry {
                Entry::Text(text, mode) => {
                    fs::write(&path, text).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                }
                Entry::Bytes(bytes) => fs::write(&path, bytes).unwrap(),
                Entry::Link(target) => symlink(target, &path).unwrap(),
            }
        }
    }
}

/// `make bench` measures checks on a large machine, which it gets as the folder PREFAB_FIXTURE_ROOT.
#[test]
#[ignore = "a tool of make bench"]
fn a_large_machine_for_the_benchmark() {
    let root = std::env::var("PREFAB_FIXTURE_ROOT").expect("PREFAB_FIXTURE_ROOT names no folder");
    Fixture::base("p5-healthy").unpack_into(Path::new(&root));
}

fn is_head(line: &str) -> bool {
    line.starts_with("== ") || line.starts_with("+= ")
}

fn expected(rest: &str) -> Option<Expected> {
    let (id, rest) = rest.split_once(' ')?;
    let (outcome, text) = rest.split_once(' ')?;
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(Expected { id: id.to_owned(), outcome: outcome.to_owned(), text: text.to_owned() })
}

fn range(text: &str) -> std::ops::Range<u32> {
    let (from, to) = text.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

fn repeated(body: &str, each: Option<&str>) -> String {
    let Some(each) = each else { return body.to_owned() };
    range(each).map(|number| body.replace("{n}", &number.to_string())).collect()
}

fn octal(text: &str) -> u32 {
    u32::from_str_radix(text, 8).unwrap()
}
