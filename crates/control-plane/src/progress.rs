//! What happens while control planes start, for people who wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Receives every step. Calls come from several tasks at once and must not block for long.
pub trait Progress: Send + Sync {
    /// A step of `subject` (a cluster's name, or `binaries`) begins.
    fn begin(&self, subject: &str, step: &str);
    /// Something worth knowing happens within a step.
    fn note(&self, subject: &str, text: &str);
    /// The step is done and took this long.
    fn end(&self, subject: &str, step: &str, took: Duration);
}

/// A progress receiver that tasks share.
pub type SharedProgress = Arc<dyn Progress>;

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: &str) {}
    fn note(&self, _: &str, _: &str) {}
    fn end(&self, _: &str, _: &str, _: Duration) {}
}

/// One line per event on standard error, with the time since the start.
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    begun: Instant,
}

impl Lines {
    /// Counts the time from now.
    pub fn new() -> Self {
        Self { begun: Instant::now() }
    }

    fn line(&self, subject: &str, text: &str) {
        eprintln!("[{:6.1} s] {subject}: {text}", self.begun.elapsed().as_secs_f64());
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Lines {
    fn begin(&self, subject: &str, step: &str) {
        self.line(subject, &format!("{step} ..."));
    }

    fn note(&self, subject: &str, text: &str) {
        self.line(subject, text);
    }

    fn end(&self, subject: &str, step: &str, took: Duration) {
        self.line(subject, &format!("{step}: done in {:.1} s", took.as_secs_f64()));
    }
}

/// Reports begin and end around a step.
pub async fn step<T, E>(
    progress: &dyn Progress,
    subject: &str,
    name: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let begun = Instant::now();
    progress.begin(subject, name);
    let result = work.await;
    if result.is_ok() {
        progress.end(subject, name, begun.elapsed());
    }
    result
}
