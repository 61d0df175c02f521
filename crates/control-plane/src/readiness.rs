//! Whether an API server is ready.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Between two requests to `/readyz`; there is nothing to watch before it is ready.
const POLL: Duration = Duration::from_millis(100);
/// For one request to `/readyz`.
const POLL_DEADLINE: Duration = Duration::from_secs(5);

/// Requests once whether an API server is ready; the error is its answer.
pub async fn ready(client: &kube::Client) -> Result<(), String> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    client
        .request_text(request)
        .await
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// Polls until ready; the error is the last answer.
pub(crate) async fn poll_ready(client: &kube::Client, deadline: Instant) -> Result<(), String> {
    loop {
        let answer = match timeout(POLL_DEADLINE, ready(client)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() >= deadline {
            return Err(answer);
        }
        sleep(POLL).await;
    }
}
