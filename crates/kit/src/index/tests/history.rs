//! API servers that go back in time, and watches that fall silent.

use std::sync::atomic::AtomicU32;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// An index that logs changes, and counts how often the history has gone back.
fn counted() -> (Arc<Index<Value>>, Log, Arc<AtomicU32>) {
    let (log, times) = (Log::default(), Arc::new(AtomicU32::new(0)));
    let (changes, count) = (Arc::clone(&log), Arc::clone(&times));
    let index = Index::builder(Resource::namespaced("", "v1", "ConfigMap", "pastmaps"), |object| {
        Ok(Some(object))
    })
    .on_change(move |change: &Change<Value>| {
        let version = |item: &Option<Arc<Value>>| {
            item.as_ref().map_or("-".to_owned(), |v| {
                v["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
            })
        };
        changes.lock().push(format!(
            "{} {}->{}",
            change.key.name,
            version(&change.old),
            version(&change.new)
        ));
    })
    .on_went_back(move || {
        count.fetch_add(1, Ordering::Relaxed);
    })
    .build();
    (index, log, times)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_with_an_older_state_is_listed_anew() {
    let server = Server::default();
    server.list("100", None, &[object("a", "40"), object("b", "90"), object("c", "95")]);
    let watch = server.watch();
    let (index, log, times) = counted();
    let _running = start(&index, &server);
    settle().await;
    watch.send(event("MODIFIED", &object("a", "110"))).unwrap();
    watch.send(event("DELETED", &object("c", "120"))).unwrap();
    watch.send(event("ADDED", &object("d", "130"))).unwrap();
    settle().await;
    take(&log);

    // The server is stopped. It comes back as it was at version 100, and a change follows.
    server.break_connection();
    server.break_connection();
    drop(watch);
    server.list("101", None, &[object("a", "40")]);
    server.list("101", None, &[object("a", "40"), object("b", "90"), object("c", "95")]);
    let watch = server.watch();
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(
        take(&log),
        ["a 110->40", "b 90->90", "c -->95", "d 130->-"],
        "older versions, what was deleted since, and what did not exist yet"
    );
    assert!(index.is_live() && times.load(Ordering::Relaxed) == 1);
    // Versions that were used before are new now.
    watch.send(event("MODIFIED", &object("a", "102"))).unwrap();
    watch.send(event("DELETED", &object("c", "103"))).unwrap();
    settle().await;
    assert_eq!(take(&log), ["a 40->102", "c 95->-"]);
    let requests = server.requests.lock().clone();
    assert!(
        requests[4].ends_with("configmaps?limit=1") || requests[4].ends_with("pastmaps?limit=1"),
        "the version is asked for before the watch is resumed: {requests:?}"
    );
    assert!(requests[6].ends_with("resourceVersion=101"), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_at_once_with_an_older_state_is_listed_anew() {
    let server = Server::default();
    server.list("100", None, &[object("a", "40")]);
    let watch = server.watch();
    let (index, log, times) = counted();
    let _running = start(&index, &server);
    settle().await;
    watch.send(event("MODIFIED", &object("a", "110"))).unwrap();
    settle().await;
    take(&log);
    // No request fails: only the watch ends, long before its time.
    drop(watch);
    server.list("101", None, &[object("a", "40")]);
    server.list("101", None, &[object("a", "40")]);
    let _watch = server.watch();
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(take(&log), ["a 110->40"]);
    assert!(index.is_live() && times.load(Ordering::Relaxed) == 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_as_far_as_before_is_not_listed() {
    let server = Server::default();
    server.list("100", None, &[object("a", "40")]);
    let watch = server.watch();
    let (index, log, _) = counted();
    let _running = start(&index, &server);
    settle().await;
    server.break_connection();
    drop(watch);
    server.list("100", None, &[object("a", "40")]);
    let watch = server.watch();
    tokio::time::sleep(5 * SECOND).await;
    take(&log);
    watch.send(event("MODIFIED", &object("a", "101"))).unwrap();
    settle().await;
    assert_eq!((take(&log), index.lists()), (vec!["a 40->101".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn bookmarks_and_refusals_tell_that_the_server_is_behind() {
    let server = Server::default();
    server.list("100", None, &[object("a", "90")]);
    let first = server.watch();
    let (index, log, times) = counted();
    let _running = start(&index, &server);
    settle().await;
    take(&log);
    // A bookmark with an older version.
    first.send(bookmark("80")).unwrap();
    server.list("80", None, &[object("a", "70")]);
    let second = server.watch();
    tokio::time::sleep(SECOND).await;
    assert_eq!(take(&log), ["a 90->70"]);
    // An event of a watch that says so.
    let cause = json!({"causes": [{"reason": "ResourceVersionTooLarge"}]});
    let error = json!({"kind": "Status", "code": 504, "reason": "Timeout", "details": cause});
    second.send(event("ERROR", &error)).unwrap();
    server.list("60", None, &[object("a", "50")]);
    let third = server.watch();
    tokio::time::sleep(SECOND).await;
    assert_eq!(take(&log), ["a 70->50"]);
    // A refusal to watch from there.
    server.list("60", None, &[]);
    server.answer(Answer::Json(504, error));
    drop(third);
    // By then the new history has got further than the old one: that an object is older than it was shows it.
    server.list("99", None, &[object("a", "45")]);
    let _fourth = server.watch();
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(take(&log), ["a 50->45"]);
    assert!(index.is_live());
    assert_eq!(times.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_older_than_what_was_known_long_before_leads_to_a_list() {
    let server = Server::default();
    server.list("100", None, &[object("a", "90")]);
    let watch = server.watch();
    let (index, log, times) = counted();
    let _running = start(&index, &server);
    settle().await;
    tokio::time::sleep(61 * SECOND).await;
    watch.send(event("MODIFIED", &object("a", "110"))).unwrap();
    settle().await;
    take(&log);
    // Overtaken by the watch: nothing happens.
    index.fold(object("a", "105")).unwrap();
    settle().await;
    assert_eq!((index.lists(), index.is_live()), (1, true));
    tokio::time::sleep(61 * SECOND).await;
    watch.send(bookmark("120")).unwrap();
    settle().await;
    server.list("60", None, &[object("a", "58")]);
    let _watch = server.watch();
    index.fold(object("a", "58")).unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(take(&log), ["a 110->58"]);
    assert_eq!((index.lists(), times.load(Ordering::Relaxed)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_listed_anew_and_a_server_without_bookmarks_less_and_less_often() {
    let server = Server::default();
    server.list("100", None, &[object("a", "90")]);
    let _first = server.watch();
    server.list("100", None, &[object("a", "90"), object("b", "99")]);
    let second = server.watch();
    let (index, log, _) = counted();
    let _running = start(&index, &server);
    tokio::time::sleep(119 * SECOND).await;
    assert_eq!(index.lists(), 1);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(take(&log), ["a -->90", "b -->99"]);

    // With bookmarks a quiet watch stays.
    for minute in 0..4 {
        second.send(bookmark(&format!("10{minute}"))).unwrap();
        tokio::time::sleep(60 * SECOND).await;
    }
    assert_eq!(index.lists(), 2);

    // Without them it is listed after 2, 4, 8 minutes, as long as nothing was missed.
    let mut silent = Vec::new();
    for _ in 0..6 {
        server.list("104", None, &[object("a", "90"), object("b", "99")]);
        silent.push(server.watch());
    }
    tokio::time::sleep(15 * 60 * SECOND).await;
    assert!((4..=6).contains(&index.lists()), "{}", index.lists());
}

#[tokio::test(start_paused = true)]
async fn answers_that_arrive_while_a_list_is_read_are_kept() {
    let server = Server::default();
    server.list("100", None, &[object("a", "90"), object("b", "80")]);
    let watch = server.watch();
    let (index, log, times) = counted();
    let _running = start(&index, &server);
    settle().await;
    take(&log);
    let release = server.held_list("105", &[object("a", "90"), object("b", "80"), object("z", "70")]);
    let _watch = server.watch();
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
    watch.send(format!("{gone}\n")).unwrap();
    tokio::time::sleep(SECOND).await;
    // While the server makes its list, our own writes are answered: a change, a deletion and a creation.
    index.fold(object("a", "106")).unwrap();
    index.fold_deleted(&ObjectKey::namespaced("n", "b"), Some("u-b"));
    index.fold(object("c", "107")).unwrap();
    release.send(()).unwrap();
    tokio::time::sleep(SECOND).await;
    // The list may have passed over a change of somebody else to what was answered, so that is delivered once more.
    let expected = ["a 90->106", "b 80->-", "c -->107", "a 106->106", "z -->70"];
    assert_eq!(take(&log), expected);
    assert_eq!((index.len(), times.load(Ordering::Relaxed)), (3, 0));
}

#[test]
fn while_the_history_goes_back_answers_are_right_whatever_their_versions() {
    let (index, log) = index();
    for (name, version) in [("a", "100"), ("b", "110"), ("c", "120")] {
        index.put(object(name, version), Source::List).unwrap();
    }
    take(&log);
    index.begin_list(false);
    // Nobody knows yet that the history has gone back, so this passes for an answer that the watch has overtaken.
    index.fold(object("a", "60")).unwrap();
    index.go_back();
    index.fold(object("b", "61")).unwrap();
    index.fold(object("b", "62")).unwrap();
    for (name, version) in [("a", "60"), ("b", "50"), ("c", "50")] {
        index.put(object(name, version), Source::List).unwrap();
    }
    assert!(index.end_list());
    let versions: Vec<_> = index.all().iter().map(|item| item["data"]["v"].clone()).collect();
    assert_eq!(versions, ["60", "62", "50"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_half_way_does_not_forget_that_the_history_has_gone_back() {
    let server = Server::default();
    server.list("100", None, &[object("a", "90")]);
    let watch = server.watch();
    let (index, log, times) = counted();
    let _running = start(&index, &server);
    settle().await;
    take(&log);
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
    server.list("50", Some("more"), &[object("a", "40")]);
    server.refuse(500, "InternalError");
    // By now the server has passed the version that was known.
    server.list("130", None, &[object("a", "40")]);
    let _watch = server.watch();
    watch.send(format!("{gone}\n")).unwrap();
    tokio::time::sleep(5 * SECOND).await;
    // What is listed while the history is known to have gone back is delivered whatever was known.
    assert_eq!(take(&log), ["a 90->40", "a 40->40"]);
    assert!(index.is_live() && times.load(Ordering::Relaxed) == 1);
}

#[test]
fn an_object_that_leaves_the_selection_may_come_back() {
    let resource = Resource::namespaced("", "v1", "ConfigMap", "configmaps");
    let scope = |labels: Option<&str>| Scope {
        labels: labels.map(str::to_owned),
        ..Scope::default()
    };
    for (labels, expected) in [(Some("app=web"), 1), (None, 0)] {
        let index = Index::builder(resource.clone(), |object| Ok(Some(object)))
            .scope(scope(labels))
            .build();
        index.put(object("a", "10"), Source::Watch).unwrap();
        index.deleted(&ObjectKey::namespaced("n", "a"), "u-a", "11");
        assert!(index.is_empty());
        index.put(object("a", "12"), Source::Watch).unwrap();
        assert_eq!(index.len(), expected, "{labels:?}");
    }
}
