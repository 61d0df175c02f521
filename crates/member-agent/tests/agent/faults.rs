//! Crashes and failing servers: nothing is lost, nothing is orphaned.

use super::world::*;
use apiserver::{Action, ApiError, Matcher, Verb};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_crash_between_record_and_apply_heals() {
    let mut world = World::start().await;
    let creates = Matcher::resource("configmaps").verbs(&[Verb::Create]);
    let slow = world
        .member
        .faults()
        .add(creates, Action::Delay(Duration::from_secs(30)));
    world
        .create_work("w", spec(&[config_map("a", "1"), config_map("b", "1")], Value::Null))
        .await;
    eventually("both manifests are on record", || async {
        let applied_work = world.applied_work("w").await.unwrap_or_default();
        let held = applied_work["metadata"]["annotations"]["kubernetes-fleet.io/held-resources"].to_string();
        held.contains(r#""name\":\"a\""#) && held.contains(r#""name\":\"b\""#)
    })
    .await;
    world.crash_agent().await;
    world.member.faults().remove(slow);
    world.start_agent();
    world.wait_for("w", "Available", "True").await;
    assert_eq!(
        (world.config("a").await.as_deref(), world.config("b").await.as_deref()),
        (Some("1"), Some("1"))
    );
}

#[tokio::test]
async fn an_object_applied_right_before_a_crash_is_found_when_it_is_dropped() {
    let mut world = World::start().await;
    // The object is created, but the agent dies before it can report that.
    let reports = Matcher::resource("works").subresource("status").verbs(&[Verb::Patch]);
    let fault = world
        .hub
        .faults()
        .add_counted(reports, Action::Delay(Duration::from_secs(30)), 1, None);
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for_config("a", Some("1")).await;
    world.crash_agent().await;
    world.hub.faults().remove(fault);
    world.change_work("w", spec(&[config_map("b", "1")], Value::Null)).await;
    world.start_agent();
    world.wait_for("w", "Available", "True").await;
    assert_eq!(
        (world.config("a").await, world.config("b").await.as_deref()),
        (None, Some("1"))
    );
}

#[tokio::test]
async fn a_work_that_went_while_nobody_looked_takes_its_objects_along() {
    let mut world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    world.crash_agent().await;
    world.delete_work("w").await;
    assert!(world.work("w").await.is_some(), "its finalizer holds it");
    world.start_agent();
    eventually("the Work is gone", || async { world.work("w").await.is_none() }).await;
    assert_eq!((world.config("a").await, world.applied_work("w").await), (None, None));
}

#[tokio::test]
async fn lost_answers_and_errors_of_the_member_are_overcome() {
    let world = World::start().await;
    let faults = world.member.faults();
    faults.add_times(
        Matcher::resource("appliedworks").verbs(&[Verb::Create]),
        Action::LoseAnswer,
        1,
    );
    faults.add_times(
        Matcher::resource("configmaps").verbs(&[Verb::Create]),
        Action::Error(ApiError::internal("broken")),
        2,
    );
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(world.config("a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_busy_member_is_no_failure_of_a_manifest() {
    let world = World::start().await;
    let busy = ApiError {
        retry_after: Some(1),
        ..ApiError::new(429, "TooManyRequests", "too many requests, please try again later")
    };
    let creates = Matcher::resource("configmaps").verbs(&[Verb::Create]);
    let fault = world.member.faults().add_times(creates, Action::Error(busy), 2);
    world.hub.metrics().reset();
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(world.member.faults().hits(fault), 2);
    let statuses = writes(&world.hub)
        .into_iter()
        .filter(|what| what.ends_with("works/status"))
        .count();
    assert_eq!(statuses, 1, "the first report says that it is applied");
}

#[tokio::test]
async fn failures_are_told_and_forgotten() {
    let world = World::start().await;
    let faults = world.member.faults();
    let all = faults.add(
        Matcher::resource("configmaps").verbs(&[Verb::Create, Verb::Get]),
        Action::Error(ApiError::internal("broken")),
    );
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    let entry = world.wait_for_manifest("w", 0, "FailedToFindObjInMemberCluster").await;
    assert!(
        entry["conditions"][0]["message"].as_str().unwrap().contains("broken"),
        "{entry}"
    );
    faults.remove(all);
    world.wait_for("w", "Available", "True").await;
}

#[tokio::test]
async fn cut_watches_lose_nothing() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    world.hub.faults().drop_watches(Matcher::resource("works"));
    world.member.faults().drop_watches(Matcher::any());
    world.change_work("w", spec(&[config_map("a", "2")], Value::Null)).await;
    world.wait_for_config("a", Some("2")).await;
    world.delete_work("w").await;
    eventually("the Work is gone", || async { world.work("w").await.is_none() }).await;
    assert_eq!(world.config("a").await, None);
}

#[tokio::test]
async fn the_agent_waits_for_a_hub_that_does_not_let_it_in() {
    let mut world = World::without_agent().await;
    let shut = world.hub.faults().add_times(
        Matcher::resource("internalmemberclusters").verbs(&[Verb::List]),
        Action::Error(ApiError::forbidden(
            "cluster.kubernetes-fleet.io",
            "internalmemberclusters",
            "",
            "not yet",
        )),
        3,
    );
    world.start_agent();
    world.joined("True").await;
    assert_eq!(world.hub.faults().hits(shut), 3);
}

#[tokio::test]
async fn an_applied_work_that_cannot_be_written_delays_no_other() {
    let world = World::start().await;
    let statuses = |name: &str| {
        Matcher::resource("appliedworks")
            .subresource("status")
            .name(name)
            .verbs(&[Verb::Patch])
    };
    let faults = world.member.faults();
    let slow = faults.add(statuses("a-slow"), Action::Delay(Duration::from_secs(60)));
    let broken = faults.add(statuses("b-broken"), Action::Error(ApiError::internal("broken")));
    for name in ["a-slow", "b-broken"] {
        world
            .create_work(name, spec(&[config_map(name, "1")], Value::Null))
            .await;
        world.wait_for(name, "Available", "True").await;
    }
    eventually("both writes were tried", || async {
        faults.hits(slow) > 0 && faults.hits(broken) > 2
    })
    .await;
    world
        .create_work("c-good", spec(&[config_map("c", "1")], Value::Null))
        .await;
    world.wait_for_applied("c-good", 1).await;
    faults.remove(broken);
    world.wait_for_applied("b-broken", 1).await;
}

#[tokio::test]
async fn a_work_that_was_created_anew_keeps_its_finalizer() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    let read = Matcher::resource("works").name("w").verbs(&[Verb::Get]);
    let slow = world
        .hub
        .faults()
        .add_times(read, Action::Delay(Duration::from_secs(3)), 1);
    world.delete_work("w").await;
    eventually("the agent is about to remove its finalizer", || async {
        world.hub.faults().hits(slow) == 1
    })
    .await;
    // Somebody removes the finalizer by force, and the Work comes back before the agent has read it.
    world.hub.metrics().reset();
    world.change_finalizers("w", &[]).await;
    let held = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "Work",
        "metadata": {"name": "w", "namespace": NAMESPACE, "finalizers": ["kubernetes-fleet.io/work-cleanup"]},
        "spec": spec(&[config_map("a", "2")], Value::Null)});
    world.create_work_as(&held).await;
    world.wait_for("w", "Available", "True").await;
    assert_eq!(world.config("a").await.as_deref(), Some("2"));
    let finalizers_written = writes(&world.hub).into_iter().filter(|what| what == "PATCH works");
    assert_eq!(
        finalizers_written.count(),
        0,
        "the new Work has kept its finalizer all the time"
    );
}

#[tokio::test]
async fn conflicts_that_last_keep_no_other_work_waiting() {
    let world = World::start().await;
    // More of each kind than are processed at once.
    let names = |kind: &str| (0..6).map(|n| format!("{kind}{n}")).collect::<Vec<_>>();
    let (changing, leaving) = (names("changing"), names("leaving"));
    for name in changing.iter().chain(&leaving) {
        world
            .create_work(name, spec(&[config_map(name, "1")], Value::Null))
            .await;
    }
    for name in changing.iter().chain(&leaving) {
        world.wait_for(name, "Available", "True").await;
    }
    let conflict = || Action::Error(ApiError::new(409, "Conflict", "the object has been modified"));
    let left_overs = Matcher::resource("configmaps").verbs(&[Verb::Delete]);
    let deletions = world.member.faults().add(left_overs, conflict());
    let finalizers = |name: &String| {
        let patches = Matcher::resource("works")
            .name(name)
            .subresource("")
            .verbs(&[Verb::Patch]);
        world.hub.faults().add(patches, conflict())
    };
    let removals: Vec<_> = leaving.iter().map(finalizers).collect();
    for name in &changing {
        world
            .change_work(name, spec(&[config_map(&format!("{name}-b"), "1")], Value::Null))
            .await;
    }
    for name in &leaving {
        world.delete_work(name).await;
    }
    eventually("all of them have met conflicts", || async {
        world.member.faults().hits(deletions) >= 6 && removals.iter().all(|id| world.hub.faults().hits(*id) > 0)
    })
    .await;
    world
        .create_work("other", spec(&[config_map("other", "1")], Value::Null))
        .await;
    world.wait_for("other", "Available", "True").await;
    world.member.faults().clear();
    world.hub.faults().clear();
    for name in &changing {
        world.wait_for_config(name, None).await;
    }
    for name in &leaving {
        eventually("the Work is gone", || async { world.work(name).await.is_none() }).await;
    }
}

#[tokio::test]
async fn a_member_that_stays_busy_fails_the_manifest() {
    let world = World::start().await;
    let busy = ApiError {
        retry_after: Some(1),
        ..ApiError::new(429, "TooManyRequests", "too many requests, please try again later")
    };
    let creates = Matcher::resource("configmaps").verbs(&[Verb::Create]);
    let fault = world.member.faults().add(creates, Action::Error(busy));
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for_manifest("w", 0, "ManifestApplyFailed").await;
    assert!(world.member.faults().hits(fault) > 1, "it was tried again first");
}
