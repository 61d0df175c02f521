//! From the state to the zone that the DNS server answers from. Pure: equal states give equal zones, at every instance.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::Arc;

use dns::{Endpoint, Name, NameEntry, NameServer, NetworkTable, Routing, Soa, Target, Zone};

use crate::health::{EndpointStatus, statuses};
use crate::model::{self, Profile, PublicAddress};
use crate::state::{Destination, State};

/// Time to live of the names that labels of public IP addresses make, in seconds.
const LABEL_TTL: u32 = 60;

/// What the operator has settled about the zone.
#[derive(Debug, Clone)]
pub struct ZoneSettings {
    /// The zone's name.
    pub origin: Name,
    /// Its name servers; at least one.
    pub name_servers: Vec<NameServer>,
    /// Mailbox of who is responsible, as a name.
    pub mailbox: Name,
    /// Time to live of the zone's own records, in seconds.
    pub own_ttl: u32,
    /// Upper bound of the time for which resolvers keep negative answers, in seconds.
    pub negative_ttl: u32,
    /// Networks of clients, for performance routing.
    pub networks: Arc<NetworkTable>,
}

impl ZoneSettings {
    /// Labels right below the origin under which name servers lie; profiles cannot have them.
    pub fn reserved(&self) -> impl Iterator<Item = String> {
        let depth = self.origin.num_labels();
        let within = self.name_servers.iter().map(|server| &server.name);
        within
            .filter(move |name| self.origin.zone_of(name) && name.num_labels() > depth)
            .filter_map(move |name| {
                let last = usize::from(name.num_labels() - depth - 1);
                let label = name.iter().nth(last)?;
                Some(String::from_utf8_lossy(label).to_ascii_lowercase())
            })
    }
}

/// The zone of a state. Entries that cannot be served are left out and named.
pub fn zone(state: &State, settings: &ZoneSettings) -> (Zone, Vec<String>) {
    let primary = settings
        .name_servers
        .first()
        .map_or(&settings.origin, |server| &server.name);
    let mut zone = Zone {
        origin: settings.origin.clone(),
        soa: Soa {
            primary: primary.clone(),
            mailbox: settings.mailbox.clone(),
            // No zone transfers are served, so nobody compares it; a constant is the same at every instance.
            serial: 1,
            refresh: 3600,
            retry: 600,
            expire: 86400,
            negative_ttl: settings.negative_ttl,
        },
        name_servers: settings.name_servers.clone(),
        default_ttl: settings.own_ttl,
        names: BTreeMap::new(),
    };
    let mut problems = Vec::new();
    let mut add = |name: &str, entry: NameEntry| {
        let checked = Name::from_str(name)
            .map_err(|err| err.to_string())
            .and_then(|name| zone.check(&name, &entry).map(|()| name).map_err(|err| err.to_string()));
        match checked {
            Ok(name) => {
                zone.names.insert(name, entry);
            }
            Err(problem) => problems.push(format!("The name {name} is not answered: {problem}")),
        }
    };
    for (_, profile) in state.profiles().filter(|(_, profile)| profile.enabled) {
        add(
            &profile.relative_name.to_ascii_lowercase(),
            entry(state, profile, settings),
        );
    }
    for (_, address) in state.addresses() {
        if let (Some(name), Some(ip)) = (address.relative_name(), address.ip) {
            add(&name, plain(ip));
        }
    }
    (zone, problems)
}

/// The entry of a profile: its healthy endpoints; when none is healthy, those that are degraded, as if they were healthy.
fn entry(state: &State, profile: &Profile, settings: &ZoneSettings) -> NameEntry {
    let all: Vec<_> = statuses(state, profile).collect();
    let any_serves = all.iter().any(|(.., status)| status.serves());
    let answered = all
        .into_iter()
        .filter(|(.., status)| status.serves() || (!any_serves && *status == EndpointStatus::Degraded));
    let endpoints = answered.filter_map(|(endpoint, destination, _)| {
        Some(Endpoint {
            id: format!("{}/{}", endpoint.kind.segment(), endpoint.name.to_ascii_lowercase()),
            target: target(destination)?,
            weight: endpoint.weight,
            priority: endpoint.priority,
            location: location(state, endpoint),
        })
    });
    NameEntry {
        ttl: profile.ttl,
        endpoints: endpoints.collect(),
        routing: match profile.routing {
            model::Routing::Weighted => Routing::Weighted,
            model::Routing::Priority => Routing::Priority,
            model::Routing::Performance => Routing::Performance(Arc::clone(&settings.networks)),
        },
    }
}

fn target(destination: Destination) -> Option<Target> {
    match destination {
        Destination::Address(ip) => Some(Target::Addresses(vec![ip])),
        Destination::Name(name) => {
            let mut name = Name::from_str(&name).ok()?;
            name.set_fqdn(true);
            Some(Target::Name(name))
        }
        Destination::Nowhere => None,
    }
}

/// Where an endpoint is: as it says itself, else where its public IP address is.
fn location(state: &State, endpoint: &model::Endpoint) -> Option<String> {
    let of_address = |address: &Arc<PublicAddress>| address.location.clone();
    let location = endpoint.location.clone().or_else(|| match &endpoint.target {
        model::Target::Resource { id } => state.address(&id.key()).map(of_address),
        model::Target::External { .. } => None,
    });
    location.map(|location| canonical(&location))
}

/// One spelling for each region: `West Europe` is `westeurope`.
pub fn canonical(location: &str) -> String {
    let compact: String = location.split_whitespace().collect();
    compact.to_ascii_lowercase()
}

/// A plain address record.
fn plain(ip: std::net::IpAddr) -> NameEntry {
    NameEntry {
        ttl: LABEL_TTL,
        routing: Routing::All,
        endpoints: vec![Endpoint {
            id: "address".to_owned(),
            target: Target::Addresses(vec![ip]),
            weight: 1,
            priority: 1,
            location: None,
        }],
    }
}
