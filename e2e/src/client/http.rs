//! One HTTP request over a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For connection, request and answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest body in bytes; a cluster's name is much shorter.
const LONGEST: usize = 64 * 1024;

/// The body of the answer, without blanks around it.
///
/// # Errors
/// When there is no connection, no answer in time, or an answer with another status than 200.
pub async fn get(address: SocketAddr, host: &str) -> Result<String> {
    let answer = timeout(DEADLINE, exchange(address, host)).await;
    answer.with_context(|| format!("{address} does not answer in time"))?
}

async fn exchange(address: SocketAddr, host: &str) -> Result<String> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("{address} takes no connection"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/")
        .header(HOST, host)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer is cut off: {error}"))?;
        anyhow::Ok((status, body.to_bytes()))
    };
    // The connection moves the request on and ends with it, because the request says that it closes.
    let (answer, _) = tokio::join!(answer, connection);
    let (status, body) = answer.with_context(|| format!("{address} breaks the connection"))?;
    ensure!(status == StatusCode::OK, "{address} answers with status {status}");
    Ok(String::from_utf8_lossy(&body).trim().to_owned())
}
