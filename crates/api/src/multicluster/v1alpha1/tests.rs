//! Whatever could be stored before can be stored now, and is read and written without a change (multicluster-failover C.5).

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use schema::Schema;
use serde_json::{Map, Value, json};

use super::*;
use crate::crd;

static ORIGINAL: LazyLock<Schema> = LazyLock::new(|| {
    let text = include_str!("../../../tests/data/multicluster-original.yaml");
    Schema::from_json(&crate::yaml::parse(text).unwrap()).unwrap()
});

static OURS: LazyLock<Schema> = LazyLock::new(|| {
    let definition = crd::all().into_iter().find(|crd| crd.kind == "MultiCluster").unwrap();
    let object = definition.object();
    Schema::from_json(&object["spec"]["versions"][0]["schema"]["openAPIV3Schema"]).unwrap()
});

/// What the API server does with an object that users send: the stored form, or the errors.
fn store(schema: &Schema, object: &Value) -> Result<Value, Vec<String>> {
    let mut object = object.clone();
    schema.prune(&mut object);
    schema.default(&mut object);
    match schema.validate(&object, None) {
        errors if errors.is_empty() => Ok(object),
        errors => Err(errors.iter().map(|error| format!("{error:?}")).collect()),
    }
}

/// A value that mostly has the type that a field wants.
fn value(kind: &str) -> BoxedStrategy<Value> {
    let right = match kind {
        "string" => prop_oneof![".{0,12}".prop_map(Value::from), Just(json!(""))].boxed(),
        "integer" => prop_oneof![
            any::<i64>().prop_map(Value::from),
            (-5_i64..70_000).prop_map(Value::from)
        ]
        .boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        _ => prop::collection::vec(".{0,9}".prop_map(Value::from), 0..4)
            .prop_map(Value::from)
            .boxed(),
    };
    let any_type = prop_oneof![
        Just(json!(null)),
        Just(json!("text")),
        Just(json!(7)),
        Just(json!(1.5)),
        Just(json!(true)),
        Just(json!(["a", 1])),
        Just(json!({ "a": 1 })),
    ];
    prop_oneof![19 => right, 1 => any_type].boxed()
}

/// An object of the fields, each of which is there or not.
fn object(fields: &'static [(&'static str, &'static str)]) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, kind)| (Just(*name), prop::option::weighted(0.95, value(kind))))
        .collect();
    fields
        .prop_map(|fields| {
            let present = fields
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::Object(present.collect::<Map<_, _>>())
        })
        .boxed()
}

const SPEC: &[(&str, &str)] = &[
    ("address", "string"),
    ("serviceAddress", "string"),
    ("port", "integer"),
    ("fleet", "array"),
    ("callsign", "string"),
    ("ready", "boolean"),
    ("rank", "integer"),
    ("payload", "string"),
    ("unheardOf", "string"),
];
const STATUS: &[(&str, &str)] = &[
    ("leaderAddress", "string"),
    ("ready", "boolean"),
    ("leading", "boolean"),
    ("port", "integer"),
    ("unheardOf", "boolean"),
];

fn multi_cluster() -> impl Strategy<Value = Value> {
    (
        prop::option::weighted(0.95, object(SPEC)),
        prop::option::of(object(STATUS)),
    )
        .prop_map(|(spec, status)| {
            let mut object = json!({
                "apiVersion": "kube-vip.io/v1alpha1", "kind": "MultiCluster",
                "metadata": { "name": "newyork", "namespace": "default", "annotations": { "kept": "as it is" } },
            });
            for (key, part) in [("spec", spec), ("status", status)] {
                if let Some(part) = part {
                    object[key] = part;
                }
            }
            object
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn both_schemas_take_and_refuse_the_same_and_store_the_same(object in multi_cluster()) {
        let (before, now) = (store(&ORIGINAL, &object), store(&OURS, &object));
        prop_assert_eq!(before.as_ref().ok(), now.as_ref().ok(), "{:?} and {:?}", before, now);
        prop_assert_eq!(before.is_ok(), now.is_ok());
        if let Ok(stored) = now {
            let read: MultiCluster = serde_json::from_value(stored.clone()).unwrap();
            let again = serde_json::to_value(&read).unwrap();
            prop_assert_eq!(without_empty(&again), without_empty(&stored));
        }
    }
}

/// Optional fields that are empty mean the same as absent ones.
fn without_empty(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        for optional in ["address", "serviceAddress", "fleet"] {
            if spec.get(optional).is_some_and(|v| *v == json!("") || *v == json!([])) {
                spec.remove(optional);
            }
        }
    }
    object
}

/// The pair of manifests with which fleets are introduced (multicluster-failover A.5).
fn pair() -> [Value; 2] {
    let payload = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n";
    let object = |name: &str, spec: Value| {
        json!({ "apiVersion": "kube-vip.io/v1alpha1", "kind": "MultiCluster",
            "metadata": { "name": name, "namespace": "default" }, "spec": spec })
    };
    [
        object(
            "newyork",
            json!({ "port": 9990, "callsign": "federation", "rank": 5, "ready": true,
                "serviceAddress": "172.18.100.100", "payload": payload }),
        ),
        object(
            "sheffield",
            json!({ "port": 9990, "callsign": "federation", "rank": 10, "ready": false,
                "serviceAddress": "172.18.100.200", "fleet": ["172.18.100.100:9990"], "payload": payload }),
        ),
    ]
}

#[test]
fn the_well_known_pair_is_stored_and_read_as_it_is() {
    for manifest in pair() {
        assert_eq!(store(&ORIGINAL, &manifest), Ok(manifest.clone()));
        assert_eq!(store(&OURS, &manifest), Ok(manifest.clone()));
        let read: MultiCluster = serde_json::from_value(manifest.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), manifest);
    }
}

#[test]
fn a_status_always_has_the_four_original_fields() {
    let status = serde_json::to_value(MultiClusterStatus::default()).unwrap();
    assert_eq!(
        status,
        json!({ "leaderAddress": "", "ready": false, "leading": false, "port": 0 })
    );
    let object = json!({ "apiVersion": "kube-vip.io/v1alpha1", "kind": "MultiCluster", "metadata": { "name": "a" },
        "status": status });
    assert!(store(&ORIGINAL, &object).is_ok());
}

#[test]
fn settings_have_their_defaults() {
    let none = MultiClusterSpec::default().failover();
    assert_eq!(none.lease(), Duration::from_secs(15));
    assert_eq!(none.renew_interval(), Duration::from_secs(5));
    assert_eq!(none.fence_grace(), None);
    assert_eq!(none.availability(), AvailabilityPolicy::Consistent);
    assert_eq!(none.preemption_policy(), PreemptionPolicy::AfterStable);
    assert_eq!(none.stable(), Duration::from_secs(30));
    assert_eq!(none.witness(), WitnessPolicy::Auto);
    assert_eq!(none.tls_secret(), None);
    assert_eq!(none.handover_timeout(), Duration::from_secs(60));
    assert_eq!(none.fence_webhook(), None);
    assert!(!none.adopt_existing);
    let interval = |lease| {
        Failover {
            lease_duration_seconds: Some(lease),
            ..Failover::default()
        }
        .renew_interval()
    };
    assert_eq!(interval(300), Duration::from_secs(5));
    assert_eq!(interval(5), Duration::from_secs(5) / 3);
}

#[test]
fn schema_and_type_refuse_the_same_settings() {
    for (failover, fine) in [
        (json!({}), true),
        (json!({ "leaseDurationSeconds": 5, "renewIntervalSeconds": 1 }), true),
        (
            json!({ "leaseDurationSeconds": 300, "renewIntervalSeconds": 100 }),
            true,
        ),
        (json!({ "leaseDurationSeconds": 4 }), false),
        (json!({ "leaseDurationSeconds": 301 }), false),
        (json!({ "renewIntervalSeconds": 0 }), false),
        (json!({ "renewIntervalSeconds": 5 }), true),
        (json!({ "renewIntervalSeconds": 6 }), false),
        (json!({ "leaseDurationSeconds": 17, "renewIntervalSeconds": 6 }), false),
        (json!({ "leaseDurationSeconds": 18, "renewIntervalSeconds": 6 }), true),
        (json!({ "fenceGraceSeconds": -1 }), false),
        (json!({ "fenceGraceSeconds": 0 }), true),
        (json!({ "preemption": { "stableSeconds": 86401 } }), false),
        (json!({ "handoverTimeoutSeconds": 0 }), false),
    ] {
        let mut object = pair()[0].clone();
        object["spec"]["failover"] = failover.clone();
        let stored = store(&OURS, &object);
        assert_eq!(stored.is_ok(), fine, "{failover}: {stored:?}");
        let read: Failover = serde_json::from_value(failover.clone()).unwrap();
        assert_eq!(read.verify().is_ok(), fine, "{failover}: {:?}", read.verify());
    }
    for (failover, fine) in [
        (
            json!({ "witnessAddresses": ["10.0.0.1:9990", "[::1]:1", "witness.example:65535"] }),
            true,
        ),
        (json!({ "witnessAddresses": ["10.0.0.1"] }), false),
        (json!({ "fenceWebhook": "" }), true),
        (json!({ "fenceWebhook": "https://fence.example/off" }), true),
        (json!({ "fenceWebhook": "http://fence.example/off" }), false),
        (json!({ "availability": "Sometimes" }), false),
    ] {
        let mut object = pair()[0].clone();
        object["spec"]["failover"] = failover.clone();
        assert_eq!(store(&OURS, &object).is_ok(), fine, "{failover}");
    }
}
