//! Custom resource schemas: pruning, defaulting, validation with the texts of the API server, CEL rules, printer columns. No IO.
//!
//! A [`Schema`] is made once per served version of a definition and then used for every object. The order of the API server is
//! `prune`, `default`, `validate`.

mod cel;
mod default;
mod error;
mod formats;
pub mod jsonpath;
mod node;
mod prune;
mod rule;
mod scale;
pub mod structural;
pub mod table;
mod validate;

pub use error::{ErrorKind, FieldError, summary};
pub use node::{Schema, SchemaError};
pub use prune::strict_decoding_error;
pub use scale::Scale;

#[cfg(test)]
mod tests;
