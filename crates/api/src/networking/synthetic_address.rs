//! Resource ids for public addresses that no cloud manages (docs/decisions/0015).
//!
//! A member without a cloud config reports the ingress of a load balancer under such an id. It has the form of the id
//! of an Azure public IP address, so that it takes the way of those: records, planners and ARM bodies need to know
//! nothing of it. Fairway's own traffic manager resolves the id by itself; Azure would refuse it, which is right.
//!
//! ```text
//! /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/<cluster>/providers/Microsoft.Network/publicIPAddresses/<name>
//! ```
//!
//! The name is `ip-203-0-113-7`, `ip-2001-0db8-0000-0000-0000-0000-0000-0001` (eight groups of four) or
//! `host-<domain name>`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::names::dns_subdomain_errors;

/// The subscription that belongs to nobody.
const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";
const PROVIDER: &str = "Microsoft.Network";
const KIND: &str = "publicIPAddresses";

/// The public address of a load balancer, as its cluster's Service shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyntheticAddress {
    /// The member cluster, in lower case as all names of clusters.
    pub cluster: String,
    /// Where the load balancer is reached.
    pub ingress: Ingress,
}

/// Where a load balancer is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ingress {
    /// By an address.
    Ip(IpAddr),
    /// By a domain name in lower case, without a dot at its end.
    Host(String),
}

/// The resource id of an address.
pub fn format(address: &SyntheticAddress) -> String {
    let name = match &address.ingress {
        Ingress::Ip(IpAddr::V4(ip)) => format!("ip-{}", ip.to_string().replace('.', "-")),
        Ingress::Ip(IpAddr::V6(ip)) => {
            let groups = ip.segments().map(|group| format!("{group:04x}"));
            format!("ip-{}", groups.join("-"))
        }
        Ingress::Host(host) => format!("host-{host}"),
    };
    let cluster = &address.cluster;
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{cluster}/providers/{PROVIDER}/{KIND}/{name}")
}

/// Reads an id that [`format()`] has made, in upper or lower case: ids of Azure know no case. `None` for every other id.
pub fn parse(id: &str) -> Option<SyntheticAddress> {
    let id = id.to_ascii_lowercase();
    let mut parts = id.strip_prefix('/')?.split('/');
    let mut fixed = |word: &str| parts.next().is_some_and(|part| word.eq_ignore_ascii_case(part));
    if !(fixed("subscriptions") && fixed(SUBSCRIPTION) && fixed("resourceGroups")) {
        return None;
    }
    let cluster = parts.next()?;
    let mut fixed = |word: &str| parts.next().is_some_and(|part| word.eq_ignore_ascii_case(part));
    if !(fixed("providers") && fixed(PROVIDER) && fixed(KIND)) {
        return None;
    }
    let ingress = match ingress(SUBSCRIPTION, parts.next()?)? {
        Ingress::Host(host) => Ingress::host(&host)?,
        ip => ip,
    };
    if parts.next().is_some() || !dns_subdomain_errors(cluster).is_empty() {
        return None;
    }
    Some(SyntheticAddress {
        cluster: cluster.to_owned(),
        ingress,
    })
}

/// What the name of a resource stands for in the subscription of such ids, in upper or lower case; `None` in every other
/// subscription. Whether a host name is one is up to the caller.
pub fn ingress(subscription: &str, name: &str) -> Option<Ingress> {
    if subscription != SUBSCRIPTION {
        return None;
    }
    let name = name.to_ascii_lowercase();
    if let Some(host) = name.strip_prefix("host-") {
        return (!host.is_empty()).then(|| Ingress::Host(host.to_owned()));
    }
    let groups: Vec<&str> = name.strip_prefix("ip-")?.split('-').collect();
    let ip = match groups.len() {
        4 => groups.join(".").parse::<Ipv4Addr>().ok()?.into(),
        8 if groups.iter().all(|group| group.len() == 4) => groups.join(":").parse::<Ipv6Addr>().ok()?.into(),
        _ => return None,
    };
    Some(Ingress::Ip(ip))
}

impl Ingress {
    /// The ingress of a load balancer that shows a domain name. `None` for what is no domain name.
    pub fn host(name: &str) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        dns_subdomain_errors(&name).is_empty().then_some(Self::Host(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/";
    const BETWEEN: &str = "/providers/Microsoft.Network/publicIPAddresses/";

    fn address(cluster: &str, ingress: Ingress) -> SyntheticAddress {
        SyntheticAddress {
            cluster: cluster.to_owned(),
            ingress,
        }
    }

    #[test]
    fn forms_of_the_name() {
        let table = [
            (Ingress::Ip("203.0.113.7".parse().unwrap()), "ip-203-0-113-7"),
            (
                Ingress::Ip("2001:db8::1".parse().unwrap()),
                "ip-2001-0db8-0000-0000-0000-0000-0000-0001",
            ),
            (Ingress::host("Lb-1.Example.com.").unwrap(), "host-lb-1.example.com"),
        ];
        for (ingress, name) in table {
            let id = format!("{BEFORE}member-1{BETWEEN}{name}");
            let address = address("member-1", ingress);
            assert_eq!(format(&address), id);
            assert_eq!(parse(&id), Some(address));
        }
    }

    #[test]
    fn other_ids_are_not_read() {
        let good = format!("{BEFORE}m{BETWEEN}ip-1-2-3-4");
        assert!(parse(&good).is_some() && parse(&good.to_uppercase()) == parse(&good));
        let bad = [
            String::new(),
            good[1..].to_owned(),
            format!("{good}/"),
            format!("{good}/x"),
            good.replace("00000000-", "00000001-"),
            good.replace("publicIPAddresses", "loadBalancers"),
            good.replace("providers", "provider"),
            format!("{BEFORE}{BETWEEN}ip-1-2-3-4"),
            format!("{BEFORE}a_b{BETWEEN}ip-1-2-3-4"),
            format!("{BEFORE}m{BETWEEN}web"),
            format!("{BEFORE}m{BETWEEN}ip-1-2-3"),
            format!("{BEFORE}m{BETWEEN}ip-1-2-3-400"),
            format!("{BEFORE}m{BETWEEN}ip-1-2-3-4-5-6-7-8"),
            format!("{BEFORE}m{BETWEEN}host-"),
            format!("{BEFORE}m{BETWEEN}host--x"),
        ];
        for id in bad {
            assert_eq!(parse(&id), None, "{id}");
        }
        for host in ["", ".", "a..b", "-a", "a_b"] {
            assert_eq!(Ingress::host(host), None, "{host}");
        }
    }

    #[test]
    fn names_are_read_in_their_subscription() {
        let ip = |text: &str| Some(Ingress::Ip(text.parse().unwrap()));
        for (name, wanted) in [
            ("ip-203-0-113-7", ip("203.0.113.7")),
            ("IP-203-0-113-7", ip("203.0.113.7")),
            ("ip-2001-0db8-0000-0000-0000-0000-0000-0001", ip("2001:db8::1")),
            (
                "host-lb-1.Example.com",
                Some(Ingress::Host("lb-1.example.com".to_owned())),
            ),
            ("host-", None),
            ("ip-203-0-113", None),
            ("ip-203-0-113-256", None),
            ("ip-2001-db8-0000-0000-0000-0000-0000-0001", None),
            ("mine", None),
        ] {
            assert_eq!(ingress(SUBSCRIPTION, name), wanted, "{name}");
        }
        assert_eq!(ingress("9d2a", "ip-203-0-113-7"), None);
    }

    fn any_ingress() -> impl Strategy<Value = Ingress> {
        let label = "[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?";
        prop_oneof![
            any::<u32>().prop_map(|ip| Ingress::Ip(IpAddr::V4(ip.into()))),
            any::<u128>().prop_map(|ip| Ingress::Ip(IpAddr::V6(ip.into()))),
            proptest::collection::vec(label, 1..4).prop_map(|labels| Ingress::Host(labels.join("."))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_read_in_any_case(cluster in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", ingress in any_ingress()) {
            let address = address(&cluster, ingress);
            let id = format(&address);
            prop_assert_eq!(id.split('/').count(), 9);
            for id in [id.to_uppercase(), id.to_lowercase(), id] {
                prop_assert_eq!(parse(&id), Some(address.clone()));
            }
        }

        #[test]
        fn different_addresses_have_different_ids(a in any_ingress(), b in any_ingress()) {
            let ids = [format(&address("m", a.clone())), format(&address("m", b.clone()))];
            prop_assert_eq!(ids[0] == ids[1], a == b);
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "(host|ip)-[0-9a-f.-]{0,45}") {
            let id = format!("{BEFORE}m{BETWEEN}{text}");
            if let Some(address) = parse(&id) {
                prop_assert_eq!(parse(&format(&address)), Some(address));
            }
        }
    }
}
