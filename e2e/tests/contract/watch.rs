//! Raw watches, event by event.

use crate::cx::Cx;
use anyhow::{Context, Result, bail};
use futures::{AsyncBufRead, AsyncBufReadExt, StreamExt};
use http::Request;
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;

/// For one event.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An open watch.
pub struct Watch {
    lines: futures::io::Lines<Pin<Box<dyn AsyncBufRead + Send>>>,
}

/// Type and object of an event.
pub type Event = (String, Value);

impl Watch {
    /// Opens a watch; `query` follows `watch=true`.
    pub async fn open(cx: &Cx, collection: &str, query: &str) -> Result<Self> {
        let path = format!("{collection}?watch=true&{query}");
        let request = Request::get(&path).body(Vec::new())?;
        let stream = cx
            .client
            .request_stream(request)
            .await
            .with_context(|| format!("GET {path}"))?;
        let stream: Pin<Box<dyn AsyncBufRead + Send>> = Box::pin(stream);
        Ok(Self { lines: stream.lines() })
    }

    /// The next event; `None` when the server has ended the watch.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        match tokio::time::timeout(TIMEOUT, self.lines.next()).await {
            Err(_) => bail!("no event within {} s", TIMEOUT.as_secs()),
            Ok(None) => Ok(None),
            Ok(Some(line)) => {
                let event: Value = serde_json::from_str(&line?)?;
                Ok(Some((
                    event["type"].as_str().unwrap_or_default().to_owned(),
                    event["object"].clone(),
                )))
            }
        }
    }

    /// The next event as `TYPE name`.
    pub async fn short(&mut self) -> Result<String> {
        let Some((kind, object)) = self.next().await? else {
            bail!("the watch ended")
        };
        Ok(format!(
            "{kind} {}",
            object["metadata"]["name"].as_str().unwrap_or_default()
        ))
    }

    /// Fails unless the next events are these.
    pub async fn expect(&mut self, events: &[&str]) -> Result<()> {
        for wanted in events {
            let found = self.short().await?;
            anyhow::ensure!(found == *wanted, "the next event was to be {wanted:?} and is {found:?}");
        }
        Ok(())
    }
}
