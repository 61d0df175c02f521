//! The wire format of DNS messages: queries are parsed by hand and answers written from prepared parts, because
//! decoding and encoding whole messages costs more than everything else a query needs (`docs/performance.md`).
//!
//! Tests and fuzz targets hold both directions against `hickory-proto`.

mod codes;
mod edns;
mod query;
mod writer;

pub use codes::{Rcode, RecordType};
pub use edns::{ClientSubnet, Edns};
pub use query::{LowerName, Malformed, Query, Unanswerable, parse};
pub(crate) use writer::{NameAt, Section, Writer};

/// Length of the header of every message.
pub(crate) const HEADER: usize = 12;
/// The longest name in wire format.
pub(crate) const MAX_NAME: usize = 255;
/// The class of the internet.
pub(crate) const CLASS_IN: u16 = 1;
