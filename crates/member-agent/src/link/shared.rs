//! What both halves of reporting share: what is to be sent, and what the hub answered.

use std::collections::BTreeMap;

use fairway_core::link::NackCode;
use fairway_core::link::outbox::Outbox;
use fairway_core::services::{ExportKey, Exports, Verdict};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use wire::Verdicts;

use super::channel::{Receiver, Sender};
use super::metrics::Metrics;

/// What the side of the exports and the side of the hub share.
pub(super) struct Shared {
    pub(super) outbox: Mutex<Outbox<Exports>>,
    /// Something is to be sent.
    pub(super) wake: Notify,
    /// What the hub answered about each export, the newest only.
    pub(super) answers: Mutex<BTreeMap<ExportKey, HubAnswer>>,
    /// Verdicts that users see, by the number to acknowledge.
    pub(super) shown: Mutex<BTreeMap<ExportKey, u64>>,
    /// Exports that need another pass.
    pub(super) revisit: Box<dyn Fn(ExportKey) + Send + Sync>,
    /// Since when each change waits for the hub.
    pub(super) waiting_since: Mutex<BTreeMap<ExportKey, Timestamp>>,
    pub(super) metrics: Metrics,
}

/// What the hub answered about an export.
#[derive(Debug, Clone)]
pub(super) enum HubAnswer {
    /// A verdict.
    Verdict {
        /// Its number.
        seq: u64,
        /// What the hub judged.
        verdict: Verdict,
        /// The hub knows that users see it.
        acknowledged: bool,
    },
    /// The report was refused for good, with the reason as a full sentence.
    Refused(String),
}

impl Shared {
    pub(super) fn new(metrics: Metrics, revisit: impl Fn(ExportKey) + Send + Sync + 'static) -> Self {
        Self {
            outbox: Mutex::new(Outbox::new()),
            wake: Notify::new(),
            answers: Mutex::default(),
            shown: Mutex::default(),
            revisit: Box::new(revisit),
            waiting_since: Mutex::default(),
            metrics,
        }
    }

    /// A change of an export waits for the hub, and is to be sent.
    pub(super) fn waits(&self, key: ExportKey, now: Timestamp) {
        let mut waiting = self.waiting_since.lock();
        waiting.entry(key).or_insert(now);
        self.metrics.oldest_since(waiting.values().min());
        drop(waiting);
        self.wake.notify_one();
    }

    /// Keeps a verdict for the export's users. While the newest report of the export stands refused, the hub judges what
    /// it recorded before, and that must not hide the refusal.
    pub(super) fn judged(&self, key: ExportKey, seq: u64, verdict: Verdict) {
        let stands_refused = matches!(self.answers.lock().get(&key), Some(HubAnswer::Refused(_)));
        if !stands_refused {
            let acknowledged = false;
            self.answer(
                key,
                HubAnswer::Verdict {
                    seq,
                    verdict,
                    acknowledged,
                },
            );
        }
    }

    fn answer(&self, key: ExportKey, answer: HubAnswer) {
        self.answers.lock().insert(key.clone(), answer);
        (self.revisit)(key);
    }
}

impl Sender for Shared {
    type Topic = Exports;

    fn outbox(&self) -> &Mutex<Outbox<Exports>> {
        &self.outbox
    }

    /// The hub answers anew, so an earlier refusal of the export does not stand any more.
    fn sending(&self, key: &ExportKey) {
        let mut answers = self.answers.lock();
        if matches!(answers.get(key), Some(HubAnswer::Refused(_))) {
            answers.remove(key);
        }
    }

    /// What is not open any more no longer waits.
    fn answered(&self) {
        let outbox = self.outbox.lock();
        let open = outbox.open();
        let mut waiting = self.waiting_since.lock();
        waiting.retain(|key, _| open.contains(key));
        self.metrics.oldest_since(waiting.values().min());
    }

    fn refused(&self, key: ExportKey, code: NackCode, text: &str) {
        let code = code.as_str();
        self.metrics.refused.with_label_values(&[code]).inc();
        tracing::warn!(export = %key, code, message = text, "The hub refused an export.");
        let text = format!("The hub refused the export ({code}): {text}");
        self.answer(key, HubAnswer::Refused(text));
    }

    fn removed(&self, keys: Vec<ExportKey>) {
        keys.into_iter().for_each(|key| (self.revisit)(key));
    }

    fn count(&self, unacknowledged: usize) {
        let count = i64::try_from(unacknowledged).unwrap_or(i64::MAX);
        self.metrics.unacknowledged.set(count);
    }
}

impl Receiver for Shared {
    type Feedback = Verdicts;

    fn received(&self, seq: u64, key: ExportKey, verdict: Verdict) {
        self.judged(key, seq, verdict);
    }

    fn next_ack(&self) -> Option<(ExportKey, u64)> {
        self.shown.lock().pop_first()
    }
}
