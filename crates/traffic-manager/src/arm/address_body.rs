//! The body of a public IP address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::checks;
use super::checks::{missing, tags};
use crate::error::ArmError;
use crate::model::{PublicAddress, ResourceId};

/// A public IP address as it arrives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AddressBody {
    location: Option<String>,
    tags: Option<BTreeMap<String, Option<String>>>,
    sku: Option<Sku>,
    zones: Option<Vec<String>>,
    properties: Option<Properties>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Sku {
    name: Option<String>,
    tier: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    #[serde(rename = "ipAddress")]
    ip: Option<String>,
    #[serde(rename = "publicIPAddressVersion")]
    version: Option<String>,
    #[serde(rename = "publicIPAllocationMethod")]
    allocation: Option<String>,
    dns_settings: Option<DnsSettings>,
    idle_timeout_in_minutes: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DnsSettings {
    domain_name_label: Option<String>,
    fqdn: Option<String>,
}

impl AddressBody {
    /// The public IP address that this body asks for. A full name below `origin` is one that the server makes by itself.
    ///
    /// # Errors
    /// 400 that says which property is missing or wrong.
    pub fn read(self, id: ResourceId, origin: &str) -> Result<PublicAddress, ArmError> {
        checks::name(&id.name)?;
        let location = self.location.filter(|location| !location.trim().is_empty());
        let location = location.ok_or_else(|| {
            let message = "The location property is required for this definition.";
            ArmError::new(400, "LocationRequired", message)
        })?;
        let compact: String = location.split_whitespace().collect();
        if !checks::is_label(&compact) {
            return Err(ArmError::bad_request(format!(
                "The location '{location}' is not valid."
            )));
        }
        let properties = self.properties.ok_or_else(|| missing("properties"))?;
        let dns = properties.dns_settings.unwrap_or_default();
        let label = dns.domain_name_label.filter(|label| !label.is_empty());
        if let Some(label) = &label
            && !checks::is_label(label)
        {
            let message = format!(
                "The domain name label '{label}' is invalid. It must be one DNS label of at most 63 characters."
            );
            return Err(ArmError::new(400, "InvalidDomainNameLabel", message));
        }
        let fqdn = dns.fqdn.filter(|name| !name.is_empty() && !is_below(name, origin));
        if let Some(name) = &fqdn
            && !checks::is_host(name)
        {
            return Err(ArmError::bad_request(format!(
                "The full name '{name}' is not a host name."
            )));
        }
        let ip = properties.ip.filter(|ip| !ip.is_empty());
        let ip = ip.map(|text| read_ip(&text)).transpose()?;
        let sku = self.sku.unwrap_or_default();
        Ok(PublicAddress {
            id,
            location,
            tags: tags(self.tags),
            ip,
            label,
            fqdn,
            is_ipv6: is_ipv6(ip, properties.version)?,
            allocation: allocation(properties.allocation)?,
            sku: sku.name,
            tier: sku.tier,
            idle_timeout: properties.idle_timeout_in_minutes,
            zones: self.zones.unwrap_or_default(),
        })
    }
}

fn is_below(name: &str, origin: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    name.strip_suffix(&origin.to_ascii_lowercase())
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn read_ip(text: &str) -> Result<IpAddr, ArmError> {
    text.parse()
        .map_err(|_| ArmError::bad_request(format!("The IP address '{text}' is not valid.")))
}

/// The address decides; where there is none, the version that was asked for.
fn is_ipv6(ip: Option<IpAddr>, version: Option<String>) -> Result<bool, ArmError> {
    let asked = match version.as_deref() {
        None => None,
        Some(text) if text.eq_ignore_ascii_case("IPv4") => Some(false),
        Some(text) if text.eq_ignore_ascii_case("IPv6") => Some(true),
        Some(other) => {
            return Err(ArmError::bad_request(format!(
                "The property 'properties.publicIPAddressVersion' must be IPv4 or IPv6, but is '{other}'."
            )));
        }
    };
    match ip {
        Some(ip) if asked.is_some_and(|asked| asked != ip.is_ipv6()) => Err(ArmError::bad_request(format!(
            "The IP address '{ip}' is not of the version in 'properties.publicIPAddressVersion'."
        ))),
        Some(ip) => Ok(ip.is_ipv6()),
        None => Ok(asked.unwrap_or(false)),
    }
}

fn allocation(method: Option<String>) -> Result<String, ArmError> {
    let method = method.unwrap_or_else(|| "Dynamic".to_owned());
    ["Static", "Dynamic"]
        .iter()
        .find(|known| known.eq_ignore_ascii_case(&method))
        .map(|known| (*known).to_owned())
        .ok_or_else(|| {
            ArmError::bad_request(format!(
                "The property 'properties.publicIPAllocationMethod' must be Static or Dynamic, but is '{method}'."
            ))
        })
}
