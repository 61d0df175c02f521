//! What a caller publishes: zones as plain data, and what makes one unfit to be served.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::rr::Name;

use crate::networks::NetworkTable;

/// One zone as it is to be served: an immutable snapshot.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The zone's name, fully qualified.
    pub origin: Name,
    /// Start of authority.
    pub soa: Soa,
    /// The zone's name servers; at least one.
    pub name_servers: Vec<NameServer>,
    /// Time to live of the zone's own records (SOA, NS, addresses of name servers), in seconds.
    pub default_ttl: u32,
    /// Entries by their name below the origin (`app` or `app.team`, not fully qualified). The root name stands for the
    /// origin itself.
    pub names: BTreeMap<Name, NameEntry>,
}

/// The fields of a zone's SOA record.
#[derive(Clone, Debug)]
pub struct Soa {
    /// Name of the primary server.
    pub primary: Name,
    /// Mailbox of who is responsible, as a name.
    pub mailbox: Name,
    /// Serial number of this snapshot.
    pub serial: u32,
    /// Seconds after which secondary servers look again.
    pub refresh: u32,
    /// Seconds after which they try again after a failure.
    pub retry: u32,
    /// Seconds after which they give the zone up.
    pub expire: u32,
    /// Upper bound of the time for which resolvers keep negative answers, in seconds (RFC 2308).
    pub negative_ttl: u32,
}

/// One of a zone's name servers.
#[derive(Clone, Debug)]
pub struct NameServer {
    /// Its name, fully qualified.
    pub name: Name,
    /// Its addresses. Required when the name lies within the zone and has no entry of its own.
    pub addresses: Vec<IpAddr>,
}

/// What is known of one name.
#[derive(Clone, Debug)]
pub struct NameEntry {
    /// Time to live of its answers, in seconds. Negative answers about it are kept no longer either.
    pub ttl: u32,
    /// How an endpoint is chosen.
    pub routing: Routing,
    /// The endpoints to choose from; their order means nothing.
    pub endpoints: Vec<Endpoint>,
}

/// How the endpoint that is answered is chosen. An endpoint of weight 0 is never chosen, except by `All`.
#[derive(Clone, Debug)]
pub enum Routing {
    /// By a draw, proportional to the weights.
    Weighted,
    /// The endpoint with the lowest `priority`; equal ones by weight.
    Priority,
    /// By weight among the endpoints whose location is best for the client's network. Where none of its locations has
    /// an endpoint, or the network is not in the table, by weight among all.
    Performance(Arc<NetworkTable>),
    /// All addresses at once: a plain set of records.
    All,
}

/// One place where a name leads to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Identity within the name. It makes the choice independent of the order of endpoints.
    pub id: String,
    /// What is answered.
    pub target: Target,
    /// Share of the answers, relative to the other endpoints.
    pub weight: u32,
    /// Rank for [`Routing::Priority`], lowest first.
    pub priority: u32,
    /// Location for [`Routing::Performance`].
    pub location: Option<String>,
}

/// What is answered for an endpoint.
#[derive(Clone, Debug)]
pub enum Target {
    /// A CNAME record.
    Name(Name),
    /// A and AAAA records.
    Addresses(Vec<IpAddr>),
}

/// Why a zone cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Two zones of one catalog have the same origin.
    #[error("The zone {0} is published twice; publish each zone once.")]
    PublishedTwice(Name),
    /// A zone without name servers cannot be delegated to.
    #[error("The zone {0} has no name server; give it at least one.")]
    NoNameServer(Name),
    /// A name server within the zone that nothing leads to.
    #[error("The name server {0} lies within its zone and has no address; give it one.")]
    NameServerWithoutAddress(Name),
    /// A name server's addresses and an entry say different things about one name.
    #[error("The name server {0} has addresses and an entry of its own; give it one of them.")]
    NameServerWithEntry(Name),
    /// A key of [`Zone::names`] is fully qualified.
    #[error("The name {0} is fully qualified; give the name below the origin.")]
    NotRelative(Name),
    /// The name is longer than 255 octets with its origin.
    #[error("The name {0} is too long below its zone's origin; names have at most 255 octets.")]
    TooLong(Name),
    /// Wildcards are not served.
    #[error("The name {0} has a wildcard label; wildcards are not served, give every name an entry.")]
    Wildcard(Name),
    /// Two keys differ in case alone.
    #[error("The name {0} is given twice in different case; give each name once.")]
    NameTwice(Name),
    /// A CNAME at the origin would hide SOA and NS.
    #[error("The origin {0} has an endpoint with a name as target; the origin of a zone can have addresses only.")]
    AliasAtOrigin(Name),
    /// A plain set of records holds one CNAME or addresses.
    #[error("The name {0} answers with all of its endpoints and one of several has a name as target; use addresses.")]
    AliasAmongAll(Name),
    /// Two endpoints of one name have the same id.
    #[error("The name {0} has two endpoints with the id {1:?}; ids are unique within a name.")]
    EndpointTwice(Name, String),
    /// Times to live have 31 bits (RFC 2181).
    #[error("The name {0} has a time to live of {1} s; the longest is 2147483647 s.")]
    TtlTooLong(Name, u32),
}

impl Zone {
    /// Everything that keeps the zone from being served; empty when it is fit.
    pub fn problems(&self) -> Vec<ZoneError> {
        let mut problems = Vec::new();
        if self.name_servers.is_empty() {
            problems.push(ZoneError::NoNameServer(self.origin.clone()));
        }
        for ttl in [self.default_ttl, self.soa.negative_ttl] {
            problems.extend(check_ttl(&self.origin, ttl).err());
        }
        let mut seen = BTreeSet::new();
        for (name, entry) in &self.names {
            problems.extend(self.check(name, entry).err());
            if self.full_name(name).is_ok_and(|full| !seen.insert(full.to_lowercase())) {
                problems.push(ZoneError::NameTwice(name.clone()));
            }
        }
        for server in self
            .name_servers
            .iter()
            .filter(|server| self.origin.zone_of(&server.name))
        {
            match (seen.contains(&server.name.to_lowercase()), server.addresses.is_empty()) {
                (false, true) => problems.push(ZoneError::NameServerWithoutAddress(server.name.clone())),
                (true, false) => problems.push(ZoneError::NameServerWithEntry(server.name.clone())),
                _ => {}
            }
        }
        problems
    }

    /// Whether an entry can be served under a name below the origin. A publisher uses it to leave out the entry that
    /// is wrong instead of the zone.
    pub fn check(&self, name: &Name, entry: &NameEntry) -> Result<(), ZoneError> {
        self.full_name(name)?;
        check_ttl(name, entry.ttl)?;
        if name.iter().any(|label| label == b"*") {
            return Err(ZoneError::Wildcard(name.clone()));
        }
        let alias = |endpoint: &Endpoint| matches!(endpoint.target, Target::Name(_));
        let aliases = entry.endpoints.iter().any(alias);
        if aliases && name.num_labels() == 0 {
            return Err(ZoneError::AliasAtOrigin(self.origin.clone()));
        }
        if aliases && matches!(entry.routing, Routing::All) && entry.endpoints.len() > 1 {
            return Err(ZoneError::AliasAmongAll(name.clone()));
        }
        let mut ids = BTreeSet::new();
        match entry.endpoints.iter().find(|endpoint| !ids.insert(&endpoint.id)) {
            Some(twice) => Err(ZoneError::EndpointTwice(name.clone(), twice.id.clone())),
            None => Ok(()),
        }
    }

    /// The fully qualified name of a name below the origin.
    pub(crate) fn full_name(&self, name: &Name) -> Result<Name, ZoneError> {
        if name.num_labels() == 0 {
            return Ok(self.origin.clone());
        }
        if name.is_fqdn() {
            return Err(ZoneError::NotRelative(name.clone()));
        }
        let too_long = |_| ZoneError::TooLong(name.clone());
        name.clone().append_domain(&self.origin).map_err(too_long)
    }
}

fn check_ttl(name: &Name, ttl: u32) -> Result<(), ZoneError> {
    match ttl > i32::MAX as u32 {
        true => Err(ZoneError::TtlTooLong(name.clone(), ttl)),
        false => Ok(()),
    }
}
