//! The status of an AppliedWork, and what it holds while nothing is applied (member-behaviour 6.7, 4.6).

use std::collections::BTreeMap;

use api::placement::v1beta1::{AppliedResourceMeta, WorkResourceIdentifier};

use super::identity::Identity;
use super::report::Entry;
use super::work::{AppliedWork, json_size};
use super::write_ahead::RECORD_LIMIT;

/// What has to be written to an AppliedWork after a pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// New list of the status; `None` when it is there already. In a pass that only compares, what does not fit into
    /// `held`.
    pub applied: Option<Vec<AppliedResourceMeta>>,
    /// New list of held objects; `None` when it stays as it is. It must be written before `applied`.
    pub held: Option<Vec<AppliedResourceMeta>>,
}

/// What the AppliedWork has to say after a pass with these ends. `kept` are objects that it owns until another Work takes
/// them.
///
/// In a pass that only compares, objects that we own are remembered as held, so that they can be cleaned up once their
/// manifests are gone and the mode is switched back. What an applying pass holds was recorded before it began.
pub fn record(current: &AppliedWork, only_reports: bool, entries: &[Entry], kept: &[WorkResourceIdentifier]) -> Record {
    let meta = |entry: &Entry| {
        let live = entry.outcome.live.as_ref()?;
        Some(AppliedResourceMeta {
            identifier: entry.identifier.clone(),
            uid: live.uid.clone(),
        })
    };
    let (held, applied) = if only_reports {
        let owned = entries
            .iter()
            .filter(|e| e.outcome.live.as_ref().is_some_and(|live| live.owned));
        let known = current.held.iter().chain(&current.applied).cloned();
        let mut all = BTreeMap::new();
        for item in known.chain(owned.filter_map(meta)) {
            if let Some(identity) = Identity::of(&item.identifier) {
                all.insert(identity, item);
            }
        }
        let (held, rest) = split(all.into_values().collect());
        (Some(held), rest)
    } else {
        let applied = entries.iter().filter(|e| e.outcome.result.is_applied());
        let known = |kept: &WorkResourceIdentifier| {
            let mut known = current.applied.iter().filter(|meta| meta.identifier == *kept);
            let uid = known.next().map(|meta| meta.uid.clone());
            AppliedResourceMeta {
                identifier: kept.clone(),
                uid: uid.unwrap_or_default(),
            }
        };
        (None, applied.filter_map(meta).chain(kept.iter().map(known)).collect())
    };
    Record {
        applied: (applied != current.applied).then_some(applied),
        held: held.filter(|held| *held != current.held),
    }
}

/// What fits into the annotation, and the rest, which only a status has room for.
fn split(mut all: Vec<AppliedResourceMeta>) -> (Vec<AppliedResourceMeta>, Vec<AppliedResourceMeta>) {
    // The brackets; each item brings a comma.
    let mut size = 2;
    let fits = |item: &AppliedResourceMeta| {
        size += json_size(item) + 1;
        size <= RECORD_LIMIT
    };
    let count = all.iter().map(fits).take_while(|fits| *fits).count();
    let rest = all.split_off(count);
    (all, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::outcome::{Live, ManifestResult, ResultType};
    use serde_json::json;

    fn meta(name: &str) -> AppliedResourceMeta {
        serde_json::from_value(json!({"ordinal": 0, "version": "v1", "kind": "ConfigMap", "name": name, "uid": "u"}))
            .unwrap()
    }

    fn entry(name: &str, result: ResultType, owned: bool) -> Entry {
        let mut outcome = ManifestResult::new(result, "");
        outcome.live = Some(Live {
            uid: "u".into(),
            owned,
            ..Live::default()
        });
        Entry {
            identifier: meta(name).identifier,
            outcome,
        }
    }

    #[test]
    fn applied_objects_are_listed_once_and_only_when_that_changes() {
        let entries = [
            entry("a", ResultType::Applied, true),
            entry("b", ResultType::ManifestApplyFailed, true),
        ];
        let changes = record(&AppliedWork::default(), false, &entries, &[]);
        assert_eq!(
            changes,
            Record {
                applied: Some(vec![meta("a")]),
                held: None
            }
        );
        let current = AppliedWork {
            applied: vec![meta("a")],
            ..AppliedWork::default()
        };
        assert_eq!(record(&current, false, &entries, &[]), Record::default());
        let kept = meta("kept");
        let changes = record(&current, false, &entries, std::slice::from_ref(&kept.identifier));
        let mut wanted = vec![meta("a"), kept];
        wanted[1].uid.clear();
        assert_eq!(changes.applied, Some(wanted));
    }

    #[test]
    fn comparing_remembers_what_we_own() {
        let current = AppliedWork {
            applied: vec![meta("dropped")],
            ..AppliedWork::default()
        };
        let entries = [
            entry("taken", ResultType::NoDiffFound, true),
            entry("foreign", ResultType::FoundDiff, false),
        ];
        let changes = record(&current, true, &entries, &[]);
        assert_eq!(
            changes,
            Record {
                applied: Some(vec![]),
                held: Some(vec![meta("dropped"), meta("taken")])
            }
        );
        let later = AppliedWork {
            held: changes.held.unwrap(),
            ..AppliedWork::default()
        };
        assert_eq!(record(&later, true, &entries, &[]), Record::default());
        assert_eq!(record(&later, false, &[], &[]), Record::default());
    }

    #[test]
    fn what_is_too_long_for_the_annotation_stays_in_the_status() {
        let names: Vec<_> = (0..3000).map(|n| format!("config-{n:060}")).collect();
        let current = AppliedWork {
            applied: names.iter().map(|name| meta(name)).collect(),
            ..AppliedWork::default()
        };
        let changes = record(&current, true, &[entry("taken", ResultType::NoDiffFound, true)], &[]);
        let later = AppliedWork {
            held: changes.held.unwrap(),
            applied: changes.applied.unwrap(),
            ..AppliedWork::default()
        };
        assert!(json!(later.held).to_string().len() <= RECORD_LIMIT);
        assert!(later.held.len() > 100);
        assert_eq!(
            later.held.len() + later.applied.len(),
            names.len() + 1,
            "nothing is forgotten"
        );
        assert_eq!(
            record(&later, true, &[entry("taken", ResultType::NoDiffFound, true)], &[]),
            Record::default()
        );
    }
}
