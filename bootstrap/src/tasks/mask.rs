//! Secrets in what commands print: found in the forms that tools give them, across any split of the stream.

/// The shortest secret. A shorter one stands in ordinary text by chance, and masking it would hide that text.
pub(super) const MIN_SECRET_BYTES: usize = 8;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How many characters `base64` puts on a line.
const BASE64_LINE: usize = 76;

/// The texts that must not be seen, longest first, each with what stands in its place.
#[derive(Debug, Default, Clone)]
pub(super) struct Mask {
    forms: Vec<(Vec<u8>, String)>,
}

impl Mask {
    /// Adds a secret in all its forms.
    pub(super) fn add(&mut self, name: &str, secret: &str) {
        let place = format!("[secret {name}]");
        for form in forms(secret) {
            if form.len() >= MIN_SECRET_BYTES && !self.forms.iter().any(|(known, _)| *known == form) {
                self.forms.push((form, place.clone()));
            }
        }
        self.forms.sort_by(|left, right| right.0.len().cmp(&left.0.len()).then_with(|| left.cmp(right)));
    }

    /// Whether a text holds a secret.
    pub(super) fn finds(&self, text: &[u8]) -> bool {
        self.forms.iter().any(|(form, _)| text.windows(form.len()).any(|window| window == form))
    }
}

/// A stream being masked.
#[derive(Debug)]
pub(super) struct Masked<'a> {
    mask: &'a Mask,
    first: [bool; 256],
    /// What may be the beginning of a secret.
    held: Vec<u8>,
}

impl<'a> Masked<'a> {
    pub(super) fn new(mask: &'a Mask) -> Self {
        let mut first = [false; 256];
        for (form, _) in &mask.forms {
            first[usize::from(form[0])] = true;
        }
        Self { mask, first, held: Vec::new() }
    }

    /// Takes more of the stream, and gives what can be shown by now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let (mut shown, mut rest) = (Vec::with_capacity(all.len()), all.as_slice());
        while let Some(&byte) = rest.first() {
            if self.first[usize::from(byte)] {
                if let Some((form, place)) = self.mask.forms.iter().find(|(form, _)| rest.starts_with(form)) {
                    shown.extend_from_slice(place.as_bytes());
                    rest = &rest[form.len()..];
                    continue;
                }
                if self.mask.forms.iter().any(|(form, _)| form.starts_with(rest)) {
                    self.held = rest.to_vec();
                    break;
                }
            }
            shown.push(byte);
            rest = &rest[1..];
        }
        shown
    }

    /// The end of the stream. The beginning of a secret, cut here, is not shown either.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        if held.len() < MIN_SECRET_BYTES { held } else { b"[part of a secret]".to_vec() }
    }
}

fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut forms = vec![bytes.to_vec()];
    // A key of several lines is often shown line by line.
    forms.extend(secret.lines().map(|line| line.trim().as_bytes().to_vec()));
    for alphabet in [STANDARD, URL_SAFE] {
        for before in 0..3 {
            let form = base64_core(bytes, before, alphabet);
            if form.len() > BASE64_LINE {
                forms.extend(form.chunks(BASE64_LINE).map(<[u8]>::to_vec));
            }
            forms.push(form);
        }
    }
    let percent = |upper: bool| -> Vec<u8> {
        bytes
            .iter()
            .flat_map(|&byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => vec![byte],
                _ if upper => format!("%{byte:02X}").into_bytes(),
                _ => format!("%{byte:02x}").into_bytes(),
            })
            .collect()
    };
    for form in [percent(true), percent(false)] {
        forms.push(String::from_utf8_lossy(&form).replace("%20", "+").into_bytes());
        forms.push(form);
    }
    forms.push(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
    forms.push(bytes.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect());
    forms.push(secret.replace('\'', r"'\''").into_bytes());
    if let Ok(json) = serde_json::to_string(secret) {
        forms.push(json.as_bytes()[1..json.len() - 1].to_vec());
    }
    forms
}

/// The part of a Base64 text that depends on these bytes alone, so many bytes after a multiple of three.
fn base64_core(bytes: &[u8], before: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
    let text: Vec<u8> = padded
        .chunks(3)
        .flat_map(|chunk| {
            let word = chunk.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
            (0..4).map(move |place| alphabet[usize::try_from(word >> (18 - 6 * place) & 63).unwrap_or(0)])
        })
        .collect();
    let (begin, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    text.get(begin..end).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t/+ va'lue=&\"é";

    fn masked(text: &[u8], split: usize) -> String {
        let mut mask = Mask::default();
        mask.add("TOKEN", SECRET);
        let mut stream = Masked::new(&mask);
        let mut shown = Vec::new();
        for chunk in text.chunks(split) {
            shown.extend(stream.take(chunk));
        }
        shown.extend(stream.finish());
        String::from_utf8_lossy(&shown).into_owned()
    }

    #[test]
    fn each_form_is_masked_wherever_the_stream_is_split() {
        let texts = [
            SECRET.to_owned(),
            // From `printf %s SECRET | base64`, with nothing, one and two bytes before it, then basenc --base64url, jq -R @uri, xxd -p.
            "czNjcjN0LysgdmEnbHVlPSYiw6k=".to_owned(),
            "YXMzY3IzdC8rIHZhJ2x1ZT0mIsOp".to_owned(),
            "YWFzM2NyM3QvKyB2YSdsdWU9JiLDqQ==".to_owned(),
            "s3cr3t%2F%2B%20va%27lue%3D%26%22%C3%A9".to_owned(),
            "s3cr3t%2f%2b+va%27lue%3d%26%22%c3%a9".to_owned(),
            "7333637233742f2b207661276c75653d2622c3a9".to_owned(),
            r#"s3cr3t/+ va'lue=&\"é"#.to_owned(),
        ];
        for text in texts {
            for split in [1, 2, 3, 7, 1000] {
                let shown = masked(format!("before {text} after").as_bytes(), split);
                assert!(shown.contains("[secret TOKEN]"), "{text} {split}: {shown}");
                assert!(shown.starts_with("before ") && shown.ends_with(" after"), "{shown}");
            }
        }
    }

    #[test]
    fn other_text_passes_and_a_cut_secret_does_not() {
        assert_eq!(masked(b"s3cr3 s3cr3t/+ vb", 3), "s3cr3 s3cr3t/+ vb");
        assert_eq!(masked(b"x s3cr3t/+ va", 3), "x [part of a secret]");
        assert_eq!(masked(b"x s3c", 3), "x s3c");
    }
}
