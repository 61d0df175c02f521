//! Bindings of both scopes: one cluster of one placement.

use api::Condition;
use api::condition;
use api::placement::v1beta1::{BindingState, ResourceBindingSpec, ResourceBindingStatus};
use api::text::annotations;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DecodeError, Meta, decode};
use crate::effects::Versioned;
use crate::meta::null_is_default;

/// A ClusterResourceBinding or a ResourceBinding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// Metadata.
    pub meta: Meta,
    /// What the scheduler and the rollout decided.
    pub spec: ResourceBindingSpec,
    /// How far its Works have come.
    pub status: ResourceBindingStatus,
}

#[derive(Deserialize)]
struct Stored {
    metadata: Meta,
    spec: ResourceBindingSpec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: ResourceBindingStatus,
}

impl Binding {
    /// Reads a stored binding.
    ///
    /// # Errors
    /// When the object has not the shape of a binding or is in a state that is not known.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Stored { metadata, spec, status } = decode("binding", value)?;
        Ok(Self {
            meta: metadata,
            spec,
            status,
        })
    }

    /// Its state.
    pub fn state(&self) -> BindingState {
        self.spec.state
    }

    /// Its cluster.
    pub fn cluster(&self) -> &str {
        &self.spec.target_cluster
    }

    /// The state that it had before it became Unscheduled.
    pub fn previous_state(&self) -> Option<BindingState> {
        self.meta.annotation(annotations::PREVIOUS_BINDING_STATE)?.parse().ok()
    }

    /// A condition of its status.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        condition::find(&self.status.conditions, type_)
    }

    /// What a condition says about the current generation.
    pub fn condition_state(&self, type_: &str) -> condition::ConditionState {
        condition::state(&self.status.conditions, type_, self.meta.generation)
    }
}

impl Versioned for Binding {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }
    fn same_spec(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
