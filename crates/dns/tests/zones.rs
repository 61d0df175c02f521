//! Zones that cannot be served, and what does not depend on how a zone is written down.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use common::*;
use dns::{Catalog, CatalogError, Endpoint, Name, Routing, Zone, ZoneError, respond};
use proptest::prelude::*;

type Case = (&'static str, fn(&mut Zone), fn(&ZoneError) -> bool);

#[test]
fn each_problem_is_named() {
    let cases: [Case; 11] = [
        (
            "no name server",
            |zone| zone.name_servers.clear(),
            |e| matches!(e, ZoneError::NoNameServer(_)),
        ),
        (
            "a name server without address",
            |zone| zone.name_servers[0].addresses.clear(),
            |e| matches!(e, ZoneError::NameServerWithoutAddress(_)),
        ),
        (
            "a name server with an entry",
            |zone| add(zone, "NS1", [endpoint("a", "192.0.2.1", 1)]),
            |e| matches!(e, ZoneError::NameServerWithEntry(_)),
        ),
        (
            "a full name",
            |zone| add(zone, "app.tm.example.", [endpoint("a", "192.0.2.1", 1)]),
            |e| matches!(e, ZoneError::NotRelative(_)),
        ),
        (
            "a long name",
            |zone| {
                let long = Name::from_ascii(["a".repeat(62).as_str(); 4].join(".")).unwrap();
                zone.names.insert(long, entry(5, Routing::All, []));
            },
            |e| matches!(e, ZoneError::TooLong(_)),
        ),
        (
            "a wildcard",
            |zone| add(zone, "*.app", [endpoint("a", "192.0.2.1", 1)]),
            |e| matches!(e, ZoneError::Wildcard(_)),
        ),
        (
            "an alias at the origin",
            |zone| add(zone, "", [endpoint("a", "example.org.", 1)]),
            |e| matches!(e, ZoneError::AliasAtOrigin(_)),
        ),
        (
            "an alias among all",
            |zone| {
                let endpoints = [endpoint("a", "example.org.", 1), endpoint("b", "192.0.2.1", 1)];
                zone.names.insert(name("app"), entry(5, Routing::All, endpoints));
            },
            |e| matches!(e, ZoneError::AliasAmongAll(_)),
        ),
        (
            "an endpoint twice",
            |zone| {
                add(
                    zone,
                    "app",
                    [endpoint("a", "192.0.2.1", 1), endpoint("a", "192.0.2.2", 1)],
                )
            },
            |e| matches!(e, ZoneError::EndpointTwice(..)),
        ),
        (
            "a time to live that is too long",
            |zone| drop(zone.names.insert(name("app"), entry(1 << 31, Routing::All, []))),
            |e| matches!(e, ZoneError::TtlTooLong(..)),
        ),
        (
            "a negative time to live that is too long",
            |zone| zone.soa.negative_ttl = 1 << 31,
            |e| matches!(e, ZoneError::TtlTooLong(..)),
        ),
    ];
    for (case, change, expected) in cases {
        let mut zone = zone("tm.example.", []);
        assert_eq!(zone.problems(), [], "{case}");
        change(&mut zone);
        let problems = zone.problems();
        assert!(
            matches!(problems.as_slice(), [problem] if expected(problem)),
            "{case}: {problems:?}"
        );
        assert_eq!(Catalog::new(&[zone]).unwrap_err(), CatalogError(problems));
    }
}

fn add(zone: &mut Zone, below: &str, endpoints: impl IntoIterator<Item = Endpoint>) {
    zone.names.insert(name(below), entry(5, Routing::Weighted, endpoints));
}

#[test]
fn a_zone_is_published_once() {
    let error = Catalog::new(&[zone("tm.example.", []), zone("TM.example.", [])]).unwrap_err();
    assert_eq!(error.0, [ZoneError::PublishedTwice(name("tm.example."))]);
    assert_eq!(
        error.to_string(),
        "The zones cannot be served: The zone tm.example. is published twice; publish each zone once."
    );
}

#[test]
fn a_name_server_may_have_an_entry_instead_of_addresses() {
    let mut zone = zone(
        "tm.example.",
        [("ns1", entry(5, Routing::All, [endpoint("a", "192.0.2.7", 1)]))],
    );
    zone.name_servers[0].addresses.clear();
    let answer = ask(
        &Catalog::new(&[zone]).unwrap(),
        &query("ns1.tm.example", A),
        &context("192.0.2.1", 0),
    );
    assert_eq!(records(&answer), ["= ns1.tm.example. 5 A 192.0.2.7"]);
}

fn endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    let location = prop::option::of(prop::sample::select(vec!["east", "west", "north", "south"]));
    let to = prop::sample::select(vec![
        "192.0.2.1 2001:db8::1",
        "192.0.2.2",
        "2001:db8::3",
        "a.example.net.",
        "",
    ]);
    let endpoint =
        (to, prop_oneof![Just(0u32), 1u32..1000], 1u32..4, location).prop_map(|(to, weight, priority, at)| Endpoint {
            priority,
            location: at.map(str::to_owned),
            ..endpoint("", to, weight)
        });
    prop::collection::vec(endpoint, 0..8).prop_map(|mut endpoints| {
        endpoints
            .iter_mut()
            .enumerate()
            .for_each(|(index, endpoint)| endpoint.id = format!("e{index}"));
        endpoints
    })
}

proptest! {
    /// Equal draws give equal answers whatever the order of the endpoints, and an endpoint of weight 0 is never
    /// answered.
    #[test]
    fn the_order_of_endpoints_means_nothing(
        endpoints in endpoints(),
        shuffle in any::<prop::sample::Index>(),
        routing in 0..3,
        draw in any::<u64>(),
        record_type in prop::sample::select(vec![A, AAAA, TXT]),
        source in prop::sample::select(vec!["10.1.0.1", "10.2.0.1", "10.9.0.1", "203.0.113.1"]),
    ) {
        let routing = [Routing::Weighted, Routing::Priority, Routing::Performance(networks())][routing as usize].clone();
        let mut other = endpoints.clone();
        if !other.is_empty() {
            let by = shuffle.index(other.len());
            other.rotate_left(by);
            other.reverse();
        }
        let packet = query("app.tm.example", record_type);
        let answers = [&endpoints, &other].map(|endpoints| {
            let catalog = Catalog::new(&[zone("tm.example.", [("app", entry(5, routing.clone(), endpoints.clone()))])]);
            let mut out = Vec::new();
            respond(&catalog.unwrap(), &packet, &context(source, draw), &mut out);
            out
        });
        prop_assert_eq!(&answers[0], &answers[1]);
        // Weights of 0 change nothing: without those endpoints the answer is the same.
        let weighed: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.weight > 0).cloned().collect();
        let catalog = Catalog::new(&[zone("tm.example.", [("app", entry(5, routing, weighed))])]).unwrap();
        let mut out = Vec::new();
        respond(&catalog, &packet, &context(source, draw), &mut out);
        prop_assert_eq!(&answers[0], &out);
    }
}
