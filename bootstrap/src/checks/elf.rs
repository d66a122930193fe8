//! What a shared library needs, read from its bytes without loading it.

use crate::host::Parts;

/// The dynamic section's words that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Elf {
    /// Names of needed libraries.
    pub(super) needed: Vec<String>,
    /// Folders of RPATH, as written: for this library and for those that it loads.
    pub(super) rpath: Vec<String>,
    /// Folders of RUNPATH, as written: for this library alone. One that has it has no RPATH.
    pub(super) runpath: Vec<String>,
    /// Versions that the loader must find: of which library, and their name, such as `FABRIC_1.10`.
    pub(super) wanted_versions: Vec<(String, String)>,
    /// Versions that this library has; none where it was built without.
    pub(super) versions: Vec<String>,
}

const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const HEADER_BYTES: usize = 64;
const PROGRAM_LOAD: u32 = 1;
const PROGRAM_DYNAMIC: u32 = 2;
const PROGRAM_HEADER_BYTES: usize = 56;
const TAG_NEEDED: u64 = 1;
const TAG_STRINGS: u64 = 5;
const TAG_RPATH: u64 = 15;
const TAG_RUNPATH: u64 = 29;
const TAG_VERSIONS: u64 = 0x6fff_fffc;
const TAG_WANTED_VERSIONS: u64 = 0x6fff_fffe;

/// No library has more entries, and no name of one more bytes; a planted one gets no more of our time.
const MAX_ENTRIES: usize = 4096;

/// Tables of versions are far shorter.
const MAX_VERSION_BYTES: usize = 256 * 1024;

/// The bytes of a file from an offset on, at most so many.
type Source<'a> = &'a dyn Fn(u64, usize) -> Vec<u8>;

impl Elf {
    /// Reads a 64-bit little-endian ELF file, of any size; none when it is something else or broken.
    pub(super) fn read(file: &Parts) -> Option<Self> {
        Self::parse(&|offset, length| file.at(offset, length))
    }

    /// Tools that repair libraries move any part anywhere, so each is looked for where the part before it says.
    fn parse(at: Source<'_>) -> Option<Self> {
        let headers = program_headers(at)?;
        let Some(dynamic) = headers.iter().find(|header| header.kind == PROGRAM_DYNAMIC) else {
            return Some(Self::default());
        };
        let table = at(dynamic.offset, MAX_ENTRIES * 16);
        let mut entries = Vec::new();
        for index in 0..MAX_ENTRIES {
            let (tag, value) = (u64_at(&table, index * 16)?, u64_at(&table, index * 16 + 8)?);
            if tag == 0 {
                break;
            }
            entries.push((tag, value));
        }
        let file_offset = |address| headers.iter().find_map(|header| header.file_offset(address));
        let strings = file_offset(entries.iter().find(|(tag, _)| *tag == TAG_STRINGS)?.1)?;
        let name = |place: u64| text(&at(strings.checked_add(place)?, MAX_ENTRIES));
        let mut elf = Self::default();
        for (tag, value) in entries {
            let folders = || Some(name(value)?.split(':').map(str::to_owned).collect::<Vec<_>>());
            let table = || Some(at(file_offset(value)?, MAX_VERSION_BYTES));
            match tag {
                TAG_NEEDED => elf.needed.push(name(value)?),
                TAG_RPATH => elf.rpath.extend(folders()?),
                TAG_RUNPATH => elf.runpath.extend(folders()?),
                TAG_WANTED_VERSIONS => elf.wanted_versions = wanted_versions(&table()?, &name)?,
                TAG_VERSIONS => elf.versions = versions(&table()?, &name)?,
                _ => {}
            }
        }
        Some(elf)
    }
}

/// `Elf64_Verneed`: by library, a chain of `Elf64_Vernaux`.
fn wanted_versions(table: &[u8], name: &dyn Fn(u64) -> Option<String>) -> Option<Vec<(String, String)>> {
    let mut wanted = Vec::new();
    for library in chain(table, 0, 12)? {
        let file = name(u32_at(table, library + 4)?.into())?;
        let first = library.checked_add(usize::try_from(u32_at(table, library + 8)?).ok()?)?;
        for version in chain(table, first, 12)? {
            wanted.push((file.clone(), name(u32_at(table, version + 8)?.into())?));
        }
    }
    Some(wanted)
}

/// `Elf64_Verdef`: each with its own name first, then those of its parents.
fn versions(table: &[u8], name: &dyn Fn(u64) -> Option<String>) -> Option<Vec<String>> {
    let own = |definition: usize| {
        let first = definition.checked_add(usize::try_from(u32_at(table, definition + 12)?).ok()?)?;
        name(u32_at(table, first)?.into())
    };
    chain(table, 0, 16)?.into_iter().map(own).collect()
}

/// The places of a list whose entries say at `link`, relative to themselves, where the next one is; 0 ends it.
fn chain(table: &[u8], first: usize, link: usize) -> Option<Vec<usize>> {
    let (mut places, mut place) = (Vec::new(), first);
    while places.len() < MAX_ENTRIES {
        places.push(place);
        match u32_at(table, place.checked_add(link)?)? {
            0 => return Some(places),
            next => place = place.checked_add(usize::try_from(next).ok()?)?,
        }
    }
    None
}

struct ProgramHeader {
    kind: u32,
    offset: u64,
    address: u64,
    file_bytes: u64,
}

impl ProgramHeader {
    fn file_offset(&self, address: u64) -> Option<u64> {
        let inside = address.checked_sub(self.address).filter(|inside| *inside < self.file_bytes)?;
        (self.kind == PROGRAM_LOAD).then(|| self.offset.checked_add(inside))?
    }
}

fn program_headers(at: Source<'_>) -> Option<Vec<ProgramHeader>> {
    let header = at(0, HEADER_BYTES);
    header.starts_with(MAGIC).then_some(())?;
    let (size, count) = (usize::from(u16_at(&header, 54)?), usize::from(u16_at(&header, 56)?));
    let count = count.min(MAX_ENTRIES);
    let table = at(u64_at(&header, 32)?, count.checked_mul(size.max(PROGRAM_HEADER_BYTES))?);
    (0..count)
        .map(|index| {
            let place = index.checked_mul(size)?;
            Some(ProgramHeader {
                kind: u32_at(&table, place)?,
                offset: u64_at(&table, place + 8)?,
                address: u64_at(&table, place + 16)?,
                file_bytes: u64_at(&table, place + 32)?,
            })
        })
        .collect()
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Up to the zero byte.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some(crate::host::plain(&String::from_utf8_lossy(&bytes[..end])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes of a slice as those of a file.
    fn parse(bytes: &[u8]) -> Option<Elf> {
        Elf::parse(&|offset, length| {
            let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
            rest[..rest.len().min(length)].to_vec()
        })
    }

    #[test]
    fn this_very_program_can_be_read() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = parse(&bytes).unwrap();
        assert!(elf.needed.iter().any(|name| name.starts_with("libc.so")), "{elf:?}");
        let glibc = elf.wanted_versions.iter().filter(|(library, _)| library == "libc.so.6");
        assert!(glibc.map(|(_, version)| version).any(|version| version.starts_with("GLIBC_2.")), "{elf:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), size in 0_u8..64, count in 0_u8..9) {
            parse(&bytes);
            // Past the door too: the right magic, a table inside the file.
            bytes.resize(bytes.len().max(200), 2);
            bytes[..6].copy_from_slice(MAGIC);
            bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
            bytes[54..58].copy_from_slice(&[size, 0, count, 0]);
            parse(&bytes);
            wanted_versions(&bytes[64..], &|_| Some(String::new()));
            versions(&bytes[64..], &|_| Some(String::new()));
        }
    }
}
