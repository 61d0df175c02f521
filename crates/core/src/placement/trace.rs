//! Why a pass decides as it does, stage by stage.

use serde::Serialize;

use crate::trace::Bounded;
use crate::{render, rollout, schedule, select, snapshot};

/// What each stage of a pass went by. Every list is bounded, and says how many entries it does not hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// What the selectors found.
    pub selection: select::Trace,
    /// What became of the snapshots.
    pub snapshots: snapshot::Trace,
    /// How the clusters were judged.
    pub scheduling: schedule::Trace,
    /// How the budgets were spent.
    pub rollout: rollout::Trace,
    /// What became of the Works, by binding; a binding that the rollout moves within the pass is there as it ends.
    pub works: Bounded<render::Trace>,
}

impl Trace {
    /// Adds what became of a binding's Works, in the place of what an earlier round had made of them.
    pub(super) fn rendered(&mut self, works: render::Trace) {
        match self
            .works
            .entries_mut()
            .iter_mut()
            .find(|known| known.binding == works.binding)
        {
            Some(known) => *known = works,
            None => self.works.push(works),
        }
    }
}
