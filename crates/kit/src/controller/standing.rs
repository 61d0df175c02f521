//! Warnings that hold until somebody acts: planned in every pass, recorded once for each generation of their object.

use std::collections::{BTreeMap, BTreeSet};

use fairway_core::effects::{Event, Standing};
use parking_lot::Mutex;

/// What makes a warning the same as one that was recorded.
type Recorded = BTreeSet<(i64, &'static str, String)>;

/// The warnings that hold, by the key of their controller. Losing it repeats warnings, nothing else.
#[derive(Debug)]
pub struct StandingWarnings<K> {
    recorded: Mutex<BTreeMap<K, Recorded>>,
}

impl<K: Ord> Default for StandingWarnings<K> {
    fn default() -> Self {
        Self {
            recorded: Mutex::default(),
        }
    }
}

impl<K: Ord + Clone> StandingWarnings<K> {
    /// Takes what a pass has planned and answers what was not recorded before.
    pub fn update(&self, key: &K, planned: Vec<Standing>) -> Vec<Event> {
        let mut recorded = self.recorded.lock();
        let before = recorded.remove(key).unwrap_or_default();
        let mut now = Recorded::new();
        let mut events = Vec::new();
        for Standing { event, generation } in planned {
            let same = (generation, event.reason, event.note.clone());
            if now.insert(same.clone()) && !before.contains(&same) {
                events.push(event);
            }
        }
        if !now.is_empty() {
            recorded.insert(key.clone(), now);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::kinds;
    use fairway_core::effects::Target;

    fn standing(note: &str, generation: i64) -> Standing {
        Standing {
            event: Event {
                about: Target::new(kinds::MEMBER_CLUSTER, None, "m"),
                uid: "u".to_owned(),
                warning: true,
                reason: "Wrong",
                note: note.to_owned(),
            },
            generation,
        }
    }

    #[test]
    fn each_generation_is_warned_about_once() {
        let warnings = StandingWarnings::default();
        let notes = |planned: &[Standing]| {
            let events = warnings.update(&"m", planned.to_vec());
            events.into_iter().map(|event| event.note).collect::<Vec<_>>()
        };
        assert_eq!(
            notes(&[standing("a", 1), standing("a", 1), standing("b", 1)]),
            ["a", "b"]
        );
        assert_eq!(notes(&[standing("b", 1), standing("a", 1)]), Vec::<String>::new());
        assert_eq!(notes(&[standing("a", 2)]), ["a"]);
        assert_eq!(notes(&[]), Vec::<String>::new());
        assert!(warnings.recorded.lock().is_empty(), "nothing is kept of what is mended");
        assert_eq!(notes(&[standing("a", 2)]), ["a"]);
    }
}
