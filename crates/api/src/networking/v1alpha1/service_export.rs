//! ServiceExport in its first version; the content is that of `v1beta1` (networking 3.2).

use crate::networking::v1beta1::{NAME_RULES, ServiceExportStatus};
use crate::root::root_kind;
use crate::schema::rules;

root_kind! {
    /// Exports the Service of the same name and namespace to the fleet.
    #[derive(Default)]
    #[schemars(extend("x-kubernetes-validations" = rules(NAME_RULES)))]
    ServiceExport, "networking.fleet.azure.com", "v1alpha1", "serviceexports", NamespaceResourceScope {
        /// Whether the export is in force.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<ServiceExportStatus>,
    }
}
