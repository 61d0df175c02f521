//! `watch`: a stream of events after a version, or of the present state and what follows it.

use crate::call::Call;
use crate::present;
use crate::reply::{Body, View};
use crate::selector::Selectors;
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use crate::storage::{Cursor, Event, EventKind, StoreError, Stored};
use crate::verbs::read;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Events read from the history at a time, which bounds one chunk.
const BATCH: usize = 256;
/// How often a client that allows bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without timeout ends after a time drawn from this range of seconds, as with a real server.
const DEFAULT_TIMEOUT: (u64, u64) = (1800, 3600);

struct Watcher {
    core: Arc<Core>,
    call: Call,
    selectors: Selectors,
    cursor: Cursor,
    /// Bytes to send before anything else.
    first: Option<Bytes>,
    bookmarks: bool,
    deadline: Instant,
    next_bookmark: Instant,
    cuts: tokio::sync::watch::Receiver<u64>,
    cuts_seen: u64,
    ended: bool,
}

/// Starts a watch.
pub fn watch(core: &Arc<Core>, call: Call) -> ApiResult<Response<Body>> {
    let selectors = Selectors::of(&call.query, &call.resource, &call.version.name)?;
    check_initial_events(&call)?;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let seconds = match call.query.get("timeoutSeconds").parse::<u64>() {
        Ok(seconds) if seconds > 0 => seconds,
        _ => core.ids.between(DEFAULT_TIMEOUT.0, DEFAULT_TIMEOUT.1),
    };
    let scope = read::scope(&call);
    let table = call.resource.table.clone();
    let send_initial = call.query.flag("sendInitialEvents");
    let rv = match call.query.get("resourceVersion") {
        "" => 0,
        text => read::parse_rv(text)?,
    };
    let fresh = if call.query.has("sendInitialEvents") {
        send_initial
    } else {
        rv == 0
    };
    let started = if fresh {
        let (snapshot, cursor) = core
            .store
            .list_and_cursor(&table, &scope)
            .ok_or_else(ApiError::no_such_path)?;
        let mut first = Vec::new();
        for item in snapshot
            .items
            .iter()
            .filter(|i| selectors.matches(i) && names(&call, i))
        {
            push(&call, "ADDED", item, &mut first);
        }
        if send_initial && bookmarks {
            push_bookmark(&call, snapshot.rv, true, &mut first);
        }
        Ok((cursor, first))
    } else {
        let from = if rv == 0 { core.store.rv() } else { rv };
        core.store
            .cursor(&table, &scope, from)
            .map(|cursor| (cursor, Vec::new()))
    };
    let (cursor, first, ended) = match started {
        Ok((cursor, first)) => (cursor, first, false),
        // As the real server has it: the failure is the stream's only event.
        Err(StoreError::Expired) => {
            let (_, cursor) = core
                .store
                .list_and_cursor(&table, &scope)
                .ok_or_else(ApiError::no_such_path)?;
            (cursor, error_event(&too_old(rv, core.store.rv())), true)
        }
        Err(_) => return Err(ApiError::no_such_path()),
    };
    let now = Instant::now();
    let cuts = core.faults.cuts();
    let cuts_seen = *cuts.borrow();
    let watcher = Watcher {
        cuts,
        cuts_seen,
        core: core.clone(),
        selectors,
        cursor,
        first: (!first.is_empty()).then(|| first.into()),
        bookmarks,
        deadline: now + Duration::from_secs(seconds),
        next_bookmark: now + BOOKMARK_EVERY,
        ended,
        call,
    };
    Ok(respond(watcher))
}

fn respond(watcher: Watcher) -> Response<Body> {
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next().await?;
        Some((chunk.map(Frame::data), watcher))
    });
    let mut response = Response::new(StreamBody::new(stream).boxed_unsync());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Rules for `sendInitialEvents` and `resourceVersionMatch`.
fn check_initial_events(call: &Call) -> ApiResult<()> {
    let (given, matching) = (
        call.query.has("sendInitialEvents"),
        call.query.get("resourceVersionMatch"),
    );
    let fault = match (given, matching) {
        (false, "") | (true, "NotOlderThan") => return Ok(()),
        (false, _) => "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        (true, _) => "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    };
    let cause = Cause::forbidden("resourceVersionMatch", fault);
    Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[cause]))
}

/// A watch of one object's path sees that object only.
fn names(call: &Call, object: &Stored) -> bool {
    call.target.name.is_empty() || *object.name == *call.target.name
}

fn too_old(rv: u64, now: u64) -> ApiError {
    ApiError::expired(format!("too old resource version: {rv} ({now})"))
}

fn error_event(error: &ApiError) -> Vec<u8> {
    line("ERROR", &error.to_status())
}

fn line(kind: &str, object: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    present::append(&json!({"type": kind, "object": object}), &mut out);
    out.push(b'\n');
    out
}

fn push(call: &Call, kind: &str, object: &Stored, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
    present::write(call, object, false, out);
    out.extend_from_slice(b"}\n");
}

fn push_bookmark(call: &Call, rv: u64, initial_end: bool, out: &mut Vec<u8>) {
    let mut metadata = json!({"resourceVersion": rv.to_string(), "creationTimestamp": null});
    if initial_end {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object = match call.view {
        View::Object => json!({"kind": call.resource.kind, "apiVersion": call.api_version(), "metadata": metadata}),
        View::Metadata => present::partial(&json!({ "metadata": metadata })),
        View::Table => {
            json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": rv.to_string()},
            "columnDefinitions": [], "rows": [{"cells": [], "object": present::partial(&json!({ "metadata": metadata }))}]})
        }
    };
    out.extend_from_slice(&line("BOOKMARK", &object));
}

impl Watcher {
    /// The next chunk of the stream; `None` at its end.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        loop {
            if self.ended {
                return None;
            }
            let mut out = Vec::new();
            match self.core.store.read(&mut self.cursor, BATCH) {
                Ok(events) => {
                    events.iter().for_each(|event| self.encode(event, &mut out));
                    if !out.is_empty() {
                        return Some(Ok(out.into()));
                    }
                    if events.len() == BATCH {
                        continue;
                    }
                }
                Err(StoreError::Expired) => {
                    self.ended = true;
                    return Some(Ok(error_event(&too_old(self.cursor.rv(), self.core.store.rv())).into()));
                }
                Err(_) => return None,
            }
            match self.wait().await {
                Step::Read => {}
                Step::Send(bytes) => return Some(Ok(bytes)),
                Step::End => return None,
                Step::Break => {
                    self.ended = true;
                    return Some(Err(io::Error::new(
                        io::ErrorKind::ConnectionReset,
                        "the watch was cut by a fault",
                    )));
                }
            }
        }
    }

    async fn wait(&mut self) -> Step {
        let bookmark_at = if self.bookmarks {
            self.next_bookmark
        } else {
            self.deadline
        };
        tokio::select! {
            biased;
            alive = self.cursor.changed() => if alive { Step::Read } else { Step::End },
            _ = self.cuts.changed() => {
                let since = std::mem::replace(&mut self.cuts_seen, *self.cuts.borrow_and_update());
                if self.core.faults.cut(since, &self.call.user, &self.call.target) { Step::Break } else { Step::Read }
            }
            () = tokio::time::sleep_until(self.deadline) => Step::End,
            () = tokio::time::sleep_until(bookmark_at) => {
                self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                // A watch from a version that is yet to come gets nothing until then.
                if self.cursor.rv() > self.core.store.rv() {
                    return Step::Read;
                }
                let mut out = Vec::new();
                push_bookmark(&self.call, self.cursor.rv(), false, &mut out);
                Step::Send(out.into())
            }
        }
    }

    /// What this watch's selectors make of an event.
    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let wanted = |object: &Stored| names(&self.call, object) && self.selectors.matches(object);
        let before = event.previous.as_deref().is_some_and(wanted);
        let after = event.kind != EventKind::Deleted && wanted(&event.object);
        match (before, after) {
            (false, false) => {}
            (false, true) => push(&self.call, "ADDED", &event.object, out),
            (true, true) => push(&self.call, "MODIFIED", &event.object, out),
            (true, false) if event.kind == EventKind::Deleted => push(&self.call, "DELETED", &event.object, out),
            (true, false) => {
                // It left the selection: the last state that matched, at the version of the change.
                if let Some(previous) = &event.previous {
                    push(&self.call, "DELETED", &Stored::new(previous.value(), event.rv), out);
                }
            }
        }
    }
}

enum Step {
    Read,
    Send(Bytes),
    End,
    Break,
}
