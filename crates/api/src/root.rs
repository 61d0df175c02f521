//! What every root kind (an object with its own URL) has in common.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Static facts of a root kind, for code that builds JSON, URLs or owner references.
pub trait RootKind: kube::Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned {
    /// API group, empty for none of ours.
    const GROUP: &'static str;
    /// Version of the group.
    const VERSION: &'static str;
    /// `group/version`, as written in `apiVersion`.
    const API_VERSION: &'static str;
    /// Kind, in camel case.
    const KIND: &'static str;
    /// Plural resource name, as in URLs.
    const PLURAL: &'static str;
    /// Whether objects are namespaced.
    const NAMESPACED: bool;
}

/// Whether a scope marker of kube means objects in namespaces.
pub trait Scoped {
    /// True for namespaced kinds.
    const NAMESPACED: bool;
}

impl Scoped for kube::core::ClusterResourceScope {
    const NAMESPACED: bool = false;
}

impl Scoped for kube::core::NamespaceResourceScope {
    const NAMESPACED: bool = true;
}

/// Defines a root kind: a struct with metadata and the listed fields, whose JSON carries `apiVersion` and `kind`.
/// `@schema` attributes apply to the JSON schema only.
macro_rules! root_kind {
    (
        $(#[$doc:meta])*
        $name:ident, $group:literal, $version:literal, $plural:literal, $scope:ident {
            $(
                $(#[$attr:meta])*
                $(@schema $(#[$schema:meta])*)?
                $field:ident : $ty:ty
            ),* $(,)?
        }
    ) => {
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        $(#[$doc])*
        pub struct $name {
            /// Standard object metadata.
            #[serde(default)]
            #[schemars(schema_with = "crate::schema::metadata")]
            pub metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            $(
                $(#[$attr])*
                $($(#[$schema])*)?
                pub $field: $ty,
            )*
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[derive(serde::Serialize)]
                #[serde(rename_all = "camelCase")]
                struct Wire<'a> {
                    api_version: &'static str,
                    kind: &'static str,
                    metadata: &'a k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                    $(
                        $(#[$attr])*
                        $field: &'a $ty,
                    )*
                }
                let wire = Wire {
                    api_version: <$name as crate::RootKind>::API_VERSION,
                    kind: stringify!($name),
                    metadata: &self.metadata,
                    $($field: &self.$field,)*
                };
                serde::Serialize::serialize(&wire, serializer)
            }
        }

        impl kube::Resource for $name {
            type DynamicType = ();
            type Scope = kube::core::$scope;

            fn kind(_: &()) -> std::borrow::Cow<'_, str> {
                stringify!($name).into()
            }
            fn group(_: &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }
            fn version(_: &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }
            fn plural(_: &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }

        impl crate::RootKind for $name {
            const GROUP: &'static str = $group;
            const VERSION: &'static str = $version;
            const API_VERSION: &'static str = concat!($group, "/", $version);
            const KIND: &'static str = stringify!($name);
            const PLURAL: &'static str = $plural;
            const NAMESPACED: bool = <kube::core::$scope as crate::root::Scoped>::NAMESPACED;
        }
    };
}

pub(crate) use root_kind;
