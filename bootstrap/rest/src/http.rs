//! One blocking HTTP/1.1 client: names from [`crate::resolve`], trust from [`crate::tls`], a bound on every phase.
//!
//! It never follows a redirect, never asks the environment for a proxy, sends no header of its own beside `host`,
//! `content-length` and `user-agent`, and stops at the caller's cap.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::{Connector, NextTimeout, RustlsConnector, TcpConnector};

use crate::answer::Refusal;
use crate::error::{Error, Result};
use crate::request::{Method, Request};
use crate::resolve::{Failure, Resolver};
use crate::tls::{self, Roots};

/// Enough for every error document.
const REFUSAL_CAP: u64 = 64 * 1024;

/// How long each phase may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Resolving the name.
    pub resolve: Duration,
    /// Connecting to all addresses together, TLS included.
    pub connect: Duration,
    /// Without a byte in either direction.
    pub stall: Duration,
    /// The whole exchange, unless the request has its own bound.
    pub total: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(10),
            connect: Duration::from_secs(8),
            stall: Duration::from_secs(10),
            total: Duration::from_secs(30),
        }
    }
}

/// An answer with a status of 200 to 299.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    headers: ureq::http::HeaderMap,
    /// The body, at most as long as the cap.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value, if it is there and printable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The client. It keeps idle connections for a few seconds.
#[derive(Debug)]
pub struct Client {
    root: PathBuf,
    resolver: Resolver,
    bounds: Bounds,
    plain: OnceLock<ureq::Agent>,
    // Roots are read at the first HTTPS call: metadata and tests need none.
    secure: OnceLock<std::result::Result<(ureq::Agent, PathBuf), String>>,
}

impl Client {
    /// A client that reads hosts, name servers and certificate authorities under `root`.
    pub fn new(root: &Path, bounds: Bounds) -> Self {
        Self {
            root: root.to_owned(),
            resolver: Resolver::new(root),
            bounds,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
        }
    }

    /// Replaces the resolver, for tests.
    #[must_use]
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sends and reads the whole answer, at most `cap` bytes.
    ///
    /// # Errors
    /// All of [`Error`] but those of credentials and files; redirects and refusals are errors.
    pub fn send(&self, request: &Request, cap: u64) -> Result<Response> {
        let mut body = Vec::new();
        let (status, headers) = self.stream(request, cap, &mut |chunk| {
            body.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(Response { status, headers, body })
    }

    /// Sends, and hands the answer's body on piece by piece; an error of `take` ends it.
    ///
    /// # Errors
    /// As [`Client::send`]. Pieces may have been handed on before an error.
    pub fn stream(
        &self,
        request: &Request,
        cap: u64,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<(u16, ureq::http::HeaderMap)> {
        let host = request.base.authority();
        let failed = |error| self.explain(error, &host);
        let (parts, mut body) = self.exchange(request)?.into_parts();
        let status = parts.status.as_u16();
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if parts.status.is_redirection() {
            // S3 names a bucket's true region beside, or instead of, an address.
            let region = text("x-amz-bucket-region").map(|region| format!("region {region}"));
            // A query may hold a signature that lets in whoever reads it.
            let location = text("location").map(|url| url.split('?').next().unwrap_or_default().to_owned());
            let location = region.or(location).unwrap_or_default().chars().take(200).collect();
            return Err(Error::Redirect { host, status, location });
        }
        if !parts.status.is_success() {
            let mut start = Vec::new();
            // A refusal counts even where its text is cut.
            let _cut = body.as_reader().take(REFUSAL_CAP).read_to_end(&mut start);
            return Err(Error::Refusal(Refusal::read(host, status, text, &start)));
        }
        if body.content_length().is_some_and(|length| length > cap) {
            return Err(Error::TooLarge { host, cap });
        }
        let mut reader = body.as_reader();
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0_u64;
        loop {
            let length = reader.read(&mut buffer).map_err(|error| failed(error.into()))?;
            let chunk = buffer.get(..length).unwrap_or_default();
            if chunk.is_empty() {
                return Ok((status, parts.headers));
            }
            total += chunk.len() as u64;
            if total > cap {
                return Err(Error::TooLarge { host, cap });
            }
            take(chunk)?;
        }
    }

    fn exchange(&self, request: &Request) -> Result<ureq::http::Response<ureq::Body>> {
        let host = request.base.authority();
        let agent = self.agent(request)?;
        let mut built =
            ureq::http::Request::builder().method(request.method.as_str()).uri(request.url()).header("host", &host);
        for (name, value) in &request.headers {
            built = built.header(name.as_str(), value.as_str());
        }
        let failed = |error| self.explain(error, &host);
        let total = Some(request.within.unwrap_or(self.bounds.total));
        if request.body.is_empty() && matches!(request.method, Method::Get | Method::Delete) {
            let built = built.body(()).map_err(|error| failed(error.into()))?;
            agent.run(agent.configure_request(built).timeout_global(total).build()).map_err(failed)
        } else {
            let built = built.body(request.body.as_slice()).map_err(|error| failed(error.into()))?;
            agent.run(agent.configure_request(built).timeout_global(total).build()).map_err(failed)
        }
    }

    fn agent(&self, request: &Request) -> Result<&ureq::Agent> {
        if !request.base.secure() {
            return Ok(self.plain.get_or_init(|| {
                let connector = ().chain(TcpConnector::default());
                ureq::Agent::with_parts(self.config().build(), connector, Names(self.resolver.clone()))
            }));
        }
        let secure = self.secure.get_or_init(|| {
            let roots = Roots::find(&self.root)?;
            let trust = ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::new_with_certs(&roots.certificates))
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .build();
            let connector = ().chain(TcpConnector::default()).chain(RustlsConnector::default());
            let config = self.config().tls_config(trust).build();
            Ok((ureq::Agent::with_parts(config, connector, Names(self.resolver.clone())), roots.bundle))
        });
        secure
            .as_ref()
            .map(|(agent, _)| agent)
            .map_err(|why| Error::Tls { host: request.base.authority(), why: why.clone() })
    }

    fn config(&self) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
        let stall = Some(self.bounds.stall);
        ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("prefab/", env!("CARGO_PKG_VERSION")))
            .accept("")
            .accept_encoding("")
            .timeout_resolve(Some(self.bounds.resolve))
            .timeout_connect(Some(self.bounds.connect))
            .timeout_per_read(stall)
            .timeout_per_write(stall)
            .input_buffer_size(64 * 1024)
            .output_buffer_size(64 * 1024)
            .max_idle_age(Duration::from_secs(5))
    }

    /// Our words for ureq's errors.
    fn explain(&self, error: ureq::Error, host: &str) -> Error {
        let host = host.to_owned();
        match error {
            ureq::Error::Other(other) => match other.downcast::<Failure>() {
                Ok(failure) => Error::Name(*failure),
                Err(other) => Error::Broken { host, why: other.to_string() },
            },
            ureq::Error::Timeout(timeout) => Error::Timeout { host, phase: phase(timeout) },
            ureq::Error::Rustls(error) => self.untrusted(host, &error),
            ureq::Error::Tls(why) => Error::Tls { host, why: why.to_owned() },
            ureq::Error::Io(error) => self.explain_io(&error, host),
            ureq::Error::Http(error) => Error::Input(format!("{host}: the request cannot be written: {error}")),
            ureq::Error::BadUri(why) => Error::Input(format!("{host}: the request has no URL: {why}")),
            other => Error::Broken { host, why: other.to_string() },
        }
    }

    fn explain_io(&self, error: &std::io::Error, host: String) -> Error {
        use std::io::ErrorKind as Kind;
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return self.untrusted(host, error);
        }
        match error.kind() {
            Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::AddrNotAvailable
            | Kind::PermissionDenied => Error::Refused { host, why: error.to_string() },
            Kind::TimedOut | Kind::WouldBlock => Error::Timeout { host, phase: "the exchange" },
            _ => Error::Broken { host, why: error.to_string() },
        }
    }

    fn untrusted(&self, host: String, error: &rustls::Error) -> Error {
        let bundle = self.secure.get().and_then(|secure| secure.as_ref().ok()).map(|(_, bundle)| bundle.as_path());
        Error::Tls { host, why: tls::explain(error, bundle.unwrap_or(Path::new("none"))) }
    }
}

fn phase(timeout: ureq::Timeout) -> &'static str {
    match timeout {
        ureq::Timeout::Resolve => "name resolution",
        ureq::Timeout::Connect => "connecting",
        ureq::Timeout::PerRead => "reading (nothing came)",
        ureq::Timeout::PerWrite => "sending (nothing was taken)",
        _ => "the exchange",
    }
}

/// Our resolver in ureq's place for one: ureq's own would call `getaddrinfo`.
#[derive(Debug)]
struct Names(Resolver);

impl UreqResolver for Names {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        _config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or_else(|| ureq::Error::BadUri("no host".to_owned()))?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let left = timeout.not_zero().map_or(Duration::from_secs(10), |left| *left);
        let addresses =
            self.0.resolve(host, Instant::now() + left).map_err(|failure| ureq::Error::Other(Box::new(failure)))?;
        let mut resolved = self.empty();
        // The array holds 16.
        for address in addresses.into_iter().take(16) {
            resolved.push((address, port).into());
        }
        Ok(resolved)
    }
}
