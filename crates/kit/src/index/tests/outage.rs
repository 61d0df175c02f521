//! Servers that do not answer for a while: everything is known again within three seconds after they are back.

use std::sync::atomic::AtomicUsize;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A server that can be switched off, and how often it was probed.
fn server() -> (Server, Arc<AtomicUsize>) {
    let (down, probes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_down, count) = (Arc::clone(&down), Arc::clone(&probes));
    let probe: crate::reachability::Probe = Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let answer = if is_down.load(Ordering::Relaxed) {
            Err("refused".to_owned())
        } else {
            Ok(())
        };
        Box::pin(async move { answer })
    });
    let server = Server {
        down,
        reachability: Some(Reachability::new("test", probe)),
        ..Server::default()
    };
    (server, probes)
}

#[tokio::test(start_paused = true)]
async fn changes_arrive_soon_after_an_outage_however_long_it_was() {
    for seconds in [1, 5, 20, 50, 75, 600] {
        let (server, probes) = server();
        server.list("100", None, &[object("a", "90")]);
        let watch = server.watch();
        let (index, log) = index();
        let _running = start(&index, &server);
        settle().await;
        take(&log);
        tokio::time::sleep(30 * SECOND).await;

        server.down.store(true, Ordering::Relaxed);
        drop(watch);
        tokio::time::sleep(SECOND * seconds).await;
        assert!(!index.is_live());
        let limit = usize::try_from(seconds).unwrap() * 5 / 4 + 2;
        assert!(
            probes.load(Ordering::Relaxed) <= limit,
            "{seconds} s: {probes:?} probes"
        );

        server.down.store(false, Ordering::Relaxed);
        server.list("101", None, &[object("a", "101")]);
        let watch = server.watch();
        watch.send(event("MODIFIED", &object("a", "101"))).unwrap();
        tokio::time::sleep(3 * SECOND).await;
        assert!(index.is_live(), "{seconds} s");
        assert_eq!(
            (take(&log), index.lists()),
            (vec!["n/a 90->101".to_owned()], 1),
            "{seconds} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_starts_in_an_outage_lists_soon_after_it() {
    let (server, _) = server();
    server.down.store(true, Ordering::Relaxed);
    let (index, _) = index();
    let _running = start(&index, &server);
    tokio::time::sleep(75 * SECOND).await;
    assert!(!index.is_synced());
    server.down.store(false, Ordering::Relaxed);
    server.list("100", None, &[]);
    let _watch = server.watch();
    tokio::time::sleep(3 * SECOND).await;
    assert!(index.is_live());
}

#[tokio::test(start_paused = true)]
async fn failures_that_the_server_answers_keep_their_back_off() {
    let (server, _) = server();
    for _ in 0..100 {
        server.refuse(500, "InternalError");
    }
    let (index, _) = index();
    let _running = start(&index, &server);
    tokio::time::sleep(75 * SECOND).await;
    let requests = server.requests.lock().len();
    assert!((8..=13).contains(&requests), "{requests}");
    assert!(server.reachability.as_ref().unwrap().is_reachable());
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_the_back_off_begins_anew() {
    let (server, _) = server();
    server.down.store(true, Ordering::Relaxed);
    let (index, _) = index();
    let _running = start(&index, &server);
    tokio::time::sleep(75 * SECOND).await;
    // A server that has just come back refuses at first.
    for _ in 0..3 {
        server.refuse(403, "Forbidden");
    }
    server.list("100", None, &[]);
    let _watch = server.watch();
    server.down.store(false, Ordering::Relaxed);
    tokio::time::sleep(4 * SECOND).await;
    assert!(index.is_live());
}
