//! The requests of an index.

use std::time::Duration;

use http::Method;
use kube::Client;
use kube::client::Body;
use rand::Rng as _;
use tokio::time::Instant;

use super::watch::Watch;
use super::wire::Page;
use crate::error::Error;
use crate::rest::{Call, query_value};

/// Objects on one page of a list: bounds the memory that reading takes.
const PAGE: u32 = 200;

impl Watch {
    /// Opens a watch. Answers also when it must have ended.
    pub(super) async fn open(&self, client: &Client, version: &str) -> Result<(Body, Instant), Error> {
        let timeout = rand::rng().random_range(300..600);
        let path = self.watch_path(version, timeout);
        let call = Call::new(Method::GET, path, format!("watch {}", self.resource.kind));
        let response = call.open(client).await?;
        // The server ends the watch in time; if it does not, the connection is dead.
        let deadline = Instant::now() + Duration::from_secs(timeout + 30);
        Ok((response.into_body(), deadline))
    }

    pub(super) fn list_path(&self, next: Option<&str>) -> String {
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

    /// The path that lists the objects; a query can be added.
    pub(super) fn base_path(&self) -> String {
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

/// Reads a page of a list.
pub(super) fn read_page<'a>(body: &'a [u8], what: impl FnOnce() -> String) -> Result<Page<'a>, Error> {
    serde_json::from_slice(body).map_err(|err| Error::Answer {
        what: what(),
        cause: err.to_string(),
    })
}
