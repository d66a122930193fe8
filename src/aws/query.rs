//! EC2 by signed requests of its Query API: the handful of calls that we make, without an SDK that compiles for minutes.

use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::problem::{chain, of_service};
use super::{ATTEMPT, Aws, CONNECT, READ, endpoint};
use crate::deploy::account::Problem;

const VERSION: &str = "2016-11-15";

/// No reply of ours is longer, bytes.
const MOST_BYTES: usize = 64 << 20;

impl Aws {
    /// The reply of an action, as XML.
    pub(super) fn ec2(&self, action: &str, parameters: &[(String, String)]) -> Result<String, Problem> {
        let call = self.send(action, parameters);
        self.wait(async {
            match tokio::time::timeout(ATTEMPT, call).await {
                Ok(answer) => answer,
                Err(_) => Err(Problem::Passing(format!("EC2 did not answer {action} within {} s", ATTEMPT.as_secs()))),
            }
        })
    }

    async fn send(&self, action: &str, parameters: &[(String, String)]) -> Result<String, Problem> {
        let config = self.clients.borrow().config.clone();
        let url = endpoint(&config, "EC2").unwrap_or_else(|| {
            let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://ec2.{}.{suffix}", self.region)
        });
        let url = format!("{url}/");
        let mut body = format!("Action={action}&Version={VERSION}");
        for (key, value) in parameters {
            body.push_str(&format!("&{}={}", encoded(key), encoded(value)));
        }
        let request = self.signed(&config, &url, body).await?;
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(READ).build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build();
        let reply = connector.call(request).await.map_err(|error| Problem::Passing(chain(&error)))?;
        let status = reply.status().as_u16();
        let bytes =
            ByteStream::new(reply.into_body()).collect().await.map_err(|error| Problem::Passing(chain(&error)))?;
        let bytes = bytes.to_vec();
        if bytes.len() > MOST_BYTES {
            return Err(Problem::Refused(format!(
                "EC2 answered {action} with {} bytes, more than any reply",
                bytes.len()
            )));
        }
        let text = String::from_utf8(bytes).map_err(|_| Problem::Passing("a reply that is not UTF-8".to_owned()))?;
        if status == 200 { Ok(text) } else { Err(refusal(&text, status)) }
    }

    async fn signed(&self, config: &aws_config::SdkConfig, url: &str, body: String) -> Result<HttpRequest, Problem> {
        let none =
            || Problem::Credentials("found no credentials, expected some in the environment or a profile".to_owned());
        let provider = config.credentials_provider().ok_or_else(none)?;
        let credentials = provider.provide_credentials().await.map_err(|error| Problem::Credentials(chain(&error)))?;
        let identity: Identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ec2")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| Problem::Refused(chain(&error)))?;
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let signable = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
            .map_err(|error| Problem::Refused(chain(&error)))?;
        let (instructions, _) =
            sign(signable, &parameters.into()).map_err(|error| Problem::Refused(chain(&error)))?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|error| Problem::Refused(chain(&error)))?;
        request.set_uri(url).map_err(|error| Problem::Refused(chain(&error)))?;
        request.headers_mut().insert(headers[0].0, headers[0].1);
        let (signed, _) = instructions.into_parts();
        for header in signed {
            request.headers_mut().insert(header.name(), header.value().to_owned());
        }
        Ok(request)
    }
}

fn refusal(xml: &str, status: u16) -> Problem {
    let Ok(document) = roxmltree::Document::parse(xml) else { return of_service("", "", status) };
    let text = |name: &str| {
        let found = document.descendants().find(|node| node.has_tag_name(name));
        found.and_then(|node| node.text()).unwrap_or_default().to_owned()
    };
    of_service(&text("Code"), &text("Message"), status)
}

/// As forms write it: RFC 3986 with nothing but its unreserved characters.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
