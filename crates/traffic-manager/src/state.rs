//! Everything that is known, as one immutable value, and the changes that lead from one to the next.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use api::networking::synthetic_address::{self, Ingress};

use crate::model::{Endpoint, Profile, PublicAddress, ResourceKey, Target};

/// All profiles and public IP addresses. Cloning it copies references only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    profiles: BTreeMap<ResourceKey, Arc<Profile>>,
    addresses: BTreeMap<ResourceKey, Arc<PublicAddress>>,
    /// Profiles by their relative name in lower case.
    names: BTreeMap<String, ResourceKey>,
}

/// One step from a state to the next, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A profile is as given.
    PutProfile(Arc<Profile>),
    /// A profile is gone.
    DeleteProfile(ResourceKey),
    /// A public IP address is as given.
    PutAddress(Arc<PublicAddress>),
    /// A public IP address is gone.
    DeleteAddress(ResourceKey),
}

/// Where an endpoint leads at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To this address.
    Address(IpAddr),
    /// To whatever addresses this name has; in lower case, without a dot at the end.
    Name(String),
    /// Nowhere: its resource does not exist or has no address.
    Nowhere,
}

impl State {
    /// Takes a change in.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::PutProfile(profile) => {
                let key = profile.id.key();
                self.forget_name(&key);
                self.names
                    .insert(profile.relative_name.to_ascii_lowercase(), key.clone());
                self.profiles.insert(key, profile);
            }
            Change::DeleteProfile(key) => {
                self.forget_name(&key);
                self.profiles.remove(&key);
            }
            Change::PutAddress(address) => {
                self.addresses.insert(address.id.key(), address);
            }
            Change::DeleteAddress(key) => {
                self.addresses.remove(&key);
            }
        }
    }

    fn forget_name(&mut self, key: &ResourceKey) {
        if let Some(before) = self.profiles.get(key) {
            self.names.remove(&before.relative_name.to_ascii_lowercase());
        }
    }

    /// A profile.
    pub fn profile(&self, key: &ResourceKey) -> Option<&Arc<Profile>> {
        self.profiles.get(key)
    }

    /// A public IP address.
    pub fn address(&self, key: &ResourceKey) -> Option<&Arc<PublicAddress>> {
        self.addresses.get(key)
    }

    /// All profiles in the order of their keys.
    pub fn profiles(&self) -> impl Iterator<Item = (&ResourceKey, &Arc<Profile>)> {
        self.profiles.iter()
    }

    /// All public IP addresses in the order of their keys.
    pub fn addresses(&self) -> impl Iterator<Item = (&ResourceKey, &Arc<PublicAddress>)> {
        self.addresses.iter()
    }

    /// The profile that has a relative name.
    pub fn owner_of(&self, relative_name: &str) -> Option<&ResourceKey> {
        self.names.get(&relative_name.to_ascii_lowercase())
    }

    /// Where an endpoint leads.
    pub fn destination(&self, endpoint: &Endpoint) -> Destination {
        match &endpoint.target {
            Target::External { target } => match target.parse() {
                Ok(ip) => Destination::Address(ip),
                Err(_) => Destination::Name(host(target)),
            },
            Target::Resource { id } => match synthetic_address::ingress(&id.subscription, &id.name) {
                Some(Ingress::Ip(ip)) => Destination::Address(ip),
                Some(Ingress::Host(name)) => Destination::Name(host(&name)),
                None => match self.addresses.get(&id.key()).map(|address| (address.ip, &address.fqdn)) {
                    Some((Some(ip), _)) => Destination::Address(ip),
                    Some((None, Some(name))) => Destination::Name(host(name)),
                    _ => Destination::Nowhere,
                },
            },
        }
    }

    /// The property `target` of an endpoint in answers: the name of its public IP address, else where it leads. `origin` is
    /// the zone of names that labels make.
    pub fn target_text(&self, endpoint: &Endpoint, origin: &str) -> Option<String> {
        if let Target::External { target } = &endpoint.target {
            return Some(target.clone());
        }
        if let Target::Resource { id } = &endpoint.target
            && let Some(name) = self
                .addresses
                .get(&id.key())
                .and_then(|address| address.full_name(origin))
        {
            return Some(name);
        }
        match self.destination(endpoint) {
            Destination::Address(ip) => Some(ip.to_string()),
            Destination::Name(name) => Some(name),
            Destination::Nowhere => None,
        }
    }
}

fn host(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
