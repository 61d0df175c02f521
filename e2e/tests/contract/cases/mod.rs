//! The cases, by area.

mod auth;
mod builtin;
mod definitions;
mod deletion;
mod discovery;
mod lists;
mod managers;
mod objects;
mod own_kinds;
mod patches;
mod schemas;
mod ssa;
mod subresources;
mod tables;
mod values;
mod watches;

use crate::cx::Case;

/// All cases.
pub fn all() -> Vec<Case> {
    [
        objects::cases(),
        patches::cases(),
        ssa::cases(),
        managers::cases(),
        subresources::cases(),
        schemas::cases(),
        own_kinds::cases(),
        definitions::cases(),
        builtin::cases(),
        deletion::cases(),
        lists::cases(),
        watches::cases(),
        tables::cases(),
        values::cases(),
        discovery::cases(),
        auth::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
