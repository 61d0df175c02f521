//! The fleet's API: types, defaults, texts, names, quantities, selectors and hashes. No IO.
//!
//! - [`placement`], [`cluster`], [`networking`], [`inventory`], [`kubefleet`], [`multicluster`]: the kinds, one module per version;
//!   agents read and write `v1beta1` (`v1alpha1` where a kind has nothing newer).
//! - [`resource`], [`kinds`]: how objects are addressed, and the kinds that agents write.
//! - [`text`]: condition types, reasons, labels, annotations, finalizers, messages. [`names`]: generated names.
//! - [`condition`], [`selector`], [`quantity`], [`intstr`], [`hash`], [`defaults`], [`yaml`]: the arithmetic.
//!
//! A user's manifest is never decoded into these types and written back: it travels as JSON.

pub mod cluster;
pub mod condition;
#[cfg(feature = "crds")]
pub mod crd;
pub mod defaults;
pub mod hash;
mod hex;
pub mod intstr;
pub mod inventory;
pub mod kinds;
pub mod kubefleet;
pub mod multicluster;
pub mod names;
pub mod networking;
pub mod placement;
pub mod quantity;
pub mod resource;
mod root;
mod schema;
pub mod selector;
mod serde_util;
pub mod text;
pub mod yaml;

pub use condition::{Condition, ConditionStatus};
pub use intstr::IntOrString;
pub use k8s_openapi::ByteString;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
pub use quantity::Quantity;
pub use root::{RootKind, Scoped};
pub use selector::LabelSelector;

/// A text that is none of the values of an enum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a known {what}")]
pub struct UnknownValue {
    /// Name of the enum.
    pub what: &'static str,
    /// The text.
    pub value: String,
}
