//! What servers say when they refuse: XML, JSON, HTML or nothing, read without trust.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// A longer message is cut: real ones are shorter, and a proxy's page is no message.
const MESSAGE_LIMIT: usize = 400;
/// The longest wait that a server may ask for.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(300);

/// An answer with a status of 400 or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The host and port.
    pub host: String,
    /// The HTTP status.
    pub status: u16,
    /// The service's error code, such as `AccessDenied`; empty if the answer holds none.
    pub code: String,
    /// The service's message for a person, printable, shortened; empty if the answer holds none.
    pub message: String,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
    /// The server's clock as it stood in the `Date` header, seconds since 1970.
    pub server_time: Option<i64>,
}

impl Refusal {
    /// Reads an answer's status, headers of interest, and body.
    pub fn read(host: String, status: u16, header: impl Fn(&str) -> Option<String>, body: &[u8]) -> Self {
        let (code, message) = code_and_message(body);
        let typed = header("x-amzn-errortype").map(|kind| short_code(&kind));
        Self {
            host,
            status,
            code: if code.is_empty() { typed.unwrap_or_default() } else { code },
            message,
            // Only the form in seconds: a date would depend on two clocks.
            retry_after: header("retry-after")
                .and_then(|text| text.trim().parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_LIMIT)),
            server_time: header("date").as_deref().and_then(crate::date::parse_http),
        }
    }

    /// Whether the same request may succeed soon.
    pub fn is_transient(&self) -> bool {
        const THROTTLED: [&str; 9] = [
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "SlowDown",
            "RequestTimeout",
            "InternalFailure",
        ];
        matches!(self.status, 408 | 425 | 429) || self.status >= 500 || THROTTLED.contains(&self.code.as_str())
    }

    /// Whether the credentials are over, so that fresh ones may do.
    pub fn is_expired_token(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidToken"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "TokenRefreshRequired"
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: answered {}", self.host, self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// The code and message of an error document of any kind.
fn code_and_message(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let (code, message) = if text.starts_with('{') {
        from_json(text)
    } else if looks_like_html(text) {
        (String::new(), html_title(text))
    } else if text.starts_with('<') {
        from_xml(text)
    } else {
        (String::new(), text.to_owned())
    };
    (short_code(&code), tidy(&message))
}

/// Whether a body is a page for people, as proxies and portals send it.
pub fn looks_like_html(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(200).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.contains("<html")
}

fn from_json(text: &str) -> (String, String) {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return (String::new(), text.to_owned()) };
    let field = |names: &[&str]| {
        names.iter().find_map(|name| document.get(name).and_then(Value::as_str)).unwrap_or_default().to_owned()
    };
    (field(&["__type", "error_code", "code", "Code"]), field(&["message", "Message", "errorMessage"]))
}

fn from_xml(text: &str) -> (String, String) {
    // Only these two elements: S3 quotes the signed request beside them, with the session token.
    let Ok(document) = roxmltree::Document::parse(text) else { return (String::new(), String::new()) };
    let field = |name: &str| {
        document
            .descendants()
            .find(|node| node.tag_name().name() == name)
            .and_then(|node| node.text())
            .unwrap_or_default()
            .to_owned()
    };
    (field("Code"), field("Message"))
}

/// The title of a page, or its first words.
fn html_title(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").map(|at| at + "<title>".len()).and_then(|from| {
        let to = from + lower.get(from..)?.find("</title>")?;
        text.get(from..to)
    });
    format!("an HTML page, {:?}", title.unwrap_or("without a title").trim())
}

/// `com.amazon.coral.service#AccessDenied:http://…` is `AccessDenied`.
fn short_code(code: &str) -> String {
    let code = code.rsplit('#').next().unwrap_or(code);
    let code = code.split(':').next().unwrap_or(code);
    code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(100).collect()
}

/// One line of printable characters, short, without the quoted request that signature errors carry.
fn tidy(message: &str) -> String {
    let message = message.split("The Canonical String").next().unwrap_or(message);
    let words: Vec<&str> = message.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, headers: &[(&str, &str)], body: &str) -> Refusal {
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Refusal::read("h".to_owned(), status, header, body.as_bytes())
    }

    #[test]
    fn codes_and_messages_of_each_form() {
        for (body, code, message) in [
            (
                "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
                "AccessDenied",
                "Access Denied",
            ),
            (
                "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"http://x/\"><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack\n  no</Message></Error></ErrorResponse>",
                "ValidationError",
                "Stack no",
            ),
            (r#"{"__type":"com.amazonaws.ssm#ParameterNotFound","message":"x"}"#, "ParameterNotFound", "x"),
            (r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No run"}"#, "RESOURCE_DOES_NOT_EXIST", "No run"),
            (r#"{"Message":"User is not authorized"}"#, "", "User is not authorized"),
            ("<!doctype html><html><title>Log in</title>", "", "an HTML page, \"Log in\""),
            ("<html><body>x", "", "an HTML page, \"without a title\""),
            ("<Error><Code>Cut", "", ""),
            ("plain\u{1b}[31m text", "", "plain[31m text"),
            ("", "", ""),
            ("{broken", "", "{broken"),
        ] {
            let refusal = read(400, &[], body);
            assert_eq!((refusal.code.as_str(), refusal.message.as_str()), (code, message), "{body}");
        }
    }

    #[test]
    fn the_quoted_request_of_a_signature_error_is_dropped() {
        let body = "<E><Code>SignatureDoesNotMatch</Code><Message>It does not match. The Canonical String for this request should have been 'x-amz-security-token:SECRET'</Message><CanonicalRequest>SECRET</CanonicalRequest></E>";
        let refusal = read(403, &[], body);
        assert!(!format!("{refusal} {refusal:?}").contains("SECRET"));
        assert_eq!(refusal.message, "It does not match.");
    }

    #[test]
    fn headers_give_code_wait_and_clock() {
        let headers = [
            ("x-amzn-errortype", "AccessDeniedException:http://x"),
            ("retry-after", "7"),
            ("date", "Sun, 30 Aug 2015 12:36:00 GMT"),
        ];
        let refusal = read(429, &headers, "");
        assert_eq!(refusal.code, "AccessDeniedException");
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(refusal.server_time, Some(1_440_938_160));
        assert_eq!(read(429, &[("retry-after", "99999999")], "").retry_after, Some(RETRY_AFTER_LIMIT));
    }

    #[test]
    fn throttling_and_faults_are_transient_refusals_are_not() {
        assert!(read(503, &[], "").is_transient() && read(429, &[], "").is_transient());
        assert!(read(400, &[], r#"{"__type":"ThrottlingException"}"#).is_transient());
        assert!(!read(403, &[], "").is_transient() && !read(404, &[], "").is_transient());
    }

    #[test]
    fn a_billion_laughs_is_no_message() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]><Error><Code>&c;</Code></Error>";
        assert_eq!(read(400, &[], bomb).code, "");
    }
}
