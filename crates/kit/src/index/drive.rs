//! Keeps an index up to date: lists, watches, and what to do when either fails.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use http::Method;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::liveness::{Liveness, Running};
use super::requests::read_page;
use super::rewind::Rewinds;
use super::unreadable::Unreadable;
use super::watch::{Objects, Source, Watch};
use super::wire::{End, Event, Relist, failure, head};
use crate::backoff::{Backoff, Retry};
use crate::error::{Error, chain, panic_text};
use crate::metrics::runtime;
use crate::resource::ObjectKey;
use crate::rest::Call;
use crate::trim::Trimmed;
use crate::version::is_older;

/// Pages of one list at most. A server with more than that sends the same pages again and again.
pub(super) const MAX_PAGES: u32 = 10_000;

/// A watch that lived this long was healthy: the next one that ends early starts the back-off anew.
const HEALTHY: Duration = Duration::from_secs(20);

/// Servers send a bookmark every minute. A watch on which nothing arrives for this long is not trusted any more.
const SILENCE: Duration = Duration::from_secs(120);

/// The longest silence that is allowed to a server that sends no bookmarks, so that it is not listed all the time.
const MAX_SILENCE: Duration = Duration::from_secs(3600);

/// A server that closes a watch this long before it must have ended, or later, does so because its time is over.
const LAST_MOMENTS: Duration = Duration::from_secs(45);

/// Watches that end one after the other at the same event, which cannot be read: a list passes over it.
const STUCK: u32 = 3;

/// A line buffer larger than this is given back after use.
const KEPT_BUFFER: usize = 32 * 1024;

/// What the task that follows an API knows of its own course.
struct Course<'a> {
    client: &'a Client,
    objects: &'a dyn Objects,
    running: &'a Running<'a>,
    /// What is known of rewinds of the server's history.
    rewinds: &'a mut Rewinds,
    /// Requests that failed in a row.
    requests: Retry,
    /// Watches that ended early in a row.
    short_lived: Retry,
    /// How long a watch may be silent.
    silence: Duration,
    /// Whether no answer came since the watch was last live: then the server may be another one, or in another state.
    was_cut_off: bool,
}

impl Watch {
    /// Starts the work again when it panics.
    pub(super) async fn supervise(&self, objects: &dyn Objects, client: &Client) -> Infallible {
        let running = self.liveness.begin();
        let mut panics = Retry::new(Backoff::connection());
        let mut rewinds = Rewinds::of(client, self.base_path()).await;
        let mut relist = None;
        loop {
            let start = Instant::now();
            let followed =
                AssertUnwindSafe(self.follow(objects, client, &running, &mut rewinds, relist)).catch_unwind();
            let panic = match followed.await {
                Ok(never) => match never {},
                Err(panic) => panic_text(&*panic),
            };
            if let Some(runtime) = runtime() {
                runtime.restarts.with_label_values(&[&self.resource.qualified()]).inc();
            }
            if start.elapsed() >= HEALTHY {
                panics.reset();
            }
            let wait = panics.failed();
            tracing::error!(resource = %self.resource, panic, ?wait, "The watch task panicked; it is started again.");
            running.set(self.without_watch(), format!("the watch task panicked: {panic}"));
            relist = Some(Relist::Panicked);
            tokio::time::sleep(wait).await;
        }
    }

    async fn follow(
        &self,
        objects: &dyn Objects,
        client: &Client,
        running: &Running<'_>,
        rewinds: &mut Rewinds,
        mut relist: Option<Relist>,
    ) -> Infallible {
        let mut course = Course {
            client,
            objects,
            running,
            rewinds,
            requests: Retry::new(Backoff::connection()),
            short_lived: Retry::new(Backoff::connection()),
            silence: SILENCE,
            was_cut_off: false,
        };
        loop {
            self.list_until_complete(&mut course, relist).await;
            let reason = self.watch_until_relist(&mut course).await;
            running.set(Liveness::Resuming, reason.sentence());
            match reason {
                Relist::Expired => tracing::info!(resource = %self.resource, "{}", reason.sentence()),
                _ => tracing::warn!(resource = %self.resource, "{}", reason.sentence()),
            }
            relist = Some(reason);
        }
    }

    async fn list_until_complete(&self, course: &mut Course<'_>, relist: Option<Relist>) {
        let before = *self.revision.borrow();
        loop {
            match self.list(course).await {
                Ok(()) => break,
                Err(err) => self.failed(course, &err, "Listing failed; trying again.").await,
            }
        }
        course.requests.reset();
        course.was_cut_off = false;
        self.lists.fetch_add(1, Ordering::Relaxed);
        if let Some(reason) = relist {
            if let Some(runtime) = runtime() {
                let labels = [&self.resource.qualified(), reason.label()];
                runtime.relists.with_label_values(&labels).inc();
            }
            // Nothing was missed: this server is silent because it sends no bookmarks.
            if reason == Relist::Silent && before == *self.revision.borrow() {
                course.silence = (course.silence * 2).min(MAX_SILENCE);
            }
        }
        self.synced.send_replace(true);
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Watches again and again until a list is needed.
    async fn watch_until_relist(&self, course: &mut Course<'_>) -> Relist {
        let mut bad_events = 0;
        loop {
            if course.rewinds.is_due() {
                return Relist::Rewound;
            }
            if course.was_cut_off {
                match self.has_gone_back(course.client, course.rewinds).await {
                    Ok(true) => {
                        course.rewinds.proven();
                        return Relist::Ahead;
                    }
                    Ok(false) => course.was_cut_off = false,
                    Err(err) => {
                        self.failed(course, &err, "The watch cannot be resumed; trying again.")
                            .await;
                        continue;
                    }
                }
            }
            let (start, from) = (Instant::now(), self.position.version());
            let end = match self.open(course.client, &from).await {
                Ok((body, deadline)) => {
                    course.requests.reset();
                    course.running.live();
                    let end = self.read(body, deadline, course).await;
                    // Whoever ends a watch before its time may come back as another server, or in another state.
                    course.was_cut_off |= match end {
                        End::Broken(_) => true,
                        End::Closed => Instant::now() + LAST_MOMENTS < deadline,
                        End::BadEvent(_) | End::Relist(_) => false,
                    };
                    course.rewinds.saw(&self.position.furthest());
                    end
                }
                Err(err) if err.is_gone() => End::Relist(Relist::Expired),
                Err(err) if err.is_version_too_large() => End::Relist(Relist::Ahead),
                Err(err) => {
                    self.failed(course, &err, "The watch cannot be opened; trying again.")
                        .await;
                    continue;
                }
            };
            let was_healthy = start.elapsed() >= HEALTHY;
            if was_healthy {
                course.short_lived.reset();
            }
            // A server that ends watches at once, again and again, must not get requests in a hot loop.
            let wait = match &end {
                _ if !was_healthy => course.short_lived.failed(),
                End::Broken(_) | End::BadEvent(_) => course.short_lived.failed(),
                End::Closed | End::Relist(_) => Duration::ZERO,
            };
            let reason = match end {
                End::Relist(reason) => {
                    course.running.set(Liveness::Resuming, reason.sentence());
                    tokio::time::sleep(wait).await;
                    return reason;
                }
                End::Closed => "the server closed it".to_owned(),
                End::BadEvent(reason) => {
                    bad_events = if from == self.position.version() {
                        bad_events + 1
                    } else {
                        1
                    };
                    tracing::warn!(resource = %self.resource, reason, ?wait, "The watch cannot go on; resuming.");
                    reason
                }
                End::Broken(reason) => {
                    tracing::info!(resource = %self.resource, reason, ?wait, "The watch broke; resuming.");
                    reason
                }
            };
            course.running.set(Liveness::Resuming, reason);
            tokio::time::sleep(wait).await;
            if bad_events >= STUCK {
                return Relist::Stuck;
            }
        }
    }

    /// Notes that a request failed, and waits before the next one.
    async fn failed(&self, course: &mut Course<'_>, err: &Error, what: &str) {
        let liveness = match err.code() {
            Some(401 | 403) => Liveness::Refused,
            Some(404) => Liveness::NotServed,
            _ => self.without_watch(),
        };
        course.was_cut_off |= err.is_unanswered();
        course.running.set(liveness, err.to_string());
        let failures = course.requests.failures() + 1;
        tracing::warn!(resource = %self.resource, error = %err, failures, "{what}");
        course.requests.pause(err).await;
    }

    /// The liveness while the watch is not established, for no reason that the server names.
    fn without_watch(&self) -> Liveness {
        if self.is_synced() {
            Liveness::Resuming
        } else {
            Liveness::Unlisted
        }
    }

    /// Takes in all objects and drops those that are no longer there.
    async fn list(&self, course: &mut Course<'_>) -> Result<(), Error> {
        let (is_due, known) = (course.rewinds.is_due(), self.position.furthest());
        course.objects.begin_list(is_due);
        let listed = self.list_pages(course, &known).await;
        let went_back = course.objects.end_list();
        if went_back && !is_due {
            // Remembered until everything is listed: the server may have overtaken the old history by then.
            course.rewinds.proven();
        }
        listed?;
        if went_back {
            course.rewinds.listed();
            tracing::warn!(
                resource = %self.resource,
                "The history of the API server has gone back, as after a restore of its storage; everything known was \
                 replaced."
            );
            if let Some(runtime) = runtime() {
                let labels = [&self.resource.qualified(), "went_back"];
                runtime.relists.with_label_values(&labels).inc();
            }
            self.went_back.iter().for_each(|handler| handler());
        }
        Ok(())
    }

    /// `known` is a version that the server had come to before.
    async fn list_pages(&self, course: &Course<'_>, known: &str) -> Result<(), Error> {
        let what = || format!("list {}", self.resource.kind);
        let mut seen = BTreeSet::new();
        let mut next: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let path = self.list_path(next.as_deref());
            let body = Call::new(Method::GET, path, what()).send(course.client).await?;
            let page = read_page(&body, what)?;
            if is_older(&page.metadata.resource_version, known) {
                course.objects.go_back();
            }
            for raw in page.items.unwrap_or_default() {
                // An unreadable object counts as seen: what is known of it stays.
                if let Some(head) = head(raw) {
                    seen.insert(ObjectKey::new(head.namespace.as_deref(), &head.name));
                }
                self.take(course.objects, raw, Source::List);
            }
            match page.metadata.next.filter(|token| !token.is_empty()) {
                Some(token) => next = Some(token.into_owned()),
                None => {
                    self.unreadable.retain(&seen);
                    course.objects.drop_missed(&seen, &page.metadata.resource_version);
                    self.position.reset(&page.metadata.resource_version);
                    course.rewinds.saw(&page.metadata.resource_version);
                    return Ok(());
                }
            }
        }
        Err(Error::Answer {
            what: what(),
            cause: format!("the server goes on after {MAX_PAGES} pages"),
        })
    }

    async fn read(&self, mut body: Body, deadline: Instant, course: &mut Course<'_>) -> End {
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let silent_at = Instant::now() + course.silence;
            let frame = tokio::select! {
                frame = tokio::time::timeout_at(deadline.min(silent_at), body.frame()) => frame,
                () = self.disproved.notified() => {
                    course.rewinds.proven();
                    return End::Relist(Relist::Ahead);
                }
                () = course.rewinds.announced() => return End::Relist(Relist::Rewound),
            };
            let frame = match frame {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(err))) => return End::Broken(chain(&err)),
                Ok(None) => return End::Closed,
                Err(_) if deadline <= silent_at => {
                    return End::Broken("the server did not end the watch in time".to_owned());
                }
                Err(_) => return End::Relist(Relist::Silent),
            };
            let Ok(data) = frame.into_data() else { continue };
            let mut rest: &[u8] = &data;
            while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let (line, after) = rest.split_at(at);
                rest = &after[1..];
                let end = if buffer.is_empty() {
                    self.event(line, course)
                } else {
                    buffer.extend_from_slice(line);
                    let end = self.event(&buffer, course);
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
    }

    /// Takes in one event. Answers why the watch is over, if it is.
    fn event(&self, line: &[u8], course: &mut Course<'_>) -> Option<End> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let event: Event<'_> = match serde_json::from_slice(line) {
            Ok(event) => event,
            Err(err) => return Some(End::BadEvent(format!("an event cannot be read: {err}"))),
        };
        if event.kind == "ERROR" {
            return Some(failure(event.object));
        }
        let Some(head) = head(event.object) else {
            tracing::warn!(resource = %self.resource, kind = %event.kind, "An event without metadata is skipped.");
            return None;
        };
        match event.kind.as_ref() {
            "ADDED" | "MODIFIED" => self.take(course.objects, event.object, Source::Watch),
            "DELETED" => {
                let key = ObjectKey::new(head.namespace.as_deref(), &head.name);
                course.objects.deleted(&key, &head.uid, &head.resource_version);
            }
            "BOOKMARK" => {
                course.silence = SILENCE;
                if self.position.is_ahead_of(&head.resource_version) {
                    return Some(End::Relist(Relist::Ahead));
                }
            }
            _ => {}
        }
        self.position.raise(&head.resource_version);
        course.rewinds.saw(&head.resource_version);
        None
    }

    /// Stores one object. What cannot be read is noted and left as it was known before.
    fn take(&self, objects: &dyn Objects, raw: &RawValue, source: Source) {
        let read = match self.managers {
            true => serde_json::from_str(raw.get()),
            false => serde_json::from_str(raw.get()).map(|Trimmed(object)| object),
        };
        match read {
            Ok(object) => {
                let _ = objects.put(object, source);
            }
            Err(err) => match head(raw) {
                Some(head) => self.unreadable.add(
                    &ObjectKey::new(head.namespace.as_deref(), &head.name),
                    Unreadable {
                        uid: head.uid,
                        version: head.resource_version,
                        reason: err.to_string(),
                    },
                ),
                None => {
                    tracing::warn!(resource = %self.resource, error = %err, "An object without readable metadata is skipped.");
                }
            },
        }
    }
}
