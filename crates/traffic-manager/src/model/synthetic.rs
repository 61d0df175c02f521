//! Addresses without Azure: the ARM id in which a member reports the ingress of a load balancer of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ResourceId;

/// The subscription of such ids. Azure has none of that name.
const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";

/// What a synthetic id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyntheticAddress {
    /// An address, from `ip-203-0-113-7` or `ip-2001-0db8-...` (eight groups of four).
    Ip(IpAddr),
    /// A host name, from `host-<name>`, in lower case.
    Host(String),
}

impl SyntheticAddress {
    /// What an id stands for; `None` for the id of a stored public IP address.
    pub fn parse(id: &ResourceId) -> Option<Self> {
        if id.subscription != SUBSCRIPTION {
            return None;
        }
        let name = id.name.to_ascii_lowercase();
        if let Some(host) = name.strip_prefix("host-") {
            return (!host.is_empty()).then(|| Self::Host(host.to_owned()));
        }
        let groups: Vec<&str> = name.strip_prefix("ip-")?.split('-').collect();
        let ip = match groups.len() {
            4 => groups.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            8 if groups.iter().all(|group| group.len() == 4) => {
                groups.join(":").parse::<Ipv6Addr>().ok().map(IpAddr::V6)
            }
            _ => None,
        };
        ip.map(Self::Ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(subscription: &str, name: &str) -> Option<SyntheticAddress> {
        SyntheticAddress::parse(&ResourceId {
            subscription: subscription.to_owned(),
            group: "member-1".to_owned(),
            name: name.to_owned(),
        })
    }

    #[test]
    fn addresses_and_hosts_are_read() {
        let ip = |text: &str| Some(SyntheticAddress::Ip(text.parse().unwrap()));
        for (name, wanted) in [
            ("ip-203-0-113-7", ip("203.0.113.7")),
            ("IP-203-0-113-7", ip("203.0.113.7")),
            ("ip-2001-0db8-0000-0000-0000-0000-0000-0001", ip("2001:db8::1")),
            (
                "host-lb-1.Example.com",
                Some(SyntheticAddress::Host("lb-1.example.com".to_owned())),
            ),
            ("host-", None),
            ("ip-203-0-113", None),
            ("ip-203-0-113-256", None),
            ("ip-2001-db8-0000-0000-0000-0000-0000-0001", None),
            ("mine", None),
        ] {
            assert_eq!(parse(SUBSCRIPTION, name), wanted, "{name}");
        }
        assert_eq!(parse("9d2a", "ip-203-0-113-7"), None);
    }
}
