//! In which order objects are applied; they are removed in the reverse order.

use api::resource::Resource;

/// Objects that are applied together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wave {
    /// Namespaces.
    Namespaces,
    /// Definitions of kinds, which have to be established before anything else is applied.
    Definitions,
    /// Service accounts, Secrets, ConfigMaps and RBAC.
    Settings,
    /// Volume claims.
    Volumes,
    /// Services.
    Services,
    /// Everything else.
    Others,
    /// What makes pods.
    Workloads,
}

impl Wave {
    /// The wave of an object.
    pub fn of(resource: &Resource, owns_pods: bool) -> Self {
        match (&*resource.group, &*resource.plural) {
            ("", "namespaces") => Self::Namespaces,
            ("apiextensions.k8s.io", "customresourcedefinitions") => Self::Definitions,
            ("", "serviceaccounts" | "secrets" | "configmaps") | ("rbac.authorization.k8s.io", _) => Self::Settings,
            ("", "persistentvolumeclaims") => Self::Volumes,
            ("", "services") => Self::Services,
            _ if owns_pods => Self::Workloads,
            _ => Self::Others,
        }
    }

    /// Whether nothing of a later wave can be applied before all of this one is.
    pub(super) fn is_foundation(self) -> bool {
        matches!(self, Self::Namespaces | Self::Definitions)
    }
}

/// Sorts objects for application: by wave, within one as Works are (roles before their bindings).
pub(super) fn key(resource: &Resource, owns_pods: bool) -> (Wave, u16) {
    let within = fairway_core::apply::wave(&resource.group, &resource.plural);
    (Wave::of(resource, owns_pods), within)
}
