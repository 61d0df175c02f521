//! The only place of this crate that uses HTTP: deadlines, a bounded pool, bounded answers, no redirections, proxies from
//! the environment, and a log without headers and bodies.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::{BytesStream, HttpClient, StatusCode, Url};
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::DeserializeOwned;

use crate::config::ConfigError;
use crate::error::{Class, Error, Failure, Refusal};
use crate::secret::Secret;

/// Time for one call, from its begin to the end of its answer.
pub const DEADLINE: Duration = Duration::from_secs(30);

const CONNECT: Duration = Duration::from_secs(10);
/// Connections that are kept for the next call, for each host, and for how long.
const IDLE: (usize, Duration) = (4, Duration::from_secs(60));
/// A profile with 200 endpoints has about 200 KiB, a page of addresses less than 1 MiB.
const MAX_ANSWER: usize = 8 << 20;
/// Of an error's body.
const MAX_ERROR: usize = 64 << 10;
/// Longer waits that a server asks for are cut to this.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// How calls are made.
#[derive(Debug, Clone)]
pub struct TransportOptions {
    /// Name and version of the agent.
    pub user_agent: String,
    /// Time for one call.
    pub deadline: Duration,
    /// Authorities in PEM that are trusted beside those of the system.
    pub authorities: Option<Vec<u8>>,
    /// Whether the proxies that the environment names are used; the machine's own services are behind none.
    pub proxies: bool,
}

impl TransportOptions {
    /// With the usual deadline and the system's authorities.
    pub fn new(user_agent: impl Into<String>) -> Self {
        Self {
            user_agent: user_agent.into(),
            deadline: DEADLINE,
            authorities: None,
            proxies: true,
        }
    }

    /// Reads further authorities.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn with_authorities(mut self, file: &Path) -> Result<Self, ConfigError> {
        let pem = tokio::fs::read(file).await.map_err(|err| ConfigError::Unreadable {
            path: file.to_owned(),
            cause: err.to_string(),
        })?;
        self.authorities = Some(pem);
        Ok(self)
    }
}

/// Makes calls. Clones share connections.
#[derive(Debug, Clone)]
pub struct Transport {
    client: reqwest::Client,
    user_agent: HeaderValue,
    deadline: Duration,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: reqwest::Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Transport {
    /// Builds a client.
    ///
    /// # Errors
    /// When an authority cannot be used, or the system has none.
    pub fn new(options: &TransportOptions) -> Result<Self, ConfigError> {
        let unusable = |cause: String| ConfigError::Client(cause);
        let mut builder = reqwest::Client::builder()
            .use_preconfigured_tls(tls(options.authorities.as_deref())?)
            .connect_timeout(CONNECT.min(options.deadline))
            .timeout(options.deadline)
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(IDLE.0)
            .pool_idle_timeout(IDLE.1);
        if !options.proxies {
            builder = builder.no_proxy();
        }
        Ok(Self {
            client: builder.build().map_err(|err| unusable(causes(&err)))?,
            user_agent: HeaderValue::from_str(&options.user_agent)
                .map_err(|_| unusable("the name of the agent holds characters that no header has".to_owned()))?,
            deadline: options.deadline,
        })
    }

    /// Reads JSON that needs no token.
    ///
    /// # Errors
    /// By class.
    pub async fn get_json<T: DeserializeOwned>(&self, url: &Url, what: &str) -> Result<T, Error> {
        let call = Outgoing::get(url.clone());
        let body = self.send(call).await.map_err(|failure| Error::of(what, failure))?;
        serde_json::from_slice(&body)
            .map_err(|err| Error::local(what, Class::NoAnswer, format!("the answer cannot be read: {err}")))
    }

    /// Makes a call once. The body of a success, or why there is none.
    pub(crate) async fn send(&self, mut call: Outgoing) -> Result<Bytes, Failure> {
        call.headers.insert(USER_AGENT, self.user_agent.clone());
        call.headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        let (method, host) = (call.method.clone(), call.url.host_str().unwrap_or_default().to_owned());
        let path = call.url.path().to_owned();
        let begun = tokio::time::Instant::now();
        let request = self.client.request(call.method, call.url).headers(call.headers);
        let result = self.exchange(request.body(call.body)).await;
        let took = begun.elapsed();
        match &result {
            Ok(body) => tracing::debug!(%method, host, path, ?took, bytes = body.len(), "A call succeeded."),
            Err(Failure::Refused(refusal)) => {
                let (status, code) = (refusal.status, &refusal.code);
                tracing::debug!(%method, host, path, ?took, status, code, "A call was refused.");
            }
            Err(failure) => tracing::debug!(%method, host, path, ?took, %failure, "A call was not answered."),
        }
        result
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Bytes, Failure> {
        let no_answer = |err: reqwest::Error| {
            if err.is_timeout() && !err.is_connect() {
                return Failure::NoAnswer(format!("no answer within {:?}", self.deadline));
            }
            // The address may hold what is no matter of a log.
            Failure::NoAnswer(format!("the call failed: {}", causes(&err.without_url())))
        };
        let mut answer = request.send().await.map_err(no_answer)?;
        let status = answer.status();
        let limit = if status.is_success() { MAX_ANSWER } else { MAX_ERROR };
        let wait = retry_after(answer.headers(), Timestamp::now());
        let mut body = BytesMut::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit && status.is_success() => {
                    return Err(Failure::NoAnswer(format!("the answer has more than {limit} bytes")));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(limit - body.len())]),
                Ok(None) => break,
                Err(err) if status.is_success() => return Err(no_answer(err)),
                // Why it refused is lost, but not that it did.
                Err(_) => break,
            }
            if body.len() == limit && !status.is_success() {
                break;
            }
        }
        if status.is_success() {
            return Ok(body.freeze());
        }
        Err(Failure::Refused(Refusal::read(status.as_u16(), &body, wait)))
    }
}

impl Outgoing {
    pub(crate) fn get(url: Url) -> Self {
        Self {
            method: reqwest::Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// From the SDK's form. Its authorization, which holds no token, and its name are left out.
    pub(crate) fn of(request: &azure_core::Request) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::NoAnswer(format!("the call has {what} that cannot be sent"));
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers().iter() {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| wrong("a header"))?;
            if name != AUTHORIZATION && name != USER_AGENT {
                headers.insert(
                    name,
                    HeaderValue::from_str(value.as_str()).map_err(|_| wrong("a header"))?,
                );
            }
        }
        let azure_core::Body::Bytes(body) = request.body() else {
            return Err(wrong("a stream"));
        };
        Ok(Self {
            method: request.method().as_ref().parse().map_err(|_| wrong("a method"))?,
            url: request.url().clone(),
            headers,
            body: body.clone(),
        })
    }

    /// Adds a token, marked so that nothing shows it.
    pub(crate) fn authorize(&mut self, token: &Secret) -> Result<(), Failure> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| Failure::Credentials("the token holds characters that no token has".to_owned()))?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

/// The SDK's form of a success.
pub(crate) fn answer(body: Bytes) -> azure_core::Response {
    let headers = azure_core::headers::Headers::new();
    azure_core::Response::new(StatusCode::Ok, headers, Box::pin(BytesStream::new(body)))
}

/// The SDK's form of a failure, which it passes on as it is.
pub(crate) fn failed(failure: Failure) -> azure_core::Error {
    azure_core::Error::new(azure_core::error::ErrorKind::Other, failure)
}

/// For the SDK's login flows: calls that carry no token.
#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &azure_core::Request) -> azure_core::Result<azure_core::Response> {
        let call = Outgoing::of(request).map_err(failed)?;
        self.send(call).await.map(answer).map_err(failed)
    }
}

fn tls(authorities: Option<&[u8]>) -> Result<rustls::ClientConfig, ConfigError> {
    let unusable = |cause: String| ConfigError::Client(cause);
    let mut extra = Vec::new();
    if let Some(pem) = authorities {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            extra.push(certificate.map_err(|err| unusable(format!("an authority is not valid PEM: {err}")))?);
        }
        if extra.is_empty() {
            return Err(unusable("the file of authorities holds no certificate".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
        .map_err(|err| unusable(format!("the authorities cannot be used: {err}")))?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|err| unusable(err.to_string()))?;
    Ok(config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// How long a server asks to stay away: milliseconds, seconds or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = ["retry-after-ms", "x-ms-retry-after-ms"]
        .iter()
        .find_map(|name| text(name)?.parse().ok().map(Duration::from_millis));
    let wait = milliseconds.or_else(|| {
        let text = text(RETRY_AFTER.as_str())?;
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    })?;
    Some(wait.min(MAX_WAIT))
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_in_every_form() {
        let now = "2026-11-30T10:00:00Z".parse().unwrap();
        for (name, value, wanted) in [
            ("retry-after", "17", Some(17_000)),
            ("Retry-After", "Mon, 30 Nov 2026 10:00:20 GMT", Some(20_000)),
            ("retry-after", "Mon, 30 Nov 2026 09:00:00 GMT", Some(0)),
            ("retry-after", "99999999", Some(3_600_000)),
            ("x-ms-retry-after-ms", "250", Some(250)),
            ("retry-after-ms", "250", Some(250)),
            ("retry-after", "soon", None),
            ("other", "17", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_static(value),
            );
            let wait = retry_after(&headers, now).map(|wait| wait.as_millis());
            assert_eq!(wait, wanted, "{name}: {value}");
        }
    }

    #[test]
    fn authorities_must_be_certificates() {
        let mut options = TransportOptions::new("test");
        assert!(Transport::new(&options).is_ok());
        options.authorities = Some(b"nothing".to_vec());
        let error = Transport::new(&options).unwrap_err().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
    }
}
