//! A public IP address resource.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ResourceId;

/// A public IP address. Azure allocates the address; here whoever writes the resource gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicAddress {
    /// Who it is.
    pub id: ResourceId,
    /// The region, as spelled.
    pub location: String,
    /// Tags, as users gave them.
    pub tags: BTreeMap<String, String>,
    /// The address, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// `dnsSettings.domainNameLabel`; unique in the location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `dnsSettings.fqdn` where it is a name outside the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// `publicIPAddressVersion` where there is no address yet that says it: whether it will be IPv6.
    #[serde(default)]
    pub is_ipv6: bool,
    /// `publicIPAllocationMethod`, `Static` or `Dynamic`.
    pub allocation: String,
    /// `sku.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// `sku.tier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// `idleTimeoutInMinutes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<i64>,
    /// `zones`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
}

impl PublicAddress {
    /// The name under the zone's origin that the label makes: `<label>.<location>`, in lower case.
    pub fn relative_name(&self) -> Option<String> {
        let label = self.label.as_deref()?;
        let location: String = self.location.split_whitespace().collect();
        Some(format!("{label}.{location}").to_ascii_lowercase())
    }

    /// The full name of this address: the one given, else the one that the label makes in that zone.
    pub fn full_name(&self, origin: &str) -> Option<String> {
        let made = || Some(format!("{}.{origin}", self.relative_name()?));
        self.fqdn.clone().or_else(made)
    }
}
