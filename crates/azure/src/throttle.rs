//! Remembers how long Azure wants no calls (networking 12.2): per subscription, reads and writes apart.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::Refusal;
use crate::limit::CallKind;

/// More subscriptions than this are not remembered.
const MAX_ENTRIES: usize = 64;

/// Calls that Azure does not want yet.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<BTreeMap<(String, CallKind), Held>>);

#[derive(Debug)]
struct Held {
    until: Instant,
    answer: Refusal,
}

impl Throttle {
    /// The answer that such a call would get, as Azure gave it before, with the time that is left.
    pub(crate) fn refusal(&self, subscription: &str, kind: CallKind) -> Option<Refusal> {
        let mut all = self.0.lock();
        let now = Instant::now();
        all.retain(|_, held| held.until > now);
        let held = all.get(&(subscription.to_ascii_lowercase(), kind))?;
        Some(Refusal {
            retry_after: Some(held.until.saturating_duration_since(now)),
            ..held.answer.clone()
        })
    }

    /// Azure refused a call. It counts when it was for the number of calls and says how long.
    pub(crate) fn record(&self, subscription: &str, kind: CallKind, answer: &Refusal) {
        let Some(wait) = answer.retry_after.filter(|_| answer.status == 429) else {
            return;
        };
        let until = Instant::now() + wait;
        let key = (subscription.to_ascii_lowercase(), kind);
        let mut all = self.0.lock();
        if all.len() >= MAX_ENTRIES && !all.contains_key(&key) {
            all.clear();
        }
        if all.get(&key).is_none_or(|held| held.until < until) {
            let answer = answer.clone();
            all.insert(key, Held { until, answer });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refusal(status: u16, seconds: Option<u64>) -> Refusal {
        Refusal {
            status,
            code: "TooManyRequests".to_owned(),
            message: "slow down".to_owned(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_class_is_refused_until_its_time() {
        let throttle = Throttle::default();
        throttle.record("S", CallKind::Write, &refusal(429, Some(20)));
        throttle.record("s", CallKind::Write, &refusal(429, Some(5)));
        throttle.record("s", CallKind::Read, &refusal(503, Some(20)));
        throttle.record("s", CallKind::Read, &refusal(429, None));
        assert_eq!(throttle.refusal("s", CallKind::Read), None);
        assert_eq!(throttle.refusal("t", CallKind::Write), None);
        assert_eq!(throttle.refusal("s", CallKind::Write), Some(refusal(429, Some(20))));
        tokio::time::advance(Duration::from_secs(8)).await;
        assert_eq!(throttle.refusal("s", CallKind::Write), Some(refusal(429, Some(12))));
        tokio::time::advance(Duration::from_secs(12)).await;
        assert_eq!(throttle.refusal("s", CallKind::Write), None);
    }
}
