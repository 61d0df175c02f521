//! Passes that can be repeated elsewhere: what a pass decides on, held as a whole and written as JSON.
//!
//! A [`Recording`] comes from a pass of an agent ([`Recording::of`]) or from plain objects ([`load::from_objects`]), and
//! gives the same plan wherever it is replayed.

pub mod load;
mod owned;
mod view;

pub use load::Loaded;
pub use owned::OwnedSlice;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Pass, Settings, Slice, Trace, explain, plan};
use view::RecordingView;

/// All arguments of one pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// What the pass decides on.
    pub slice: OwnedSlice,
    /// The agent's settings.
    pub settings: Settings,
    /// The time of the pass.
    pub now: Timestamp,
    /// What makes the names of new objects fresh.
    pub nonce: u64,
}

impl Recording {
    /// Plans, and records what the pass went by: of the selectable resources only what it read.
    pub fn of(slice: &Slice<'_>, settings: &Settings, now: Timestamp, nonce: u64) -> (Pass, Self) {
        let view = RecordingView::new(slice.resources);
        let recorded = Slice {
            resources: &view,
            ..slice.clone()
        };
        let pass = plan(&recorded, settings, now, nonce);
        let recording = Self {
            slice: OwnedSlice::of(slice, view.into_table()),
            settings: settings.clone(),
            now,
            nonce,
        };
        (pass, recording)
    }

    /// Plans again.
    pub fn replay(&self) -> Pass {
        plan(&self.slice.borrow(), &self.settings, self.now, self.nonce)
    }

    /// Plans again, and says why.
    pub fn explain(&self) -> (Pass, Trace) {
        explain(&self.slice.borrow(), &self.settings, self.now, self.nonce)
    }
}
