//! Keeps an index up to date: lists, watches, and what to do when either fails.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use rand::Rng as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Index, Origin};
use crate::backoff::Backoff;
use crate::error::{Error, chain};
use crate::resource::ObjectKey;
use crate::rest::{Call, query_value};
use crate::trim::Trimmed;

/// Objects on one page of a list: bounds the memory that reading takes.
const PAGE: u32 = 200;

/// A watch that lived this long was healthy: the next failure starts the back-off anew.
const HEALTHY: Duration = Duration::from_secs(20);

/// A line buffer larger than this is given back after use.
const KEPT_BUFFER: usize = 32 * 1024;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMeta<'a>,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMeta<'a> {
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
    #[serde(borrow, rename = "continue")]
    next: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Identity of an object that may otherwise be unreadable.
#[derive(Deserialize)]
struct Head {
    metadata: HeadMeta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HeadMeta {
    name: String,
    namespace: Option<String>,
    uid: String,
    resource_version: String,
}

/// Why a watch ended.
enum End {
    /// The server closed it, as it does every few minutes.
    Closed,
    /// The server has forgotten what happened since our version.
    Expired,
    /// Something failed.
    Failed(String),
}

impl<T: Send + Sync + 'static> Index<T> {
    /// Lists and watches until `stop`. It never gives up: failures are retried with back-off.
    pub async fn run(&self, client: Client, stop: CancellationToken) {
        stop.run_until_cancelled(self.follow(&client)).await;
    }

    async fn follow(&self, client: &Client) {
        let backoff = Backoff::connection();
        let mut failures = 0;
        loop {
            let mut version = match self.list(client).await {
                Ok(version) => version,
                Err(err) => {
                    failures += 1;
                    tracing::warn!(resource = %self.resource, error = %err, failures, "Listing failed; trying again.");
                    tokio::time::sleep(err.retry_after().unwrap_or_default().max(backoff.delay(failures))).await;
                    continue;
                }
            };
            self.lists.fetch_add(1, Ordering::Relaxed);
            self.synced.send_replace(true);
            self.revision.send_modify(|revision| *revision += 1);
            loop {
                let start = Instant::now();
                let end = self.watch(client, &mut version).await;
                if start.elapsed() >= HEALTHY {
                    failures = 0;
                }
                match end {
                    End::Expired => {
                        tracing::info!(resource = %self.resource, version, "The history is gone; listing anew.");
                        break;
                    }
                    // A server that closes at once, again and again, is not to be hammered.
                    End::Closed if start.elapsed() >= HEALTHY => {}
                    End::Closed => {
                        failures += 1;
                        tokio::time::sleep(backoff.delay(failures)).await;
                    }
                    End::Failed(reason) => {
                        failures += 1;
                        tracing::info!(resource = %self.resource, %reason, failures, "The watch broke; resuming.");
                        tokio::time::sleep(backoff.delay(failures)).await;
                    }
                }
            }
        }
    }

    /// Takes in all objects and drops those that are no longer there. Returns the version of the list.
    async fn list(&self, client: &Client) -> Result<String, Error> {
        let mut seen = BTreeSet::new();
        let mut next: Option<String> = None;
        loop {
            let path = self.list_path(next.as_deref());
            let body = Call::new(Method::GET, path, format!("list {}", self.resource.kind))
                .send(client)
                .await?;
            let page: Page<'_> = serde_json::from_slice(&body).map_err(|err| Error::Answer {
                what: format!("list {}", self.resource.kind),
                cause: err.to_string(),
            })?;
            for raw in page.items.unwrap_or_default() {
                // An unreadable object counts as seen: what is known of it stays.
                if let Some(head) = head(raw) {
                    seen.insert(ObjectKey::new(head.namespace.as_deref(), &head.name));
                }
                self.take(raw, true);
            }
            match page.metadata.next.filter(|token| !token.is_empty()) {
                Some(token) => next = Some(token.into_owned()),
                None => {
                    let version = page.metadata.resource_version.into_owned();
                    self.drop_missed(&seen, &version);
                    return Ok(version);
                }
            }
        }
    }

    fn drop_missed(&self, seen: &BTreeSet<ObjectKey>, version: &str) {
        let missed = self.state.read().missed(seen, version);
        for key in missed {
            self.remove(&key, Origin::Watch, |_, _| true);
        }
    }

    async fn watch(&self, client: &Client, version: &mut String) -> End {
        let timeout = rand::rng().random_range(300..600);
        let path = self.watch_path(version, timeout);
        let call = Call::new(Method::GET, path, format!("watch {}", self.resource.kind));
        let body = match call.open(client).await {
            Ok(response) => response.into_body(),
            Err(err) if err.is_gone() => return End::Expired,
            Err(err) => return End::Failed(err.to_string()),
        };
        // The server ends the watch in time; if it does not, the connection is dead.
        let deadline = Duration::from_secs(timeout + 30);
        match tokio::time::timeout(deadline, self.read(body, version)).await {
            Ok(end) => end,
            Err(_) => End::Failed("the server did not end the watch in time".to_owned()),
        }
    }

    async fn read(&self, mut body: Body, version: &mut String) -> End {
        let mut buffer: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(err) => return End::Failed(chain(&err)),
            };
            let Ok(data) = frame.into_data() else { continue };
            let mut rest: &[u8] = &data;
            while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let (line, after) = rest.split_at(at);
                rest = &after[1..];
                let end = if buffer.is_empty() {
                    self.event(line, version)
                } else {
                    buffer.extend_from_slice(line);
                    let end = self.event(&buffer, version);
                    buffer.clear();
                    buffer.shrink_to(KEPT_BUFFER);
                    end
                };
                if let Some(end) = end {
                    return end;
                }
            }
            buffer.extend_from_slice(rest);
        }
        End::Closed
    }

    /// Takes in one event. Answers why the watch is over, if it is.
    fn event(&self, line: &[u8], version: &mut String) -> Option<End> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let event: Event<'_> = match serde_json::from_slice(line) {
            Ok(event) => event,
            Err(err) => return Some(End::Failed(format!("an event cannot be read: {err}"))),
        };
        if event.kind == "ERROR" {
            return Some(failure(event.object));
        }
        let Some(head) = head(event.object) else {
            return Some(End::Failed(format!("an event of type {} has no metadata", event.kind)));
        };
        match event.kind.as_ref() {
            "ADDED" | "MODIFIED" => self.take(event.object, false),
            "DELETED" => {
                let key = ObjectKey::new(head.namespace.as_deref(), &head.name);
                self.deleted(&key, &head.uid, &head.resource_version);
            }
            _ => {}
        }
        if !head.resource_version.is_empty() {
            *version = head.resource_version;
        }
        None
    }

    /// Stores one object. What cannot be read has been reported by the store and is left as it was known before.
    fn take(&self, raw: &RawValue, listed: bool) {
        let read = match self.managers {
            true => serde_json::from_str(raw.get()),
            false => serde_json::from_str(raw.get()).map(|Trimmed(object)| object),
        };
        match read {
            Ok(object) => {
                let _ = self.put(object, Origin::Watch, listed);
            }
            Err(err) => {
                self.skipped.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(resource = %self.resource, error = %err, "An object cannot be read and is skipped.");
            }
        }
    }

    fn list_path(&self, next: Option<&str>) -> String {
        let mut path = self.base_path();
        path.push_str(&format!("limit={}", self.scope.page.unwrap_or(PAGE)));
        if let Some(next) = next {
            path.push_str(&format!("&continue={}", query_value(next)));
        }
        path
    }

    fn watch_path(&self, version: &str, timeout: u64) -> String {
        let mut path = self.base_path();
        path.push_str(&format!(
            "watch=true&allowWatchBookmarks=true&timeoutSeconds={timeout}&resourceVersion={version}"
        ));
        path
    }

    fn base_path(&self) -> String {
        let mut path = self.resource.collection(self.scope.namespace.as_deref());
        path.push('?');
        for (name, selector) in [
            ("labelSelector", &self.scope.labels),
            ("fieldSelector", &self.scope.fields),
        ] {
            if let Some(selector) = selector {
                path.push_str(&format!("{name}={}&", query_value(selector)));
            }
        }
        path
    }
}

fn head(raw: &RawValue) -> Option<HeadMeta> {
    serde_json::from_str::<Head>(raw.get()).ok().map(|head| head.metadata)
}

fn failure(raw: &RawValue) -> End {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        code: Option<u16>,
        reason: Option<String>,
        message: Option<String>,
    }
    let status: Status = serde_json::from_str(raw.get()).unwrap_or_default();
    let reason = status.reason.unwrap_or_default();
    if status.code == Some(410) || matches!(reason.as_str(), "Expired" | "Gone") {
        return End::Expired;
    }
    End::Failed(format!(
        "the server reports: {} ({reason})",
        status.message.unwrap_or_default()
    ))
}
