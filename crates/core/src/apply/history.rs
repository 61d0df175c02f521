//! What is remembered of our writes to one object while its manifest stays the same, so that no write is repeated for ever.
//!
//! Two things may keep an object from coming to rest. Somebody else may write the same fields: then the pauses between our
//! writes grow, and the other writer is named. Or our own writes may undo each other, or be changed on their way in: then
//! writing ends, and the manifest fails.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use api::text::managers;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::prepare::types_of;

/// Pause in seconds after the first write in a row that undid somebody else's; it doubles with each further one.
const FIRST_PAUSE: i64 = 2;

/// Longest pause. A contest is over when the object has stayed as we left it for this long.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// From this write in a row on, the other writer is named.
const NAMED_FROM: u32 = 3;

/// Writes in a row that change an object nobody else has touched; after these, the manifest fails.
const MOST_RESTLESS: u32 = 4;

/// A field that somebody else writes as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contest {
    /// The other field manager; `None` where none is on record.
    pub manager: Option<String>,
    /// The field, as in `.spec.replicas`.
    pub field: String,
}

/// Our writes to one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteHistory {
    /// What was to be applied; another manifest or strategy starts over.
    subject: u64,
    last: Option<Write>,
    /// When somebody else's write was first seen after the last one of ours.
    disturbed: Option<Timestamp>,
    /// Writes in a row that undid what somebody else had written.
    contested: u32,
    contest: Option<Contest>,
    /// Writes in a row that changed an object which was as the write before had left it.
    restless: u32,
}

#[derive(Debug, Clone, PartialEq)]
struct Write {
    at: Timestamp,
    /// Fingerprint of the fields that were applied, as the write left them.
    left: u64,
    /// A field that it changed.
    field: String,
}

/// What the history says about one more write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Permit {
    /// Write it.
    Write,
    /// The other writer has to be left alone for this long.
    Wait(Duration),
    /// It would change nothing for good; the sentence says why.
    Refuse(String),
}

impl WriteHistory {
    /// Starts over where another manifest or strategy is to be applied than last time.
    pub(super) fn concerns(&mut self, subject: &impl std::hash::Hash) {
        let mut hasher = DefaultHasher::new();
        subject.hash(&mut hasher);
        let subject = hasher.finish();
        if self.subject != subject {
            *self = Self {
                subject,
                ..Self::default()
            };
        }
    }

    /// Whether the object may be written now.
    pub(super) fn permit(&mut self, body: &Value, live: &Value, now: Timestamp) -> Permit {
        let Some(last) = &self.last else { return Permit::Write };
        if fingerprint(body, live) == last.left {
            return if self.restless < MOST_RESTLESS {
                Permit::Write
            } else {
                Permit::Refuse(format!(
                    "the object does not come to rest: each of the last {MOST_RESTLESS} writes of the unchanged manifest \
                     has changed the field {} of an object that nobody else had written in between. It is left as it is \
                     until the manifest changes; see whether an admission webhook of the member cluster changes the field",
                    last.field
                ))
            };
        }
        self.disturbed = self.disturbed.or(Some(now));
        match until(last.at, self.pause(), now) {
            Some(rest) if self.contested > 0 => Permit::Wait(rest),
            _ => Permit::Write,
        }
    }

    /// Notes a write that found the object as `before` and left it as `after`; a creation, or one without effect, is none.
    pub(super) fn wrote(&mut self, body: &Value, before: Option<&Value>, after: &Value, now: Timestamp) {
        let Some(before) = before else { return };
        let (found, left) = (fingerprint(body, before), fingerprint(body, after));
        if found != left {
            let others = merge::ssa::other_writers(before, after, types_of(after), managers::WORK_AGENT);
            let other = others.into_iter().next();
            let field = other
                .as_ref()
                .map_or_else(|| changed_field(body, before, after), |(_, field)| field.clone());
            match &self.last {
                Some(last) if last.left == found => {
                    self.restless += 1;
                    self.contested = 0;
                }
                Some(last) if self.disturbed.unwrap_or(now).duration_since(last.at) < LONGEST_PAUSE => {
                    self.contested += 1;
                    self.restless = 0;
                }
                _ => {
                    self.contested = u32::from(self.last.is_some());
                    self.restless = 0;
                }
            }
            self.contest = Some(Contest {
                manager: other.map(|(manager, _)| manager),
                field: field.clone(),
            });
            self.last = Some(Write { at: now, left, field });
            self.disturbed = None;
        }
    }

    /// Notes that there was nothing to write.
    pub(super) fn at_rest(&mut self, now: Timestamp) {
        self.restless = 0;
        self.disturbed = None;
        if self
            .last
            .as_ref()
            .is_some_and(|last| now.duration_since(last.at) >= LONGEST_PAUSE)
        {
            self.contested = 0;
            self.contest = None;
        }
    }

    /// The contest that is going on, once it has lasted.
    pub(super) fn contest(&self) -> Option<&Contest> {
        self.contest.as_ref().filter(|_| self.contested >= NAMED_FROM)
    }

    /// When to look whether a contest is over.
    pub(super) fn look_again(&self, now: Timestamp) -> Option<Duration> {
        let last = self.last.as_ref().filter(|_| self.contest().is_some())?;
        until(last.at, LONGEST_PAUSE, now)
    }

    fn pause(&self) -> SignedDuration {
        let doublings = self.contested.saturating_sub(1).min(8);
        SignedDuration::from_secs(FIRST_PAUSE << doublings).min(LONGEST_PAUSE)
    }
}

/// What is left of a span that began at `start`; `None` when it is over. A clock that was set back makes it no longer.
fn until(start: Timestamp, span: SignedDuration, now: Timestamp) -> Option<Duration> {
    let left = span.saturating_sub(now.duration_since(start)).min(span);
    left.is_positive().then(|| left.unsigned_abs())
}

/// Fingerprint of those fields of an object that the applied body sets. It holds within one process.
fn fingerprint(body: &Value, object: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    add(body, Some(object), &mut hasher);
    hasher.finish()
}

fn add(body: &Value, object: Option<&Value>, into: &mut DefaultHasher) {
    match (body, object) {
        (Value::Object(named), Some(Value::Object(found))) => {
            let mut keys: Vec<&String> = named.keys().collect();
            keys.sort_unstable();
            for key in keys {
                key.hash(into);
                add(&named[key], found.get(key), into);
            }
        }
        (_, Some(found)) => found.to_string().hash(into),
        (_, None) => "absent".hash(into),
    }
}

/// The first of the applied fields that differs between two states of the object.
fn changed_field(body: &Value, before: &Value, after: &Value) -> String {
    let found = merge::diff::diff(before, after, types_of(after));
    let is_named = |path: &str| {
        let lists = path
            .split('/')
            .position(|step| step == "-" || step.parse::<usize>().is_ok());
        let steps: Vec<&str> = path.split('/').take(lists.unwrap_or(usize::MAX)).collect();
        body.pointer(&steps.join("/")).is_some()
    };
    let mut paths = found.into_iter().map(|difference| difference.path);
    paths
        .find(|path| is_named(path))
        .map(|path| dotted(&path))
        .unwrap_or_default()
}

/// A JSON pointer in the form that field managers' messages use.
fn dotted(pointer: &str) -> String {
    let steps = pointer.split('/').skip(1).map(|step| match step.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) if step == "-" => String::new(),
        Err(_) => format!(".{}", step.replace("~1", "/").replace("~0", "~")),
    });
    steps.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn object(value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}})
    }

    /// A history in which somebody has written a field again and again.
    pub fn contested(manager: &str, field: &str) -> WriteHistory {
        WriteHistory {
            contested: NAMED_FROM,
            contest: Some(Contest {
                manager: Some(manager.to_owned()),
                field: field.to_owned(),
            }),
            ..WriteHistory::default()
        }
    }

    #[test]
    fn single_repairs_are_no_contest() {
        let (body, ours, theirs) = (object("ours"), object("ours"), object("theirs"));
        let mut history = WriteHistory::default();
        for hour in 0..5 {
            let now = at(hour * 3600);
            assert_eq!(history.permit(&body, &theirs, now), Permit::Write);
            history.wrote(&body, Some(&theirs), &ours, now);
            history.at_rest(at(hour * 3600 + 1));
            assert_eq!(history.contest(), None);
        }
    }

    #[test]
    fn what_the_body_does_not_name_is_nobodys_contest() {
        let body = object("ours");
        let mut busy = object("ours");
        let mut history = WriteHistory::default();
        history.wrote(&body, Some(&object("before")), &busy, at(0));
        for second in 1..20 {
            busy["data"]["theirs"] = json!(second);
            assert_eq!(history.permit(&body, &busy, at(second)), Permit::Write);
            history.wrote(&body, Some(&busy), &busy, at(second));
        }
        assert_eq!(
            (history.contested, history.restless),
            (0, 0),
            "writes without effect do not count either"
        );
    }

    #[test]
    fn another_manifest_starts_over_and_a_clock_that_goes_back_delays_no_further() {
        let body = object("ours");
        let mut history = contested("m", ".data.k");
        history.concerns(&"one");
        assert_eq!(history.contest(), None);
        history.wrote(&body, Some(&object("a")), &object("ours"), at(1000));
        history.wrote(&body, Some(&object("b")), &object("ours"), at(1001));
        history.concerns(&"one");
        assert_eq!(
            history.permit(&body, &object("c"), at(0)),
            Permit::Wait(Duration::from_secs(2))
        );
        history.concerns(&"two");
        assert_eq!(history.permit(&body, &object("c"), at(0)), Permit::Write);
    }

    #[test]
    fn a_writer_that_is_not_on_record_is_not_named() {
        let body = object("ours");
        let mut history = WriteHistory::default();
        for second in 0..4 {
            history.wrote(&body, Some(&object("theirs")), &object("ours"), at(second));
        }
        let contest = history.contest().unwrap();
        assert_eq!((contest.manager.as_deref(), contest.field.as_str()), (None, ".data.k"));
    }
}
