//! A catalog, queries, and answers as text.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod entry;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use dns::{
    Catalog, Context, Endpoint, Name, NameEntry, NameServer, NetworkTable, Outcome, Routing, Soa, Target, Transport,
    Zone, respond,
};
use hickory_proto::op::{Message, MessageType};

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const ANY: u16 = 255;

pub fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// Addresses, separated by spaces, or a fully qualified name.
pub fn target(text: &str) -> Target {
    match text.split_whitespace().map(str::parse::<IpAddr>).collect() {
        Ok(addresses) => Target::Addresses(addresses),
        Err(_) => Target::Name(name(text)),
    }
}

pub fn endpoint(id: &str, to: &str, weight: u32) -> Endpoint {
    Endpoint {
        id: id.into(),
        target: target(to),
        weight,
        priority: 1,
        location: None,
    }
}

pub fn entry(ttl: u32, routing: Routing, endpoints: impl IntoIterator<Item = Endpoint>) -> NameEntry {
    NameEntry {
        ttl,
        routing,
        endpoints: endpoints.into_iter().collect(),
    }
}

pub fn zone(origin: &str, names: impl IntoIterator<Item = (&'static str, NameEntry)>) -> Zone {
    let origin = name(origin);
    Zone {
        soa: Soa {
            primary: name("ns1").append_domain(&origin).unwrap(),
            mailbox: name("hostmaster.example.org."),
            serial: 7,
            refresh: 3600,
            retry: 600,
            expire: 86400,
            negative_ttl: 30,
        },
        name_servers: vec![
            NameServer {
                name: name("ns1").append_domain(&origin).unwrap(),
                addresses: vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()],
            },
            NameServer {
                name: name("ns.example.org."),
                addresses: Vec::new(),
            },
        ],
        default_ttl: 300,
        names: names
            .into_iter()
            .map(|(below, entry)| (name(below), entry))
            .collect::<BTreeMap<_, _>>(),
        origin,
    }
}

pub fn networks() -> Arc<NetworkTable> {
    let network = |text: &str, locations: &[&str]| {
        (
            text.parse().unwrap(),
            locations.iter().map(ToString::to_string).collect(),
        )
    };
    let networks = [
        network("10.0.0.0/8", &["east", "west"]),
        network("10.1.0.0/16", &["west", "east"]),
        network("10.2.0.0/16", &["north", "east"]),
        network("2001:db8::/32", &["west"]),
    ];
    Arc::new(NetworkTable::new(networks).unwrap())
}

/// One zone with every kind of entry, and a zone below it.
pub fn zones() -> Vec<Zone> {
    let at = |id: &str, to: &str, location: &str| Endpoint {
        location: Some(location.into()),
        ..endpoint(id, to, 1)
    };
    let ranked = |id: &str, to: &str, weight: u32, priority: u32| Endpoint {
        priority,
        ..endpoint(id, to, weight)
    };
    let everybody = (0..100)
        .map(|n| format!("192.0.2.{n} 2001:db8::{n}"))
        .collect::<Vec<_>>()
        .join(" ");
    let names = [
        ("", entry(300, Routing::All, [endpoint("origin", "192.0.2.80", 1)])),
        (
            "plain",
            entry(
                60,
                Routing::All,
                [endpoint("b", "192.0.2.2 192.0.2.1", 0), endpoint("a", "192.0.2.3", 0)],
            ),
        ),
        ("many", entry(60, Routing::All, [endpoint("many", &everybody, 1)])),
        (
            "app",
            entry(
                5,
                Routing::Weighted,
                [
                    endpoint("three", "three.example.net.", 3),
                    endpoint("none", "none.example.net.", 0),
                    endpoint("one", "one.example.net.", 1),
                ],
            ),
        ),
        (
            "families",
            entry(
                5,
                Routing::Weighted,
                [endpoint("four", "192.0.2.4", 1), endpoint("six", "2001:db8::6", 1)],
            ),
        ),
        ("four", entry(5, Routing::Weighted, [endpoint("four", "192.0.2.4", 1)])),
        (
            "nothing",
            entry(5, Routing::Weighted, [endpoint("zero", "192.0.2.4", 0)]),
        ),
        ("a.b.deep", entry(5, Routing::All, [endpoint("deep", "192.0.2.5", 1)])),
        (
            "first",
            entry(
                5,
                Routing::Priority,
                [
                    ranked("off", "192.0.2.9", 0, 1),
                    ranked("second", "192.0.2.11", 1, 3),
                    ranked("first", "192.0.2.10", 1, 2),
                ],
            ),
        ),
        (
            "near",
            entry(
                5,
                Routing::Performance(networks()),
                [
                    at("e", "192.0.2.101", "east"),
                    at("w", "192.0.2.102", "west"),
                    endpoint("lost", "192.0.2.103", 0),
                ],
            ),
        ),
        (
            "alias",
            entry(20, Routing::Weighted, [endpoint("plain", "plain.tm.example.", 1)]),
        ),
        (
            "gone",
            entry(20, Routing::Weighted, [endpoint("gone", "gone.sub.tm.example.", 1)]),
        ),
        (
            "loop",
            entry(20, Routing::Weighted, [endpoint("pool", "pool.tm.example.", 1)]),
        ),
        (
            "pool",
            entry(20, Routing::Weighted, [endpoint("loop", "LOOP.tm.example.", 1)]),
        ),
    ];
    let below = [("app", entry(9, Routing::All, [endpoint("below", "192.0.2.200", 1)]))];
    vec![zone("tm.example.", names), zone("Sub.tm.example.", below)]
}

pub fn catalog() -> Catalog {
    Catalog::new(&zones()).unwrap()
}

/// A query without EDNS.
pub fn query(text: &str, record_type: u16) -> Vec<u8> {
    let mut packet = vec![0xBE, 0xEF, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in text.split_terminator('.') {
        packet.push(label.len() as u8);
        packet.extend(label.as_bytes());
    }
    packet.push(0);
    packet.extend(record_type.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

/// Adds an OPT record to a query.
pub fn with_edns(mut packet: Vec<u8>, udp_size: u16, version: u8, flags: u16, options: &[u8]) -> Vec<u8> {
    packet[11] += 1;
    packet.extend([0, 0, 41]);
    packet.extend(udp_size.to_be_bytes());
    packet.extend([0, version]);
    packet.extend(flags.to_be_bytes());
    packet.extend((options.len() as u16).to_be_bytes());
    packet.extend(options);
    packet
}

/// The option with a client's network, of an IPv4 address.
pub fn subnet(address: [u8; 4], prefix: u8) -> Vec<u8> {
    let octets = usize::from(prefix).div_ceil(8);
    let mut option = vec![0, 8, 0, 4 + octets as u8, 0, 1, prefix, 0];
    option.extend(&address[..octets]);
    option
}

pub const UDP: Transport = Transport::Udp { max_payload: 1232 };

pub fn context(source: &str, draw: u64) -> Context {
    Context {
        source: source.parse().unwrap(),
        transport: UDP,
        draw,
    }
}

/// The answer to a packet, decoded by hickory; it must be the answer to that packet.
pub fn ask(catalog: &Catalog, packet: &[u8], context: &Context) -> Message {
    let mut out = Vec::new();
    let outcome = respond(catalog, packet, context, &mut out);
    assert!(matches!(outcome, Outcome::Answered { .. }), "{outcome:?}");
    let message = Message::from_vec(&out).unwrap();
    assert_eq!(out[..2], packet[..2], "the id");
    assert_eq!(message.metadata.message_type, MessageType::Response);
    message
}

/// The records of an answer, one a line, behind the letter of their section.
pub fn records(message: &Message) -> Vec<String> {
    let sections = [
        ("=", &message.answers),
        ("!", &message.authorities),
        ("+", &message.additionals),
    ];
    let lines = sections.into_iter().flat_map(|(mark, records)| {
        records.iter().map(move |record| {
            format!(
                "{mark} {} {} {} {}",
                record.name,
                record.ttl,
                record.record_type(),
                record.data
            )
        })
    });
    lines.collect()
}

/// The records of the answer to a plain query, and its result.
pub fn look_up(text: &str, record_type: u16, draw: u64) -> (String, Vec<String>) {
    let message = ask(&catalog(), &query(text, record_type), &context("198.51.100.1", draw));
    (format!("{:?}", message.metadata.response_code), records(&message))
}
