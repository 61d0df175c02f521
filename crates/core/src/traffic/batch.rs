//! The calls of one plan on their way. What is written to an endpoint is decided when its request is about to be sent, not
//! when it was planned: until then later plans replace it, or drop it.

use std::collections::VecDeque;

use super::arm::{Action, Call};

/// The calls about one profile that were planned together and are not all answered yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Writes of endpoints that wait for their turn.
    waiting: VecDeque<Call>,
    /// Calls that were sent and are not answered.
    sent: usize,
}

impl Batch {
    /// Takes the calls of a plan. Returns those to send at once; the others wait for [`Batch::take_next`]. Does nothing while
    /// the batch is not over: a profile has one writer.
    pub fn begin(&mut self, calls: Vec<Call>) -> Vec<Call> {
        if !self.is_over() {
            return Vec::new();
        }
        let (waiting, at_once): (Vec<Call>, Vec<Call>) = calls
            .into_iter()
            .partition(|call| matches!(call.action, Action::WriteEndpoint { .. }));
        self.waiting = waiting.into();
        self.sent = at_once.len();
        at_once
    }

    /// Takes the writes of endpoints as they would be planned now. What waits becomes what it would be now, or is dropped:
    /// the plan after this batch decides about it. So is one that would point elsewhere, where another endpoint may point
    /// to as yet. Nothing is added, because what was sent is not answered yet.
    pub fn revise(&mut self, planned: &[Call]) {
        let now = |waiting: &Call| {
            let subject = waiting.subject();
            let call = planned.iter().find(|call| call.subject() == subject)?;
            let is_same = call.profile == waiting.profile && call.action.has_target_of(&waiting.action);
            is_same.then(|| call.clone())
        };
        self.waiting = self.waiting.iter().filter_map(now).collect();
    }

    /// The next write to send, as it is wanted now.
    pub fn take_next(&mut self) -> Option<Call> {
        let call = self.waiting.pop_front()?;
        self.sent += 1;
        Some(call)
    }

    /// A call was answered.
    pub fn answered(&mut self) {
        self.sent = self.sent.saturating_sub(1);
    }

    /// Whether writes wait for their turn.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether all calls are answered or dropped.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.sent == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::arm::ProfileId;
    use super::super::observed::{read_call, write_endpoint_call};
    use super::*;
    use crate::services::EndpointSettings;

    fn write(name: &str, target: &str, weight: i64) -> Call {
        write_endpoint_call(
            &ProfileId::default(),
            name,
            target,
            weight,
            &EndpointSettings::default(),
        )
    }

    #[test]
    fn what_waits_is_sent_as_it_is_wanted_last() {
        let mut batch = Batch::default();
        let calls = ["a", "b", "c", "d"].map(|name| write(name, name, 1));
        assert_eq!(batch.begin(calls.to_vec()), []);
        assert_eq!(batch.take_next(), Some(write("a", "a", 1)));
        // The first was sent, the second is as it was, the third is not wanted, the fourth would point elsewhere.
        batch.revise(&[
            write("a", "a", 2),
            write("B", "b", 2),
            write("d", "x", 2),
            write("e", "e", 2),
        ]);
        assert_eq!(batch.take_next(), Some(write("B", "b", 2)));
        assert_eq!(batch.take_next(), None);
        assert!(!batch.is_waiting() && !batch.is_over());
        assert_eq!(
            batch.begin(vec![write("e", "e", 2)]),
            [],
            "not before the others are answered"
        );
        batch.answered();
        batch.answered();
        assert!(batch.is_over());
    }

    #[test]
    fn calls_that_write_no_endpoint_are_sent_at_once() {
        let mut batch = Batch::default();
        let read = read_call(&ProfileId::default());
        assert_eq!(batch.begin(vec![read.clone()]), [read]);
        assert!(!batch.is_waiting() && !batch.is_over());
        batch.answered();
        assert!(batch.is_over());
    }
}
