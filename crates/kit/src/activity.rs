//! Whether anybody is at work, so that what is less important can wait until nobody is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Counts who is at work; clones share the count.
#[derive(Clone)]
pub struct Activity {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy)]
struct State {
    running: usize,
    /// When the last one ended.
    ended: Instant,
}

/// Somebody at work, until it is dropped.
#[must_use]
pub struct Running {
    state: Arc<watch::Sender<State>>,
}

impl Default for Activity {
    fn default() -> Self {
        let ended = Instant::now();
        let (state, _) = watch::channel(State { running: 0, ended });
        Self { state: Arc::new(state) }
    }
}

impl Activity {
    /// Somebody begins.
    pub fn begin(&self) -> Running {
        self.state.send_modify(|state| state.running += 1);
        Running {
            state: Arc::clone(&self.state),
        }
    }

    /// Waits until nobody has been at work for that long.
    pub async fn rest(&self, time: Duration) {
        let mut changes = self.state.subscribe();
        loop {
            let State { running, ended } = *changes.borrow_and_update();
            let rested = async {
                match running {
                    0 => tokio::time::sleep_until(ended + time).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = rested => return,
                // The sender is ours: it is there as long as we are.
                _ = changes.changed() => {}
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.send_modify(|state| {
            state.running -= 1;
            state.ended = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rest_begins_when_the_last_one_has_ended() {
        let activity = Activity::default();
        let (first, second) = (activity.begin(), activity.begin());
        let waiting = {
            let activity = activity.clone();
            tokio::spawn(async move { activity.rest(Duration::from_secs(2)).await })
        };
        drop(first);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!waiting.is_finished(), "one is still at work");
        drop(second);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let third = activity.begin();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!waiting.is_finished(), "the rest was interrupted");
        drop(third);
        tokio::time::sleep(Duration::from_millis(1900)).await;
        assert!(!waiting.is_finished());
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(waiting.is_finished());
    }
}
