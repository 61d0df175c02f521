use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::Arc;

use super::*;
use crate::model::{EndpointKind, Health, Hint, Monitor, Protocol, ResourceId, Target as Goal};
use crate::state::Change;

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn settings() -> ZoneSettings {
    ZoneSettings {
        origin: name("tm.example.com."),
        name_servers: vec![
            NameServer {
                name: name("ns.example.net."),
                addresses: Vec::new(),
            },
            NameServer {
                name: name("a.NS1.tm.example.com."),
                addresses: vec![IpAddr::from([192, 0, 2, 53])],
            },
        ],
        mailbox: name("hostmaster.tm.example.com."),
        own_ttl: 3600,
        negative_ttl: 10,
        networks: Arc::new(NetworkTable::default()),
    }
}

fn id(name: &str) -> ResourceId {
    ResourceId {
        subscription: "s".to_owned(),
        group: "g".to_owned(),
        name: name.to_owned(),
    }
}

fn endpoint(name: &str, target: Goal, health: Health) -> model::Endpoint {
    model::Endpoint {
        kind: EndpointKind::External,
        name: name.to_owned(),
        target,
        enabled: true,
        weight: 3,
        priority: 2,
        location: Some("West Europe".to_owned()),
        headers: Vec::new(),
        always_serve: false,
        health,
        problem: None,
        hint: None,
    }
}

fn external(name: &str, target: &str, health: Health) -> model::Endpoint {
    endpoint(
        name,
        Goal::External {
            target: target.to_owned(),
        },
        health,
    )
}

fn profile(name: &str, endpoints: Vec<model::Endpoint>) -> Profile {
    Profile {
        id: id(name),
        tags: Default::default(),
        enabled: true,
        routing: model::Routing::Weighted,
        relative_name: name.to_owned(),
        ttl: 5,
        monitor: Monitor {
            protocol: Protocol::Tcp,
            port: 80,
            path: None,
            interval: 30,
            timeout: 10,
            tolerated_failures: 3,
            headers: Vec::new(),
            expected: Vec::new(),
        },
        endpoints,
        traffic_view: None,
        max_return: None,
        record_types: Vec::new(),
    }
}

fn state(changes: Vec<Change>) -> State {
    let mut state = State::default();
    changes.into_iter().for_each(|change| state.apply(change));
    state
}

/// The ids of the endpoints of a profile that are answered.
fn answered(profile: Profile) -> Vec<String> {
    let label = profile.relative_name.clone();
    let (zone, problems) = zone(&state(vec![Change::PutProfile(Arc::new(profile))]), &settings());
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(zone.problems(), []);
    zone.names[&name(&label)]
        .endpoints
        .iter()
        .map(|endpoint| endpoint.id.clone())
        .collect()
}

#[test]
fn the_healthy_are_answered_and_all_when_none_is() {
    let all = |healths: [Health; 3]| {
        let endpoints = ["a", "b", "c"].iter().zip(healths).enumerate();
        endpoints
            .map(|(at, (name, health))| external(name, &format!("192.0.2.{at}"), health))
            .collect::<Vec<_>>()
    };
    use Health::{Checking, Degraded, Online};
    let ids = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("externalEndpoints/{name}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        answered(profile("p", all([Online, Degraded, Checking]))),
        ids(&["a", "c"])
    );
    assert_eq!(answered(profile("p", all([Degraded; 3]))), ids(&["a", "b", "c"]));
    let mut endpoints = all([Degraded, Degraded, Online]);
    endpoints[0].enabled = false;
    endpoints[2].hint = Some(Hint {
        expires: jiff::Timestamp::MAX,
        reason: String::new(),
    });
    assert_eq!(
        answered(profile("p", endpoints.clone())),
        ids(&["b", "c"]),
        "all degraded, but not those switched off"
    );
    endpoints[0].enabled = true;
    endpoints[0].always_serve = true;
    assert_eq!(answered(profile("p", endpoints)), ids(&["a"]));
    assert_eq!(answered(profile("p", Vec::new())), ids(&[]));
}

#[test]
fn targets_and_routing_are_as_the_profile_says() {
    let synthetic = |name: &str| {
        let mut id = id(name);
        id.subscription = "00000000-0000-0000-0000-000000000000".to_owned();
        Goal::Resource { id }
    };
    let mut one = profile(
        "App",
        vec![
            endpoint("v4", synthetic("ip-192-0-2-1"), Health::Online),
            endpoint(
                "v6",
                synthetic("ip-2001-0db8-0000-0000-0000-0000-0000-0001"),
                Health::Online,
            ),
            endpoint("host", synthetic("host-LB.example.org"), Health::Online),
            external("name", "Lb.Example.com.", Health::Online),
            endpoint("pip", Goal::Resource { id: id("pip") }, Health::Online),
            endpoint("named", Goal::Resource { id: id("named") }, Health::Online),
            endpoint("gone", Goal::Resource { id: id("none") }, Health::Online),
        ],
    );
    let address = |name: &str, ip: Option<&str>, fqdn: Option<&str>| {
        Change::PutAddress(Arc::new(PublicAddress {
            id: id(name),
            location: "East US".to_owned(),
            tags: Default::default(),
            ip: ip.map(|ip| ip.parse().unwrap()),
            label: Some(name.to_owned()),
            fqdn: fqdn.map(str::to_owned),
            allocation: "Static".to_owned(),
            sku: None,
            tier: None,
            idle_timeout: None,
            is_ipv6: false,
            zones: Vec::new(),
        }))
    };
    one.endpoints[4].location = None;
    let make = |profile: &Profile| {
        let changes = vec![
            Change::PutProfile(Arc::new(profile.clone())),
            address("pip", Some("198.51.100.1"), None),
            address("named", None, Some("x.cloudapp.example")),
        ];
        zone(&state(changes), &settings()).0
    };
    let zone = make(&one);
    assert_eq!(zone.problems(), []);
    let entry = &zone.names[&name("app")];
    assert_eq!(entry.ttl, 5);
    assert!(matches!(entry.routing, Routing::Weighted));
    let targets: Vec<String> = entry
        .endpoints
        .iter()
        .map(|endpoint| match &endpoint.target {
            Target::Name(name) => name.to_ascii(),
            Target::Addresses(addresses) => format!("{addresses:?}"),
        })
        .collect();
    assert_eq!(
        targets,
        [
            "[192.0.2.1]",
            "[2001:db8::1]",
            "lb.example.org.",
            "lb.example.com.",
            "[198.51.100.1]",
            "x.cloudapp.example."
        ]
    );
    assert_eq!((entry.endpoints[0].weight, entry.endpoints[0].priority), (3, 2));
    assert_eq!(entry.endpoints[0].location.as_deref(), Some("westeurope"));
    assert_eq!(
        entry.endpoints[4].location.as_deref(),
        Some("eastus"),
        "where the public address is"
    );
    assert!(matches!(zone.names[&name("pip.eastus")].routing, Routing::All));
    assert!(!zone.names.contains_key(&name("named.eastus")), "no address to answer");

    one.routing = model::Routing::Priority;
    assert!(matches!(make(&one).names[&name("app")].routing, Routing::Priority));
    one.routing = model::Routing::Performance;
    assert!(matches!(
        make(&one).names[&name("app")].routing,
        Routing::Performance(_)
    ));
    one.enabled = false;
    assert!(
        !make(&one).names.contains_key(&name("app")),
        "a profile that is switched off has no name"
    );
}

#[test]
fn the_zone_says_nothing_about_the_instance() {
    let one = state(vec![Change::PutProfile(Arc::new(profile("a", Vec::new())))]);
    let (first, second) = (zone(&one, &settings()).0, zone(&one, &settings()).0);
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    assert_eq!(first.soa.primary, name("ns.example.net."));
    assert_eq!(settings().reserved().collect::<Vec<_>>(), ["ns1"]);
}
