//! The decision what to answer to a query: a pure function of the catalog, the query, the client and a draw.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::catalog::{Catalog, Node, PreparedEndpoint, PreparedName, PreparedZone};
use crate::choice::next_draw;
use crate::wire::{CLASS_IN, LowerName, Query, Rcode, RecordType};

/// How many CNAME records within the catalog are followed for one query.
const MAX_ALIASES: usize = 8;

/// What to answer.
#[derive(Debug)]
pub struct Answer<'c> {
    /// The result.
    pub rcode: Rcode,
    /// Whether it is said with authority.
    pub authoritative: bool,
    /// Prefix of the client's address for which the same answer would be given.
    pub scope: u8,
    /// CNAME records from the name of the question onwards, each with its time to live.
    pub(crate) aliases: Aliases<'c>,
    /// The zone of the last name.
    pub(crate) zone: Option<&'c PreparedZone>,
    /// The records at the last name.
    pub(crate) data: Data<'c>,
}

/// Chains of CNAME records, without allocation.
#[derive(Debug, Default)]
pub(crate) struct Aliases<'c> {
    chain: [Option<(&'c PreparedName, u32)>; MAX_ALIASES],
}

/// Records of one name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Data<'c> {
    /// None and no statement about it: an error, or a CNAME that leads out of the catalog.
    None,
    /// There are none of the type or the name does not exist; resolvers may keep this for a time in seconds.
    Negative { ttl: u32 },
    /// Addresses; the first to be written is at `begin` (modulo their number).
    Ipv4 {
        ttl: u32,
        addresses: &'c [Ipv4Addr],
        begin: usize,
    },
    /// The same for IPv6.
    Ipv6 {
        ttl: u32,
        addresses: &'c [Ipv6Addr],
        begin: usize,
    },
    /// The zone's name servers.
    NameServers,
    /// The zone's start of authority.
    Authority,
    /// The answer to ANY (RFC 8482 4.2).
    Minimal { ttl: u32 },
}

impl<'c> Aliases<'c> {
    /// Adds one; `false` if the chain is at its longest or in a circle.
    fn push(&mut self, target: &'c PreparedName, ttl: u32) -> bool {
        if self.iter().any(|(known, _)| std::ptr::eq(known, target)) {
            return false;
        }
        let free = self.chain.iter_mut().find(|place| place.is_none());
        free.map(|place| *place = Some((target, ttl))).is_some()
    }

    /// From the name of the question onwards.
    pub fn iter(&self) -> impl Iterator<Item = (&'c PreparedName, u32)> {
        self.chain.iter().map_while(|place| *place)
    }
}

impl Answer<'_> {
    fn error(rcode: Rcode) -> Self {
        Self {
            rcode,
            authoritative: false,
            scope: 0,
            aliases: Aliases::default(),
            zone: None,
            data: Data::None,
        }
    }

    /// Whether the answer holds records that were asked for.
    pub fn is_positive(&self) -> bool {
        self.rcode == Rcode::NoError && !matches!(self.data, Data::Negative { .. })
    }
}

/// Decides what to answer. `source` is the address that the query came from, `draw` is uniform over all of `u64`.
pub fn answer<'c>(catalog: &'c Catalog, query: &Query<'_>, source: IpAddr, draw: u64) -> Answer<'c> {
    if query.edns.is_some_and(|edns| edns.version != 0) {
        return Answer::error(Rcode::BadVers);
    }
    match query.record_type {
        RecordType::OPT | RecordType(0) => return Answer::error(Rcode::FormErr),
        RecordType::TKEY | RecordType::TSIG | RecordType::MAILA | RecordType::MAILB => {
            return Answer::error(Rcode::NotImp);
        }
        RecordType::IXFR | RecordType::AXFR => return Answer::error(Rcode::Refused),
        _ if query.class != CLASS_IN => return Answer::error(Rcode::Refused),
        _ => {}
    }
    let Some(zone) = catalog.zone_of(&query.name) else {
        return Answer::error(Rcode::Refused);
    };
    let subnet = query
        .edns
        .and_then(|edns| edns.client_subnet)
        .and_then(|subnet| subnet.network());
    let client = subnet.unwrap_or((source, u8::MAX));
    let mut answer = Answer {
        authoritative: true,
        ..Answer::error(Rcode::NoError)
    };
    follow(catalog, zone, query, client, draw, &mut answer);
    if subnet.is_none() {
        // The answer was not made for a network that the query names (RFC 7871 7.2.1).
        answer.scope = 0;
    }
    answer
}

/// Looks a name up and follows CNAME records as long as they lead to names of the catalog.
fn follow<'c>(
    catalog: &'c Catalog,
    mut zone: &'c PreparedZone,
    query: &Query<'_>,
    client: (IpAddr, u8),
    mut draw: u64,
    answer: &mut Answer<'c>,
) {
    let mut name = query.name;
    loop {
        answer.zone = Some(zone);
        let Some(node) = zone.node(&name) else {
            answer.rcode = Rcode::NxDomain;
            answer.data = Data::Negative { ttl: zone.negative_ttl };
            return;
        };
        if name.wire().len() == zone.origin.len() && apex(zone, node, query.record_type, answer) {
            return;
        }
        let chosen = node.choose(query.record_type, client, draw);
        answer.scope = answer.scope.max(chosen.scope);
        let target = match chosen.endpoint {
            Some(PreparedEndpoint::Name(target)) => target,
            endpoint => {
                answer.data = data_of(zone, node, endpoint, query.record_type, draw);
                return;
            }
        };
        // A chain that is too long ends with its last record; a resolver that follows it finds out the rest.
        if !answer.aliases.push(target, node.ttl) || query.record_type == RecordType::CNAME {
            answer.data = Data::None;
            return;
        }
        let next = LowerName::read(&target.wire).and_then(|name| Some((name, catalog.zone_of(&name)?)));
        let Some((next_name, next_zone)) = next else {
            answer.data = Data::None;
            return;
        };
        (name, zone, draw) = (next_name, next_zone, next_draw(draw));
    }
}

/// The records that a zone's origin has beside addresses; `false` if others are asked for.
fn apex<'c>(zone: &'c PreparedZone, node: &'c Node, record_type: RecordType, answer: &mut Answer<'c>) -> bool {
    answer.data = match record_type {
        RecordType::SOA => Data::Authority,
        RecordType::NS => Data::NameServers,
        RecordType::ANY => Data::Minimal { ttl: zone.default_ttl },
        _ if node.endpoints.is_empty() => Data::Negative { ttl: zone.negative_ttl },
        _ => return false,
    };
    true
}

/// The records of an endpoint with addresses, or what is said where there is none.
fn data_of<'c>(
    zone: &PreparedZone,
    node: &Node,
    endpoint: Option<&'c PreparedEndpoint>,
    record_type: RecordType,
    draw: u64,
) -> Data<'c> {
    // The low bits: the choice of the endpoint depends on the high ones.
    let begin = draw as u32 as usize;
    let ttl = node.ttl;
    match (record_type, endpoint) {
        (RecordType::A, Some(PreparedEndpoint::Addresses { ipv4: addresses, .. })) => {
            Data::Ipv4 { ttl, addresses, begin }
        }
        (RecordType::AAAA, Some(PreparedEndpoint::Addresses { ipv6: addresses, .. })) => {
            Data::Ipv6 { ttl, addresses, begin }
        }
        (RecordType::ANY, Some(_)) => Data::Minimal { ttl },
        _ => Data::Negative {
            ttl: zone.negative_ttl.min(ttl),
        },
    }
}
