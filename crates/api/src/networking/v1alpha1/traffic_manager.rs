//! Traffic manager kinds in their first version; the content is that of `v1beta1` (networking 3.9, 3.10).

use crate::networking::v1beta1::{
    NAME_RULES, TrafficManagerBackendSpec, TrafficManagerBackendStatus, TrafficManagerProfileSpec,
    TrafficManagerProfileStatus,
};
use crate::root::root_kind;
use crate::schema::rules;

root_kind! {
    /// A DNS name in Azure that spreads clients over exported services.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    TrafficManagerProfile, "networking.fleet.azure.com", "v1alpha1", "trafficmanagerprofiles", NamespaceResourceScope {
        /// What the profile should be.
        spec: TrafficManagerProfileSpec,
        /// What it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<TrafficManagerProfileStatus>,
    }
}

root_kind! {
    /// Exported services behind a profile.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    TrafficManagerBackend, "networking.fleet.azure.com", "v1alpha1", "trafficmanagerbackends", NamespaceResourceScope {
        /// Which services, and how much of the traffic.
        spec: TrafficManagerBackendSpec,
        /// What exists in Azure.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<TrafficManagerBackendStatus>,
    }
}
