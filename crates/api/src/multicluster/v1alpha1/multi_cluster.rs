//! MultiCluster, with the fields that it always had (multicluster-failover A.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Failover, MultiClusterStatus};
use crate::root::root_kind;
use crate::schema::plain_integer;
use crate::serde_util::null_default;

/// How this cluster takes part in a fleet, and what the fleet's leader runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MultiClusterSpec {
    /// IP address on which the member listens; empty means all.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Address at which other members reach this one, normally that of a load balancer.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub service_address: String,
    /// TCP port of the listener and of the advertised address.
    #[schemars(schema_with = "plain_integer")]
    pub port: i64,
    /// Addresses (host:port) of members through which this one joins.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub fleet: Vec<String>,
    /// Name of the fleet, which all members share and keep secret.
    pub callsign: String,
    /// Whether this member founds the fleet where there is none; meant for the first member.
    pub ready: bool,
    /// Who leads: the highest rank does. Members of rank 0 and below vote and never lead.
    #[schemars(schema_with = "plain_integer")]
    pub rank: i64,
    /// Kubernetes objects as YAML or JSON, of which the leader's cluster runs one copy.
    pub payload: String,
    /// How leaders are replaced; absent means the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
}

impl MultiClusterSpec {
    /// How leaders are replaced, defaults where nothing is said.
    pub fn failover(&self) -> Failover {
        self.failover.clone().unwrap_or_default()
    }
}

root_kind! {
    /// One cluster's part in a fleet of clusters, the leader of which runs the payload.
    #[derive(Default)]
    MultiCluster, "kube-vip.io", "v1alpha1", "multiclusters", NamespaceResourceScope {
        /// How this cluster takes part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spec: Option<MultiClusterSpec>,
        /// What has come of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<MultiClusterStatus>,
    }
}
