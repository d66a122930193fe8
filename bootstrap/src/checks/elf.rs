//! What a shared library needs, read from its bytes without loading it.

/// The dynamic section's words that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Elf {
    /// Names of needed libraries.
    pub(super) needed: Vec<String>,
    /// Folders of RPATH and RUNPATH, as written.
    pub(super) search: Vec<String>,
}

const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const PROGRAM_LOAD: u32 = 1;
const PROGRAM_DYNAMIC: u32 = 2;
const TAG_NEEDED: u64 = 1;
const TAG_STRINGS: u64 = 5;
const TAG_RPATH: u64 = 15;
const TAG_RUNPATH: u64 = 29;

/// No library has more; a planted one gets no more of our time.
const MAX_ENTRIES: usize = 4096;

impl Elf {
    /// Reads a 64-bit little-endian ELF file; none when it is something else or broken.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let headers = program_headers(bytes)?;
        let Some(dynamic) = headers.iter().find(|header| header.kind == PROGRAM_DYNAMIC) else {
            return Some(Self::default());
        };
        let mut entries = Vec::new();
        for index in 0..MAX_ENTRIES {
            let at = dynamic.offset.checked_add(index.checked_mul(16)?)?;
            let (tag, value) = (u64_at(bytes, at)?, u64_at(bytes, at.checked_add(8)?)?);
            if tag == 0 {
                break;
            }
            entries.push((tag, value));
        }
        let strings_address = entries.iter().find(|(tag, _)| *tag == TAG_STRINGS)?.1;
        let strings = headers.iter().find_map(|header| header.file_offset(strings_address))?;
        let mut elf = Self::default();
        for (tag, value) in entries {
            let text = || text_at(bytes, strings.checked_add(usize::try_from(value).ok()?)?);
            match tag {
                TAG_NEEDED => elf.needed.push(text()?),
                TAG_RPATH | TAG_RUNPATH => elf.search.extend(text()?.split(':').map(str::to_owned)),
                _ => {}
            }
        }
        Some(elf)
    }
}

struct ProgramHeader {
    kind: u32,
    offset: usize,
    address: u64,
    file_bytes: u64,
}

impl ProgramHeader {
    fn file_offset(&self, address: u64) -> Option<usize> {
        let inside = address.checked_sub(self.address).filter(|inside| *inside < self.file_bytes)?;
        (self.kind == PROGRAM_LOAD).then(|| self.offset.checked_add(usize::try_from(inside).ok()?))?
    }
}

fn program_headers(bytes: &[u8]) -> Option<Vec<ProgramHeader>> {
    bytes.starts_with(MAGIC).then_some(())?;
    let table = usize::try_from(u64_at(bytes, 32)?).ok()?;
    let (size, count) = (usize::from(u16_at(bytes, 54)?), usize::from(u16_at(bytes, 56)?));
    (0..count.min(MAX_ENTRIES))
        .map(|index| {
            let at = table.checked_add(index.checked_mul(size)?)?;
            Some(ProgramHeader {
                kind: u32_at(bytes, at)?,
                offset: usize::try_from(u64_at(bytes, at.checked_add(8)?)?).ok()?,
                address: u64_at(bytes, at.checked_add(16)?)?,
                file_bytes: u64_at(bytes, at.checked_add(32)?)?,
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

fn text_at(bytes: &[u8], at: usize) -> Option<String> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().take(MAX_ENTRIES).position(|&byte| byte == 0)?;
    Some(crate::host::plain(&String::from_utf8_lossy(&rest[..end])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_very_program_can_be_read() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = Elf::parse(&bytes).unwrap();
        assert!(elf.needed.is_empty() || elf.needed.iter().any(|name| name.starts_with("libc.so")), "{elf:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), size in 0_u8..64, count in 0_u8..9) {
            Elf::parse(&bytes);
            // Past the door too: the right magic, a table inside the file.
            bytes.resize(bytes.len().max(200), 2);
            bytes[..6].copy_from_slice(MAGIC);
            bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
            bytes[54..58].copy_from_slice(&[size, 0, count, 0]);
            Elf::parse(&bytes);
        }
    }
}
