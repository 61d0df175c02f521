//! The status of a MultiCluster: a report, never the source of a decision (multicluster-failover A.3, B.13).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::plain_integer;
use crate::serde_util::{null_default, string_enum};
use crate::{Condition, Time};

/// Most members that a status lists.
pub const MAX_MEMBERS: usize = 64;

/// What has come of a MultiCluster.
///
/// The first four fields are required by the schema and always written. Fields with a fixed set of values are plain texts,
/// so that an older agent reads what a newer one wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MultiClusterStatus {
    /// Address (host:port) of the leader; empty if it is not known.
    pub leader_address: String,
    /// Whether the member listens and belongs to a fleet.
    pub ready: bool,
    /// Whether this member leads and its payload is applied.
    pub leading: bool,
    /// Port of the listener.
    #[schemars(schema_with = "plain_integer")]
    pub port: i64,
    /// What the member does at the moment.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// The newest term that the member knows.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0))]
    pub term: i64,
    /// How the fleet decides: Solo, Pinned, Quorum or Optimistic.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Identity of this member.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub member_id: String,
    /// Identity of the fleet.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub fleet_id: String,
    /// Identity of the leader.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub leader_id: String,
    /// Seconds for which this member may lead without a further renewal; absent if it does not lead or needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_valid_seconds: Option<i64>,
    /// The members that take part in decisions.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub members: Vec<MemberStatus>,
    /// Generation of the object that the status is about.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// What holds and what does not.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The values of the requests (annotations) that were carried out, by annotation.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub handled_requests: BTreeMap<String, String>,
}

/// A member as this one sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// Its identity.
    pub id: String,
    /// Its rank.
    #[serde(default, deserialize_with = "null_default")]
    #[schemars(schema_with = "plain_integer")]
    pub rank: i64,
    /// Its address (host:port); empty if it cannot be called.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Its part in decisions: Candidate, VoterOnly or HubWitness.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Whether there is a connection with it.
    #[serde(default, deserialize_with = "null_default")]
    pub connected: bool,
    /// Whether it could lead.
    #[serde(default, deserialize_with = "null_default")]
    pub eligible: bool,
    /// When something came from it, to about half a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// Hash of its payload.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub payload_hash: String,
}

string_enum! {
    /// How a fleet decides, which follows from its voters (multicluster-failover B.5).
    FleetMode {
        /// The member is alone.
        Solo,
        /// Of two members one leads until it hands over.
        Pinned,
        /// A majority of three or more decides.
        Quorum,
        /// Of two members one leads, and the other one when the first is silent.
        Optimistic,
    }
}

string_enum! {
    /// A member's part in decisions (multicluster-failover B.3).
    MemberRole {
        /// It votes and may lead.
        Candidate,
        /// It votes and never leads.
        VoterOnly,
        /// It is the hub, which votes and never leads.
        HubWitness,
    }
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}
