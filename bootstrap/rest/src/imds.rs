//! The instance metadata service, version 2 only: every read carries a token.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use crate::answer::looks_like_html;
use crate::credentials::Credentials;
use crate::date;
use crate::error::{Error, Result};
use crate::http::Client;
use crate::request::{Method, Request};
use crate::retry::{Pace, Policy};
use crate::secret::Secret;
use crate::url::Base;

/// A token's life, seconds: the longest that the service gives.
const TOKEN_SECONDS: u64 = 21_600;
/// A token is replaced at half its life.
const TOKEN_AGE: Duration = Duration::from_secs(TOKEN_SECONDS / 2);
/// One exchange: the service is on this host.
const WITHIN: Duration = Duration::from_secs(2);
const CAP: u64 = 64 * 1024;
/// Between two looks for a tag.
const TAG_PERIOD: Duration = Duration::from_secs(1);

/// The metadata service.
pub struct Imds {
    http: Arc<Client>,
    base: Base,
    pace: Arc<dyn Pace>,
    token: Mutex<Option<(Secret, Duration)>>,
}

impl fmt::Debug for Imds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Imds({})", self.base)
    }
}

impl Imds {
    /// The service at `base`, usually `http://169.254.169.254`.
    pub fn new(http: Arc<Client>, base: Base, pace: Arc<dyn Pace>) -> Self {
        Self { http, base, pace, token: Mutex::new(None) }
    }

    /// `i-…`.
    ///
    /// # Errors
    /// No answer within some seconds, a refusal, or something else than one line of text.
    pub fn instance_id(&self) -> Result<String> {
        self.required("meta-data/instance-id")
    }

    /// Such as `us-east-1`.
    ///
    /// # Errors
    /// As [`Imds::instance_id`].
    pub fn region(&self) -> Result<String> {
        self.required("meta-data/placement/region")
    }

    /// Such as `us-east-1c`.
    ///
    /// # Errors
    /// As [`Imds::instance_id`].
    pub fn availability_zone(&self) -> Result<String> {
        self.required("meta-data/placement/availability-zone")
    }

    /// Such as `use1-az4`, the same place in every account.
    ///
    /// # Errors
    /// As [`Imds::instance_id`].
    pub fn availability_zone_id(&self) -> Result<String> {
        self.required("meta-data/placement/availability-zone-id")
    }

    /// Such as `g6e.12xlarge`.
    ///
    /// # Errors
    /// As [`Imds::instance_id`].
    pub fn instance_type(&self) -> Result<String> {
        self.required("meta-data/instance-type")
    }

    /// The primary interface's IPv4 address.
    ///
    /// # Errors
    /// As [`Imds::instance_id`], or text that is no address.
    pub fn local_ipv4(&self) -> Result<std::net::Ipv4Addr> {
        let text = self.required("meta-data/local-ipv4")?;
        text.parse().map_err(|_| answer("an IPv4 address (meta-data/local-ipv4)", &text))
    }

    /// The primary interface's hardware address.
    ///
    /// # Errors
    /// As [`Imds::instance_id`].
    pub fn mac(&self) -> Result<String> {
        self.required("meta-data/mac")
    }

    /// A tag of this instance; none if it is not there (yet).
    ///
    /// # Errors
    /// As [`Imds::instance_id`], or a key that cannot be part of a path.
    pub fn tag(&self, key: &str) -> Result<Option<String>> {
        let sound = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-=.,_:@".contains(&b));
        if !sound {
            return Err(Error::Input(format!(
                "found the tag key {key:?}, expected one of A-Z a-z 0-9 and + - = . , _ : @"
            )));
        }
        self.get(&format!("meta-data/tags/instance/{key}"))
    }

    /// A tag that must come: they reach a new instance late. Looks once a second for as long as `patience`.
    ///
    /// # Errors
    /// As [`Imds::tag`], and a tag that never came; the error names those that did.
    pub fn tag_when_present(&self, key: &str, patience: Duration) -> Result<String> {
        let begun = self.pace.now();
        loop {
            let found = self.tag(key);
            match found {
                Ok(Some(value)) => return Ok(value),
                Err(error) if !error.is_transient() => return Err(error),
                Ok(None) | Err(_) if self.pace.now().saturating_sub(begun) < patience => self.pace.sleep(TAG_PERIOD),
                Err(error) => return Err(error),
                Ok(None) => return Err(self.no_tag(key, patience)),
            }
        }
    }

    fn no_tag(&self, key: &str, patience: Duration) -> Error {
        let found = match self.text("meta-data/tags/instance") {
            Ok(Some(keys)) => format!("the tags {}", keys.split_whitespace().collect::<Vec<_>>().join(", ")),
            _ => "no tags at all (is InstanceMetadataTags enabled?)".to_owned(),
        };
        Error::Answer { what: format!("the instance tag {key} within {} s", patience.as_secs()), found }
    }

    /// The credentials of the instance's role.
    ///
    /// # Errors
    /// As [`Imds::instance_id`]; no role; a document without keys.
    pub fn role_credentials(&self) -> Result<Credentials> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document {
            code: Option<String>,
            access_key_id: Option<String>,
            secret_access_key: Option<String>,
            token: Option<String>,
            expiration: Option<String>,
        }
        let folder = "meta-data/iam/security-credentials/";
        let missing = || {
            Error::Credentials(format!(
                "{}: found no role, expected an instance profile; new ones take up to a minute",
                self.base.authority()
            ))
        };
        let roles = self.text(folder)?.unwrap_or_default();
        let role = roles.split_whitespace().next().ok_or_else(missing)?;
        let text = self.text(&format!("{folder}{role}"))?.ok_or_else(missing)?;
        // The parser's message could quote the document: it stays out.
        let document: Document = serde_json::from_str(&text)
            .map_err(|_| answer(&format!("the credentials of the role {role} as JSON"), "something else"))?;
        let code = document.code.unwrap_or_else(|| "no code".to_owned());
        match (code.as_str(), document.access_key_id, document.secret_access_key) {
            ("Success", Some(access_key_id), Some(secret)) => Ok(Credentials {
                access_key_id,
                secret_access_key: Secret::new(secret),
                session_token: document.token.map(Secret::new),
                expires_at: document.expiration.as_deref().and_then(date::parse_iso),
            }),
            _ => Err(Error::Credentials(format!(
                "{}: found the code {code:?} for the role {role}, expected Success and keys; check the role's trust in ec2",
                self.base.authority()
            ))),
        }
    }

    fn required(&self, path: &str) -> Result<String> {
        self.get(path)?.ok_or_else(|| answer(&format!("{path} of the instance metadata"), "404"))
    }

    /// One line of text; none for 404.
    ///
    /// # Errors
    /// As [`Imds::instance_id`].
    pub fn get(&self, path: &str) -> Result<Option<String>> {
        let Some(text) = self.text(path)? else { return Ok(None) };
        let line = text.trim();
        if line.is_empty() || line.chars().any(char::is_control) || looks_like_html(line) {
            return Err(answer(&format!("one line of text ({path} of the instance metadata)"), "something else"));
        }
        Ok(Some(line.to_owned()))
    }

    fn text(&self, path: &str) -> Result<Option<String>> {
        let read = Policy::METADATA.run(self.pace.as_ref(), &|_| {}, || {
            let (token, is_new) = self.token()?;
            match self.read(path, &token) {
                // The token is over, or was of another service: a new one, once.
                Err(Error::Refusal(refusal)) if refusal.status == 401 && !is_new => {
                    self.forget_token();
                    self.read(path, &self.token()?.0)
                }
                read => read,
            }
        });
        match read {
            Ok(body) => String::from_utf8(body).map(Some).map_err(|_| answer("text", "bytes that are not UTF-8")),
            Err(Error::Refusal(refusal)) if refusal.status == 404 => Ok(None),
            Err(error) => {
                self.forget_token();
                Err(error)
            }
        }
    }

    fn read(&self, path: &str, token: &Secret) -> Result<Vec<u8>> {
        let mut request = Request::new(Method::Get, &self.base, "/")
            .header("x-aws-ec2-metadata-token", token.reveal())
            .within(WITHIN);
        // As it is: a tag's colon is sent as every other tool sends it.
        request.path = format!("/latest/{path}");
        Ok(self.http.send(&request, CAP)?.body)
    }

    /// A token, and whether it was asked for just now.
    fn token(&self) -> Result<(Secret, bool)> {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.pace.now();
        if let Some((token, _)) = held.as_ref().filter(|(_, since)| now.saturating_sub(*since) < TOKEN_AGE) {
            return Ok((token.clone(), false));
        }
        let request = Request::new(Method::Put, &self.base, "/latest/api/token")
            .header("x-aws-ec2-metadata-token-ttl-seconds", &TOKEN_SECONDS.to_string())
            .within(WITHIN);
        let body = self.http.send(&request, CAP).map_err(|error| match error {
            Error::Timeout { host, .. } => Error::Timeout {
                host,
                phase: "the request for a metadata token (beyond the hop limit, as in a container, none comes: use the host's network)",
            },
            error => error,
        })?;
        let text = String::from_utf8(body.body).unwrap_or_default();
        let sound = !text.is_empty() && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !sound {
            return Err(answer("a metadata token", "something else"));
        }
        let token = Secret::new(text);
        *held = Some((token.clone(), now));
        Ok((token, true))
    }

    fn forget_token(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn answer(what: &str, found: &str) -> Error {
    Error::Answer { what: what.to_owned(), found: found.chars().take(100).collect() }
}
