//! What an index does when one of its bounds is reached.

use super::*;
use crate::index::drive::MAX_PAGES;
use crate::index::store::{AWAITED, REMEMBERED};

#[tokio::test(start_paused = true)]
async fn a_list_that_never_ends_is_given_up_and_begun_anew_with_back_off() {
    let pages = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let asked = Arc::clone(&pages);
    let service = tower::service_fn(move |request: Request<Body>| {
        if request.uri().query().is_some() {
            asked.fetch_add(1, Ordering::Relaxed);
        }
        async {
            let page = json!({"metadata": {"resourceVersion": "5", "continue": "more"}, "items": []});
            Ok::<_, Infallible>(Response::new(Full::from(page.to_string())))
        }
    });
    let client = Client::new(service, "default");
    let (index, _) = index();
    let (runner, stop) = (Arc::clone(&index), CancellationToken::new());
    let _stop = stop.clone().drop_guard();
    tokio::spawn(async move { runner.run(client, stop).await });
    let mut status = index.status_changes();
    let given_up = status.wait_for(|status| status.reason.contains("the server goes on after"));
    assert_eq!(given_up.await.unwrap().liveness, Liveness::Unlisted);
    assert_eq!(pages.load(Ordering::Relaxed), MAX_PAGES);
    assert!(!index.is_synced() && index.lists() == 0);
    settle().await;
    assert_eq!(pages.load(Ordering::Relaxed), MAX_PAGES, "not at once");
}

#[test]
fn deleted_incarnations_are_remembered_up_to_a_limit() {
    let (index, _) = index();
    let name = |n: usize| format!("o-{n}");
    for n in 0..=REMEMBERED {
        index.deleted(&ObjectKey::namespaced("n", &name(n)), &format!("u-{}", name(n)), "5");
    }
    index.fold(object(&name(REMEMBERED), "4")).unwrap();
    assert_eq!(index.len(), 0, "a late answer revives nothing");
    index.fold(object(&name(0), "4")).unwrap();
    assert_eq!(index.len(), 1, "the oldest is forgotten");
}

#[test]
fn an_echo_that_is_awaited_no_longer_is_delivered_rather_than_lost() {
    let (index, log) = index();
    for version in 1..=AWAITED + 1 {
        index.fold(object("a", &version.to_string())).unwrap();
    }
    take(&log);
    index.put(object("a", "1"), Source::Watch).unwrap();
    assert_eq!(take(&log), [format!("n/a {0}->{0}", AWAITED + 1)]);
    index.put(object("a", "2"), Source::Watch).unwrap();
    assert!(take(&log).is_empty(), "this one is known as an echo");
}
