//! Answers of the API server that are believed for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A bounded number of answers with their ages.
pub(super) struct Answers<K, V> {
    kept: Mutex<BTreeMap<K, (Instant, V)>>,
    most: usize,
    believed: Duration,
}

impl<K: Ord + Clone, V: Clone> Answers<K, V> {
    /// Keeps so many answers, each for so long.
    pub(super) fn new(most: usize, believed: Duration) -> Self {
        Self {
            kept: Mutex::default(),
            most,
            believed,
        }
    }

    /// A kept answer, if it is younger than `age` and still believed.
    pub(super) fn get(&self, key: &K, age: Duration) -> Option<V> {
        let kept = self.kept.lock();
        let (since, value) = kept.get(key)?;
        (since.elapsed() < age.min(self.believed)).then(|| value.clone())
    }

    /// Keeps an answer. Where there is no room, the oldest one makes it.
    pub(super) fn keep(&self, key: K, value: V) {
        let mut kept = self.kept.lock();
        if kept.len() >= self.most && !kept.contains_key(&key) {
            kept.retain(|_, (since, _)| since.elapsed() < self.believed);
            let oldest = kept.iter().min_by_key(|(_, (since, _))| *since);
            let oldest = oldest.map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| kept.len() >= self.most) {
                kept.remove(&oldest);
            }
        }
        kept.insert(key, (Instant::now(), value));
    }

    /// An answer is no longer true.
    pub(super) fn forget(&self, key: &K) {
        self.kept.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_age_and_the_oldest_makes_room() {
        let second = Duration::from_secs(1);
        let answers = Answers::new(2, 10 * second);
        for key in [1, 2, 3] {
            answers.keep(key, ());
            tokio::time::advance(second).await;
        }
        let known = |age: Duration| [1, 2, 3].map(|key| answers.get(&key, age).is_some());
        assert_eq!(known(10 * second), [false, true, true]);
        assert_eq!(known(2 * second), [false, false, true]);
        assert_eq!(known(Duration::ZERO), [false; 3]);
        answers.forget(&3);
        assert_eq!(known(60 * second), [false, true, false]);
        tokio::time::advance(10 * second).await;
        assert_eq!(known(60 * second), [false; 3]);
    }
}
