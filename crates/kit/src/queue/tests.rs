//! Order, priorities, times and retries of keys.

use super::*;
use tokio_util::sync::CancellationToken;

const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn keys_come_once_in_order_and_again_after_work_if_added_meanwhile() {
    let queue = Queue::new(BACKOFF);
    for key in ["a", "b", "a"] {
        queue.add(key);
    }
    let a = queue.next().await.unwrap();
    assert_eq!(*a.key(), "a");
    queue.add("a");
    queue.add("a");
    let b = queue.next().await.unwrap();
    assert_eq!(*b.key(), "b");
    b.done(Action::Done);
    assert!(
        tokio::time::timeout(ms(10), queue.next()).await.is_err(),
        "no second worker for a"
    );
    a.done(Action::Done);
    let a = queue.next().await.unwrap();
    a.done(Action::Done);
    assert!(queue.is_idle());
    assert!(tokio::time::timeout(ms(10), queue.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_two_times_wins() {
    let queue = Queue::new(BACKOFF);
    let start = Instant::now();
    queue.add_after("a", ms(500));
    queue.add_after("a", ms(100));
    queue.add_after("a", ms(300));
    let task = queue.next().await.unwrap();
    assert_eq!(start.elapsed().as_millis() / 10, 10);
    task.done(Action::After(ms(1000)));
    queue.add("a");
    queue.next().await.unwrap().done(Action::Done);
    assert!(
        tokio::time::timeout(ms(5000), queue.next()).await.is_err(),
        "coming now made the later time void"
    );
}

/// Takes what is ready now, without giving it back.
async fn ready(queue: &Queue<&'static str>) -> Vec<Task<&'static str>> {
    let mut tasks = Vec::new();
    while let Ok(Some(task)) = tokio::time::timeout(ms(1), queue.next()).await {
        tasks.push(task);
    }
    tasks
}

fn keys(tasks: &[Task<&'static str>]) -> Vec<&'static str> {
    tasks.iter().map(|task| task.key).collect()
}

#[tokio::test(start_paused = true)]
async fn higher_priorities_come_first_and_equal_ones_in_order() {
    let added = [
        ("old", 3),
        ("new", 100),
        ("seen", USUAL),
        ("other", 100),
        ("old", 50),
        ("new", 1),
    ];
    let queue = Queue::by_priority(BACKOFF);
    for (key, priority) in added {
        queue.add_with(key, priority);
    }
    assert_eq!(keys(&ready(&queue).await), ["new", "other", "old", "seen"]);
    let queue = Queue::new(BACKOFF);
    for (key, priority) in added {
        queue.add_with(key, priority);
    }
    assert_eq!(keys(&ready(&queue).await), ["old", "new", "seen", "other"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_comes_again_as_important_as_the_reason_for_it() {
    let queue = Queue::by_priority(BACKOFF);
    for key in ["periodic", "failed", "early", "raised"] {
        queue.add_with(key, 100);
    }
    for task in ready(&queue).await {
        let outcome = match task.key {
            "failed" => Action::Retry,
            "early" => Action::NotYet(ms(900)),
            _ => Action::After(ms(900)),
        };
        task.done(outcome);
    }
    queue.add_after("raised", ms(950));
    tokio::time::sleep(ms(1000)).await;
    queue.add("usual");
    let again = ready(&queue).await;
    let (first, rest) = again.split_at(2);
    assert!(
        first.iter().all(|task| matches!(task.key, "failed" | "early")),
        "{:?}",
        keys(first)
    );
    assert_eq!(keys(rest), ["usual", "raised", "periodic"]);
    drop(again);
    queue.add_with("periodic", 7);
    assert_eq!(
        keys(&ready(&queue).await),
        ["periodic"],
        "an event makes a delayed key ready at once"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_per_key_and_success_forgets_them() {
    let queue = Queue::new(BACKOFF);
    queue.add("a");
    let mut waits = Vec::new();
    for _ in 0..5 {
        let task = queue.next().await.unwrap();
        let start = Instant::now();
        drop(task);
        let task = queue.next().await.unwrap();
        waits.push(start.elapsed());
        queue.add("a");
        task.done(Action::Retry);
    }
    for (n, wait) in waits.iter().enumerate() {
        let full = Duration::from_secs(1 << (2 * n).min(3));
        assert!(*wait >= full / 2 && *wait <= full + ms(2), "{n}: {wait:?}");
    }
    queue.next().await.unwrap().done(Action::Done);
    assert_eq!(queue.failures(&"a"), 0);
}

#[tokio::test(start_paused = true)]
async fn one_pass_answers_all_updates_that_arrive_together() {
    let queue = Queue::new(BACKOFF);
    let stop = CancellationToken::new();
    let (stored, seen) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
    let runner = {
        let (queue, stop, stored, seen) = (queue.clone(), stop.clone(), Arc::clone(&stored), Arc::clone(&seen));
        tokio::spawn(async move {
            work(&queue, 2, &stop, |_: &str| {
                seen.lock().push(*stored.lock());
                std::future::ready(Action::Done)
            })
            .await;
        })
    };
    for updates in [3, 1] {
        for _ in 0..updates {
            // Other tasks run between the updates, as between those of several watches.
            tokio::task::yield_now().await;
            *stored.lock() += 1;
            queue.add("a");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    stop.cancel();
    runner.await.unwrap();
    assert_eq!(*seen.lock(), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_in_an_outage_comes_again_when_it_is_over() {
    const LONG: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(60));
    let down = Arc::new(Mutex::new(false));
    let is_down = Arc::clone(&down);
    let probe: crate::reachability::Probe = Box::new(move || {
        let answer = if *is_down.lock() {
            Err("refused".to_owned())
        } else {
            Ok(())
        };
        Box::pin(async move { answer })
    });
    let server = Reachability::new("test", probe);
    let queue = Queue::new(LONG);
    queue.retry_after_outages(server.clone());
    let log = Arc::new(Mutex::new(Vec::new()));
    let stop = CancellationToken::new();
    let runner = {
        let (queue, stop, log, down, server) = (
            queue.clone(),
            stop.clone(),
            Arc::clone(&log),
            Arc::clone(&down),
            server.clone(),
        );
        tokio::spawn(async move {
            work(&queue, 2, &stop, |key: &'static str| {
                log.lock().push((key, Instant::now()));
                let outcome = match (key, *down.lock()) {
                    ("refused", _) => Action::Retry,
                    ("with retry-after", _) => Action::RetryAfter(Duration::from_secs(300)),
                    (_, true) => Action::Retry,
                    (_, false) => Action::Done,
                };
                if *down.lock() {
                    server.failed();
                }
                async move { outcome }
            })
            .await;
        })
    };
    // A key that fails for another reason long before the outage keeps its back-off.
    queue.add("refused");
    tokio::time::sleep(Duration::from_secs(100)).await;
    let tries = |name: &str| log.lock().iter().filter(|(key, _)| *key == name).count();
    let before = tries("refused");
    *down.lock() = true;
    queue.add("unanswered");
    queue.add("with retry-after");
    while tries("unanswered") == 0 {
        tokio::time::sleep(ms(1)).await;
    }
    let waiting = tokio::spawn({
        let server = server.clone();
        async move { server.wait().await }
    });
    tokio::time::sleep(Duration::from_secs(75)).await;
    assert!(queue.failures(&"unanswered") >= 10 && before >= 8);
    let count = tries("unanswered");
    *down.lock() = false;
    let back = Instant::now();
    assert!(waiting.await.unwrap());
    tokio::time::sleep(Duration::from_secs(3) - back.elapsed()).await;
    assert_eq!(tries("unanswered"), count + 1);
    assert_eq!((tries("with retry-after"), queue.failures(&"unanswered")), (1, 0));
    stop.cancel();
    runner.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_what_runs_and_starts_nothing_new() {
    let queue = Queue::new(BACKOFF);
    let stop = CancellationToken::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    for key in ["a", "b", "c"] {
        queue.add(key);
    }
    let runner = {
        let (queue, stop, log) = (queue.clone(), stop.clone(), Arc::clone(&log));
        tokio::spawn(async move {
            work(&queue, 2, &stop, |key| {
                let log = Arc::clone(&log);
                async move {
                    log.lock().push(format!("{key} starts"));
                    tokio::time::sleep(ms(100)).await;
                    log.lock().push(format!("{key} ends"));
                    Action::Done
                }
            })
            .await;
        })
    };
    tokio::time::sleep(ms(50)).await;
    stop.cancel();
    runner.await.unwrap();
    assert_eq!(*log.lock(), ["a starts", "b starts", "a ends", "b ends"]);
    assert!(queue.next().await.is_none());
}
