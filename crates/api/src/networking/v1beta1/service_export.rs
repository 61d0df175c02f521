//! ServiceExport (networking 3.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;

/// Whether the export is in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceExportStatus {
    /// Valid and Conflict.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

pub(crate) const NAME_RULES: &[(&str, &str)] = &[("size(self.metadata.name) < 64", "metadata.name max length is 63")];

root_kind! {
    /// Exports the Service of the same name and namespace to the fleet.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    ServiceExport, "networking.fleet.azure.com", "v1beta1", "serviceexports", NamespaceResourceScope {
        /// Whether the export is in force.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ServiceExportStatus>,
    }
}
