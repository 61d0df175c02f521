//! Azure's resource manager (networking 12.2).
//!
//! Reads and deletions go through the SDK's generated client, of which the answers are taken as JSON: its types drop what
//! they do not know. What is written goes as JSON through the SDK's pipeline for the same reason, and because the types
//! cannot say that a profile has no endpoints.

mod addresses;
mod gate;
mod hints;
mod pages;
mod traffic;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::{
    ClientOptions, Context, Method, Pipeline, Request, RetryOptions, TransportOptions as SdkTransport, Url,
};
use bytes::Bytes;

pub use pages::next_page;

use crate::cache::Cache;
use crate::config::{self, Cloud, CloudConfig, ConfigError, Endpoints};
use crate::credential::Tokens;
use crate::error::{Class, Error, Failure, failure_of};
use crate::port::{EndpointHints, PublicIpAddresses, TrafficManager};
use crate::transport::{DEADLINE, Outgoing, Transport, TransportOptions};
use gate::{Gate, InTurn, NoCredential};

/// Resource groups whose addresses are kept at the same time.
const MAX_GROUPS: usize = 256;

/// Beside the cloud config.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the agent in Azure's logs, such as `fleet-hub-net-controller-manager`.
    pub user_agent: String,
    /// Time for one call.
    pub deadline: Duration,
}

impl Options {
    /// With the usual deadline.
    pub fn new(user_agent: impl Into<String>) -> Self {
        Self {
            user_agent: user_agent.into(),
            deadline: DEADLINE,
        }
    }
}

/// One subscription, as one identity. Clones share everything, also rates and what Azure asked for.
#[derive(Debug, Clone)]
pub struct Azure(Arc<Arm>);

struct Arm {
    generated: azure_mgmt_trafficmanager::Client,
    pipeline: Pipeline,
    /// Of calls whose turn was taken before.
    pipeline_in_turn: Pipeline,
    gate: Arc<Gate>,
    base: Url,
    subscription: String,
    addresses: Arc<Cache<addresses::Listed, Error>>,
}

impl Azure {
    /// Finds the cloud and prepares the identity. Asks a resource manager that the config names about its cloud; makes no
    /// other call, so a wrong identity shows at the first call.
    ///
    /// # Errors
    /// When a file cannot be used, or the resource manager does not describe its cloud.
    pub async fn connect(config: &CloudConfig, options: &Options) -> Result<Self, ConfigError> {
        let mut transport = TransportOptions::new(options.user_agent.clone());
        transport.deadline = options.deadline;
        if let Some(file) = &config.ca_file {
            transport = transport.with_authorities(file).await?;
        }
        let transport = Transport::new(&transport)?;
        let endpoints = endpoints(config, &transport).await?;
        let tokens = Tokens::of(config, &endpoints, &transport, &options.user_agent).await?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        for url in [&endpoints.resource_manager, &endpoints.login] {
            if is_exposed(url) {
                tracing::warn!(
                    %url,
                    "Credentials go over a network unencrypted, because the address begins with http. Use https."
                );
            }
        }
        tracing::info!(
            resource_manager = %endpoints.resource_manager,
            subscription = config.subscription_id,
            "Azure is used."
        );
        let scope = endpoints.scope();
        let gate = Arc::new(Gate::new(transport, tokens, scope.clone(), config.limits));
        let sdk = SdkTransport::new(Arc::clone(&gate) as _);
        let generated = azure_mgmt_trafficmanager::Client::builder(Arc::new(NoCredential))
            .endpoint(endpoints.resource_manager.clone())
            .scopes(&[&scope])
            .retry(RetryOptions::none())
            .transport(sdk.clone())
            .build()
            .map_err(|err| ConfigError::Client(err.to_string()))?;
        let pipeline = |transport: SdkTransport| {
            Pipeline::new(
                option_env!("CARGO_PKG_NAME"),
                option_env!("CARGO_PKG_VERSION"),
                ClientOptions::default()
                    .retry(RetryOptions::none())
                    .transport(transport),
                Vec::new(),
                Vec::new(),
            )
        };
        Ok(Self(Arc::new(Arm {
            generated,
            pipeline: pipeline(sdk),
            pipeline_in_turn: pipeline(SdkTransport::new(Arc::new(InTurn(Arc::clone(&gate))))),
            gate,
            base: endpoints.resource_manager,
            subscription: config.subscription_id.clone(),
            addresses: Arc::new(Cache::new(MAX_GROUPS)),
        })))
    }

    /// Profiles and endpoints.
    pub fn traffic_manager(&self) -> Arc<dyn TrafficManager> {
        Arc::clone(&self.0) as Arc<dyn TrafficManager>
    }

    /// Hints about endpoints.
    pub fn endpoint_hints(&self) -> Arc<dyn EndpointHints> {
        Arc::clone(&self.0) as Arc<dyn EndpointHints>
    }

    /// Public IP addresses.
    pub fn public_ip_addresses(&self) -> Arc<dyn PublicIpAddresses> {
        Arc::clone(&self.0) as Arc<dyn PublicIpAddresses>
    }
}

impl Arm {
    /// A URL below the subscription, with the query of an API version.
    fn url(&self, path: &str, api_version: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/subscriptions/{}{path}", self.subscription));
        url.query_pairs_mut().append_pair("api-version", api_version);
        url
    }
}

/// Makes a call with a body of JSON, or none.
async fn call(pipeline: &Pipeline, method: Method, url: Url, body: Option<Bytes>, what: &str) -> Result<Bytes, Error> {
    let mut request = Request::new(url, method);
    if let Some(body) = body {
        request.insert_header(azure_core::headers::CONTENT_TYPE, "application/json");
        request.set_body(body);
    }
    let sent = pipeline.send(&Context::default(), &mut request).await;
    body_of(sent, what).await
}

/// The body of an answer, or why there is none.
async fn body_of(sent: azure_core::Result<impl Into<azure_core::Response>>, what: &str) -> Result<Bytes, Error> {
    let collected = match sent {
        Ok(response) => response.into().into_body().collect().await,
        Err(err) => Err(err),
    };
    collected.map_err(|err| {
        let failure = failure_of(&err);
        Error::of(what, failure.unwrap_or_else(|| Failure::NoAnswer(err.to_string())))
    })
}

/// A deletion of what does not exist is done.
fn deleted(result: Result<Bytes, Error>) -> Result<(), Error> {
    match result {
        Err(err) if err.class() != Class::NotFound => Err(err),
        _ => Ok(()),
    }
}

/// The error of an answer that cannot be read.
fn unreadable(what: &str, cause: &str) -> Error {
    Error::local(what, Class::NoAnswer, cause)
}

/// A name that stands for itself in a path, or the error of a call that is not made.
fn segment<'a>(name: &'a str, kind: &str, what: &str) -> Result<&'a str, Error> {
    let is_wrong = name.is_empty()
        || name.len() > 260
        || name.contains(['/', '\\', '%'])
        || name.chars().any(char::is_control)
        || matches!(name.trim(), "." | ".." | "");
    if is_wrong {
        let cause = format!("the name of the {kind} must have 1 to 260 characters without any of / \\ %");
        return Err(Error::local(what, Class::Refused, cause));
    }
    Ok(name)
}

/// The addresses of the cloud: a file overrides the resource manager, and that the cloud's name.
async fn endpoints(config: &CloudConfig, transport: &Transport) -> Result<Endpoints, ConfigError> {
    let failed = |from: String, cause: String| ConfigError::Discovery { from, cause };
    let mut endpoints = match &config.resource_manager {
        Some(base) => {
            let mut url = base.clone();
            url.set_path("/metadata/endpoints");
            url.query_pairs_mut().append_pair("api-version", "2019-05-01");
            let answer = transport.send(Outgoing::get(url.clone())).await;
            let body = answer.map_err(|failure| failed(url.to_string(), failure.to_string()))?;
            config::metadata(&body, base, &config.cloud_name).map_err(|cause| failed(url.to_string(), cause))?
        }
        // Only a file may come with a name that is not known.
        None => Cloud::by_name(&config.cloud_name)
            .unwrap_or(Cloud::Public)
            .endpoints()?,
    };
    if let Some(file) = &config.environment_file {
        let from = file.display().to_string();
        let text = tokio::fs::read(file)
            .await
            .map_err(|err| failed(from.clone(), err.to_string()))?;
        if text.len() > config::MAX_ANSWER {
            return Err(failed(from, "it is too large".to_owned()));
        }
        config::environment_file(&text, &mut endpoints).map_err(|cause| failed(from, cause))?;
    }
    Ok(endpoints)
}

/// Whether others on the network can read what is sent there.
fn is_exposed(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    url.scheme() == "http" && !is_here
}

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arm")
            .field("base", &self.base.as_str())
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_the_machine_itself() {
        for (url, exposed) in [
            ("http://127.0.0.1:8443", false),
            ("http://[::1]:8443", false),
            ("http://localhost", false),
            ("https://arm.example", false),
            ("http://arm.example", true),
            ("http://192.0.2.1", true),
        ] {
            assert_eq!(is_exposed(&Url::parse(url).unwrap()), exposed, "{url}");
        }
    }
}
