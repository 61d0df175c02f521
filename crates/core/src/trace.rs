//! Why a decision is as it is, recorded only on request.
//!
//! Each stage has a trace type of its own and takes a [`Recorder`] for it. Entries are made by closures, so a recorder
//! that is switched off costs a branch and no allocation. Lists are [`Bounded`], whatever the size of the fleet.

use serde::Serialize;

/// Entries that a list of a trace holds at most.
pub const MAX_ENTRIES: usize = 200;

/// Where a stage records why it decides as it does; switched off unless requested.
#[derive(Debug)]
pub struct Recorder<'a, T>(Option<&'a mut T>);

impl<'a, T> Recorder<'a, T> {
    /// Records nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Records into `trace`.
    pub fn on(trace: &'a mut T) -> Self {
        Self(Some(trace))
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Makes an entry, if anything is recorded.
    pub fn record(&mut self, entry: impl FnOnce(&mut T)) {
        if let Some(trace) = &mut self.0 {
            entry(trace);
        }
    }

    /// A recorder for a part of the trace.
    pub fn part<U>(&mut self, part: impl FnOnce(&mut T) -> &mut U) -> Recorder<'_, U> {
        Recorder(self.0.as_deref_mut().map(part))
    }
}

/// A list that holds [`MAX_ENTRIES`] at most and counts the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounded<T> {
    entries: Vec<T>,
    left_out: usize,
}

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            left_out: 0,
        }
    }
}

impl<T> Bounded<T> {
    /// Adds an entry, or counts it.
    pub fn push(&mut self, entry: T) {
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(entry);
        } else {
            self.left_out += 1;
        }
    }

    /// The entries that are held.
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    /// The entries that are held, to be completed.
    pub fn entries_mut(&mut self) -> &mut [T] {
        &mut self.entries
    }

    /// How many entries are not held.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

impl<T> Extend<T> for Bounded<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push(entry));
    }
}

impl<T> FromIterator<T> for Bounded<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut list = Self::default();
        list.extend(entries);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_bounded_and_count_the_rest() {
        let list: Bounded<usize> = (0..MAX_ENTRIES + 3).collect();
        assert_eq!((list.entries().len(), list.left_out()), (MAX_ENTRIES, 3));
    }

    #[test]
    fn entries_are_made_only_when_somebody_asks() {
        let mut off: Recorder<'_, Bounded<u8>> = Recorder::off();
        off.record(|_| unreachable!("it is switched off"));
        assert!(!off.part(|list| list).is_on());
        let mut list = Bounded::default();
        Recorder::on(&mut list).part(|list| list).record(|list| list.push(1));
        assert_eq!(list.entries(), [1]);
    }
}
