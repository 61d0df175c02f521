//! Values over several passes: what we wrote before goes when it is no longer wanted, what others work on stays, and objects come
//! to rest. Played against a member that keeps managed fields.

use super::server::Server;
use super::*;
use crate::apply::Contest;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy as _;
use serde_json::json;

fn client_side() -> Value {
    json!({"type": "ClientSideApply"})
}

fn server_side() -> Value {
    json!({"type": "ServerSideApply"})
}

fn config(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": data})
}

fn deployment(spec: Value) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"},
        "spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}});
    object["spec"]
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    object
}

/// Applies and expects success; then applies once more and expects that nothing is sent.
#[track_caller]
fn settle(server: &mut Server, strategy: &Value, manifest: &Value) {
    let outcome = server.run(strategy, manifest);
    assert!(
        outcome.result.is_applied() || outcome.result.is_diff_report(),
        "{}",
        outcome.error
    );
    server.writes.clear();
    server.run(strategy, manifest);
    assert_eq!(
        server.writes,
        Vec::<&str>::new(),
        "{strategy} {manifest} {:?}",
        server.live
    );
}

/// Case g12 and its other directions.
#[test]
fn removed_fields_go_whatever_way_they_were_applied_before() {
    let (report, large) = (json!({"type": "ReportDiff"}), "y".repeat(prepare::ANNOTATION_BUDGET));
    let ways = [client_side(), server_side()];
    for (first, second, between) in [
        (&ways[0], &ways[0], None),
        (&ways[0], &ways[1], None),
        (&ways[1], &ways[0], None),
        (&ways[1], &ways[1], None),
        (&ways[0], &ways[1], Some(&report)),
        (&ways[1], &ways[0], Some(&report)),
    ] {
        for eager in [false, true] {
            let label = format!("{first} {second} {between:?} {eager}");
            let mut server = Server::default();
            let (old, new) = (
                config(json!({"keep": "1", "gone": "1"})),
                config(json!({"keep": "1", "new": "1"})),
            );
            settle(&mut server, first, &old);
            between
                .into_iter()
                .for_each(|between| settle(&mut server, between, &new));
            if !eager {
                settle(&mut server, second, &old);
            }
            settle(&mut server, second, &new);
            assert_eq!(server.at("/data"), json!({"keep": "1", "new": "1"}), "{label}");
            let operation = if *second == ways[0] { "Update" } else { "Apply" };
            assert_eq!(server.own_entries(), [operation], "{label}");
            let annotation = server.at("/metadata/annotations/kubernetes-fleet.io~1last-applied-configuration");
            assert_eq!(annotation.is_null(), operation == "Apply", "{label}");
        }
    }
    // Case g1: an object that outgrows its annotation and shrinks again.
    let mut server = Server::default();
    settle(&mut server, &ways[0], &config(json!({"a": "1", "b": "1"})));
    settle(&mut server, &ways[0], &config(json!({"a": "2", "pad": large})));
    let keys = |server: &Server| {
        server
            .at("/data")
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (keys(&server), server.own_entries()),
        (vec!["a".to_owned(), "pad".to_owned()], vec!["Apply".to_owned()])
    );
    settle(&mut server, &ways[0], &config(json!({"d": "1"})));
    assert_eq!(
        (keys(&server), server.own_entries()),
        (vec!["d".to_owned()], vec!["Update".to_owned()])
    );
    settle(
        &mut server,
        &ways[0],
        &config(json!({"c": "1", "pad": "y".repeat(prepare::ANNOTATION_BUDGET)})),
    );
    assert_eq!(keys(&server), ["c", "pad"]);
}

/// An earlier version left an entry of each kind, and a key that it should have removed.
#[test]
fn what_earlier_versions_left_behind_is_taken_over() {
    for (manifest_changes, has_annotation) in [(false, true), (true, true), (true, false)] {
        let mut server = Server::default();
        server.run(&client_side(), &config(json!({"keep": "1", "gone": "1"})));
        let left = server.live.clone().unwrap();
        // As that version did: an apply over the updater's entry.
        let mut after = Server::default();
        let current = config(json!({"keep": "1"}));
        after.run(&server_side(), &current);
        let mut both = left.clone();
        both["metadata"]["annotations"]["kubernetes-fleet.io/spec-hash"] =
            after.at("/metadata/annotations/kubernetes-fleet.io~1spec-hash");
        if !has_annotation {
            both["metadata"]["annotations"]
                .as_object_mut()
                .unwrap()
                .remove("kubernetes-fleet.io/last-applied-configuration");
        }
        let fields = both["metadata"]["managedFields"].as_array_mut().unwrap();
        fields.push(after.at("/metadata/managedFields/0"));
        server.live = Some(both);
        let wanted = if manifest_changes {
            json!({"keep": "2"})
        } else {
            json!({"keep": "1"})
        };
        settle(&mut server, &server_side(), &config(wanted.clone()));
        assert_eq!(
            (server.at("/data"), server.own_entries()),
            (wanted, vec!["Apply".to_owned()])
        );
    }
}

#[test]
fn an_object_that_changes_while_fields_are_carried_over_is_read_again() {
    for strategy in [server_side(), client_side()] {
        let mut server = Server::default();
        let before = if strategy == server_side() {
            client_side()
        } else {
            server_side()
        };
        settle(&mut server, &before, &config(json!({"a": "1"})));
        let manifest = config(json!({"a": "2"}));
        let terms = Terms {
            owner: Owner {
                name: "w".into(),
                uid: "ours".into(),
            },
            strategy: Strategy::decode(Some(&strategy)),
            mirror: false,
        };
        let resource = Resource {
            group: String::new(),
            version: "v1".into(),
            kind: String::new(),
            plural: String::new(),
            namespaced: true,
        };
        let mut pipeline = Pipeline::new(
            &terms,
            &manifest,
            &resource,
            WriteHistory::default(),
            Timestamp::UNIX_EPOCH,
        );
        let mut next = pipeline.start(false);
        let mut reads = 0;
        let end = loop {
            next = match next {
                Next::Done(outcome) => break outcome,
                Next::Send(Request::Read) => {
                    reads += 1;
                    pipeline.answer(Answer::Object(server.live.clone().unwrap()))
                }
                Next::Send(_) => pipeline.answer(Answer::Failed(Failure {
                    kind: FailureKind::Conflict,
                    message: "modified".into(),
                })),
            };
        };
        assert_eq!((reads, end.result), (4, ResultType::ManifestApplyFailed), "{strategy}");
    }
}

/// Case g7.
#[test]
fn a_replica_count_that_is_given_up_keeps_its_value() {
    for (strategy, scaled) in [
        (client_side(), None),
        (server_side(), None),
        (client_side(), Some(9)),
        (server_side(), Some(9)),
    ] {
        let mut server = Server::default();
        settle(
            &mut server,
            &strategy,
            &deployment(json!({"replicas": 7, "paused": true})),
        );
        if let Some(count) = scaled {
            server.foreign("autoscaler", "scale", &json!({"spec": {"replicas": count}}));
        }
        settle(&mut server, &strategy, &deployment(json!({})));
        assert_eq!(server.at("/spec/replicas"), json!(scaled.unwrap_or(7)), "{strategy}");
        assert_eq!(server.at("/spec/paused"), Value::Null, "what only we hold goes");
        // Once given up it is no longer ours in any way of applying.
        server.foreign("kubectl", "", &json!({"spec": {"replicas": 3}}));
        for strategy in [server_side(), client_side(), server_side()] {
            settle(&mut server, &strategy, &deployment(json!({"minReadySeconds": 1})));
            assert_eq!(server.at("/spec/replicas"), json!(3));
        }
        settle(
            &mut server,
            &json!({"type": "ServerSideApply", "serverSideApplyConfig": {"force": true}}),
            &deployment(json!({"replicas": 2})),
        );
        assert_eq!(server.at("/spec/replicas"), json!(2), "it can be taken back");
    }
}

#[test]
fn a_field_that_others_hold_is_given_up_without_a_change() {
    for strategy in [client_side(), server_side()] {
        let mut server = Server::default();
        settle(&mut server, &strategy, &config(json!({"a": "1", "b": "1"})));
        server.foreign("controller", "", &json!({"data": {"b": "2"}}));
        settle(&mut server, &strategy, &config(json!({"a": "1"})));
        assert_eq!(server.at("/data"), json!({"a": "1", "b": "2"}), "{strategy}");
    }
    // Whoever made the object before it became ours does not hold it any more.
    let mut server = Server::default();
    server.run(&client_side(), &config(json!({"a": "1", "b": "1"})));
    let mut created = server.live.clone().unwrap();
    for part in ["managedFields", "ownerReferences", "annotations"] {
        created["metadata"].as_object_mut().unwrap().remove(part);
    }
    let mut server = Server {
        live: Some(created),
        ..Server::default()
    };
    server.foreign("creator", "", &json!({"data": {"c": "1"}}));
    settle(
        &mut server,
        &client_side(),
        &config(json!({"a": "1", "b": "1", "c": "1"})),
    );
    settle(&mut server, &client_side(), &config(json!({"a": "1"})));
    assert_eq!(server.at("/data"), json!({"a": "1"}));
}

/// Case g3.
#[test]
fn a_branch_that_the_server_filled_in_makes_way() {
    for (kind, field, other) in [
        ("Deployment", "strategy", "Recreate"),
        ("StatefulSet", "updateStrategy", "OnDelete"),
    ] {
        for strategy in [client_side(), server_side()] {
            let mut server = Server::default();
            let manifest = |spec: Value| {
                let mut manifest = deployment(spec);
                manifest["kind"] = json!(kind);
                manifest
            };
            settle(&mut server, &strategy, &manifest(json!({})));
            settle(&mut server, &strategy, &manifest(json!({ field: {"type": other} })));
            assert_eq!(
                server.at(&format!("/spec/{field}")),
                json!({"type": other}),
                "{kind} {strategy}"
            );
            settle(&mut server, &strategy, &manifest(json!({})));
            assert_eq!(
                server.at(&format!("/spec/{field}/type")),
                json!("RollingUpdate"),
                "{kind} {strategy}"
            );
        }
    }
}

/// Case g2, the endless form.
#[test]
fn ports_on_one_number_come_to_rest() {
    let with_ports =
        |ports: Value| deployment(json!({"template": {"spec": {"containers": [{"name": "c", "ports": ports}]}}}));
    let (tcp, udp) = (
        json!({"name": "tcp", "containerPort": 53}),
        json!({"name": "udp", "containerPort": 53, "protocol": "UDP"}),
    );
    for strategy in [client_side(), server_side()] {
        let mut server = Server::default();
        settle(&mut server, &strategy, &with_ports(json!([tcp])));
        settle(&mut server, &strategy, &with_ports(json!([tcp, udp])));
        let ports = server.at("/spec/template/spec/containers/0/ports");
        assert_eq!(
            ports,
            json!([{"name": "tcp", "containerPort": 53, "protocol": "TCP"}, udp]),
            "{strategy}"
        );
        settle(&mut server, &strategy, &with_ports(json!([udp])));
        assert_eq!(
            server.at("/spec/template/spec/containers/0/ports"),
            json!([udp]),
            "{strategy}"
        );
    }
}

#[test]
fn writes_that_never_come_to_rest_end_in_a_failure() {
    let mut server = Server::default();
    let manifest = config(json!({"k": "1", "z": "1"}));
    server.run(&client_side(), &manifest);
    // A webhook that gives the value another one with every write.
    server.webhook = Some(|object, writes| object["data"]["k"] = json!(format!("w{writes}")));
    server.foreign("user", "", &json!({"data": {"z": "2"}}));
    let results: Vec<ResultType> = (0..9).map(|_| server.run(&client_side(), &manifest).result).collect();
    assert_eq!(
        results.iter().filter(|result| result.is_applied()).count(),
        5,
        "{results:?}"
    );
    server.writes.clear();
    let outcome = server.run(&client_side(), &manifest);
    assert_eq!(
        (outcome.result, server.writes.as_slice()),
        (ResultType::ManifestApplyFailed, &[][..])
    );
    assert!(outcome.error.contains("the field .data.k"), "{}", outcome.error);
    // Another manifest gets another chance, and so does an object that comes to rest.
    server.webhook = None;
    let changed = config(json!({"k": "2", "z": "1"}));
    settle(&mut server, &client_side(), &changed);
    assert_eq!(server.at("/data/k"), json!("2"));
}

#[test]
fn a_fight_slows_down_names_the_other_writer_and_ends() {
    for strategy in [
        client_side(),
        json!({"type": "ServerSideApply", "serverSideApplyConfig": {"force": true}}),
    ] {
        let mut server = Server::default();
        let manifest = config(json!({"k": "1"}));
        server.run(&strategy, &manifest);
        let (mut times, mut named) = (Vec::new(), Vec::new());
        for second in 0..400 {
            server.now = Timestamp::from_second(1000 + second).unwrap();
            // The other writer answers within the second, for five minutes.
            if second < 300 && server.at("/data/k") == json!("1") {
                server.foreign("injector", "", &json!({"data": {"k": "theirs"}}));
            }
            server.writes.clear();
            let outcome = server.run(&strategy, &manifest);
            assert!(outcome.result.is_applied());
            if !server.writes.is_empty() {
                times.push(second);
            }
            named.push(outcome.history.contest().cloned());
            assert!(
                outcome.look_again.is_some() || outcome.history.contest().is_none(),
                "{second}"
            );
        }
        assert_eq!(times, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303], "{strategy}");
        assert_eq!(named[6], None);
        let other = Contest {
            manager: Some("injector".into()),
            field: ".data.k".into(),
        };
        assert!(
            named[7..=362].iter().all(|contest| *contest == Some(other.clone())),
            "{named:?}"
        );
        assert!(
            named[363..].iter().all(Option::is_none),
            "a minute after the last write"
        );
    }
}

#[derive(Debug, Clone)]
struct Step {
    strategy: Value,
    data: Value,
    replicas: Option<u8>,
    recreate: bool,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let strategy = prop::sample::select(vec![client_side(), server_side(), json!({"type": "ReportDiff"})]);
    let data = prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), 0..3u8, 0..3);
    let step =
        (strategy, data, prop::option::of(1..4u8), any::<bool>()).prop_map(|(strategy, data, replicas, recreate)| {
            let data = data
                .into_iter()
                .map(|(key, value)| (key.to_owned(), json!(value.to_string())));
            Step {
                strategy,
                data: Value::Object(data.collect()),
                replicas,
                recreate,
            }
        });
    prop::collection::vec(step, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// However the strategies take turns, the object holds what was applied last and nothing of before, and rests.
    #[test]
    fn what_is_applied_rests_whatever_came_before(steps in steps()) {
        let mut server = Server::default();
        for step in &steps {
            let mut manifest = deployment(json!({"minReadySeconds": 1}));
            manifest["metadata"]["labels"] = step.data.clone();
            step.replicas.into_iter().for_each(|count| manifest["spec"]["replicas"] = json!(count));
            if step.recreate {
                manifest["spec"]["strategy"] = json!({"type": "Recreate"});
            }
            let outcome = server.run(&step.strategy, &manifest);
            prop_assert!(outcome.result.is_applied() || outcome.result.is_diff_report(), "{}", outcome.error);
            if outcome.result.is_diff_report() {
                continue;
            }
            let labels = if step.data == json!({}) { Value::Null } else { step.data.clone() };
            let found = server.at("/metadata/labels");
            prop_assert_eq!(if found == json!({}) { Value::Null } else { found }, labels);
            step.replicas.into_iter().for_each(|count| assert_eq!(server.at("/spec/replicas"), json!(count)));
            prop_assert_eq!(server.at("/spec/strategy/type") == json!("Recreate"), step.recreate);
            prop_assert_eq!(server.own_entries().len(), 1);
            server.writes.clear();
            server.run(&step.strategy, &manifest);
            prop_assert_eq!(&server.writes, &Vec::<&str>::new(), "{:?}", server.live);
        }
    }
}
