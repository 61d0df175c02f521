//! Whatever happens and whatever fails on the way: once faults stop, the traffic manager holds what is wanted.

use std::collections::BTreeMap;

use api::networking::weights;
use fairway_core::traffic::arm::Subject;
use proptest::prelude::*;
use serde_json::json;

use super::atm::{failure, no_answer, throttled};
use super::world::{World, backend};

const CLUSTERS: [&str; 4] = ["m1", "m2", "m3", "m4"];

#[derive(Debug, Clone)]
enum Event {
    Export(Vec<(usize, i64)>),
    Withdraw,
    Facts(usize, bool),
    Weight(i64),
    Port(i64),
    Fault(u8, usize, u8),
    Mend,
    Lose(bool),
    Restart,
    Pass,
    PassWithoutAnswers,
    Deliver,
    Wait(i64),
    EditProfile,
    EditEndpoint(bool),
    DropProfile,
    SecondBackend,
    DeleteSecond,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        proptest::collection::vec((0..4_usize, 0..5_i64), 1..4).prop_map(Event::Export),
        Just(Event::Withdraw),
        (0..4_usize, any::<bool>()).prop_map(|(at, label)| Event::Facts(at, label)),
        (0..1001_i64).prop_map(Event::Weight),
        (80..83_i64).prop_map(Event::Port),
        (0..5_u8, 0..4_usize, 0..5_u8).prop_map(|(what, at, how)| Event::Fault(what, at, how)),
        Just(Event::Mend),
        any::<bool>().prop_map(Event::Lose),
        Just(Event::Restart),
        Just(Event::Pass),
        Just(Event::PassWithoutAnswers),
        Just(Event::Deliver),
        (1..100_i64).prop_map(Event::Wait),
        Just(Event::EditProfile),
        any::<bool>().prop_map(Event::EditEndpoint),
        Just(Event::DropProfile),
        Just(Event::SecondBackend),
        Just(Event::DeleteSecond),
    ]
}

fn apply_event(world: &mut World, event: &Event) {
    match event {
        Event::Export(exports) => {
            let exports: BTreeMap<&str, i64> = exports.iter().map(|(at, weight)| (CLUSTERS[*at], *weight)).collect();
            world.export(&exports.into_iter().collect::<Vec<_>>());
        }
        Event::Withdraw => world.services.clear(),
        Event::Facts(at, label) => {
            let service = world.services.get_mut("service");
            for exporter in service.into_iter().flat_map(|service| &mut service.exporters) {
                if exporter.cluster == CLUSTERS[*at] {
                    exporter.export.as_mut().unwrap().has_dns_label = *label;
                }
            }
        }
        Event::Weight(weight) => world.change_backend("b", &json!({ "weight": weight })),
        Event::Port(port) => world.change_profile(&json!({"monitorConfig": {"port": port}})),
        Event::Fault(what, at, how) => {
            let name = format!("fleet-b#service#{}", CLUSTERS[*at]);
            let subject = match what {
                0 => Subject::Read,
                1 => Subject::Write,
                2 => Subject::WriteEndpoint(name),
                3 => Subject::DeleteEndpoint(name),
                _ => Subject::Delete,
            };
            let fault = match how {
                0 => failure(403, "AuthorizationFailed"),
                1 => failure(500, "InternalServerError"),
                2 => throttled(7),
                3 => failure(400, "BadRequest"),
                _ => no_answer(),
            };
            world.atm.faults.insert(subject, fault);
        }
        Event::Mend => world.atm.faults.clear(),
        Event::Lose(lost) => world.atm.lost = *lost,
        Event::Restart => world.restart(),
        Event::Pass => drop(world.pass()),
        Event::PassWithoutAnswers => drop(world.pass_without_answers()),
        Event::Deliver => world.deliver(),
        Event::Wait(seconds) => world.let_time_pass(*seconds),
        Event::EditProfile if !world.atm.profiles.is_empty() => {
            world.atm.profile()["properties"]["profileStatus"] = json!("Disabled");
        }
        Event::EditEndpoint(delete) if !world.atm.profiles.is_empty() && !world.atm.endpoints().is_empty() => {
            if *delete {
                world.atm.endpoints().remove(0);
            } else {
                world.atm.endpoints()[0]["properties"]["weight"] = json!(999);
            }
        }
        Event::DropProfile => world.atm.profiles.clear(),
        Event::SecondBackend if !world.backends.contains_key("c") => {
            let mut second = backend("c", 7);
            second["spec"]["backend"]["name"] = json!("other");
            world.add(second);
            world
                .services
                .insert("other".to_owned(), super::world::service(&[("n1", 1)]));
        }
        Event::DeleteSecond => {
            let second = world.backends.get("c");
            if second.is_some_and(|second| second["metadata"]["deletionTimestamp"].is_null()) {
                world.delete_backend("c");
            }
        }
        _ => {}
    }
}

/// What the traffic manager is to hold in the end.
fn wanted(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for (name, backend) in &world.backends {
        let service = world.services.get(backend["spec"]["backend"]["name"].as_str().unwrap());
        let valid: Vec<(&str, i64)> = service
            .into_iter()
            .flat_map(|service| &service.exporters)
            .filter_map(|exporter| {
                let export = exporter.export.as_ref().unwrap();
                (export.has_dns_label && export.weight > 0).then_some((exporter.cluster.as_str(), export.weight))
            })
            .collect();
        let exports: Vec<i64> = valid.iter().map(|(_, weight)| *weight).collect();
        let shares = weights::spread(backend["spec"]["weight"].as_i64().unwrap(), &exports);
        let shares = valid.iter().zip(shares).filter(|(_, share)| *share > 0);
        all.extend(shares.map(|((cluster, _), share)| format!("{name}/{cluster} {share}")));
    }
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn once_faults_stop_all_is_as_it_is_wanted(
        events in proptest::collection::vec(event(), 0..25),
        reversed: bool,
    ) {
        let mut world = World::new();
        world.reversed = reversed;
        for event in &events {
            apply_event(&mut world, event);
        }
        world.atm.faults.clear();
        world.atm.lost = false;
        world.let_time_pass(700);
        prop_assert_eq!(world.programmed(), "True/Programmed");
        prop_assert_eq!(world.atm.shares(), wanted(&world));
        prop_assert_eq!(&world.atm.profile()["properties"]["profileStatus"], "Enabled");
        prop_assert!(!world.accepted("b").ends_with("(stale)"));

        // What is idle is read and nothing else.
        world.atm.log.clear();
        world.writes.clear();
        world.let_time_pass(300);
        prop_assert!(world.atm.log.iter().all(|call| call == "read"), "{:?}", world.atm.log);
        prop_assert_eq!(&world.writes, &Vec::<String>::new());

        // A deletion completes.
        for name in world.backends.keys().cloned().collect::<Vec<_>>() {
            if world.backends[&name]["metadata"]["deletionTimestamp"].is_null() {
                world.delete_backend(&name);
            }
        }
        world.delete_profile();
        world.let_time_pass(100);
        prop_assert!(world.profile.is_none() && world.backends.is_empty());
        prop_assert!(world.atm.profiles.is_empty());
    }

    #[test]
    fn without_faults_each_changed_endpoint_is_written_once(
        before in proptest::collection::vec((0..4_usize, 0..5_i64), 1..4),
        after in proptest::collection::vec((0..4_usize, 0..5_i64), 1..4),
        weight in 0..1001_i64,
    ) {
        let mut world = World::new();
        apply_event(&mut world, &Event::Export(before));
        world.settle();
        let shares = world.atm.shares();
        world.atm.log.clear();
        apply_event(&mut world, &Event::Export(after));
        world.change_backend("b", &json!({ "weight": weight }));
        world.settle();
        let wanted = wanted(&world);
        prop_assert_eq!(world.atm.shares(), wanted.clone());
        let name = |share: &String| share.split(' ').next().unwrap().to_owned();
        let mut expected: Vec<String> = wanted.iter().filter(|share| !shares.contains(share)).map(|share| format!("put {share}")).collect();
        let gone = shares.iter().filter(|share| !wanted.iter().any(|other| name(other) == name(share)));
        expected.extend(gone.map(|share| format!("drop {}", name(share))));
        expected.sort();
        let mut made = world.atm.take_log();
        made.sort();
        prop_assert_eq!(made, expected);
    }
}
