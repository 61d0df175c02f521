//! Watches that deliver nothing any more, and servers that go back in time.

use std::time::Duration;

use apiserver::{Action, ApiServer, Backup, FaultId, Matcher};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::world::*;

/// Waits until it holds, with more time than [`eventually`] gives. The clock is paused: waiting costs nothing.
async fn within<F: Future<Output = bool>>(time: Duration, what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + time;
    while !holds().await {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn change_by_hand(world: &World) {
    let path = format!("{CONFIG_MAPS}/a");
    patch(&world.member, &path, &json!({"data": {"k": "by hand"}}))
        .await
        .unwrap();
}

fn status_writes(world: &World) -> usize {
    let all = writes(&world.hub).into_iter();
    all.filter(|what| what == "PATCH works/status").count()
}

#[tokio::test(start_paused = true)]
async fn a_drift_is_repaired_in_time_although_the_right_to_watch_was_revoked() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    world.wait_for_applied("w", 1).await;
    // The watch shows no change of the object: the periodic pass is postponed.
    tokio::time::sleep(Duration::from_secs(30)).await;

    let revoked = world.member.faults().revoke_watch(Matcher::resource("configmaps"));
    world.hub.metrics().reset();
    let minute = Duration::from_secs(60);
    change_by_hand(&world).await;
    let repaired = async || world.config("a").await.as_deref() == Some("1");
    within(minute, "the drift is repaired", repaired).await;
    let watched = |work: &Value| condition(&work["status"]["conditions"], "Watched");
    within(minute, "the status says why it took so long", || async {
        watched(&world.work("w").await.unwrap()) == "False WatchRefused"
    })
    .await;
    let work = world.work("w").await.unwrap();
    let conditions = work["status"]["conditions"].as_array().unwrap();
    let message = conditions.iter().find(|c| c["type"] == "Watched").unwrap()["message"].to_string();
    assert!(message.contains("list and watch v1 ConfigMap,"), "{message}");
    world.wait_for("w", "Available", "True").await;

    // Said once.
    let written = status_writes(&world);
    change_by_hand(&world).await;
    within(20 * minute, "the next drift is repaired", repaired).await;
    tokio::time::sleep(10 * minute).await;
    assert_eq!(status_writes(&world), written, "{:?}", writes(&world.hub));

    world.member.faults().remove(revoked);
    within(minute, "the status no longer says it", || async {
        watched(&world.work("w").await.unwrap()).is_empty()
    })
    .await;
    // Drifts are noticed at once again.
    change_by_hand(&world).await;
    within(Duration::from_secs(3), "the drift is repaired", repaired).await;
}

/// The server answers nobody any more.
async fn interrupt(server: &ApiServer) -> FaultId {
    let down = server.faults().add(Matcher::any(), Action::HangUp);
    server.faults().drop_watches(Matcher::any());
    tokio::time::sleep(Duration::from_secs(5)).await;
    down
}

/// The server comes back with an older state.
async fn restore(server: &ApiServer, backup: &Backup) {
    for n in 0..150 {
        create(server, CONFIG_MAPS, &config_map(&format!("other-{n}"), "1"))
            .await
            .unwrap();
    }
    let down = interrupt(server).await;
    server.restore(backup);
    server.faults().remove(down);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_restored_from_an_older_state_is_brought_up_to_date() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    let backup = world.member.backup();
    world
        .change_work("w", spec(&[config_map("a", "2"), config_map("b", "1")], Value::Null))
        .await;
    world.wait_for("w", "Available", "True").await;
    world.wait_for_applied("w", 2).await;

    restore(&world.member, &backup).await;
    let soon = Duration::from_secs(30);
    within(soon, "everything is as the Work says", || async {
        (world.config("a").await.as_deref(), world.config("b").await.as_deref()) == (Some("2"), Some("1"))
    })
    .await;
    world.wait_for_applied("w", 2).await;
    tokio::time::sleep(soon).await;
    // Its watches are followed again.
    change_by_hand(&world).await;
    within(Duration::from_secs(3), "the drift is repaired", || async {
        world.config("a").await.as_deref() == Some("2")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_restored_from_an_older_state_is_followed() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    let backup = world.hub.backup();
    world.change_work("w", spec(&[config_map("a", "2")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;

    restore(&world.hub, &backup).await;
    let holds = async |value: &str| world.config("a").await.as_deref() == Some(value);
    within(Duration::from_secs(30), "the older content is applied", || holds("1")).await;
    // The next change has the generation that the lost one had.
    world.change_work("w", spec(&[config_map("a", "3")], Value::Null)).await;
    within(Duration::from_secs(3), "the change is applied", || holds("3")).await;
    world.wait_for("w", "Available", "True").await;
}

#[tokio::test(start_paused = true)]
async fn an_applied_work_that_cannot_be_written_delays_no_other() {
    let world = World::start().await;
    let stuck = Matcher::resource("appliedworks").subresource("status").name("w0");
    world
        .member
        .faults()
        .add(stuck, Action::Error(apiserver::ApiError::internal("broken")));
    for n in 0..3 {
        let name = format!("w{n}");
        world
            .create_work(&name, spec(&[config_map(&name, "1")], Value::Null))
            .await;
    }
    for n in 1..3 {
        world.wait_for_applied(&format!("w{n}"), 1).await;
    }
    // Long after, when the back-off of the broken one has grown, others still do not wait for it.
    tokio::time::sleep(Duration::from_secs(300)).await;
    world
        .create_work("late", spec(&[config_map("late", "1")], Value::Null))
        .await;
    world.wait_for_applied("late", 1).await;
}
