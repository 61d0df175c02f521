//! How members take up resources, and how they differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// How manifests are applied.
    ApplyMethod {
        /// Three-way merge by the agent.
        ClientSideApply,
        /// Server-side apply.
        ServerSideApply,
    }
}

string_enum! {
    /// What happens to an object that others own.
    WhenOwnedByOthers {
        /// Our owner reference is added.
        ShareOwnership,
        /// It is an error.
        ReportError,
    }
}

string_enum! {
    /// What happens to an object that was changed on the member.
    WhenDrifted {
        /// It is applied again.
        ApplyAnyway,
        /// It is an error.
        ReportError,
    }
}

string_enum! {
    /// What happens to an object that exists and is not ours.
    WhenAlreadyExists {
        /// It is taken over.
        AlwaysTakeOver,
        /// It is taken over when it does not differ.
        TakeOverIfNoDiff,
        /// It is an error.
        ReportError,
    }
}

string_enum! {
    /// What happens to placed objects when the policy is deleted.
    WhenPlacementDeleted {
        /// They are deleted.
        CleanUpResources,
        /// They stay.
        OrphanResources,
    }
}

string_enum! {
    /// What happens when a namespace is missing on the member.
    WhenNamespaceDoesNotExist {
        /// It is created.
        CreateNamespace,
        /// It is an error.
        ReportError,
    }
}

string_enum! {
    /// What counts as a difference.
    ComparisonOption {
        /// Only fields of the manifest.
        PartialComparison,
        /// All fields.
        FullComparison,
    }
}

/// How members take up resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStrategy {
    /// How manifests are applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "ClientSideApply"))]
    pub apply_method: Option<ApplyMethod>,
    /// For server-side apply only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply_options: Option<ServerSideApplyOptions>,
    /// What happens to objects that others own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "ReportError"))]
    pub when_owned_by_others: Option<WhenOwnedByOthers>,
    /// What happens to objects that were changed on the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "ApplyAnyway"))]
    pub when_drifted: Option<WhenDrifted>,
    /// What happens to objects that exist and are not ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "ReportError"))]
    pub when_already_exists: Option<WhenAlreadyExists>,
    /// What happens to placed objects when the policy is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "CleanUpResources"))]
    pub when_placement_deleted: Option<WhenPlacementDeleted>,
    /// What happens when a namespace is missing on the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "CreateNamespace"))]
    pub when_namespace_does_not_exist: Option<WhenNamespaceDoesNotExist>,
    /// What counts as a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "PartialComparison"))]
    pub comparison_option: Option<ComparisonOption>,
}

/// Settings of server-side apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerSideApplyOptions {
    /// Take over conflicting fields.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub force_conflicts: bool,
}

/// How an object differs from its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffDetails {
    /// Generation of the object on the member; absent when it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_in_member_cluster_generation: Option<i64>,
    /// When the difference was first seen.
    pub first_diffed_observed_timestamp: Time,
    /// The differences.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub observed_diffs: Vec<PatchDetail>,
}

/// One difference between hub and member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchDetail {
    /// Where, as a JSON pointer.
    pub path: String,
    /// Value on the member, as text.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub value_in_member: String,
    /// Value on the hub, as text.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub value_in_hub: String,
}
