//! The smallest shared libraries that the checks can read.

/// An ELF file with these needed libraries and this search path; `text` is some constant in it.
pub(crate) fn library(needed: &[&str], search: Option<&str>, text: &str) -> Vec<u8> {
    let mut strings = vec![0];
    let mut add = |word: &str| {
        let at = strings.len() as u64;
        strings.extend(word.bytes().chain([0]));
        at
    };
    let mut dynamic: Vec<(u64, u64)> = needed.iter().map(|name| (1, add(name))).collect();
    dynamic.extend(search.map(|folders| (29, add(folders))));
    let strings_at = 64 + 2 * 56 + 16 * (dynamic.len() as u64 + 2);
    dynamic.extend([(5, strings_at), (0, 0)]);
    let total = strings_at + strings.len() as u64 + text.len() as u64;

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
    file.extend(strings);
    file.extend(text.bytes());
    file
}
