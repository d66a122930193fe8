//! URLs as SigV4 needs them: the parts stay apart, and each is encoded once, by one set of characters.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters: what AWS encodes in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// As [`QUERY`], but a slash separates.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// A name or value of a query, encoded; a space becomes `%20`, never `+`.
pub fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// A path, encoded; slashes stay.
pub fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// A form body, `application/x-www-form-urlencoded`, in the given order.
pub fn form(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encode_query(name), encode_query(value))).collect();
    fields.join("&")
}

/// Where a service is: scheme, host, port, and a path that all requests begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    secure: bool,
    host: String,
    port: Option<u16>,
    prefix: String,
}

/// A text that is no base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotABase(String);

impl fmt::Display for NotABase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "found {:?}, expected http(s)://HOST[:PORT][/PATH] without user, query or fragment; correct the endpoint",
            self.0
        )
    }
}

impl std::error::Error for NotABase {}

impl Base {
    /// Reads `http(s)://HOST[:PORT][/PATH]`; a slash at the end and a scheme's own port are dropped.
    ///
    /// # Errors
    /// Everything else: user information, queries, blanks, other schemes.
    pub fn parse(text: &str) -> Result<Self, NotABase> {
        let wrong = || NotABase(text.to_owned());
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(wrong()),
        };
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            // A colon inside brackets belongs to an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (authority, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host_is_sound = bare.map_or_else(
            || !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
            |bare| bare.parse::<std::net::Ipv6Addr>().is_ok(),
        );
        let path_is_sound =
            prefix.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'~' | b'%'));
        if !host_is_sound || !path_is_sound {
            return Err(wrong());
        }
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port: port.filter(|port| *port != if secure { 443 } else { 80 }),
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }

    /// `https://HOST`.
    ///
    /// # Errors
    /// As [`Base::parse`].
    pub fn https(host: &str) -> Result<Self, NotABase> {
        Self::parse(&format!("https://{host}"))
    }

    /// Whether requests are encrypted.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The host's name or address, without port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What the `Host` header says.
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// The path that all requests begin with, without a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.secure { "https" } else { "http" }, self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_plus_and_unicode_are_encoded_once() {
        assert_eq!(encode_query("a b+c/ü~-._"), "a%20b%2Bc%2F%C3%BC~-._");
        assert_eq!(encode_path("/a b+c/ü"), "/a%20b%2Bc/%C3%BC");
        assert_eq!(form(&[("A", "x y"), ("B", "")]), "A=x%20y&B=");
    }

    #[test]
    fn a_base_keeps_what_the_host_header_needs() {
        for (text, authority, prefix) in [
            ("https://s3.amazonaws.com", "s3.amazonaws.com", ""),
            ("https://S3.amazonaws.com:443/", "s3.amazonaws.com", ""),
            ("http://127.0.0.1:8080/a/b/", "127.0.0.1:8080", "/a/b"),
            ("http://[::1]:99", "[::1]:99", ""),
            ("http://[::1]", "[::1]", ""),
        ] {
            let base = Base::parse(text).unwrap();
            assert_eq!((base.authority().as_str(), base.prefix()), (authority, prefix), "{text}");
            assert_eq!(Base::parse(&base.to_string()), Ok(base));
        }
    }

    #[test]
    fn what_is_no_base_is_an_error() {
        for text in [
            "",
            "ftp://a",
            "http://",
            "http://u@h",
            "http://h:x",
            "http://h?q",
            "http://h#f",
            "http://h h",
            "http://[::1",
            "https://h/ä",
        ] {
            assert!(Base::parse(text).unwrap_err().to_string().contains("expected"), "{text}");
        }
    }
}
