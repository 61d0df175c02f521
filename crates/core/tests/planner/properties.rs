//! Properties of every pass, over random lives.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use crate::hub::{Hub, config_map, member, spec};

/// Something that happens to a placement.
#[derive(Debug, Clone)]
enum Happening {
    Content(u8),
    Clusters(u8),
    Join(u8),
    Leave(u8),
    Answer { applied: bool, available: Option<bool> },
    WorksGone,
    Time(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => (0..4_u8).prop_map(Happening::Content),
        1 => (0..5_u8).prop_map(Happening::Clusters),
        1 => (0..5_u8).prop_map(Happening::Join),
        1 => (0..5_u8).prop_map(Happening::Leave),
        3 => (any::<bool>(), prop::option::of(any::<bool>()))
            .prop_map(|(applied, available)| Happening::Answer { applied, available }),
        1 => Just(Happening::WorksGone),
        1 => (1..90_u8).prop_map(Happening::Time),
    ]
}

fn happen(hub: &mut Hub, happening: &Happening, all: bool) {
    match happening {
        Happening::Content(content) => hub.index.put(config_map("one", &content.to_string())),
        Happening::Clusters(_) if all => {}
        Happening::Clusters(count) => hub.place(spec(json!({"placementType": "PickN", "numberOfClusters": count}))),
        Happening::Join(number) => {
            let name = format!("m{number}");
            if !hub.members.iter().any(|m| m.name() == name) {
                hub.members.push(member(&name, json!({})));
                hub.members.sort_by(|a, b| a.name().cmp(b.name()));
            }
        }
        Happening::Leave(number) => hub.members.retain(|m| m.name() != format!("m{number}")),
        Happening::Answer { applied, available } => hub.answer(
            *applied,
            available.map(|ok| {
                if ok {
                    "AllManifestsAvailable"
                } else {
                    "SomeManifestsAreNotAvailable"
                }
            }),
        ),
        Happening::WorksGone => hub.finish_works(),
        Happening::Time(seconds) => hub.wait(Duration::from_secs(u64::from(*seconds))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Equal inputs give equal passes; no object is written twice in a pass (status and finalizers of leaving bindings
    /// aside); the planner comes to rest after each happening; generations are predicted rightly.
    #[test]
    fn passes_are_pure_frugal_and_come_to_rest(
        all in any::<bool>(),
        happenings in prop::collection::vec(happening(), 1..14),
    ) {
        let mut hub = Hub::new(&["m0", "m1", "m2"]);
        let policy = if all { json!({"placementType": "PickAll"}) } else { json!({"placementType": "PickN", "numberOfClusters": 2}) };
        hub.place(spec(policy));
        for happening in &happenings {
            happen(&mut hub, happening, all);
            let pass = hub.plan();
            prop_assert_eq!(&pass, &hub.plan());
            let mut written = BTreeSet::new();
            for write in pass.writes() {
                let status = matches!(write, fairway_core::effects::Write::MergePatch { status: true, .. });
                let delete = matches!(write, fairway_core::effects::Write::Delete { .. });
                prop_assert!(written.insert((write.target().clone(), status, delete)), "{:?}", pass.steps);
            }
            hub.settle();
        }
        // With good members and time everything ends well.
        for _ in 0..8 {
            hub.finish_works();
            hub.answer(true, Some("AllManifestsAvailable"));
            hub.wait(Duration::from_secs(61));
            hub.settle();
        }
        let scheduled = hub.condition("Scheduled").unwrap();
        let wanted = if all { hub.members.len() } else { hub.placement()["spec"]["policy"]["numberOfClusters"].as_u64().unwrap() as usize };
        prop_assert_eq!(scheduled.0 == "True", hub.members.len() >= wanted);
        if scheduled.0 == "True" && wanted > 0 {
            prop_assert_eq!(hub.condition("Available").unwrap().0, "True");
            prop_assert_eq!(hub.count(api::kinds::WORK), wanted);
            prop_assert_eq!(hub.count(api::kinds::CLUSTER_RESOURCE_BINDING), wanted);
        }
        hub.delete_placement();
        hub.settle();
        hub.finish_works();
        prop_assert!(hub.objects.is_empty(), "{:?}", hub.objects.keys().collect::<Vec<_>>());
    }
}
