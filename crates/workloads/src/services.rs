//! Load balancer Services: an address from the simulated network, and a server there while a Pod is ready.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use crate::conditions::as_json;
use crate::context::Context;
use crate::key::Key;
use crate::pod_state::serves;

/// Addresses in the simulated network: a /24 without its first and last.
const COUNT: u16 = 254;

/// Gives a load balancer its address and opens it while there is somebody to serve; takes the address away when the
/// Service is no load balancer any more.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(service) = cx.get(&cx.stores.services, key) else {
        return withdraw(cx, key).await;
    };
    let given = addresses(&service);
    let requested = service.spec.as_ref().and_then(|spec| spec.load_balancer_ip.clone());
    let wanted = match needed(&service) {
        Change::Nothing => return serve(cx, key, &service, &given).await,
        Change::LeaveToOthers => return withdraw(cx, key).await,
        Change::Take => {
            withdraw(cx, key).await?;
            json!({"loadBalancer": {"ingress": null}})
        }
        Change::Give => match requested.or_else(|| free_address(cx, key)) {
            // Whoever sees the address can use it.
            Some(address) => {
                serve(cx, key, &service, std::slice::from_ref(&address)).await?;
                json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}})
            }
            None => bail!("the simulated network has no free address"),
        },
    };
    let current = as_json(service.status.as_ref());
    cx.report(&cx.api::<Service>(&key.namespace), &key.name, &current, &wanted)
        .await
}

/// Forgets the address of a Service that is none any more, and closes it.
async fn withdraw(cx: &Context, key: &Key) -> Result<()> {
    cx.addresses.lock().retain(|_, owner| owner != key);
    match &cx.balancers {
        Some(balancers) => balancers.serve(key, &BTreeSet::new()).await,
        None => Ok(()),
    }
}

/// Opens the addresses of a Service while one of its Pods is ready, and closes them else.
async fn serve(cx: &Context, key: &Key, service: &Service, addresses: &[String]) -> Result<()> {
    let Some(balancers) = &cx.balancers else {
        return Ok(());
    };
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let is_served = cx.pods_behind(&key.namespace, selector).iter().any(|pod| serves(pod));
    let wanted = if is_served {
        sockets(service, addresses)
    } else {
        BTreeSet::new()
    };
    balancers.serve(key, &wanted).await
}

/// Where a Service is reached over TCP.
fn sockets(service: &Service, addresses: &[String]) -> BTreeSet<SocketAddr> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref());
    let tcp = ports
        .unwrap_or_default()
        .iter()
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
        .filter_map(|port| u16::try_from(port.port).ok());
    let ips = addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
    let tcp: Vec<u16> = tcp.collect();
    ips.flat_map(|ip| tcp.iter().map(move |port| SocketAddr::new(ip, *port)))
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    Give,
    Take,
    /// The load balancer is of a class, and this is the cloud of those without one.
    LeaveToOthers,
}

/// What has to happen to the address; one that was given stays.
fn needed(service: &Service) -> Change {
    let spec = service.spec.as_ref();
    let balances = spec.is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    if balances && spec.is_some_and(|spec| spec.load_balancer_class.is_some()) {
        return Change::LeaveToOthers;
    }
    match (balances, addresses(service).is_empty()) {
        (true, true) => Change::Give,
        (false, false) => Change::Take,
        _ => Change::Nothing,
    }
}

/// Takes an address that neither a Service has nor one is about to get.
fn free_address(cx: &Context, key: &Key) -> Option<String> {
    let mut given = cx.addresses.lock();
    if let Some((address, _)) = given.iter().find(|(_, owner)| *owner == key) {
        return Some(address.clone());
    }
    let others = cx.stores.services.state();
    let taken: BTreeSet<String> = others.iter().flat_map(|other| addresses(other)).collect();
    let address = (0..COUNT)
        .map(|step| cx.options.load_balancer_address(1 + (first(key) + step) % COUNT))
        .map(|address| address.to_string())
        .find(|address| !taken.contains(address) && !given.contains_key(address))?;
    given.insert(address.clone(), key.clone());
    Some(address)
}

fn addresses(service: &Service) -> Vec<String> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer
        .and_then(|balancer| balancer.ingress.as_deref())
        .unwrap_or_default();
    ingress.iter().filter_map(|ingress| ingress.ip.clone()).collect()
}

/// Where the search begins: a Service that is alone gets the same address in every run.
fn first(key: &Key) -> u16 {
    let bytes = key.namespace.bytes().chain(key.name.bytes());
    bytes.fold(7, |sum: u16, byte| (sum * 31 + u16::from(byte)) % COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_service_is_reached_at_its_tcp_ports() {
        let ports = json!([{"port": 80}, {"port": 53, "protocol": "UDP"}, {"port": 443, "protocol": "TCP"}]);
        let service = serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": {"ports": ports}}));
        let addresses = ["127.1.2.3".to_owned(), "not one".to_owned()];
        let found: Vec<String> = sockets(&service.expect("a service"), &addresses)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["127.1.2.3:80", "127.1.2.3:443"]);
    }

    #[test]
    fn only_load_balancers_without_a_class_have_an_address_and_keep_it() {
        let with = json!({"loadBalancer": {"ingress": [{"ip": "172.18.255.9"}]}});
        let balancer = json!({"type": "LoadBalancer"});
        let of_a_class = json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/other"});
        let internal = json!({"type": "ClusterIP"});
        let cases: [(&Value, Value, Change); 6] = [
            (&balancer, json!({}), Change::Give),
            (&balancer, with.clone(), Change::Nothing),
            (&of_a_class, json!({}), Change::LeaveToOthers),
            (&of_a_class, with.clone(), Change::LeaveToOthers),
            (&internal, json!({}), Change::Nothing),
            (&internal, with, Change::Take),
        ];
        for (spec, status, expected) in cases {
            let service = json!({"metadata": {"name": "s"}, "spec": spec, "status": status});
            let service = serde_json::from_value(service).expect("a service");
            assert_eq!(needed(&service), expected, "{spec}");
        }
    }
}
