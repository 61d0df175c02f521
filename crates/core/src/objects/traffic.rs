//! TrafficManagerProfiles and TrafficManagerBackends. Both served versions have one content, so that one view is enough.

use api::networking::v1beta1::{
    TrafficManagerBackendSpec, TrafficManagerBackendStatus, TrafficManagerProfileSpec, TrafficManagerProfileStatus,
};
use serde::Deserialize;
use serde_json::Value;

use super::{DecodeError, Meta, decode};
use crate::meta::null_is_default;

/// A TrafficManagerProfile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrafficProfile {
    /// Metadata.
    pub meta: Meta,
    /// What it should be, as the user wrote it.
    pub spec: TrafficManagerProfileSpec,
    /// What was reported of it.
    pub status: TrafficManagerProfileStatus,
}

/// A TrafficManagerBackend.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrafficBackend {
    /// Metadata.
    pub meta: Meta,
    /// What it should be.
    pub spec: TrafficManagerBackendSpec,
    /// What was reported of it.
    pub status: TrafficManagerBackendStatus,
}

#[derive(Deserialize)]
struct Stored<S, T: Default + for<'a> Deserialize<'a>> {
    metadata: Meta,
    spec: S,
    #[serde(default, deserialize_with = "null_is_default")]
    status: T,
}

impl TrafficProfile {
    /// Reads a stored TrafficManagerProfile of either version.
    ///
    /// # Errors
    /// When the object has not the shape of one.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Stored { metadata, spec, status } = decode("TrafficManagerProfile", value)?;
        Ok(Self {
            meta: metadata,
            spec,
            status,
        })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }
}

impl TrafficBackend {
    /// Reads a stored TrafficManagerBackend of either version.
    ///
    /// # Errors
    /// When the object has not the shape of one.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Stored { metadata, spec, status } = decode("TrafficManagerBackend", value)?;
        Ok(Self {
            meta: metadata,
            spec,
            status,
        })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }

    /// Its weight; absent means 1.
    pub fn weight(&self) -> i64 {
        self.spec.weight.unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_versions_are_read_and_the_old_status_is_no_error() {
        for version in ["v1alpha1", "v1beta1"] {
            let profile = TrafficProfile::from_value(json!({
                "apiVersion": format!("networking.fleet.azure.com/{version}"),
                "metadata": {"namespace": "ns", "name": "p", "generation": 2},
                "spec": {"monitorConfig": {"port": 8080, "protocol": "TCP"}},
                "status": null,
            }))
            .unwrap();
            assert_eq!((profile.namespace(), profile.meta.generation), ("ns", 2));
            assert_eq!(profile.spec.monitor_config.unwrap().port, Some(8080));
            let backend = TrafficBackend::from_value(json!({
                "metadata": {"namespace": "ns", "name": "b"},
                "spec": {"profile": {"name": "p"}, "backend": {"name": "web"}},
                "status": {"endpoints": [{"name": "e", "cluster": {"cluster": "m"}, "weight": 1}]},
            }))
            .unwrap();
            assert_eq!((backend.weight(), backend.status.endpoints.len()), (1, 1));
        }
        assert!(TrafficBackend::from_value(json!({"metadata": {"name": "b"}, "spec": {}})).is_err());
    }
}
