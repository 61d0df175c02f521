//! Whether an index says truly that it follows its API, whatever happens to the watch, the decoder and the handlers.

use std::sync::atomic::AtomicU32;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// An index named by the test, so that its metrics are its own.
fn named(plural: &'static str) -> Resource {
    Resource::namespaced("", "v1", "ConfigMap", plural)
}

#[tokio::test(start_paused = true)]
async fn an_index_is_live_only_while_its_watch_is_established() {
    let server = Server::default();
    server.refuse(404, "NotFound");
    let (index, log) = index();
    assert_eq!(index.status().liveness, Liveness::Unlisted);
    assert_eq!(
        index.trouble().unwrap(),
        "The watch of v1 ConfigMap is not complete yet."
    );
    let _running = start(&index, &server);
    settle().await;
    assert_eq!(index.status().liveness, Liveness::NotServed);

    server.list("5", None, &[object("a", "1")]);
    let watch = server.watch();
    tokio::time::sleep(SECOND).await;
    assert!(index.is_live() && index.trouble().is_none());

    // The right to watch is taken away, which shows once the running watch ends.
    tokio::time::sleep(30 * SECOND).await;
    server.list("5", None, &[]);
    server.refuse(403, "Forbidden");
    drop(watch);
    settle().await;
    assert!(!index.is_live() && index.is_synced() && index.status().is_blind());
    assert!(index.trouble().is_none(), "a gap is no trouble until it lasts");
    for _ in 0..40 {
        server.refuse(403, "Forbidden");
    }
    tokio::time::sleep(31 * SECOND).await;
    let trouble = index.trouble().unwrap();
    assert!(
        trouble.starts_with("The server refuses to watch v1 ConfigMap: "),
        "{trouble}"
    );

    // It is given back.
    server.script.lock().clear();
    let watch = server.watch();
    tokio::time::sleep(30 * SECOND).await;
    assert!(index.is_live());
    watch.send(event("MODIFIED", &object("a", "6"))).unwrap();
    settle().await;
    assert_eq!(take(&log), ["n/a -->1", "n/a 1->6"]);

    // It breaks for another reason.
    tokio::time::sleep(30 * SECOND).await;
    drop(watch);
    settle().await;
    assert_eq!((index.status().liveness, index.trouble()), (Liveness::Resuming, None));
    tokio::time::sleep(31 * SECOND).await;
    let trouble = index.trouble().unwrap();
    assert!(
        trouble.starts_with("The watch of v1 ConfigMap has been broken for 31s: "),
        "{trouble}"
    );
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_watches_that_are_not_live() {
    let gauges = || {
        let runtime = crate::metrics::runtime().unwrap();
        [&runtime.watches, &runtime.live].map(|gauge| gauge.with_label_values(&["livemaps"]).get())
    };
    let server = Server::default();
    server.list("5", None, &[]);
    let watch = server.watch();
    let index = Index::builder(named("livemaps"), |object| Ok(Some(object))).build();
    let running = start(&index, &server);
    settle().await;
    assert_eq!(gauges(), [1, 1]);
    drop(watch);
    settle().await;
    assert_eq!(gauges(), [1, 0]);
    server.list("5", None, &[]);
    let _watch = server.watch();
    tokio::time::sleep(SECOND).await;
    assert_eq!(gauges(), [1, 1]);
    drop(running);
    settle().await;
    assert_eq!(gauges(), [0, 0]);
    assert!(!index.is_live());
}

#[tokio::test(start_paused = true)]
async fn a_watch_task_that_panics_is_started_again_and_is_not_live_meanwhile() {
    let server = Server::default();
    server.list("5", None, &[object("a", "1")]);
    let _first = server.watch();
    server.answer(Answer::Panic);
    let (index, log) = index();
    let _running = start(&index, &server);
    settle().await;
    assert!(index.is_live());
    // The panic is one of the task itself: here of the client that it uses to resume.
    tokio::time::sleep(30 * SECOND).await;
    drop(_first);
    settle().await;
    assert_eq!(index.status().liveness, Liveness::Resuming);
    assert!(index.status().reason.contains("scripted panic"), "{:?}", index.status());
    server.list("7", None, &[object("b", "6")]);
    let _second = server.watch();
    tokio::time::sleep(SECOND).await;
    assert!(index.is_live());
    assert_eq!(take(&log), ["n/a -->1", "n/b -->6", "n/a 1->-"]);
    let runtime = crate::metrics::runtime().unwrap();
    assert!(runtime.restarts.with_label_values(&["configmaps"]).get() >= 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_a_set_that_shrinks() {
    let runtime = crate::metrics::runtime().unwrap();
    let gauge = runtime.unreadable.with_label_values(&["badmaps"]);
    let server = Server::default();
    server.list(
        "5",
        None,
        &[object("a", "1"), object("b", "2"), object("c", "3"), object("d", "4")],
    );
    let watch = server.watch();
    // "bad" fails and "worse" panics; both can be repaired.
    let decode = |object: Value| match object["data"]["v"].as_str() {
        Some("1" | "2" | "8") => Err("bad".to_owned()),
        Some("3") => panic!("worse"),
        _ => Ok(Some(object)),
    };
    let index = Index::builder(named("badmaps"), decode).build();
    let changes = index.unreadable_changes();
    let _running = start(&index, &server);
    let events = Server::default();
    (0..4).for_each(|_| events.answer(Answer::Json(201, json!({}))));
    let (recorder, writer) = crate::events::channel(
        crate::writer::Writer::new(events.client(), SECOND),
        crate::clock::Clock::System,
    );
    tokio::spawn(writer.run(CancellationToken::new()));
    let reporting = tokio::spawn({
        let index = Arc::clone(&index);
        async move { index.report_unreadable(&recorder, "test").await }
    });
    settle().await;
    let reasons = || -> Vec<_> {
        let all = index.unreadable().into_iter();
        all.map(|(key, why)| format!("{}@{}: {}", key.name, why.version, why.reason))
            .collect()
    };
    assert_eq!(reasons(), ["a@1: bad", "b@2: bad", "c@3: reading it panicked: worse"]);
    assert_eq!((index.len(), gauge.get()), (1, 3));
    assert!(changes.has_changed().unwrap());

    // One is repaired, one is deleted, one stays, and one that could be read becomes bad.
    watch.send(event("MODIFIED", &object("a", "6"))).unwrap();
    watch.send(event("DELETED", &object("b", "7"))).unwrap();
    watch.send(event("MODIFIED", &object("d", "8"))).unwrap();
    settle().await;
    assert_eq!(reasons(), ["c@3: reading it panicked: worse", "d@8: bad"]);
    assert_eq!(index.get(&ObjectKey::namespaced("n", "d")).unwrap()["data"]["v"], "4");

    // What a list no longer holds is gone from the set, too; what it holds still is not reported again.
    let seen = *index.unreadable_changes().borrow();
    server.list("20", None, &[object("a", "6"), object("d", "8")]);
    let _watch = server.watch();
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
    watch.send(format!("{gone}\n")).unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(reasons(), ["d@8: bad"]);
    assert_eq!((gauge.get(), *index.unreadable_changes().borrow()), (1, seen + 1));
    drop(_running);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(events.requests.lock().len(), 4, "one for each object and version");
    reporting.abort();
    settle().await;
    drop(index);
    assert_eq!(gauge.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_gets_its_change_again_and_blocks_no_other() {
    let server = Server::default();
    server.list("5", None, &[object("a", "1"), object("b", "2")]);
    let watch = server.watch();
    let left = Arc::new(AtomicU32::new(3));
    let (log, tries) = (Log::default(), Arc::clone(&left));
    let delivered = Arc::clone(&log);
    let index = Index::builder(named("panicmaps"), |object| Ok(Some(object)))
        .on_change(move |change: &Change<Value>| {
            if change.key.name == "a" && tries.load(Ordering::Relaxed) > 0 {
                tries.fetch_sub(1, Ordering::Relaxed);
                panic!("a bug");
            }
            let version = |item: &Option<Arc<Value>>| item.as_ref().map(|v| v["data"]["v"].clone());
            delivered.lock().push(format!(
                "{} {:?}->{:?}",
                change.key.name,
                version(&change.old),
                version(&change.new)
            ));
        })
        .build();
    let _running = start(&index, &server);
    settle().await;
    assert_eq!(take(&log), [r#"b None->Some(String("2"))"#]);
    assert!(index.is_live());
    // A further change of the object makes one with the missed one.
    watch.send(event("MODIFIED", &object("a", "6"))).unwrap();
    watch.send(event("MODIFIED", &object("b", "7"))).unwrap();
    settle().await;
    assert_eq!(take(&log), [r#"b Some(String("2"))->Some(String("7"))"#]);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(take(&log), [r#"a None->Some(String("6"))"#]);
    assert_eq!(left.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn histories_that_expire_at_once_are_not_listed_in_a_hot_loop() {
    let server = Server::default();
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
    for _ in 0..200 {
        server.list("5", None, &[]);
        server.watch().send(format!("{gone}\n")).unwrap();
    }
    let (index, _) = index();
    let _running = start(&index, &server);
    tokio::time::sleep(60 * SECOND).await;
    assert!((5..=13).contains(&index.lists()), "{}", index.lists());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_passed_leads_to_a_list() {
    let server = Server::default();
    server.list("5", None, &[]);
    for _ in 0..3 {
        server.watch().send("{broken\n".to_owned()).unwrap();
    }
    server.list("9", None, &[object("a", "8")]);
    let watch = server.watch();
    let (index, log) = index();
    let _running = start(&index, &server);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!((take(&log), index.lists()), (vec!["n/a -->8".to_owned()], 2));
    // An event without metadata is passed over.
    watch.send("{\"type\":\"ADDED\",\"object\":{}}\n".to_owned()).unwrap();
    watch.send(event("ADDED", &object("b", "10"))).unwrap();
    settle().await;
    assert_eq!(take(&log), ["n/b -->10"]);
}
