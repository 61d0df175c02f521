//! Names of resources. ARM keeps the spelling it was given and compares without regard to case.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A resource group of a subscription, as it was spelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The subscription.
    pub subscription: String,
    /// The resource group.
    pub group: String,
}

/// A resource in a group, as it was spelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceId {
    /// The subscription.
    pub subscription: String,
    /// The resource group.
    pub group: String,
    /// The resource's own name.
    pub name: String,
}

/// A resource in a group, in lower case: equal for all spellings of one resource, sorted by subscription, group and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The subscription.
    pub subscription: String,
    /// The resource group.
    pub group: String,
    /// The resource's own name.
    pub name: String,
}

impl ResourceId {
    /// The key of this resource.
    pub fn key(&self) -> ResourceKey {
        ResourceKey {
            subscription: self.subscription.to_ascii_lowercase(),
            group: self.group.to_ascii_lowercase(),
            name: self.name.to_ascii_lowercase(),
        }
    }

    /// The ARM id of a resource of that type of Microsoft.Network.
    pub fn arm(&self, kind: &str) -> String {
        let Self {
            subscription,
            group,
            name,
        } = self;
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/{kind}/{name}")
    }

    /// The resource that an ARM id of a type of Microsoft.Network names; `None` when it names something else.
    pub fn parse(id: &str, kind: &str) -> Option<Self> {
        let parts: Vec<&str> = id.strip_prefix('/')?.split('/').collect();
        let [s, subscription, g, group, p, provider, type_name, name] = parts.as_slice() else {
            return None;
        };
        let fixed = [
            (*s, "subscriptions"),
            (*g, "resourceGroups"),
            (*p, "providers"),
            (*provider, "Microsoft.Network"),
            (*type_name, kind),
        ];
        let matches = fixed.iter().all(|(is, wanted)| is.eq_ignore_ascii_case(wanted));
        let named = [subscription, group, name].iter().all(|part| !part.is_empty());
        (matches && named).then(|| Self {
            subscription: (*subscription).to_owned(),
            group: (*group).to_owned(),
            name: (*name).to_owned(),
        })
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.subscription, self.group, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_any_case_and_written_as_spelled() {
        let id = ResourceId::parse(
            "/SUBSCRIPTIONS/Sub/resourcegroups/Rg/Providers/microsoft.network/publicipaddresses/Ip-1",
            "publicIPAddresses",
        )
        .unwrap();
        assert_eq!(
            id.arm("publicIPAddresses"),
            "/subscriptions/Sub/resourceGroups/Rg/providers/Microsoft.Network/publicIPAddresses/Ip-1"
        );
        assert_eq!(id.key().to_string(), "sub/rg/ip-1");
        for wrong in [
            "",
            "/",
            "subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/x",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/x/y",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/publicIPAddresses/x",
            "/subscriptions//resourceGroups/g/providers/Microsoft.Network/publicIPAddresses/x",
        ] {
            assert_eq!(ResourceId::parse(wrong, "publicIPAddresses"), None, "{wrong}");
        }
    }
}
