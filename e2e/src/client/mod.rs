//! A client of a service behind a DNS name: it resolves the name for each request, sends it to the address that was answered,
//! and reports which cluster it reached.

mod http;
mod resolver;
mod steady;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

pub use resolver::{Answer, Resolver};
pub use steady::{Mark, Record, Steady};

/// What becomes of one request.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// When it began, in seconds since the first one.
    pub at: f64,
    /// How long the look-up and the request took, in seconds.
    pub took: f64,
    /// The cluster that answered, or why none did.
    pub outcome: Result<String, String>,
}

/// A client of one name.
#[derive(Clone, Debug)]
pub struct Client {
    resolver: Resolver,
    name: String,
    port: u16,
}

impl Client {
    /// A client that resolves `name` at one DNS server and sends requests to `port`.
    pub fn new(resolver: Resolver, name: &str, port: u16) -> Self {
        Self {
            resolver,
            name: name.to_owned(),
            port,
        }
    }

    /// The name that is resolved.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Resolves the name.
    ///
    /// # Errors
    /// When the server does not answer, or not with an address.
    pub async fn resolve(&self) -> Result<Answer> {
        self.resolver.lookup(&self.name).await
    }

    /// Resolves the name over TCP.
    ///
    /// # Errors
    /// When the server does not answer, or not with an address.
    pub async fn resolve_over_tcp(&self) -> Result<Answer> {
        self.resolver.lookup_over_tcp(&self.name).await
    }

    /// Resolves the name and sends one request to the first address, over a connection of its own. Returns what the
    /// server answered, which is its cluster's name.
    ///
    /// # Errors
    /// When there is no address, no connection, or no answer with status 200.
    pub async fn get(&self) -> Result<String> {
        let answer = self.resolve().await?;
        let address = answer.addresses.first().context("the name has no address")?;
        http::get(SocketAddr::new(IpAddr::V4(*address), self.port), &self.name).await
    }

    /// Makes one request; `begun` is when the first one was made.
    pub async fn request(&self, begun: Instant) -> Request {
        let start = Instant::now();
        let outcome = self.get().await.map_err(|error| format!("{error:#}"));
        Request {
            at: seconds(start.saturating_duration_since(begun)),
            took: seconds(start.elapsed()),
            outcome,
        }
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
