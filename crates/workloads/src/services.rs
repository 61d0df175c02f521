//! Load balancer Services: an address from the simulated network.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use crate::conditions::as_json;
use crate::context::{Context, Key};

/// Addresses in the simulated network: a /24 without its first and last.
const COUNT: u16 = 254;

/// Gives a load balancer its address, and takes it away when the Service is none any more.
pub async fn reconcile(cx: &Context, key: &Key) -> Result<()> {
    let Some(service) = cx.get(&cx.stores.services, key) else {
        cx.addresses.lock().retain(|_, owner| owner != key);
        return Ok(());
    };
    let requested = service.spec.as_ref().and_then(|spec| spec.load_balancer_ip.clone());
    let wanted = match needed(&service) {
        Change::Nothing => return Ok(()),
        Change::Take => {
            cx.addresses.lock().retain(|_, owner| owner != key);
            json!({"loadBalancer": {"ingress": null}})
        }
        Change::Give => match requested.or_else(|| free_address(cx, key)) {
            Some(address) => json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}),
            None => bail!("the simulated network has no free address"),
        },
    };
    let current = as_json(service.status.as_ref());
    cx.report(&cx.api::<Service>(&key.namespace), &key.name, &current, &wanted)
        .await
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    Give,
    Take,
}

/// What has to happen to the address; one that was given stays.
fn needed(service: &Service) -> Change {
    let balances = service
        .spec
        .as_ref()
        .is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
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
    fn only_load_balancers_have_an_address_and_keep_it() {
        let with = json!({"loadBalancer": {"ingress": [{"ip": "172.18.255.9"}]}});
        let cases: [(&str, Value, Change); 4] = [
            ("LoadBalancer", json!({}), Change::Give),
            ("LoadBalancer", with.clone(), Change::Nothing),
            ("ClusterIP", json!({}), Change::Nothing),
            ("ClusterIP", with, Change::Take),
        ];
        for (kind, status, expected) in cases {
            let service = json!({"metadata": {"name": "s"}, "spec": {"type": kind}, "status": status});
            let service = serde_json::from_value(service).expect("a service");
            assert_eq!(needed(&service), expected, "{kind}");
        }
    }
}
