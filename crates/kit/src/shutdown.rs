//! Ending in order: signals, vital tasks, and the time given to finish.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::panic_text;

/// Tasks that the process cannot live without. When one of them ends, the others are stopped.
#[derive(Debug)]
pub struct Tasks {
    running: JoinSet<Ended>,
    stop: CancellationToken,
    /// The first task that ended before it was stopped.
    first: Option<First>,
}

/// The first task that ended before its time.
#[derive(Debug)]
struct First {
    why: VitalTaskEnded,
    is_lease: bool,
}

/// How a task ended.
#[derive(Debug)]
struct Ended {
    task: &'static str,
    result: Result<(), String>,
    /// Whether nothing else may run without it.
    is_lease: bool,
}

/// A vital task ended before the process was stopping.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("The vital task {task:?} ended: {reason}.")]
pub struct VitalTaskEnded {
    /// Its name.
    pub task: String,
    /// Why it ended.
    pub reason: String,
}

/// Cancels the token when the process receives SIGTERM or SIGINT.
///
/// # Errors
/// When the operating system refuses to deliver signals.
pub fn on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = stop.cancelled() => return,
        };
        tracing::info!(signal = name, "Received a signal to end; stopping.");
        stop.cancel();
    });
    Ok(())
}

impl Tasks {
    /// No tasks yet; all of them end with `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            running: JoinSet::new(),
            stop,
            first: None,
        }
    }

    /// The token that ends all tasks.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a vital task. It must end soon after the token is cancelled, and only then.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.start(name, task, false);
    }

    /// Starts a vital task that keeps the right to do what all the others do, such as a lease. When it fails, panics or
    /// ends before the token is cancelled, that right is lost, and the others get no time to finish.
    pub fn spawn_lease<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.start(name, task, true);
    }

    fn start<F>(&mut self, task: &'static str, future: F, is_lease: bool)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        // On the heap, once: an async block that awaits what it captures has room for it twice.
        let future = AssertUnwindSafe(Box::pin(future)).catch_unwind();
        self.running.spawn(future.map(move |result| {
            let result = result.unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_text(&*panic))));
            Ended { task, result, is_lease }
        }));
    }

    /// Starts a vital task that cannot fail.
    pub fn spawn_endless<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, task.map(Ok));
    }

    /// Waits for what the start needs before more tasks can be started. `None` when a task ended or the token was cancelled
    /// first, also while `start` made no wait necessary: a lease that is lost meanwhile must stop the start. Nothing more may
    /// be started then, and [`Self::join`] says why.
    pub async fn prepare<T>(&mut self, start: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            Some(ended) = self.running.join_next() => {
                self.end_all(ended);
                None
            }
            done = start => Some(done),
        }
    }

    /// Notes the task that ended first, and asks the others to end. After the token was cancelled, tasks end because they
    /// were asked to.
    fn end_all(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        if self.stop.is_cancelled() {
            return;
        }
        let is_lease = ended.as_ref().is_ok_and(|ended| ended.is_lease);
        let why = describe(ended);
        self.first = Some(First { why, is_lease });
        self.stop.cancel();
    }

    /// Waits until a task ends or the token is cancelled, then gives the others `grace` to finish.
    ///
    /// # Errors
    /// When a task ended before the token was cancelled.
    pub async fn join(mut self, grace: Duration) -> Result<(), VitalTaskEnded> {
        if self.first.is_none() {
            tokio::select! {
                () = self.stop.cancelled() => {}
                Some(ended) = self.running.join_next() => self.end_all(ended),
                else => {}
            }
        }
        let first = self.first.take();
        let mut has_lease = !first.as_ref().is_some_and(|first| first.is_lease);
        let rest = async {
            while has_lease && let Some(ended) = self.running.join_next().await {
                let Ok(ended) = ended else { continue };
                has_lease = !(ended.is_lease && ended.result.is_err());
                if let Err(reason) = ended.result {
                    tracing::warn!(task = ended.task, reason, "A task failed while ending.");
                }
            }
        };
        if tokio::time::timeout(grace, rest).await.is_err() {
            tracing::warn!(left = self.running.len(), "Some tasks did not end in time.");
        }
        self.running.abort_all();
        first.map_or(Ok(()), |first| Err(first.why))
    }
}

fn describe(ended: Result<Ended, tokio::task::JoinError>) -> VitalTaskEnded {
    let (task, reason) = match ended {
        Ok(Ended { task, result, .. }) => match result {
            Ok(()) => (task.to_owned(), "it returned".to_owned()),
            Err(reason) => (task.to_owned(), reason.trim_end_matches('.').to_owned()),
        },
        // Panics are results; what is left is a task that was aborted, which only we do.
        Err(err) => ("unknown".to_owned(), err.to_string()),
    };
    VitalTaskEnded { task, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_of_one_task_ends_all() {
        let mut tasks = Tasks::new(CancellationToken::new());
        let stop = tasks.stop().clone();
        tasks.spawn_endless("long", {
            let stop = stop.clone();
            async move { stop.cancelled().await }
        });
        tasks.spawn("short", async { Err("no more work.".to_owned()) });
        let err = tasks.join(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(err.to_string(), "The vital task \"short\" ended: no more work.");
        assert!(stop.is_cancelled());
    }

    /// Ends of a task that keeps a lease.
    fn lost(how: &str) -> Result<(), String> {
        match how {
            "error" => Err("somebody else has it.".to_owned()),
            "panic" => panic!("a bug"),
            _ => Ok(()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_its_lease_nothing_goes_on() {
        for (how, requested, reason) in [
            ("error", false, "somebody else has it"),
            ("error", true, ""),
            ("panic", false, "it panicked: a bug"),
            ("panic", true, ""),
            ("return", false, "it returned"),
        ] {
            let mut tasks = Tasks::new(CancellationToken::new());
            let start = tokio::time::Instant::now();
            tasks.spawn_endless("endless", std::future::pending());
            tasks.spawn_lease("leader lease", async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                lost(how)
            });
            if requested {
                tasks.stop().cancel();
            }
            let ended = tasks
                .join(Duration::from_secs(5))
                .await
                .map_err(|ended| ended.to_string());
            let expected = if requested {
                Ok(())
            } else {
                Err(format!("The vital task \"leader lease\" ended: {reason}."))
            };
            assert_eq!(ended, expected, "{how}");
            assert_eq!(start.elapsed(), Duration::from_secs(1), "{how}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_lost_during_the_start_stops_it() {
        for takes in [Some(Duration::from_secs(60)), Some(Duration::ZERO), None] {
            let mut tasks = Tasks::new(CancellationToken::new());
            tasks.spawn_endless("endless", std::future::pending());
            tasks.spawn_lease("leader lease", async { lost("error") });
            if takes.is_none() {
                // It is lost before the next part of the start is reached, which has nothing to wait for.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let start = async {
                if let Some(takes) = takes {
                    tokio::time::sleep(takes + Duration::from_millis(1)).await;
                }
            };
            let began = tokio::time::Instant::now();
            assert_eq!(tasks.prepare(start).await, None, "{takes:?}");
            assert_eq!(tasks.prepare(async {}).await, None, "{takes:?}");
            assert!(tasks.stop().is_cancelled());
            let ended = tasks.join(Duration::from_secs(5)).await.unwrap_err();
            assert_eq!(ended.task, "leader lease");
            assert_eq!(began.elapsed(), Duration::ZERO, "{takes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_goes_on_while_all_tasks_run_and_ends_when_asked_to() {
        let mut tasks = Tasks::new(CancellationToken::new());
        assert_eq!(tasks.prepare(async { 1 }).await, Some(1));
        tasks.spawn_endless("endless", std::future::pending());
        let wait = tokio::time::sleep(Duration::from_secs(1));
        assert_eq!(tasks.prepare(wait).await, Some(()));
        let (stop, asks) = (tasks.stop().clone(), Duration::from_secs(1));
        tokio::spawn(async move {
            tokio::time::sleep(asks).await;
            stop.cancel();
        });
        assert_eq!(tasks.prepare(std::future::pending::<()>()).await, None);
        assert_eq!(tasks.join(Duration::from_secs(5)).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_requested_end_is_no_error_and_does_not_wait_for_ever() {
        let mut tasks = Tasks::new(CancellationToken::new());
        tasks.spawn_endless("endless", std::future::pending());
        tasks.stop().cancel();
        assert_eq!(tasks.join(Duration::from_secs(5)).await, Ok(()));
    }
}
