//! One probe over the network.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use super::http;
use super::plan::Probe;
use crate::model::Protocol;
use crate::state::Destination;

/// Carries a probe out within its time.
///
/// # Errors
/// What it found instead of success, for people.
pub(super) async fn probe(probe: &Probe) -> Result<(), String> {
    let limit = Duration::from_secs(u64::from(probe.timeout));
    let outcome = tokio::time::timeout(limit, attempt(probe)).await;
    outcome.unwrap_or_else(|_| Err(format!("no answer within {} s", probe.timeout)))
}

async fn attempt(probe: &Probe) -> Result<(), String> {
    let stream = connect(probe).await?;
    match probe.protocol {
        Protocol::Tcp => Ok(()),
        Protocol::Http => http::request(stream, probe).await,
        Protocol::Https => http::request(http::encrypted(stream, probe).await?, probe).await,
    }
}

async fn connect(probe: &Probe) -> Result<TcpStream, String> {
    let port = probe.port;
    let addresses: Vec<SocketAddr> = match &probe.destination {
        Destination::Address(ip) => vec![SocketAddr::new(*ip, port)],
        Destination::Name(name) => lookup_host((name.as_str(), port))
            .await
            .map_err(|err| format!("the name {name} cannot be resolved: {}", short(&err)))?
            .collect(),
        Destination::Nowhere => Vec::new(),
    };
    if addresses.is_empty() {
        return Err("it has no address".to_owned());
    }
    let stream = TcpStream::connect(addresses.as_slice()).await;
    stream.map_err(|err| format!("the connection to port {port} failed: {}", short(&err)))
}

/// An error of the system without its number.
fn short(err: &io::Error) -> String {
    let text = err.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
