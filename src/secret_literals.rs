//! Finds secrets that someone wrote where everybody can read: a spec ends up in templates, tags and user data.
//!
//! Only shapes that hardly anything else has are looked for. A finding tells place and length, never the text.

/// What a literal looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An AWS access key id, lasting (AKIA) or temporary (ASIA).
    AwsAccessKeyId,
    /// A value assigned to a name such as `aws_secret_access_key` or `aws_session_token`.
    AwsSecret,
    /// A token of Hugging Face.
    HuggingFaceToken,
    /// A token of GitHub.
    GitHubToken,
    /// A private key in PEM.
    PrivateKey,
    /// A presigned URL, which is a secret for as long as it is valid.
    PresignedUrl,
}

impl Kind {
    /// For a finding: "found {what}".
    pub fn what(self) -> &'static str {
        match self {
            Self::AwsAccessKeyId => "an AWS access key id",
            Self::AwsSecret => "an AWS secret key or session token",
            Self::HuggingFaceToken => "a Hugging Face token",
            Self::GitHubToken => "a GitHub token",
            Self::PrivateKey => "a private key",
            Self::PresignedUrl => "a presigned URL",
        }
    }

    /// For a finding: what to write instead.
    pub fn instead(self) -> &'static str {
        match self {
            Self::AwsAccessKeyId | Self::AwsSecret => "remove it and revoke it: nodes use their instance role",
            Self::PresignedUrl => "name the bucket and the key: nodes sign their own requests",
            Self::HuggingFaceToken | Self::GitHubToken | Self::PrivateKey => {
                "revoke it, keep the new one in Secrets Manager or SSM and give its ARN under `secrets`"
            }
        }
    }
}

/// Where something secret stands. The text itself is not kept, so that no message and no log can show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretLiteral {
    /// What it looks like.
    pub kind: Kind,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How long it is.
    pub characters: usize,
}

/// A prefix that gives a token away, followed by at least `least` characters of its alphabet.
struct Token {
    kind: Kind,
    prefix: &'static str,
    least: usize,
    alphabet: fn(u8) -> bool,
}

/// The published lengths are 16 behind AKIA, 34 behind `hf_`, 36 behind `ghp_`, 82 behind `github_pat_`. Shorter ones are
/// taken for truncated tokens down to 20 characters, which no identifier of ours reaches without an underscore.
const TOKENS: [Token; 10] = [
    Token { kind: Kind::AwsAccessKeyId, prefix: "AKIA", least: 16, alphabet: is_upper_or_digit },
    Token { kind: Kind::AwsAccessKeyId, prefix: "ASIA", least: 16, alphabet: is_upper_or_digit },
    Token { kind: Kind::HuggingFaceToken, prefix: "hf_", least: 20, alphabet: is_alphanumeric },
    Token { kind: Kind::HuggingFaceToken, prefix: "api_org_", least: 20, alphabet: is_alphanumeric },
    Token { kind: Kind::GitHubToken, prefix: "ghp_", least: 20, alphabet: is_alphanumeric },
    Token { kind: Kind::GitHubToken, prefix: "gho_", least: 20, alphabet: is_alphanumeric },
    Token { kind: Kind::GitHubToken, prefix: "ghu_", least: 20, alphabet: is_alphanumeric },
    Token { kind: Kind::GitHubToken, prefix: "ghs_", least: 20, alphabet: is_alphanumeric },
    Token { kind: Kind::GitHubToken, prefix: "ghr_", least: 20, alphabet: is_alphanumeric },
    Token { kind: Kind::GitHubToken, prefix: "github_pat_", least: 20, alphabet: is_word },
];

fn is_upper_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'=')
}

/// Everything in `text` that looks like a secret, from top to bottom.
pub fn find(text: &str) -> Vec<SecretLiteral> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut add = |kind, from: usize, to: usize| {
            let literal = SecretLiteral {
                kind,
                line: index + 1,
                column: line[..from].chars().count() + 1,
                characters: line[from..to].chars().count(),
            };
            found.push(literal);
        };
        tokens(line, &mut add);
        assignments(line, &mut add);
        private_key(line, &mut add);
        presigned_url(line, &mut add);
    }
    found.sort_by_key(|literal| (literal.line, literal.column));
    found
}

fn run_length(bytes: &[u8], alphabet: fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&byte| alphabet(byte)).count()
}

fn tokens(line: &str, add: &mut impl FnMut(Kind, usize, usize)) {
    let bytes = line.as_bytes();
    for token in &TOKENS {
        for (from, _) in line.match_indices(token.prefix) {
            // Inside a longer word it is something else: base64 holds every four letters sooner or later.
            if from > 0 && (token.alphabet)(bytes[from - 1]) {
                continue;
            }
            let start = from + token.prefix.len();
            let length = run_length(&bytes[start..], token.alphabet);
            // Key ids have exactly 16 more characters; a longer run of capitals is no key id.
            let fits = if token.kind == Kind::AwsAccessKeyId {
                length == token.least
                    && !bytes.get(start + length).is_some_and(|&next| is_base64(next) && next != b'=' && next != b'/')
            } else {
                length >= token.least
            };
            if fits {
                add(token.kind, from, start + length);
            }
        }
    }
}

/// Names of secrets, without their separators and in lower case, with the lengths that their values have.
const SECRET_NAMES: [(&str, usize, usize); 5] = [
    ("secretaccesskey", 40, 40),
    ("awssecretkey", 40, 40),
    ("awssessiontoken", 80, usize::MAX),
    ("awssecuritytoken", 80, usize::MAX),
    ("xamzsecuritytoken", 80, usize::MAX),
];

/// `NAME = VALUE`, `NAME: VALUE` and their quoted forms; a value alone is no different from any other base64.
fn assignments(line: &str, add: &mut impl FnMut(Kind, usize, usize)) {
    let bytes = line.as_bytes();
    for (at, _) in line.match_indices(['=', ':']) {
        let name: String = line[..at]
            .chars()
            .rev()
            .skip_while(|c| matches!(c, ' ' | '\t' | '"' | '\''))
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        let from =
            at + 1 + bytes[at + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'')).count();
        let length = run_length(&bytes[from..], |byte| is_base64(byte) || matches!(byte, b'%' | b'-' | b'_'));
        let secret = SECRET_NAMES
            .iter()
            .any(|(suffix, least, most)| name.ends_with(suffix) && (*least..=*most).contains(&length));
        if secret {
            add(Kind::AwsSecret, from, from + length);
        }
    }
}

fn private_key(line: &str, add: &mut impl FnMut(Kind, usize, usize)) {
    for (from, begin) in line.match_indices("-----BEGIN ") {
        // One line may hold the whole key with escaped line ends.
        let label = &line[from + begin.len()..];
        let Some(end) = label.find("-----") else { continue };
        if label[..end].contains("PRIVATE KEY") {
            add(Kind::PrivateKey, from, from + begin.len() + end + "-----".len());
        }
    }
}

fn presigned_url(line: &str, add: &mut impl FnMut(Kind, usize, usize)) {
    let lower = line.to_ascii_lowercase();
    for (from, name) in lower.match_indices("x-amz-signature") {
        let after = &lower[from + name.len()..];
        let Some(value) = after.strip_prefix('=').or_else(|| after.strip_prefix("%3d")) else { continue };
        let digits = run_length(value.as_bytes(), |byte| byte.is_ascii_hexdigit());
        if digits >= 16 {
            add(Kind::PresignedUrl, from, lower.len() - value.len() + digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made up here, piece by piece, so that this file holds nothing that a scanner of repositories would find.
    fn fake(prefix: &str, length: usize) -> String {
        prefix.chars().chain("Ab1Cd2Ef3Gh4".chars().cycle().take(length)).collect()
    }

    fn kinds(text: &str) -> Vec<Kind> {
        find(text).iter().map(|literal| literal.kind).collect()
    }

    /// K034: a token in a spec variable ended up in a world-readable log.
    #[test]
    fn a_hugging_face_token_is_found_at_its_place_and_not_repeated() {
        let token = fake("hf_", 34);
        let found = find(&format!("version: 1\nenv: {{ ü: x, HF_TOKEN: '{token}' }}\n"));
        assert_eq!(found, [SecretLiteral { kind: Kind::HuggingFaceToken, line: 2, column: 25, characters: 37 }]);
        assert!(!format!("{found:?}").contains(&token[3..]));
    }

    #[test]
    fn each_kind_is_found() {
        let key_id = |prefix: &str| format!("{prefix}{}", "IOSFODNN7EXAMPLE");
        let secret = fake("", 40);
        let cases = [
            (key_id("AKIA"), Kind::AwsAccessKeyId),
            (format!("key={}", key_id("ASIA")), Kind::AwsAccessKeyId),
            (format!("X-Amz-Credential={}/20260101/us-east-1/s3", key_id("AKIA")), Kind::AwsAccessKeyId),
            (fake("api_org_", 34), Kind::HuggingFaceToken),
            (format!("https://user:{}@github.com/a/b", fake("ghp_", 36)), Kind::GitHubToken),
            (fake("gho_", 36), Kind::GitHubToken),
            (fake("ghu_", 36), Kind::GitHubToken),
            (fake("ghs_", 36), Kind::GitHubToken),
            (fake("ghr_", 36), Kind::GitHubToken),
            (format!("{}_{}", fake("github_pat_", 22), fake("", 59)), Kind::GitHubToken),
            (format!("aws_secret_access_key = {secret}"), Kind::AwsSecret),
            (format!("export AWS_SECRET_ACCESS_KEY='{secret}'"), Kind::AwsSecret),
            (format!("\"SecretAccessKey\" : \"{secret}\""), Kind::AwsSecret),
            (format!("secretAccessKey: {secret}"), Kind::AwsSecret),
            (format!("AWS_SESSION_TOKEN={}", fake("", 200)), Kind::AwsSecret),
            (format!("?X-Amz-Security-Token={}", fake("", 200)), Kind::AwsSecret),
            (["-----BEGIN ", "PRIVATE KEY-----"].concat(), Kind::PrivateKey),
            (["  -----BEGIN RSA ", "PRIVATE KEY-----\\nMIIE"].concat(), Kind::PrivateKey),
            (["-----BEGIN OPENSSH ", "PRIVATE KEY-----"].concat(), Kind::PrivateKey),
            (["-----BEGIN PGP ", "PRIVATE KEY BLOCK-----"].concat(), Kind::PrivateKey),
            (format!("https://b.s3.amazonaws.com/k?X-Amz-Signature={}", "0af3".repeat(16)), Kind::PresignedUrl),
            (format!("u: https%3A%2F%2Fb%3Fx-amz-signature%3D{}", "0AF3".repeat(16)), Kind::PresignedUrl),
        ];
        for (text, kind) in cases {
            assert_eq!(kinds(&text), [kind], "{text}");
        }
    }

    #[test]
    fn what_a_spec_needs_is_not_taken_for_a_secret() {
        for text in [
            "hf_token: arn:aws:ssm:us-east-1:111122223333:parameter/hf_token",
            "secrets: { hf_token: arn:aws:secretsmanager:us-east-1:111122223333:secret:hf_token_for_the_cluster-AbCdEf }",
            "bootstrap_sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "image: { id: ami-0123456789abcdef0 }",
            "capacity: { kind: block, id: cr-0123456789abcdef0 }",
            "HF_HUB_ENABLE_HF_TRANSFER: 1, hf_transfer: on, HF_TOKEN_PATH: /run/hf_token",
            "hf_hub_download_with_retries_and_timeouts",
            "AKIA and ASIA are prefixes; AKIA_KEY_ID; MAKIAVELLI1234567890; AKIAIOSFODNN7",
            "role: AROAIOSFODNN7EXAMPLE",
            "hash: QUtJQSAKIAIOSFODNN7EXAMPLEABCDEF0123456789==",
            "aws_secret_access_key: arn:aws:secretsmanager:us-east-1:111122223333:secret:a-very-long-name-for-a-secret",
            "aws_secret_access_key=$(cat /run/secret), AWS_SECRET_ACCESS_KEY: ${AWS_SECRET_ACCESS_KEY}",
            "the X-Amz-Signature of a presigned URL; X-Amz-Signature=...",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----",
            "ghp_ and github_pat_ are prefixes of tokens; ghp_short",
            "tags: { owner: ml-infra, cost: AKIA1 }",
            "git: 0123456789abcdef0123456789abcdef01234567",
            "",
        ] {
            assert_eq!(find(text), [], "{text}");
        }
    }

    #[test]
    fn places_count_characters_and_several_on_a_line_come_in_order() {
        let line = format!("é {} {}\r\n{}", fake("ghp_", 36), fake("hf_", 34), fake("hf_", 34));
        let places: Vec<_> = find(&line).iter().map(|literal| (literal.line, literal.column)).collect();
        assert_eq!(places, [(1, 3), (1, 44), (2, 1)]);
    }
}
