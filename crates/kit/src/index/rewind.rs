//! Notices that the server's history has gone back, as after a restore of its storage, whoever finds the proof.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use kube::Client;
use tokio::sync::watch;
use tokio::time::Instant;

use super::requests::read_page;
use super::watch::Watch;
use crate::backoff::{Backoff, Retry};
use crate::error::Error;
use crate::history::{Furthest, History};
use crate::reachability::Reachability;
use crate::rest::Call;
use crate::version::is_older;

/// Waits before an index that has made all others list may do so again. A server may have APIs whose replicas count each
/// for itself; those seem to go back time and again, which must not keep the others busy.
const ANNOUNCEMENTS: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(6 * 3600));

/// What one index knows of its server's history, together with all that use the same client.
pub(super) struct Rewinds {
    history: Arc<History>,
    /// The path that lists the index's own API.
    path: String,
    changes: watch::Receiver<u64>,
    /// The rewinds that were taken note of.
    noted: u64,
    /// Whether there was one since everything was last listed.
    is_due: bool,
    announcements: Retry,
    /// No announcement before.
    silent_until: Option<Instant>,
}

impl Rewinds {
    pub(super) async fn of(client: &Client, path: String) -> Self {
        // A client that is not ours shares nothing.
        let history: Arc<History> = match Reachability::of(client).await {
            Some(reachability) => Arc::clone(reachability.history()),
            None => Arc::default(),
        };
        let mut changes = history.rewinds();
        let noted = *changes.borrow_and_update();
        Self {
            path,
            noted,
            changes,
            history,
            is_due: false,
            announcements: Retry::new(ANNOUNCEMENTS),
            silent_until: None,
        }
    }

    /// Whether the history has gone back since everything was last listed, as far as anybody knows.
    pub(super) fn is_due(&mut self) -> bool {
        self.is_due |= self.note();
        self.is_due
    }

    /// Waits until somebody else has proof that the history has gone back.
    pub(super) async fn announced(&mut self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.changes.changed().await;
        self.noted = *self.changes.borrow_and_update();
        self.is_due = true;
    }

    /// The index itself has proof. All others are to list as well, unless somebody has announced it by now.
    pub(super) fn proven(&mut self) {
        let now = Instant::now();
        self.is_due = true;
        if self.silent_until.is_none_or(|until| now >= until) && self.history.rewind(self.noted) {
            if self.silent_until.is_some_and(|until| now - until >= ANNOUNCEMENTS.max) {
                self.announcements.reset();
            }
            self.silent_until = Some(now + self.announcements.failed());
        }
        self.note();
    }

    /// Everything was listed since the last rewind that was taken note of.
    pub(super) fn listed(&mut self) {
        self.is_due = false;
    }

    /// The index's API has come to a version.
    pub(super) fn saw(&self, version: &str) {
        self.history.saw(version, &self.path);
    }

    fn furthest(&self) -> Furthest {
        self.history.furthest()
    }

    fn note(&mut self) -> bool {
        let now = *self.changes.borrow_and_update();
        std::mem::replace(&mut self.noted, now) != now
    }
}

impl Watch {
    /// Whether the server is older than what is known of it. A watch would not show it: servers wait for the version that
    /// a watch begins at.
    pub(super) async fn has_gone_back(&self, client: &Client, rewinds: &Rewinds) -> Result<bool, Error> {
        // What is learned while the server answers proves nothing.
        let (known, furthest) = (self.position.furthest(), rewinds.furthest());
        let version = self.version_of(client, &rewinds.path).await?;
        if is_older(&version, &known) {
            return Ok(true);
        }
        if !is_older(&version, &furthest.version) || furthest.path == rewinds.path {
            return Ok(false);
        }
        // Mostly all APIs of a server count together; whether these do, the one that has come furthest says.
        match self.version_of(client, &furthest.path).await {
            Ok(version) => Ok(is_older(&version, &furthest.version)),
            Err(err) if err.is_unanswered() => Err(err),
            // It is not served any more, or not to us.
            Err(_) => Ok(false),
        }
    }

    /// The version that a collection has now.
    async fn version_of(&self, client: &Client, path: &str) -> Result<String, Error> {
        let what = || format!("look at the version of {}", self.resource.kind);
        let call = Call::new(Method::GET, format!("{path}limit=1"), what());
        let body = call.send(client).await?;
        let page = read_page(&body, what)?;
        Ok(page.metadata.resource_version.into_owned())
    }
}
