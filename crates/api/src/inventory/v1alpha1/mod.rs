//! ClusterProfile: makes a member known to other tools.

use k8s_openapi::ByteString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;
use crate::{Condition, Time};

/// Which cluster it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterProfileSpec {
    /// Name for people.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Who manages the cluster. Immutable.
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "ClusterManager is immutable")])))]
    pub cluster_manager: ClusterManager,
}

/// Who manages a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterManager {
    /// Name of the manager.
    pub name: String,
}

/// How the cluster is and how it can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterProfileStatus {
    /// ControlPlaneHealthy.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Versions of its software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ClusterVersion>,
    /// Facts about the cluster.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
    /// Ways to reach the cluster.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub access_providers: Vec<AccessProvider>,
    /// The same under its older name; not written.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub credential_providers: Vec<AccessProvider>,
}

/// Versions of a cluster's software.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterVersion {
    /// Version of Kubernetes.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub kubernetes: String,
}

/// A fact about a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Value.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
    /// When it was last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_observed_time: Option<Time>,
}

/// A way to reach a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessProvider {
    /// Name of the way.
    pub name: String,
    /// The cluster, as in a kubeconfig.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
}

/// The cluster block of a kubeconfig.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// Address of the API server.
    pub server: String,
    /// Server name that the certificate is checked against.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub tls_server_name: String,
    /// Whether the certificate is not checked.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub insecure_skip_tls_verify: bool,
    /// Path of the certificate authority.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub certificate_authority: String,
    /// The certificate authority, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bytes")]
    pub certificate_authority_data: Option<ByteString>,
    /// Proxy to use.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub proxy_url: String,
    /// Whether answers are not compressed.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub disable_compression: bool,
    /// Additions.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<NamedExtension>,
}

/// A named addition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedExtension {
    /// Name.
    pub name: String,
    /// Any object.
    #[schemars(schema_with = "crate::schema::any_object")]
    pub extension: Value,
}

root_kind! {
    /// A cluster of the inventory.
    #[derive(Default)]
    ClusterProfile, "multicluster.x-k8s.io", "v1alpha1", "clusterprofiles", NamespaceResourceScope {
        /// Which cluster it is.
        spec: ClusterProfileSpec,
        /// How it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ClusterProfileStatus>,
    }
}
