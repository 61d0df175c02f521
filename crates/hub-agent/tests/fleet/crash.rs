//! The agent may die at any write: before the server has it, or after. The next one finishes the work.

use std::sync::Arc;

use apiserver::{Action, Matcher, Verb};
use kit::ObjectKey;
use serde_json::Value;

use crate::world::{AGENT_USER, BINDING, PLACEMENT, POLICY_SNAPSHOT, SNAPSHOT, WORK, World, is_available};

/// Objects of a placement.
fn of<'a>(placement: &'a str, all: &'a [Arc<Value>]) -> impl Iterator<Item = &'a Arc<Value>> {
    all.iter()
        .filter(move |o| o["metadata"]["labels"]["kubernetes-fleet.io/parent-CRP"] == placement)
}

fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == condition && c["status"] == "True"))
}

const WRITES: [Verb; 4] = [Verb::Create, Verb::Update, Verb::Patch, Verb::Delete];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_write_heals() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1", "m2"]).await;
    world.stop().await;
    let (placements, works) = (world.follow(PLACEMENT), world.follow(WORK));
    let (bindings, snapshots) = (world.follow(BINDING), world.follow(SNAPSHOT));
    let policies = world.follow(POLICY_SNAPSHOT);
    let mut deepest = 0;
    for (lost_answer, nth) in (0..30).flat_map(|nth| [(false, nth), (true, nth)]) {
        let name = format!("p-{nth}-{lost_answer}");
        let crp = ObjectKey::cluster(&name);
        world.application(&name).await;
        world.place(&name, &name).await;
        let writes = Matcher {
            group: Some("placement.kubernetes-fleet.io".to_owned()),
            ..Matcher::any()
        };
        let writes = writes.user(AGENT_USER).verbs(&WRITES);
        let faults = world.server.faults();
        let last = if lost_answer {
            Action::LoseAnswer
        } else {
            Action::HangUp
        };
        let at = faults.add_counted(writes.clone(), last, nth, Some(1));
        let after = faults.add_counted(writes, Action::HangUp, nth + 1, None);

        world.start(&[]);
        // Either the agent runs into the fault, or it is done before.
        let reported = |all: &[Arc<Value>]| of(&name, all).filter(|o| is_true(o, "Available")).count() == 2;
        let scheduled = |all: &[Arc<Value>]| of(&name, all).any(|o| is_true(o, "Scheduled"));
        let all_done = async || {
            placements.until(&crp, "available", is_available).await;
            bindings.until_all("available", reported).await;
            policies.until_all("scheduled", scheduled).await;
        };
        let done = all_done();
        let hit = async {
            while faults.hits(at) == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        let finished = tokio::select! { () = done => true, () = hit => false };
        world.kill().await;
        faults.remove(at);
        faults.remove(after);
        if finished {
            assert!(nth >= 10, "the fault after {nth} writes should have been reached");
            break;
        }
        deepest = nth;
        world.start(&[]);
        all_done().await;
        let of_this = |all: &[Arc<Value>]| of(&name, all).count();
        bindings.until_all("one for each member", |all| of_this(all) == 2).await;
        works.until_all("one for each member", |all| of_this(all) == 2).await;
        assert_eq!(of_this(&snapshots.all()), 1, "after {nth} writes");
        assert_eq!(of_this(&policies.all()), 1, "after {nth} writes");
        world.delete(&PLACEMENT, &crp).await;
        placements.until_all("gone", <[_]>::is_empty).await;
        works.until_all("gone", <[_]>::is_empty).await;
        world.stop().await;
    }
    println!("Survived crashes at each of {} writes.", deepest + 1);
}
