//! Version `v1alpha1`, the only one.

mod binding;
mod cluster_request;
mod policy;
mod selector;
mod snapshot;
mod sync;
mod work;

pub use binding::*;
pub use cluster_request::*;
pub use policy::*;
pub use selector::*;
pub use snapshot::*;
pub use sync::*;
pub use work::*;
