//! Member clusters, in the storage version.

mod internal_member_cluster;
mod member_cluster;

pub use internal_member_cluster::*;
pub use member_cluster::*;
