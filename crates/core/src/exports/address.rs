//! The public address of an exported load balancer (networking 9.3, the part about Azure).
//!
//! Facts are reported only while they are positively known for an address that the load balancer has now; they survive
//! a lookup that is under way or has failed (networking 9.3). A lookup never holds up the rest of the
//! report.

use std::net::IpAddr;
use std::time::Duration;

use api::networking::synthetic_address::{self, Ingress, SyntheticAddress};
use jiff::Timestamp;

use super::ServiceView;
use crate::services::{LookupError, PublicIp, PublicIpState};
use crate::spread::spread;

/// When to look again while a fact is missing (networking 9.3).
const WHILE_MISSING: Duration = Duration::from_secs(30);
/// When to look again else: labels may change outside of Kubernetes.
const WHEN_KNOWN: Duration = Duration::from_secs(600);

/// What is known of the public addresses that a Service can have.
#[derive(Clone, Copy, Debug)]
pub enum Listing<'a> {
    /// The member has no cloud config: what the Service shows is all there is to know.
    NoCloud {
        /// The member.
        cluster: &'a str,
    },
    /// The addresses of the Service's resource group are not known yet.
    Pending,
    /// The addresses of the resource group of the Service, or of the cloud config.
    Known(&'a [PublicAddress]),
    /// They cannot be listed.
    Failed(&'a LookupError),
}

/// A public address of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicAddress {
    /// Its resource id.
    pub id: String,
    /// The address; empty while none is assigned.
    pub ip: String,
    /// Its DNS label; empty without one.
    pub dns_label: String,
    /// Its full domain name; empty without one.
    pub fqdn: String,
}

/// What is reported about the public address, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Address {
    /// The facts.
    pub facts: PublicIp,
    /// When to list the addresses again if the Service does not change before; `None` means never.
    pub look_again: Option<Duration>,
    /// What is in the way, as a full sentence for the log and for users.
    pub remark: Option<String>,
}

/// Decides what is reported about the public address of a Service. `known` is the address whose facts were reported
/// last; while a lookup is under way or fails they stay, if the load balancer still has that address.
pub fn address(service: &ServiceView, listing: Listing<'_>, known: Option<&str>, now: Timestamp) -> Address {
    if !service.is_public_load_balancer() {
        return Address::default();
    }
    if service.ingress_ips.is_empty() && service.ingress_hosts.is_empty() {
        return Address::of(PublicIpState::PendingIngress, "");
    }
    let all = match listing {
        Listing::NoCloud { cluster } => return without_cloud(service, cluster),
        _ if service.ingress_ips.is_empty() => {
            return Address::of(PublicIpState::NotFound, "").remark(
                "The load balancer has host names only, which no public IP address of the cloud can be found by."
                    .into(),
            );
        }
        Listing::Known(all) => all,
        Listing::Pending => return Address::of(PublicIpState::LookupPending, still_there(service, known)),
        Listing::Failed(error) => {
            let mut failed = Address::of(PublicIpState::LookupFailed, still_there(service, known));
            failed.facts.error = Some(error.clone());
            return failed
                .again(WHILE_MISSING, service, now)
                .remark(format!("The public IP addresses cannot be listed: {error}."));
        }
    };
    match service.ingress_ips.iter().find_map(|ip| Some((ip, find(all, ip)?))) {
        Some((ip, found)) => in_cloud(service, ip, found, now),
        None => {
            let first = service.ingress_ips.first().map_or("", String::as_str);
            Address::of(PublicIpState::NotFound, first)
                .again(WHILE_MISSING, service, now)
                .remark(format!(
                    "No public IP address of the resource group has the address {first}; addresses of other groups \
                     and subscriptions are not searched."
                ))
        }
    }
}

/// The address that a lookup is about, until it is over: the one that was found last, as long as it is there. Empty where
/// nobody knows which of several it was, as after a restart: then it may be any.
fn still_there<'a>(service: &'a ServiceView, known: Option<&str>) -> &'a str {
    let all = &service.ingress_ips;
    match (all.iter().find(|ip| known == Some(ip.as_str())), known, all.as_slice()) {
        (Some(same), _, _) => same,
        (None, None, [_, _, ..]) => "",
        (None, _, _) => all.first().map_or("", String::as_str),
    }
}

fn find<'a>(all: &'a [PublicAddress], ip: &str) -> Option<&'a PublicAddress> {
    let wanted: Option<IpAddr> = ip.parse().ok();
    all.iter()
        .find(|address| address.ip == ip || (wanted.is_some() && address.ip.parse().ok() == wanted))
}

/// The annotation decides where it is there: the cloud provider is about to set the label, or to remove it. Else the
/// address's own state counts, because users may set labels outside of Kubernetes.
fn in_cloud(service: &ServiceView, ip: &str, found: &PublicAddress, now: Timestamp) -> Address {
    let is_unwanted = service.dns_label.as_ref().is_some_and(String::is_empty);
    let has_label = !found.dns_label.is_empty() && !is_unwanted;
    let facts = PublicIp {
        state: PublicIpState::Found,
        ip: ip.to_owned(),
        resource_id: found.id.clone(),
        dns_label_configured: has_label,
        fqdn: if has_label { found.fqdn.clone() } else { String::new() },
        error: None,
    };
    let wait = if has_label || is_unwanted {
        WHEN_KNOWN
    } else {
        WHILE_MISSING
    };
    Address {
        facts,
        ..Address::default()
    }
    .again(wait, service, now)
}

/// What the Service shows stands for itself (docs/decisions/0015).
fn without_cloud(service: &ServiceView, cluster: &str) -> Address {
    let ip = service.ingress_ips.iter().find_map(|ip| Some((ip, ip.parse().ok()?)));
    let host = service.ingress_hosts.iter().find_map(|host| Ingress::host(host));
    let ingress = match (&ip, &host) {
        (Some((_, ip)), _) => Ingress::Ip(*ip),
        (None, Some(host)) => host.clone(),
        (None, None) => {
            return Address::of(PublicIpState::NotFound, "")
                .remark("The load balancer shows neither an IP address nor a domain name that can be read.".into());
        }
    };
    let fqdn = match host {
        Some(Ingress::Host(name)) => name,
        _ => String::new(),
    };
    let is_asked_for = service.dns_label.as_ref().is_some_and(|label| !label.is_empty());
    let address = SyntheticAddress {
        cluster: cluster.to_owned(),
        ingress,
    };
    Address {
        facts: PublicIp {
            state: PublicIpState::Found,
            ip: ip.map(|(text, _)| text.clone()).unwrap_or_default(),
            resource_id: synthetic_address::format(&address),
            dns_label_configured: is_asked_for || !fqdn.is_empty(),
            fqdn,
            error: None,
        },
        ..Address::default()
    }
}

impl Address {
    fn of(state: PublicIpState, ip: &str) -> Self {
        Self {
            facts: PublicIp {
                state,
                ip: ip.to_owned(),
                ..PublicIp::default()
            },
            ..Self::default()
        }
    }

    fn again(mut self, wait: Duration, service: &ServiceView, now: Timestamp) -> Self {
        self.look_again = Some(spread(wait, &format!("{}/{now}", service.uid)));
        self
    }

    fn remark(mut self, remark: String) -> Self {
        self.remark = Some(remark);
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const LABEL: &str = "service.beta.kubernetes.io/azure-dns-label-name";

    fn service(ingress: Value, annotations: Value) -> ServiceView {
        ServiceView::from_value(&json!({
            "metadata": {"namespace": "app", "name": "web", "uid": "s", "annotations": annotations},
            "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": [{"port": 80}]},
            "status": {"loadBalancer": {"ingress": ingress}},
        }))
    }

    fn listed(ip: &str, label: &str) -> PublicAddress {
        let fqdn = if label.is_empty() {
            String::new()
        } else {
            format!("{label}.eastus2.cloudapp.azure.com")
        };
        PublicAddress {
            id: format!("/id/{ip}"),
            ip: ip.into(),
            dns_label: label.into(),
            fqdn,
        }
    }

    /// State, id, label and domain name in one line, and when to look again.
    fn line(address: &Address) -> String {
        let facts = &address.facts;
        let again = match address.look_again {
            None => "never",
            Some(wait) if (24..=36).contains(&wait.as_secs()) => "30",
            Some(wait) if (480..=720).contains(&wait.as_secs()) => "600",
            Some(wait) => panic!("{wait:?}"),
        };
        let label = if facts.dns_label_configured { "labelled" } else { "bare" };
        format!(
            "{:?} {:?} {:?} {label} {again}",
            facts.state, facts.ip, facts.resource_id
        )
    }

    #[test]
    fn each_situation_in_a_cloud() {
        let ip = || json!([{"ip": "1.1.1.1"}]);
        let all = [
            listed("9.9.9.9", "other"),
            listed("1.1.1.1", "web"),
            listed("2.2.2.2", ""),
            listed("", ""),
        ];
        let known = Listing::Known(&all);
        let forbidden = LookupError {
            status: Some(403),
            code: "AuthorizationFailed".into(),
            ..LookupError::default()
        };
        let none = json!({});
        let table = [
            (
                json!([]),
                none.clone(),
                known,
                None,
                "PendingIngress \"\" \"\" bare never",
            ),
            (
                json!([{"hostname": "h.example"}]),
                none.clone(),
                known,
                None,
                "NotFound \"\" \"\" bare never",
            ),
            (
                ip(),
                none.clone(),
                known,
                None,
                "Found \"1.1.1.1\" \"/id/1.1.1.1\" labelled 600",
            ),
            (
                json!([{"ip": "2.2.2.2"}]),
                none.clone(),
                known,
                None,
                "Found \"2.2.2.2\" \"/id/2.2.2.2\" bare 30",
            ),
            (
                json!([{"ip": "3.3.3.3"}]),
                none.clone(),
                known,
                None,
                "NotFound \"3.3.3.3\" \"\" bare 30",
            ),
            // The annotation is there and empty: the cloud provider removes the label.
            (
                ip(),
                json!({LABEL: ""}),
                known,
                None,
                "Found \"1.1.1.1\" \"/id/1.1.1.1\" bare 600",
            ),
            // The label is asked for, and is there or not yet.
            (
                ip(),
                json!({LABEL: "web"}),
                known,
                None,
                "Found \"1.1.1.1\" \"/id/1.1.1.1\" labelled 600",
            ),
            (
                json!([{"ip": "2.2.2.2"}]),
                json!({LABEL: "x"}),
                known,
                None,
                "Found \"2.2.2.2\" \"/id/2.2.2.2\" bare 30",
            ),
            // All entries are looked at, the first that is listed counts.
            (
                json!([{"ip": "fd00::1"}, {"hostname": "h"}, {"ip": "2.2.2.2"}, {"ip": "1.1.1.1"}]),
                none.clone(),
                known,
                None,
                "Found \"2.2.2.2\" \"/id/2.2.2.2\" bare 30",
            ),
            // Lookups that are not over keep the address that was known, as long as it is there.
            (
                ip(),
                none.clone(),
                Listing::Pending,
                None,
                "LookupPending \"1.1.1.1\" \"\" bare never",
            ),
            (
                ip(),
                none.clone(),
                Listing::Failed(&forbidden),
                Some("1.1.1.1"),
                "LookupFailed \"1.1.1.1\" \"\" bare 30",
            ),
            (
                json!([{"ip": "fd00::1"}, {"ip": "1.1.1.1"}]),
                none.clone(),
                Listing::Failed(&forbidden),
                Some("1.1.1.1"),
                "LookupFailed \"1.1.1.1\" \"\" bare 30",
            ),
            (
                ip(),
                none.clone(),
                Listing::Failed(&forbidden),
                Some("7.7.7.7"),
                "LookupFailed \"1.1.1.1\" \"\" bare 30",
            ),
            (
                json!([{"ip": "fd00::1"}, {"ip": "1.1.1.1"}]),
                none.clone(),
                Listing::Pending,
                None,
                "LookupPending \"\" \"\" bare never",
            ),
            (
                json!([{"ip": "fd00::1"}, {"ip": "1.1.1.1"}]),
                none.clone(),
                Listing::Pending,
                Some("7.7.7.7"),
                "LookupPending \"fd00::1\" \"\" bare never",
            ),
            // No list helps where there is no address.
            (
                json!([{"hostname": "h.example"}]),
                none.clone(),
                Listing::Pending,
                None,
                "NotFound \"\" \"\" bare never",
            ),
            (
                json!([]),
                none,
                Listing::Failed(&forbidden),
                Some("1.1.1.1"),
                "PendingIngress \"\" \"\" bare never",
            ),
        ];
        for (ingress, annotations, listing, last, expected) in table {
            let service = service(ingress.clone(), annotations.clone());
            assert_eq!(
                line(&address(&service, listing, last, NOW)),
                expected,
                "{ingress} {annotations}"
            );
        }
    }

    #[test]
    fn each_situation_without_a_cloud() {
        let id = |name: &str| {
            format!(
                "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/m1/providers/Microsoft.Network/publicIPAddresses/{name}"
            )
        };
        let none = json!({});
        let table = [
            (
                json!([]),
                none.clone(),
                "PendingIngress \"\" \"\" bare never".to_owned(),
            ),
            (
                json!([{"ip": "1.1.1.1"}]),
                none.clone(),
                format!("Found \"1.1.1.1\" {:?} bare never", id("ip-1-1-1-1")),
            ),
            (
                json!([{"ip": "1.1.1.1"}]),
                json!({LABEL: "web"}),
                format!("Found \"1.1.1.1\" {:?} labelled never", id("ip-1-1-1-1")),
            ),
            (
                json!([{"ip": "1.1.1.1"}]),
                json!({LABEL: ""}),
                format!("Found \"1.1.1.1\" {:?} bare never", id("ip-1-1-1-1")),
            ),
            (
                json!([{"hostname": "LB.example."}]),
                none.clone(),
                format!("Found \"\" {:?} labelled never", id("host-lb.example")),
            ),
            (
                json!([{"hostname": "lb.example"}, {"ip": "1.1.1.1"}]),
                none.clone(),
                format!("Found \"1.1.1.1\" {:?} labelled never", id("ip-1-1-1-1")),
            ),
            (
                json!([{"ip": "fd00::1"}]),
                none.clone(),
                format!(
                    "Found \"fd00::1\" {:?} bare never",
                    id("ip-fd00-0000-0000-0000-0000-0000-0000-0001")
                ),
            ),
            (
                json!([{"ip": "what"}, {"hostname": "a_b"}]),
                none,
                "NotFound \"\" \"\" bare never".to_owned(),
            ),
        ];
        for (ingress, annotations, expected) in table {
            let service = service(ingress.clone(), annotations.clone());
            let found = address(&service, Listing::NoCloud { cluster: "m1" }, None, NOW);
            assert_eq!(line(&found), expected, "{ingress} {annotations}");
        }
    }

    #[test]
    fn only_public_load_balancers_have_an_address() {
        let all = [listed("1.1.1.1", "web")];
        let ip = json!([{"ip": "1.1.1.1"}]);
        let internal = "service.beta.kubernetes.io/azure-load-balancer-internal";
        for listing in [
            Listing::Known(&all),
            Listing::NoCloud { cluster: "m" },
            Listing::Pending,
        ] {
            let private = service(ip.clone(), json!({ internal: "true" }));
            assert_eq!(address(&private, listing, Some("1.1.1.1"), NOW), Address::default());
            let mut inside = service(ip.clone(), json!({}));
            inside.service_type = "ClusterIP".into();
            assert_eq!(address(&inside, listing, Some("1.1.1.1"), NOW), Address::default());
            let spelled = service(ip.clone(), json!({ internal: "True" }));
            assert_ne!(
                address(&spelled, listing, None, NOW),
                Address::default(),
                "exactly true counts"
            );
        }
    }

    #[test]
    fn the_resource_group_of_a_service() {
        let key = "service.beta.kubernetes.io/azure-load-balancer-resource-group";
        let group = |annotations: Value| service(json!([]), annotations).resource_group;
        assert_eq!(group(json!({ key: " rg-1 " })).as_deref(), Some("rg-1"));
        assert_eq!(group(json!({ key: "  " })), None);
        assert_eq!(group(json!({})), None);
    }

    #[test]
    fn addresses_compare_by_value_and_failures_say_why() {
        let all = [listed("2001:DB8:0:0::1", "web")];
        let six = service(json!([{"ip": "2001:db8::1"}]), json!({}));
        assert_eq!(
            address(&six, Listing::Known(&all), None, NOW).facts.resource_id,
            all[0].id
        );
        let remark = |error: LookupError| address(&six, Listing::Failed(&error), None, NOW).remark.unwrap();
        let forbidden = LookupError {
            status: Some(403),
            code: "AuthorizationFailed".into(),
            ..LookupError::default()
        };
        assert_eq!(
            remark(forbidden),
            "The public IP addresses cannot be listed: 403 AuthorizationFailed."
        );
        assert!(remark(LookupError::default()).contains("no answer came"));
        let unsent = LookupError {
            message: "no token could be had".into(),
            ..LookupError::default()
        };
        assert_eq!(
            remark(unsent.clone()),
            "The public IP addresses cannot be listed: no token could be had."
        );
        assert_eq!(
            address(&six, Listing::Failed(&unsent), None, NOW).facts.error,
            Some(unsent)
        );
    }
}
