//! Zones prepared for answering, and the place where the latest ones are found.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use hickory_proto::rr::Name;

use crate::choice::Choice;
use crate::networks::NetworkTable;
use crate::wire::{LowerName, RecordType};
use crate::zone::{Endpoint, NameEntry, Routing, Target, Zone, ZoneError};

/// The catalog that is served. Publishing swaps it as a whole: queries see the old one or the new one, and neither
/// waits for the other.
#[derive(Debug, Default)]
pub struct Zones {
    current: ArcSwap<Catalog>,
}

impl Zones {
    /// A place that holds a catalog from the start.
    pub fn new(catalog: Catalog) -> Self {
        Self {
            current: ArcSwap::from_pointee(catalog),
        }
    }

    /// Replaces what is served.
    pub fn publish(&self, catalog: Catalog) {
        self.current.store(Arc::new(catalog));
    }

    /// What is served now.
    pub fn current(&self) -> Guard<Arc<Catalog>> {
        self.current.load()
    }
}

/// Zones prepared for answering. An empty catalog refuses every query.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Longer origins first, so that the first that matches is the right one.
    zones: Vec<PreparedZone>,
}

/// Everything that keeps zones from being served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The zones cannot be served: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))]
pub struct CatalogError(pub Vec<ZoneError>);

impl Catalog {
    /// Prepares zones; the error names every problem of every zone.
    pub fn new(zones: &[Zone]) -> Result<Self, CatalogError> {
        let mut problems: Vec<ZoneError> = zones.iter().flat_map(Zone::problems).collect();
        let mut origins: Vec<Name> = zones.iter().map(|zone| zone.origin.to_lowercase()).collect();
        origins.sort();
        problems.extend(
            origins
                .windows(2)
                .filter(|pair| pair[0] == pair[1])
                .map(|pair| ZoneError::PublishedTwice(pair[0].clone())),
        );
        if !problems.is_empty() {
            return Err(CatalogError(problems));
        }
        let prepared: Result<Vec<_>, _> = zones.iter().map(PreparedZone::new).collect();
        let mut zones = prepared.map_err(|problem| CatalogError(vec![problem]))?;
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.origin.len()));
        Ok(Self { zones })
    }

    /// The zone with the longest origin that a name lies in.
    pub(crate) fn zone_of(&self, name: &LowerName) -> Option<&PreparedZone> {
        let wire = name.wire();
        self.zones
            .iter()
            .find(|zone| wire.ends_with(&zone.origin_lower) && name.begins_at(wire.len() - zone.origin_lower.len()))
    }
}

/// One zone prepared for answering.
#[derive(Debug)]
pub(crate) struct PreparedZone {
    /// Wire format, case as published.
    pub origin: Box<[u8]>,
    origin_lower: Box<[u8]>,
    pub default_ttl: u32,
    pub negative_ttl: u32,
    pub primary: PreparedName,
    pub mailbox: PreparedName,
    /// Serial, refresh, retry, expire and negative TTL as the SOA record has them.
    pub soa_numbers: [u8; 20],
    pub name_servers: Vec<PreparedServer>,
    /// Nodes by the part of their name that is before the origin, in lower case and wire format.
    nodes: HashMap<Box<[u8]>, Node>,
}

/// A name of a zone.
#[derive(Debug)]
pub(crate) struct Node {
    /// Bounds the time for which negative answers are kept as well.
    pub ttl: u32,
    pub endpoints: Vec<PreparedEndpoint>,
    routes: Routes,
}

/// A name server and its addresses, if it lies within the zone.
#[derive(Debug)]
pub(crate) struct PreparedServer {
    pub name: PreparedName,
    pub addresses: Vec<IpAddr>,
}

/// What an endpoint is answered with.
#[derive(Debug)]
pub(crate) enum PreparedEndpoint {
    Name(PreparedName),
    Addresses { ipv4: Vec<Ipv4Addr>, ipv6: Vec<Ipv6Addr> },
}

/// A name in wire format.
#[derive(Debug)]
pub(crate) struct PreparedName {
    pub wire: Box<[u8]>,
    /// Octets before the zone's origin, if it lies within the zone.
    pub below_origin: Option<usize>,
}

/// What to choose from.
#[derive(Debug)]
enum Routes {
    Same(Choices),
    ByNetwork {
        table: Arc<NetworkTable>,
        by_location: BTreeMap<String, Choices>,
        all: Choices,
    },
}

/// A choice per kind of question: endpoints that cannot answer it take no part.
#[derive(Debug, Default)]
struct Choices {
    ipv4: Choice,
    ipv6: Choice,
    other: Choice,
}

/// What was chosen for a client.
pub(crate) struct Chosen<'z> {
    pub endpoint: Option<&'z PreparedEndpoint>,
    /// Prefix of the client's address for which the same would have been chosen.
    pub scope: u8,
}

impl PreparedZone {
    fn new(zone: &Zone) -> Result<Self, ZoneError> {
        let origin = wire(&zone.origin);
        let mut numbers = [0; 20];
        let soa = &zone.soa;
        let values = [soa.serial, soa.refresh, soa.retry, soa.expire, soa.negative_ttl];
        for (place, value) in numbers.chunks_exact_mut(4).zip(values) {
            place.copy_from_slice(&value.to_be_bytes());
        }
        let mut prepared = Self {
            origin_lower: origin.to_ascii_lowercase().into(),
            default_ttl: zone.default_ttl,
            negative_ttl: zone.soa.negative_ttl.min(zone.default_ttl),
            primary: PreparedName::new(&soa.primary, &zone.origin),
            mailbox: PreparedName::new(&soa.mailbox, &zone.origin),
            soa_numbers: numbers,
            name_servers: Vec::new(),
            nodes: HashMap::new(),
            origin,
        };
        prepared.add(&zone.origin, Node::empty());
        for (name, entry) in &zone.names {
            prepared.add(&zone.full_name(name)?, Node::new(entry, &zone.origin));
        }
        for server in &zone.name_servers {
            let inside = zone.origin.zone_of(&server.name);
            if inside && !server.addresses.is_empty() {
                prepared.add(&server.name, Node::plain(zone.default_ttl, &server.addresses));
            }
            prepared.name_servers.push(PreparedServer {
                name: PreparedName::new(&server.name, &zone.origin),
                addresses: if inside { server.addresses.clone() } else { Vec::new() },
            });
        }
        Ok(prepared)
    }

    /// Adds a node, and the empty ones between it and the origin (RFC 8020).
    fn add(&mut self, name: &Name, node: Node) {
        let lower = wire(name).to_ascii_lowercase();
        let before = lower.len().saturating_sub(self.origin.len());
        let key = lower.get(..before).unwrap_or_default();
        let mut parent = key;
        while let Some((length, rest)) = parent.split_first() {
            parent = rest.get(usize::from(*length)..).unwrap_or_default();
            self.nodes.entry(parent.into()).or_insert_with(Node::empty);
        }
        self.nodes.insert(key.into(), node);
    }

    /// The node of a name that lies within the zone; `None` if the name does not exist.
    pub fn node(&self, name: &LowerName) -> Option<&Node> {
        let before = name.wire().len().checked_sub(self.origin.len())?;
        self.nodes.get(name.wire().get(..before)?)
    }
}

impl Node {
    fn new(entry: &NameEntry, origin: &Name) -> Self {
        if matches!(entry.routing, Routing::All)
            && entry
                .endpoints
                .iter()
                .all(|endpoint| matches!(endpoint.target, Target::Addresses(_)))
        {
            let addresses = entry.endpoints.iter().flat_map(|endpoint| match &endpoint.target {
                Target::Addresses(addresses) => addresses.as_slice(),
                Target::Name(_) => &[],
            });
            return Self::plain(entry.ttl, addresses);
        }
        // The order of ids makes equal draws choose equal endpoints, whoever published them and in which order.
        let mut sorted: Vec<&Endpoint> = entry.endpoints.iter().collect();
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        let endpoints: Vec<_> = sorted
            .iter()
            .map(|endpoint| PreparedEndpoint::new(&endpoint.target, origin))
            .collect();
        let choices = |among: &dyn Fn(&Endpoint) -> bool| {
            let all = || {
                sorted
                    .iter()
                    .copied()
                    .zip(&endpoints)
                    .enumerate()
                    .filter(|(_, (endpoint, _))| among(endpoint))
            };
            let able = |able: fn(&PreparedEndpoint) -> bool| {
                let able = all().filter(|(_, (endpoint, prepared))| endpoint.weight > 0 && able(prepared));
                let able: Vec<_> = able.map(|(index, (endpoint, _))| (index, endpoint)).collect();
                let best = able.iter().map(|(_, endpoint)| rank(&entry.routing, endpoint)).min();
                let ranked = able
                    .into_iter()
                    .filter(|(_, endpoint)| Some(rank(&entry.routing, endpoint)) == best);
                Choice::new(ranked.map(|(index, endpoint)| (index, endpoint.weight)))
            };
            Choices {
                ipv4: able(PreparedEndpoint::answers_ipv4),
                ipv6: able(PreparedEndpoint::answers_ipv6),
                other: able(|_| true),
            }
        };
        let routes = match &entry.routing {
            Routing::All => Routes::Same(Choices::only(0)),
            Routing::Weighted | Routing::Priority => Routes::Same(choices(&|_| true)),
            Routing::Performance(table) => {
                let locations = entry.endpoints.iter().filter_map(|endpoint| endpoint.location.clone());
                let at = |location: String| {
                    let chosen = choices(&|endpoint| endpoint.location.as_ref() == Some(&location));
                    (location, chosen)
                };
                Routes::ByNetwork {
                    table: table.clone(),
                    by_location: locations.map(at).collect(),
                    all: choices(&|_| true),
                }
            }
        };
        Self {
            ttl: entry.ttl,
            endpoints,
            routes,
        }
    }

    /// A name that exists for the sake of others.
    fn empty() -> Self {
        Self {
            ttl: u32::MAX,
            endpoints: Vec::new(),
            routes: Routes::Same(Choices::default()),
        }
    }

    /// A plain set of addresses, each of them once.
    fn plain<'a>(ttl: u32, addresses: impl IntoIterator<Item = &'a IpAddr>) -> Self {
        let mut addresses: Vec<IpAddr> = addresses.into_iter().copied().collect();
        addresses.sort();
        addresses.dedup();
        let endpoint = PreparedEndpoint::of_addresses(&addresses);
        Self {
            ttl,
            routes: Routes::Same(Choices {
                ipv4: Choice::new(endpoint.answers_ipv4().then_some((0, 1))),
                ipv6: Choice::new(endpoint.answers_ipv6().then_some((0, 1))),
                other: Choice::new(Some((0, 1))),
            }),
            endpoints: vec![endpoint],
        }
    }

    /// Chooses the endpoint for a question: by a draw and, where it matters, by the client's network.
    pub fn choose(&self, record_type: RecordType, client: (IpAddr, u8), draw: u64) -> Chosen<'_> {
        let (index, scope) = match &self.routes {
            Routes::Same(choices) => (choices.of(record_type).pick(draw), 0),
            Routes::ByNetwork {
                table,
                by_location,
                all,
            } => {
                let found = table.lookup(client.0, client.1);
                let local = found.locations.iter().filter_map(|location| by_location.get(location));
                let local = local
                    .map(|choices| choices.of(record_type))
                    .find(|choice| !choice.is_empty());
                (local.unwrap_or(all.of(record_type)).pick(draw), found.scope)
            }
        };
        Chosen {
            endpoint: index.and_then(|index| self.endpoints.get(index)),
            scope,
        }
    }
}

/// Endpoints of the lowest rank alone are chosen.
fn rank(routing: &Routing, endpoint: &Endpoint) -> u32 {
    match routing {
        Routing::Priority => endpoint.priority,
        _ => 0,
    }
}

impl Choices {
    fn only(index: usize) -> Self {
        let choice = || Choice::new([(index, 1)]);
        Self {
            ipv4: choice(),
            ipv6: choice(),
            other: choice(),
        }
    }

    fn of(&self, record_type: RecordType) -> &Choice {
        match record_type {
            RecordType::A => &self.ipv4,
            RecordType::AAAA => &self.ipv6,
            _ => &self.other,
        }
    }
}

impl PreparedEndpoint {
    fn new(target: &Target, origin: &Name) -> Self {
        match target {
            Target::Name(name) => Self::Name(PreparedName::new(name, origin)),
            Target::Addresses(addresses) => Self::of_addresses(addresses),
        }
    }

    fn of_addresses(addresses: &[IpAddr]) -> Self {
        let mut ipv4 = Vec::new();
        let mut ipv6 = Vec::new();
        for address in addresses {
            match address {
                IpAddr::V4(address) => ipv4.push(*address),
                IpAddr::V6(address) => ipv6.push(*address),
            }
        }
        Self::Addresses { ipv4, ipv6 }
    }

    fn answers_ipv4(&self) -> bool {
        matches!(self, Self::Addresses { ipv4, .. } if !ipv4.is_empty()) || matches!(self, Self::Name(_))
    }

    fn answers_ipv6(&self) -> bool {
        matches!(self, Self::Addresses { ipv6, .. } if !ipv6.is_empty()) || matches!(self, Self::Name(_))
    }
}

impl PreparedName {
    fn new(name: &Name, origin: &Name) -> Self {
        let wire = wire(name);
        let inside = origin.zone_of(name);
        Self {
            below_origin: inside.then(|| wire.len().saturating_sub(self::wire(origin).len())),
            wire,
        }
    }
}

/// A name in wire format; whether it is marked as fully qualified does not matter.
fn wire(name: &Name) -> Box<[u8]> {
    let mut wire = Vec::with_capacity(name.len() + 1);
    for label in name.iter() {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire.into()
}
