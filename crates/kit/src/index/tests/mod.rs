//! The index against a scripted server: what it stores, delivers, ignores and requests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::reachability::{Inquiry, Reachability, Slot};

mod bounds;
mod history;
mod liveness;
mod outage;
mod rewind;

/// Answers requests from a script; a watch stays open as long as its sender lives.
#[derive(Clone, Default)]
struct Server {
    script: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
    /// Whether nothing answers, and what clients know of that.
    down: Arc<AtomicBool>,
    reachability: Option<Reachability>,
}

enum Answer {
    Json(u16, Value),
    Stream(mpsc::UnboundedReceiver<String>),
    /// A list that is answered when the test says so.
    Held(oneshot::Receiver<()>, Value),
    Broken,
    /// The client itself panics.
    Panic,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let is_inquiry = request.extensions().get::<Inquiry>().is_some();
                if let Some(reachability) = &server.reachability {
                    if let Some(slot) = request.extensions().get::<Slot>() {
                        slot.fill(reachability);
                    }
                    if server.down.load(Ordering::Relaxed) && !is_inquiry {
                        reachability.failed();
                        return Err(std::io::Error::other("connection refused"));
                    }
                    if !is_inquiry {
                        reachability.answered();
                    }
                }
                if is_inquiry {
                    return Ok(Response::new(Full::default().boxed_unsync()));
                }
                server.requests.lock().push(request.uri().to_string());
                let next = server.script.lock().pop_front();
                let (code, body) = match next {
                    Some(Answer::Panic) => panic!("scripted panic"),
                    Some(Answer::Held(released, value)) => {
                        released.await.unwrap();
                        (200, Full::from(value.to_string()).boxed_unsync())
                    }
                    Some(Answer::Broken) => return Err(std::io::Error::other("connection reset")),
                    Some(Answer::Json(code, value)) => (code, Full::from(value.to_string()).boxed_unsync()),
                    Some(Answer::Stream(lines)) => {
                        let frames = tokio_frames(lines);
                        (200, StreamBody::new(frames).boxed_unsync())
                    }
                    None => (500, Full::from("{}").boxed_unsync()),
                };
                Ok(Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, answer: Answer) {
        self.script.lock().push_back(answer);
    }

    fn list(&self, version: &str, next: Option<&str>, items: &[Value]) {
        let metadata = json!({"resourceVersion": version, "continue": next});
        self.answer(Answer::Json(200, json!({"metadata": metadata, "items": items})));
    }

    fn refuse(&self, code: u16, reason: &str) {
        self.answer(Answer::Json(
            code,
            json!({"kind": "Status", "code": code, "reason": reason, "message": "no"}),
        ));
    }

    fn held_list(&self, version: &str, items: &[Value]) -> oneshot::Sender<()> {
        let (release, released) = oneshot::channel();
        let metadata = json!({"resourceVersion": version});
        self.answer(Answer::Held(released, json!({"metadata": metadata, "items": items})));
        release
    }

    /// The connection breaks.
    fn break_connection(&self) {
        self.answer(Answer::Broken);
    }

    fn watch(&self) -> mpsc::UnboundedSender<String> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.answer(Answer::Stream(receiver));
        sender
    }
}

fn tokio_frames(
    lines: mpsc::UnboundedReceiver<String>,
) -> impl futures::Stream<Item = Result<http_body::Frame<Bytes>, Infallible>> {
    futures::stream::unfold(lines, |mut lines| async move {
        lines.recv().await.map(|line| (line, lines))
    })
    .map(|line| Ok(http_body::Frame::data(Bytes::from(line))))
}

fn object(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "n", "uid": format!("u-{name}"), "resourceVersion": version,
        "managedFields": [{"manager": "x"}]}, "data": {"v": version}})
}

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

type Log = Arc<Mutex<Vec<String>>>;

/// An index that keeps whole objects and logs changes as `old->new`; objects named `bad` cannot be read.
fn index() -> (Arc<Index<Value>>, Log) {
    let log = Log::default();
    let changes = Arc::clone(&log);
    let decode = |object: Value| {
        if object.pointer("/metadata/name") == Some(&json!("bad")) {
            Err("bad name".to_owned())
        } else {
            Ok(Some(object))
        }
    };
    let index = Index::builder(Resource::namespaced("", "v1", "ConfigMap", "configmaps"), decode)
        .on_change(move |change: &Change<Value>| {
            let version = |item: &Option<Arc<Value>>| {
                item.as_ref().map_or("-".to_owned(), |v| {
                    v["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
                })
            };
            let mark = if change.origin == Origin::Fold { " fold" } else { "" };
            changes.lock().push(format!(
                "{} {}->{}{mark}",
                change.key,
                version(&change.old),
                version(&change.new)
            ));
        })
        .build();
    (index, log)
}

fn bookmark(version: &str) -> String {
    event("BOOKMARK", &json!({"metadata": {"resourceVersion": version}}))
}

/// Runs an index against a server until the answer is dropped.
fn start(index: &Arc<Index<Value>>, server: &Server) -> tokio_util::sync::DropGuard {
    let stop = CancellationToken::new();
    let (index, client, until) = (Arc::clone(index), server.client(), stop.clone());
    tokio::spawn(async move { index.run(client, until).await });
    stop.drop_guard()
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn take(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock())
}

#[tokio::test(start_paused = true)]
async fn lists_by_page_follows_and_relists_when_the_history_is_gone() {
    let server = Server::default();
    server.list("5", Some("more"), &[object("a", "1"), object("bad", "2")]);
    server.list("5", None, &[object("b", "3")]);
    let watch = server.watch();
    let (index, log) = index();
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (index, client, stop) = (Arc::clone(&index), server.client(), stop.clone());
        async move { index.run(client, stop).await }
    });
    index.synced().await;
    settle().await;
    assert_eq!(take(&log), ["n/a -->1", "n/b -->3"]);
    assert_eq!(index.unreadable_count(), 1);
    let a = index.get(&ObjectKey::namespaced("n", "a")).unwrap();
    assert_eq!(a["kind"], "ConfigMap", "items of lists get the kind of the list");
    assert!(a["metadata"].get("managedFields").is_none());

    // Events may come in any slicing.
    let text = event("MODIFIED", &object("a", "6")) + &event("DELETED", &object("b", "7"));
    let (head, tail) = text.split_at(40);
    watch.send(head.to_owned()).unwrap();
    watch.send(tail.to_owned()).unwrap();
    watch
        .send(event("BOOKMARK", &json!({"metadata": {"resourceVersion": "9"}})))
        .unwrap();
    settle().await;
    assert_eq!(take(&log), ["n/a 1->6", "n/b 3->-"]);

    // The watch resumes where the bookmark was; then the server no longer keeps the events, and a relist finds what was missed.
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
    // A list comes first that shows its version, because it ended the watch before its time.
    server.list("9", None, &[]);
    let second = server.watch();
    second.send(format!("{gone}\n")).unwrap();
    server.list("20", None, &[object("c", "12")]);
    let _third = server.watch();
    drop(watch);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(take(&log), ["n/c -->12", "n/a 6->-"]);
    assert_eq!(index.lists(), 2);
    let requests = server.requests.lock().clone();
    assert!(requests[0].starts_with("/api/v1/configmaps?limit=200"), "{requests:?}");
    assert!(requests[1].ends_with("&continue=more"), "{requests:?}");
    assert!(
        requests[2].ends_with("resourceVersion=5") && requests[4].ends_with("resourceVersion=9"),
        "{requests:?}"
    );
    assert_eq!(requests.len(), 7);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failing_server_is_retried_until_it_answers() {
    let server = Server::default();
    server.answer(Answer::Json(
        403,
        json!({"kind": "Status", "reason": "Forbidden", "message": "no"}),
    ));
    server.answer(Answer::Json(503, json!({})));
    server.list("5", None, &[object("a", "1")]);
    let _watch = server.watch();
    let (index, _) = index();
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (index, client, stop) = (Arc::clone(&index), server.client(), stop.clone());
        async move { index.run(client, stop).await }
    });
    index.synced().await;
    assert_eq!(index.len(), 1);
    stop.cancel();
    task.await.unwrap();
}

#[test]
fn folded_answers_win_until_the_watch_knows_more() {
    let (index, log) = index();
    let key = ObjectKey::namespaced("n", "a");
    index.fold(object("a", "5")).unwrap();
    index.put(object("a", "5"), Source::Watch).unwrap();
    index.put(object("a", "4"), Source::Watch).unwrap();
    assert_eq!(take(&log), ["n/a -->5 fold"], "echoes and older word are ignored");
    index.put(object("a", "6"), Source::Watch).unwrap();
    index.fold(object("a", "5")).unwrap();
    assert_eq!(take(&log), ["n/a 5->6"]);

    // Deleted by us: late events about that incarnation do not revive it, a new one is welcome.
    index.fold_deleted(&key, Some("another"));
    assert_eq!(take(&log), Vec::<String>::new());
    index.fold_deleted(&key, Some("u-a"));
    index.put(object("a", "7"), Source::Watch).unwrap();
    index.deleted(&key, "u-a", "8");
    assert_eq!(take(&log), ["n/a 6->- fold"]);
    let mut reborn = object("a", "9");
    reborn["metadata"]["uid"] = "u2".into();
    index.put(reborn, Source::Watch).unwrap();
    assert_eq!(take(&log), ["n/a -->9"]);

    // Deleted by somebody else before our answer arrives: the answer does not revive it.
    index.deleted(&ObjectKey::namespaced("n", "z"), "u-z", "11");
    index.fold(object("z", "10")).unwrap();
    assert!(take(&log).is_empty());
    // Late word of a deletion of the earlier incarnation leaves the new one alone.
    index.deleted(&key, "u-a", "8");
    assert!(index.get(&key).is_some());
}

#[test]
fn an_item_that_is_left_out_counts_as_gone() {
    let decode = |object: Value| Ok((object["data"]["v"] != "2").then_some(()));
    let index = Index::builder(Resource::namespaced("", "v1", "ConfigMap", "configmaps"), decode).build();
    index.put(object("a", "1"), Source::Watch).unwrap();
    index.put(object("b", "1"), Source::Watch).unwrap();
    assert_eq!(index.in_namespace("n").len(), 2);
    index.put(object("a", "2"), Source::Watch).unwrap();
    assert_eq!(
        index.entries().into_keys().map(|key| key.name).collect::<Vec<_>>(),
        ["b"]
    );
    assert!(index.in_namespace("m").is_empty());
}

#[test]
fn what_an_answer_has_brought_of_others_is_told_once_the_watch_tells_of_it() {
    let (index, log) = index();
    let put = |version: &str| index.put(object("a", version), Source::Watch).unwrap();
    put("1");
    take(&log);
    // We write twice; in between somebody else does, which our second answer already holds.
    index.fold(object("a", "2")).unwrap();
    index.fold(object("a", "4")).unwrap();
    assert_eq!(take(&log), ["n/a 1->2 fold", "n/a 2->4 fold"]);
    put("2");
    assert!(take(&log).is_empty(), "an echo");
    put("3");
    assert_eq!(take(&log), ["n/a 4->4"], "not ours");
    put("4");
    put("3");
    assert!(take(&log).is_empty(), "an echo, and a repetition");

    // A list does not show what it passes over.
    index.fold(object("a", "6")).unwrap();
    take(&log);
    index.put(object("a", "6"), Source::List).unwrap();
    assert_eq!(take(&log), ["n/a 6->6"]);
    index.put(object("a", "6"), Source::List).unwrap();
    put("6");
    assert!(take(&log).is_empty());

    // Word of an earlier incarnation is none of the new one.
    let mut reborn = object("a", "9");
    reborn["metadata"]["uid"] = "u2".into();
    index.fold(reborn).unwrap();
    take(&log);
    put("8");
    assert!(take(&log).is_empty());
}
