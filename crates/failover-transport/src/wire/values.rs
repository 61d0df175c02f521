//! Single values, and their ranges.

use std::time::Duration;

use failover::member::{FleetId, MemberId};

use super::pb;

/// Kubernetes keeps a term as the number of transitions of a Lease, which has 32 bits.
const LAST_TERM: u64 = i32::MAX as u64;
/// Of identities: a UID, a namespace and a name with separators.
const LONGEST_ID: usize = 400;
/// A name of the DNS and a port.
const LONGEST_ADDRESS: usize = 260;
/// Bounds of `leaseDurationSeconds` (multicluster-failover B.2).
const LEASE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(300)];
/// A fence follows the grace period of the payload's Pods; who needs longer than a month does not fail over.
const LONGEST_FENCE: Duration = Duration::from_hours(31 * 24);
/// SHA-256 in hexadecimal digits.
const LONGEST_HASH: usize = 64;
/// The value of an annotation by which an operator requests something.
const LONGEST_REQUEST: usize = 1024;

/// A message says something that no member says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Malformed {
    field: &'static str,
    why: String,
}

impl Malformed {
    pub(super) fn new(field: &'static str, why: impl ToString) -> Self {
        Self {
            field,
            why: why.to_string(),
        }
    }
}

/// A part that a message cannot do without.
pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed::new(field, "is missing or of an unknown kind"))
}

/// Checks a value that need not be there.
pub(super) trait Checked<T> {
    fn checked<U>(
        self,
        field: &'static str,
        check: impl FnOnce(&'static str, T) -> Result<U, Malformed>,
    ) -> Result<Option<U>, Malformed>;
}

impl<T> Checked<T> for Option<T> {
    fn checked<U>(
        self,
        field: &'static str,
        check: impl FnOnce(&'static str, T) -> Result<U, Malformed>,
    ) -> Result<Option<U>, Malformed> {
        self.map(|value| check(field, value)).transpose()
    }
}

pub(super) fn term(field: &'static str, term: u64) -> Result<u64, Malformed> {
    match term <= LAST_TERM {
        true => Ok(term),
        false => Err(Malformed::new(field, format_args!("{term} is beyond the last term"))),
    }
}

pub(super) fn member(field: &'static str, id: String) -> Result<MemberId, Malformed> {
    text(field, &id, LONGEST_ID, |c| {
        c.is_ascii_alphanumeric() || "-._/".contains(c)
    })?;
    Ok(MemberId::from(id.as_str()))
}

pub(super) fn fleet(field: &'static str, id: String) -> Result<FleetId, Malformed> {
    text(field, &id, LONGEST_ID, |c| c.is_ascii_alphanumeric() || c == '-')?;
    Ok(FleetId::from(id.as_str()))
}

pub(super) fn address(field: &'static str, address: String) -> Result<String, Malformed> {
    text(field, &address, LONGEST_ADDRESS, |c| c.is_ascii_graphic())?;
    let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(port)) if port > 0 && !address.starts_with(':') => Ok(address),
        _ => Err(Malformed::new(field, "is not host:port")),
    }
}

pub(super) fn request(field: &'static str, value: String) -> Result<String, Malformed> {
    text(field, &value, LONGEST_REQUEST, |c| !c.is_control())?;
    Ok(value)
}

pub(super) fn hash(field: &'static str, hash: String) -> Result<String, Malformed> {
    if !hash.is_empty() {
        text(field, &hash, LONGEST_HASH, |c| matches!(c, '0'..='9' | 'a'..='f'))?;
    }
    Ok(hash)
}

fn text(field: &'static str, text: &str, longest: usize, permits: impl Fn(char) -> bool) -> Result<(), Malformed> {
    match text {
        "" => Err(Malformed::new(field, "is empty")),
        _ if text.len() > longest => Err(Malformed::new(field, format_args!("is longer than {longest} bytes"))),
        _ if !text.chars().all(permits) => Err(Malformed::new(field, "has characters that are not permitted")),
        _ => Ok(()),
    }
}

pub(super) fn duration_to_wire(duration: Duration) -> pb::Duration {
    pb::Duration {
        seconds: duration.as_secs(),
        nanos: duration.subsec_nanos(),
    }
}

pub(super) fn lease(field: &'static str, lease: Option<pb::Duration>) -> Result<Duration, Malformed> {
    within(field, lease, LEASE)
}

pub(super) fn fence(field: &'static str, fence: Option<pb::Duration>) -> Result<Duration, Malformed> {
    within(field, fence, [Duration::ZERO, LONGEST_FENCE])
}

fn within(field: &'static str, span: Option<pb::Duration>, range: [Duration; 2]) -> Result<Duration, Malformed> {
    let span = required(field, span)?;
    if span.nanos >= 1_000_000_000 {
        return Err(Malformed::new(field, "has a whole second in its nanoseconds"));
    }
    let [least, most] = range;
    let span = Duration::new(span.seconds, span.nanos);
    match least <= span && span <= most {
        true => Ok(span),
        false => Err(Malformed::new(
            field,
            format_args!("{span:?} is not between {least:?} and {most:?}"),
        )),
    }
}
