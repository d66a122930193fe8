//! The smallest shared libraries that the checks can read.

/// What a library is made of.
#[derive(Default)]
pub(crate) struct Library<'a> {
    /// Libraries that it needs.
    pub(crate) needed: Vec<&'a str>,
    /// Its RUNPATH.
    pub(crate) search: Option<&'a str>,
    /// Versions that it must find: library and version.
    pub(crate) wants: Vec<(&'a str, &'a str)>,
    /// Versions that it has.
    pub(crate) versions: Vec<&'a str>,
    /// Some constant in it.
    pub(crate) text: &'a str,
}

/// Constants of the dynamic section.
const NEEDED: u64 = 1;
const STRINGS: u64 = 5;
const RUNPATH: u64 = 29;
const VERSIONS: u64 = 0x6fff_fffc;
const WANTED_VERSIONS: u64 = 0x6fff_fffe;

impl Library<'_> {
    /// An ELF file.
    pub(crate) fn file(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut add = |word: &str| {
            let at = u32::try_from(strings.len()).unwrap();
            strings.extend(word.bytes().chain([0]));
            at
        };
        let mut dynamic: Vec<(u64, u64)> = self.needed.iter().map(|name| (NEEDED, add(name).into())).collect();
        dynamic.extend(self.search.map(|folders| (RUNPATH, add(folders).into())));
        let wants: Vec<_> = self.wants.iter().map(|(library, version)| (add(library), add(version))).collect();
        let versions: Vec<_> = self.versions.iter().map(|version| add(version)).collect();
        let (wanted, had) = (wanted_table(&wants), versions_table(&versions));
        let more = usize::from(!wanted.is_empty()) + usize::from(!had.is_empty());
        let strings_at = 64 + 2 * 56 + 16 * (dynamic.len() as u64 + 2 + more as u64);
        let wanted_at = strings_at + strings.len() as u64;
        let had_at = wanted_at + wanted.len() as u64;
        dynamic.extend((!wanted.is_empty()).then_some((WANTED_VERSIONS, wanted_at)));
        dynamic.extend((!had.is_empty()).then_some((VERSIONS, had_at)));
        dynamic.extend([(STRINGS, strings_at), (0, 0)]);
        let total = had_at + (had.len() + self.text.len()) as u64;

        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(32, 0);
        file.extend(64_u64.to_le_bytes());
        file.resize(54, 0);
        file.extend([56, 0, 2, 0]);
        file.resize(64, 0);
        // Loaded as a whole at address 0; then the dynamic section behind both headers.
        for (kind, offset, bytes) in [(1_u32, 0, total), (2, 64 + 2 * 56, 16 * dynamic.len() as u64)] {
            file.extend(kind.to_le_bytes());
            file.extend(4_u32.to_le_bytes());
            for word in [offset, offset, offset, bytes, bytes, 8] {
                file.extend(u64::to_le_bytes(word));
            }
        }
        for (tag, value) in dynamic {
            file.extend(tag.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        [file, strings, wanted, had, self.text.as_bytes().to_vec()].concat()
    }
}

/// `Elf64_Verneed` with one `Elf64_Vernaux` each: places of the library's and the version's name.
fn wanted_table(wants: &[(u32, u32)]) -> Vec<u8> {
    let mut table = Vec::new();
    for (number, (library, version)) in wants.iter().enumerate() {
        let next = if number + 1 == wants.len() { 0 } else { 32 };
        table.extend([1, 0, 1, 0]);
        table.extend([*library, 16, next, 0, 0, *version, 0].into_iter().flat_map(u32::to_le_bytes));
    }
    table
}

/// `Elf64_Verdef` with one `Elf64_Verdaux` each.
fn versions_table(versions: &[u32]) -> Vec<u8> {
    let mut table = Vec::new();
    for (number, name) in versions.iter().enumerate() {
        let next = if number + 1 == versions.len() { 0 } else { 28 };
        table.extend([1, 0, 0, 0, 1, 0, 1, 0]);
        table.extend([0, 20, next, *name, 0].into_iter().flat_map(u32::to_le_bytes));
    }
    table
}
