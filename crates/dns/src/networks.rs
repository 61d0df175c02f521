//! The table of client networks for [`crate::Routing::Performance`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Client networks and the locations that are best for each, best first. The longest prefix decides.
#[derive(Clone, Debug, Default)]
pub struct NetworkTable {
    ipv4: Family,
    ipv6: Family,
}

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkTableError {
    /// One network is in the table twice.
    #[error("The network {0} is given twice; give each network once.")]
    NetworkTwice(IpNet),
}

/// What a table says about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match<'t> {
    /// Locations, best first; empty if no network of the table holds the client.
    pub locations: &'t [String],
    /// Length of the prefix of the client's address for which the same holds: no other entry lies within it.
    pub scope: u8,
}

/// The networks of one address family in the order of their first address, shorter prefixes first. Addresses are
/// aligned to the left: the first bit of an IPv4 address is the first of 128 as well.
#[derive(Clone, Debug, Default)]
struct Family {
    networks: Vec<Network>,
}

#[derive(Clone, Debug)]
struct Network {
    first: u128,
    prefix: u8,
    locations: Vec<String>,
    /// The network right around this one.
    parent: Option<usize>,
}

impl NetworkTable {
    /// A table of networks, each with its locations, best first. Bits beyond the prefix do not count.
    pub fn new(networks: impl IntoIterator<Item = (IpNet, Vec<String>)>) -> Result<Self, NetworkTableError> {
        let mut families = [BTreeMap::new(), BTreeMap::new()];
        for (network, locations) in networks {
            let network = network.trunc();
            let family = &mut families[usize::from(network.addr().is_ipv6())];
            let key = (aligned(network.addr()), network.prefix_len());
            if family.insert(key, locations).is_some() {
                return Err(NetworkTableError::NetworkTwice(network));
            }
        }
        let [ipv4, ipv6] = families.map(Family::new);
        Ok(Self { ipv4, ipv6 })
    }

    /// What is best for the clients of a network, of which `prefix` bits are known.
    pub(crate) fn lookup(&self, address: IpAddr, prefix: u8) -> Match<'_> {
        let (family, width) = match address {
            IpAddr::V4(_) => (&self.ipv4, 32),
            IpAddr::V6(_) => (&self.ipv6, 128),
        };
        family.lookup(aligned(address), prefix.min(width))
    }
}

impl Family {
    fn new(sorted: BTreeMap<(u128, u8), Vec<String>>) -> Self {
        let mut networks: Vec<Network> = Vec::with_capacity(sorted.len());
        for ((first, prefix), locations) in sorted {
            let mut parent = networks.len().checked_sub(1);
            while let Some(index) = parent
                && !networks[index].holds(first)
            {
                parent = networks[index].parent;
            }
            networks.push(Network {
                first,
                prefix,
                locations,
                parent,
            });
        }
        Self { networks }
    }

    fn lookup(&self, address: u128, known: u8) -> Match<'_> {
        let address = address & mask(known);
        let after = self.networks.partition_point(|network| network.first <= address);
        let mut at = after.checked_sub(1);
        while let Some(network) = at.and_then(|index| self.networks.get(index))
            && !(network.prefix <= known && network.holds(address))
        {
            at = network.parent;
        }
        let found = at.and_then(|index| self.networks.get(index));
        let own = found.map_or(0, |network| network.prefix);
        // Of all entries that do not hold the client, those next to it share the longest prefix with it.
        let before = after.checked_sub(1).and_then(|index| self.networks.get(index));
        let neighbours = [before, self.networks.get(after)];
        let apart = neighbours
            .into_iter()
            .flatten()
            .map(|network| network.apart_from(address, known));
        Match {
            locations: found.map_or(&[], |network| network.locations.as_slice()),
            scope: apart.fold(own, u8::max),
        }
    }
}

impl Network {
    fn holds(&self, address: u128) -> bool {
        (self.first ^ address) & mask(self.prefix) == 0
    }

    /// How many bits of an address show that it is not in this network: one more than they have in common. 0 if it is
    /// in the network; more than are known if the known bits do not decide.
    fn apart_from(&self, address: u128, known: u8) -> u8 {
        if self.holds(address) {
            return if self.prefix > known { self.prefix } else { 0 };
        }
        (self.first ^ address).leading_zeros() as u8 + 1
    }
}

fn mask(prefix: u8) -> u128 {
    match prefix {
        0 => 0,
        prefix => u128::MAX << (128 - u32::from(prefix.min(128))),
    }
}

fn aligned(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(networks: &[(&str, &str)]) -> NetworkTable {
        let networks = networks
            .iter()
            .map(|(network, location)| (network.parse().unwrap(), vec![location.to_string()]));
        NetworkTable::new(networks).unwrap()
    }

    fn look(table: &NetworkTable, address: &str, prefix: u8) -> (Option<String>, u8) {
        let found = table.lookup(address.parse().unwrap(), prefix);
        (found.locations.first().cloned(), found.scope)
    }

    #[test]
    fn the_longest_prefix_decides_and_the_scope_excludes_other_entries() {
        let table = table(&[
            ("10.0.0.0/8", "wide"),
            ("10.1.0.0/16", "narrow"),
            ("2001:db8::/32", "six"),
        ]);
        for (address, prefix, location, scope) in [
            ("10.1.2.3", 24, Some("narrow"), 16),
            ("10.1.2.3", 32, Some("narrow"), 16),
            // 10.0.0.0/16 differs from 10.1.0.0/16 in the last of 16 bits.
            ("10.0.2.3", 24, Some("wide"), 16),
            ("10.128.0.1", 24, Some("wide"), 9),
            // The known bits do not decide whether the narrow network is meant.
            ("10.1.0.0", 8, Some("wide"), 16),
            ("11.0.0.1", 24, None, 8),
            ("192.0.2.1", 24, None, 1),
            ("2001:db8:1::", 56, Some("six"), 32),
            ("2001:db9::", 56, None, 32),
        ] {
            let expected = (location.map(str::to_owned), scope);
            assert_eq!(look(&table, address, prefix), expected, "{address}/{prefix}");
        }
    }

    #[test]
    fn an_empty_table_holds_for_everybody() {
        assert_eq!(look(&table(&[]), "10.1.2.3", 24), (None, 0));
        assert_eq!(
            look(&table(&[("0.0.0.0/0", "all")]), "10.1.2.3", 24),
            (Some("all".into()), 0)
        );
        assert_eq!(look(&table(&[("0.0.0.0/0", "all")]), "::1", 56), (None, 0));
    }

    #[test]
    fn a_network_that_is_given_twice_is_refused() {
        let twice = ["10.1.0.0/16", "10.1.2.3/16"].map(|network| (network.parse().unwrap(), Vec::new()));
        let network = "10.1.0.0/16".parse().unwrap();
        assert_eq!(
            NetworkTable::new(twice).unwrap_err(),
            NetworkTableError::NetworkTwice(network)
        );
    }

    /// Addresses and prefixes within few bits, so that networks lie within each other.
    fn networks() -> impl Strategy<Value = BTreeMap<(u32, u8), usize>> {
        let network = (0u32..64, 0u8..=6).prop_map(|(bits, prefix)| {
            let bits = if prefix == 0 {
                0
            } else {
                bits >> (6 - prefix) << (6 - prefix)
            };
            (bits << 26, prefix)
        });
        prop::collection::btree_map(network, 0usize..1000, 0..12)
    }

    fn expected(networks: &BTreeMap<(u32, u8), usize>, address: u32, known: u8) -> Option<(u32, u8)> {
        let holds = |(first, prefix): &(u32, u8)| {
            *prefix <= known && (*prefix == 0 || first >> (32 - prefix) == address >> (32 - prefix))
        };
        networks.keys().copied().filter(holds).max_by_key(|(_, prefix)| *prefix)
    }

    proptest! {
        /// The match is that of a search through all networks, and every address that shares the scope with the client
        /// has the same match.
        #[test]
        fn matches_as_a_linear_search_and_scopes_are_true(
            networks in networks(), address in 0u32..256, known in 0u8..=8, other in 0u32..256,
        ) {
            let table = NetworkTable::new(networks.iter().map(|((first, prefix), location)| {
                let network = IpNet::new(IpAddr::V4((*first).into()), *prefix).unwrap();
                (network, vec![location.to_string()])
            })).unwrap();
            let mask = if known == 0 { 0 } else { u32::MAX << (32 - u32::from(known)) };
            let address = (address << 24) & mask;
            let found = table.lookup(IpAddr::V4(address.into()), known);
            let wanted = expected(&networks, address, known);
            prop_assert_eq!(found.locations.first().cloned(), wanted.map(|key| networks[&key].to_string()));
            prop_assert!(found.scope <= 32);
            if found.scope <= known {
                let scope = if found.scope == 0 { 0 } else { u32::MAX << (32 - u32::from(found.scope)) };
                let sibling = (address & scope) | ((other << 24) & !scope);
                let same = table.lookup(IpAddr::V4(sibling.into()), 32);
                prop_assert_eq!(same.locations, found.locations);
            }
        }
    }
}
