//! What a Work's status says after changes of the Work.

use super::world::*;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_work_that_lost_its_manifests_reports_none_and_is_quiet() {
    let world = World::start().await;
    world.create_work("w", spec(&[config_map("a", "1")], Value::Null)).await;
    world.wait_for("w", "Available", "True").await;
    world.change_work("w", spec(&[], Value::Null)).await;
    world.wait_for("w", "Available", "True AllManifestsAvailable").await;
    world.wait_for_config("a", None).await;
    let work = world.work("w").await.unwrap();
    assert_eq!(work["status"].get("manifestConditions"), Some(&json!([])));
    world.hub.metrics().reset();
    // Two periodic passes fit in here.
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(writes(&world.hub), Vec::<String>::new());
}
