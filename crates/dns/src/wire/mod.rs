//! The wire format of DNS messages: queries are parsed by hand and answers written from prepared parts, because
//! decoding and encoding whole messages takes several times the processor time of all other work on a query
//! (`docs/performance.md`).
//!
//! Tests and fuzz targets hold both directions against `hickory-proto`.

mod codes;
mod edns;
mod malformed;
mod query;
mod writer;

pub use codes::{Rcode, RecordType};
pub use edns::{ClientSubnet, Edns};
pub use malformed::Malformed;
pub use query::{LowerName, Query, Unanswerable, parse};
pub(crate) use writer::{NameAt, Section, Writer};

/// Length of the header of every message.
pub(crate) const HEADER: usize = 12;
/// The longest name in wire format.
pub(crate) const MAX_NAME: usize = 255;
/// The class of the internet.
pub(crate) const CLASS_IN: u16 = 1;
