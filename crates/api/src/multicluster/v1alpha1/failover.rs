//! `spec.failover`: settings beyond the original's, all optional (multicluster-failover B.2).

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::schema::rules;
use crate::serde_util::{null_default, string_enum};

const LEASE: i64 = 15;
const LONGEST_RENEW_INTERVAL: i64 = 5;
const STABLE: i64 = 30;
const HANDOVER: i64 = 60;

/// How leaders are replaced.
///
/// The schema has no defaults, so that objects are stored as users wrote them: the methods know them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(INTERVALS)))]
pub struct Failover {
    /// Seconds for which a leader leads after a majority has acknowledged it; 15 unless set. Must be equal in all members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 300))]
    pub lease_duration_seconds: Option<i64>,
    /// Seconds between two renewals of the lease, at most a third of it; 5 or that third unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub renew_interval_seconds: Option<i64>,
    /// Seconds that a cluster may need to remove the payload; computed from the payload's pods unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2592000))]
    pub fence_grace_seconds: Option<i64>,
    /// What to do where a failed leader cannot be told from an unreachable one; Consistent unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<AvailabilityPolicy>,
    /// When a member of higher rank takes over from a healthy leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemption: Option<Preemption>,
    /// Whether the hub votes; Auto unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<WitnessPolicy>,
    /// Addresses (host:port) of further members that only vote.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), schema_with = "addresses")]
    pub witness_addresses: Vec<String>,
    /// Certificates of the connections between members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<FailoverTls>,
    /// Seconds after which a planned handover is given up; 60 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub handover_timeout_seconds: Option<i64>,
    /// Whether objects of the payload that exist already are taken over; false unless set.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub adopt_existing: bool,
    /// HTTPS address that is called to switch the old leader's cluster off before a new leader applies the payload.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048), extend("pattern" = "^(https://.+)?$"))]
    pub fence_webhook: String,
}

const INTERVALS: &[(&str, &str)] = &[(
    "!has(self.renewIntervalSeconds) || \
     self.renewIntervalSeconds * 3 <= (has(self.leaseDurationSeconds) ? self.leaseDurationSeconds : 15)",
    "renewIntervalSeconds must be at most a third of leaseDurationSeconds",
)];

fn addresses(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": { "type": "string", "maxLength": 260, "pattern": "^.+:[1-9][0-9]{0,4}$" },
    })
}

string_enum! {
    /// What a fleet does where a failed leader cannot be told from an unreachable one.
    AvailabilityPolicy {
        /// Never two leaders, if need be none.
        Consistent,
        /// Always a leader, if need be two.
        PreferAvailability,
    }
}

string_enum! {
    /// Whether the hub votes.
    WitnessPolicy {
        /// It votes if the agent is joined to a hub.
        Auto,
        /// It has to vote.
        Hub,
        /// It does not vote.
        None,
    }
}

string_enum! {
    /// When a member of higher rank takes over from a healthy leader.
    PreemptionPolicy {
        /// As soon as it can lead.
        Immediate,
        /// After it has been able to lead for a while.
        AfterStable,
        /// Only when somebody requests it.
        Never,
    }
}

/// When a member of higher rank takes over from a healthy leader.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preemption {
    /// When it takes over; AfterStable unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PreemptionPolicy>,
    /// Seconds for which it must have been able to lead; 30 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub stable_seconds: Option<i64>,
}

/// Certificates of the connections between members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverTls {
    /// Secret in the object's namespace with ca.crt, tls.crt and tls.key; empty means none.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub secret_name: String,
}

/// Settings that contradict each other or lie out of bounds, where the API server did not refuse them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.failover.{field} is {value}, but must be {wanted}")]
pub struct InvalidSetting {
    /// Path of the field below `spec.failover`.
    pub field: &'static str,
    /// What it is.
    pub value: i64,
    /// What it should be.
    pub wanted: String,
}

impl Failover {
    /// How long a leader leads after a majority has acknowledged it.
    pub fn lease(&self) -> Duration {
        seconds(self.lease_duration_seconds.unwrap_or(LEASE))
    }

    /// How long it is between two renewals.
    pub fn renew_interval(&self) -> Duration {
        match self.renew_interval_seconds {
            Some(interval) => seconds(interval),
            None => (self.lease() / 3).min(seconds(LONGEST_RENEW_INTERVAL)),
        }
    }

    /// How long a cluster may need to remove the payload, where users say so.
    pub fn fence_grace(&self) -> Option<Duration> {
        self.fence_grace_seconds.map(seconds)
    }

    /// What to do where a failed leader cannot be told from an unreachable one.
    pub fn availability(&self) -> AvailabilityPolicy {
        self.availability.unwrap_or(AvailabilityPolicy::Consistent)
    }

    /// When a member of higher rank takes over.
    pub fn preemption_policy(&self) -> PreemptionPolicy {
        let policy = self.preemption.as_ref().and_then(|preemption| preemption.policy);
        policy.unwrap_or(PreemptionPolicy::AfterStable)
    }

    /// For how long such a member must have been able to lead.
    pub fn stable(&self) -> Duration {
        let stable = self
            .preemption
            .as_ref()
            .and_then(|preemption| preemption.stable_seconds);
        seconds(stable.unwrap_or(STABLE))
    }

    /// Whether the hub votes.
    pub fn witness(&self) -> WitnessPolicy {
        self.witness.unwrap_or(WitnessPolicy::Auto)
    }

    /// The Secret with certificates, if there is to be one.
    pub fn tls_secret(&self) -> Option<&str> {
        let tls = self.tls.as_ref()?;
        Some(tls.secret_name.as_str()).filter(|name| !name.is_empty())
    }

    /// How long a planned handover may take.
    pub fn handover_timeout(&self) -> Duration {
        seconds(self.handover_timeout_seconds.unwrap_or(HANDOVER))
    }

    /// What is called to switch the old leader's cluster off, if anything.
    pub fn fence_webhook(&self) -> Option<&str> {
        Some(self.fence_webhook.as_str()).filter(|url| !url.is_empty())
    }

    /// Verifies what the schema verifies: definitions may be older than the agent, or were changed by users.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn verify(&self) -> Result<(), InvalidSetting> {
        let stable = self
            .preemption
            .as_ref()
            .and_then(|preemption| preemption.stable_seconds);
        let bounds = [
            ("leaseDurationSeconds", self.lease_duration_seconds, 5, 300),
            ("renewIntervalSeconds", self.renew_interval_seconds, 1, 100),
            ("fenceGraceSeconds", self.fence_grace_seconds, 0, 2_592_000),
            ("preemption.stableSeconds", stable, 0, 86_400),
            ("handoverTimeoutSeconds", self.handover_timeout_seconds, 1, 86_400),
        ];
        for (field, value, least, most) in bounds {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                let wanted = format!("between {least} and {most}");
                return Err(InvalidSetting { field, value, wanted });
            }
        }
        let third = self.lease_duration_seconds.unwrap_or(LEASE) / 3;
        match self.renew_interval_seconds.filter(|interval| *interval > third) {
            Some(value) => Err(InvalidSetting {
                field: "renewIntervalSeconds",
                value,
                wanted: format!("at most {third}, a third of leaseDurationSeconds"),
            }),
            None => Ok(()),
        }
    }
}

/// Bounds are verified before; what is out of them counts as nothing.
fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or_default())
}
