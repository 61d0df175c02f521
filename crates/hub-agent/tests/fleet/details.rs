//! Details that cannot be written, and what does not depend on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::text::events::placement as reasons;
use apiserver::{Action, ApiError, Matcher};
use kit::ObjectKey;
use serde_json::Value;

use crate::world::{AGENT_USER, BINDING, PLACEMENT, World, has_condition, is_available};

/// Reasons of the events about a placement, and how often each was recorded.
fn recorded(events: &[Arc<Value>], placement: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let about = events.iter().filter(|e| {
        e["involvedObject"]["kind"] == "ClusterResourcePlacement" && e["involvedObject"]["name"] == placement
    });
    for event in about {
        let count = event["count"].as_u64().unwrap_or(1);
        *found.entry(event["reason"].as_str().unwrap().to_owned()).or_default() += count;
    }
    found
}

#[tokio::test(start_paused = true)]
async fn statuses_of_bindings_that_are_refused_drop_no_event_of_the_placement() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1"]).await;
    world.application("app").await;
    let (placements, bindings) = (world.follow(PLACEMENT), world.follow(BINDING));
    let events = world.follow(kit::events::EVENTS);
    let statuses = Matcher::resource("clusterresourcebindings")
        .subresource("status")
        .user(AGENT_USER);
    let refused = Action::Error(ApiError::internal("the binding's status cannot be stored"));
    let fault = world.server.faults().add(statuses, refused);
    world.place("crp", "app").await;
    placements
        .until(&ObjectKey::cluster("crp"), "available", is_available)
        .await;
    let expected: BTreeMap<_, _> = [
        reasons::PLACEMENT_ROLLOUT_STARTED,
        reasons::PLACEMENT_OVERRIDDEN_SUCCEEDED,
        reasons::PLACEMENT_WORK_SYNCHRONIZED,
        reasons::PLACEMENT_APPLIED,
        reasons::PLACEMENT_AVAILABLE,
        reasons::PLACEMENT_ROLLOUT_COMPLETED,
    ]
    .map(|reason| (reason.to_owned(), 1))
    .into();
    events
        .until_all("those of the transition", |all| {
            expected.keys().all(|reason| recorded(all, "crp").contains_key(reason))
        })
        .await;
    assert!(
        world.server.faults().hits(fault) > 0,
        "no status of a binding was refused"
    );
    let is_reported = |all: &[Arc<Value>]| all.iter().all(|binding| has_condition(binding, "Available", "True"));
    assert!(!is_reported(&bindings.all()));

    // The details come once they can be stored, and the events do not come again.
    world.server.faults().remove(fault);
    bindings.until_all("reported", is_reported).await;
    world.stop().await;
    assert_eq!(recorded(&events.all(), "crp"), expected);
}
