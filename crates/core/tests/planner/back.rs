//! What a placement tells elsewhere than in its own status: originals, and a namespace of its users.

use fairway_core::placement::Kind;
use serde_json::{Value, json};

use crate::hub::{Hub, find_condition, spec};
use crate::life::yes;

#[test]
fn a_status_that_users_of_a_namespace_read_does_not_move_with_the_selection() {
    let mut hub = Hub::new(&["a"]);
    hub.index
        .put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}));
    let accessible = |namespace: &str| {
        let mut spec = spec(json!({"placementType": "PickAll"}));
        spec["statusReportingScope"] = json!("NamespaceAccessible");
        spec["resourceSelectors"][0]["name"] = json!(namespace);
        spec
    };
    hub.place(accessible("app"));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    assert_eq!(hub.condition("StatusSynced"), yes("StatusSyncSucceeded"));
    let before = hub.placement()["status"].clone();

    hub.place(accessible("other"));
    hub.settle();
    let invalid = ("False".to_owned(), "InvalidResourceSelectors".to_owned());
    assert_eq!(hub.condition("Scheduled"), Some(invalid));
    let others = |status: &Value| {
        let mut status = status.clone();
        let is_scheduled = |c: &Value| c["type"] == "ClusterResourcePlacementScheduled";
        status["conditions"]
            .as_array_mut()
            .unwrap()
            .retain(|c| !is_scheduled(c));
        status
    };
    assert_eq!(
        others(&hub.placement()["status"]),
        others(&before),
        "nothing else changes"
    );
    assert_eq!(hub.count(Kind::ClusterResourcePlacementStatus), 1);
    assert_eq!(hub.count(Kind::Work), 1, "what is placed stays");

    hub.place(accessible("app"));
    hub.settle();
    assert_eq!(hub.condition("StatusSynced"), yes("StatusSyncSucceeded"));
    assert_eq!(hub.condition("Scheduled"), yes("SchedulingPolicyFulfilled"));
    let available = find_condition(hub.placement(), "ClusterResourcePlacementAvailable");
    assert_eq!(available, yes("ResourceAvailable"));
}
