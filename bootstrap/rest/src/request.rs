//! A request before and after it is signed: parts, not text.

use std::fmt;
use std::time::Duration;

use crate::url::{Base, encode_path, encode_query};

/// The verbs that we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or acts.
    Post,
    /// Stores.
    Put,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As the request line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A request. `Debug` shows no header value and no body: both may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// Where it goes.
    pub base: Base,
    /// The path after the base's own, already encoded, beginning with a slash.
    pub path: String,
    /// Names and values of the query, not encoded.
    pub query: Vec<(String, String)>,
    /// Headers in lower case. `host` and `content-length` are added when it is sent.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// A bound on the whole exchange that replaces the client's own.
    pub within: Option<Duration>,
}

impl Request {
    /// A request without headers or body. `path` is encoded here: pass it as it is meant.
    pub fn new(method: Method, base: &Base, path: &str) -> Self {
        Self {
            method,
            base: base.clone(),
            path: encode_path(path),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            within: None,
        }
    }

    /// Adds a name and value to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header; its name is lower-cased.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn body(self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = self.header("content-type", kind);
        request.body = body.into();
        request
    }

    /// Bounds the whole exchange.
    #[must_use]
    pub fn within(mut self, bound: Duration) -> Self {
        self.within = Some(bound);
        self
    }

    /// The path as it is sent.
    pub fn full_path(&self) -> String {
        let path = format!("{}{}", self.base.prefix(), self.path);
        if path.is_empty() { "/".to_owned() } else { path }
    }

    /// The query as it is sent, without a question mark; encoded once, in the given order.
    pub fn encoded_query(&self) -> String {
        let pairs: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{}={}", encode_query(name), encode_query(value))).collect();
        pairs.join("&")
    }

    /// The URL as it is sent.
    pub fn url(&self) -> String {
        let scheme = if self.base.secure() { "https" } else { "http" };
        let query = self.encoded_query();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{scheme}://{}{}{mark}{query}", self.base.authority(), self.full_path())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "{} {} {names:?} {} B", self.method.as_str(), self.url(), self.body.len())
    }
}
