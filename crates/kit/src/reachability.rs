//! Whether a server can be reached, shared by everything that talks to it.
//!
//! When nothing answers, each of those who wait would find out at the end of its own back-off that the server is back, up
//! to half a minute late. Instead one of them probes at short, jittered intervals, and the others wait for that
//! ([`Reachability::wait`], [`crate::backoff::Retry::pause`]); whoever gets an answer first releases all. A server that
//! answers, be it with a failure, is reachable: who is refused keeps its own back-off.
//!
//! Clients made by [`crate::client::build`] have one: requests report to it, and their errors carry it
//! ([`crate::Error::reachability`]). Other connections may have their own, with their own probe.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use rand::Rng as _;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::history::History;

/// Time from one probe to the next, in seconds: short enough that everybody is back within three seconds.
const PROBE_EVERY: std::ops::Range<f64> = 0.8..1.6;

/// Time for one probe.
const PROBE_TIME: Duration = Duration::from_secs(3);

/// Reasons that change are logged no more often than this.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Those who are released start within this time, so that they do not all come at once.
const SPREAD: Duration = Duration::from_millis(400);

/// Finds out whether the server answers, on a connection of its own.
pub type Probe = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Knows whether one server can be reached; clones share it.
#[derive(Clone)]
pub struct Reachability {
    inner: Arc<Inner>,
}

struct Inner {
    server: String,
    probe: Probe,
    /// Whether nothing is known to be wrong; a copy of the state for the requests' fast path.
    is_reachable: AtomicBool,
    state: watch::Sender<State>,
    /// Held by the one who probes.
    probing: Mutex<()>,
    /// Why the last probe of the outage failed, and when a reason was last logged.
    reason: parking_lot::Mutex<(String, Option<Instant>)>,
    /// How far the server has come.
    history: Arc<History>,
}

/// What is known of the server.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Since when something has failed without an answer and nothing has been answered.
    silent_since: Option<Instant>,
    /// Whether a probe has failed since then: an outage, not just a connection that broke.
    is_outage: bool,
    /// The outages that are over.
    over: Outages,
}

/// The outages that are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outages {
    /// How many there were.
    pub count: u64,
    /// When the last one began.
    pub last_began: Option<Instant>,
}

/// Where a request of ours records whose server it goes to. It travels in the request's extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<OnceLock<Reachability>>);

/// Marks a request that returns a client's [`Reachability`] and is not sent to the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inquiry;

impl Reachability {
    /// For a server of this name (for the log), to which the probe sends a request.
    pub fn new(server: impl Into<String>, probe: Probe) -> Self {
        Self {
            inner: Arc::new(Inner {
                server: server.into(),
                probe,
                is_reachable: AtomicBool::new(true),
                state: watch::Sender::new(State::default()),
                probing: Mutex::new(()),
                reason: parking_lot::Mutex::default(),
                history: Arc::default(),
            }),
        }
    }

    /// That of a client; `None` when [`crate::client::build`] has not made it.
    pub async fn of(client: &Client) -> Option<Self> {
        let slot = Slot::default();
        let mut request = Request::builder()
            .method(Method::GET)
            .uri("/version")
            .body(Body::empty())
            .ok()?;
        request.extensions_mut().insert(slot.clone());
        request.extensions_mut().insert(Inquiry);
        // A client that is not ours may send it; the answer does not matter.
        let _ = client.send(request).await;
        slot.get()
    }

    /// What all who follow the server know of its history.
    pub(crate) fn history(&self) -> &Arc<History> {
        &self.inner.history
    }

    /// Something was not answered: a connection was refused or broke, or a deadline passed.
    pub fn failed(&self) {
        self.inner.state.send_if_modified(|state| {
            let is_new = state.silent_since.is_none();
            state.silent_since.get_or_insert_with(Instant::now);
            self.inner.is_reachable.store(false, Ordering::Release);
            is_new
        });
    }

    /// The server has answered, in whatever way.
    pub fn answered(&self) {
        if self.inner.is_reachable.load(Ordering::Acquire) {
            return;
        }
        self.inner.state.send_if_modified(|state| {
            self.inner.is_reachable.store(true, Ordering::Release);
            let Some(since) = state.silent_since.take() else {
                return false;
            };
            if std::mem::take(&mut state.is_outage) {
                state.over.count += 1;
                state.over.last_began = Some(since);
                let (server, lasted) = (&self.inner.server, since.elapsed());
                tracing::info!(server, ?lasted, "The server answers again.");
            }
            true
        });
    }

    /// Whether nothing is known to be wrong.
    pub fn is_reachable(&self) -> bool {
        self.inner.is_reachable.load(Ordering::Acquire)
    }

    /// Whether there is an outage and somebody probes, so that others need not try.
    pub fn is_probed(&self) -> bool {
        !self.is_reachable() && self.inner.state.borrow().is_outage && self.inner.probing.try_lock().is_err()
    }

    /// Why the server could not be reached when it was last probed.
    pub fn reason(&self) -> String {
        self.inner.reason.lock().0.clone()
    }

    /// How many outages are over, and when the last one began.
    pub fn over(&self) -> Outages {
        self.inner.state.borrow().over
    }

    /// Waits for the end of the next outage, if there ever is one.
    pub fn outage_over(&self) -> impl Future<Output = Outages> + Send + 'static + use<> {
        let mut changes = self.inner.state.subscribe();
        let before = changes.borrow_and_update().over.count;
        async move {
            let over = changes.wait_for(|state| state.over.count != before).await;
            match over.map(|state| state.over) {
                Ok(over) => over,
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Waits until the server answers, and a moment more, so that not all come at once. `true` when there was an outage
    /// that is over now: whatever was tried before says nothing about the next try. `false` when the server answers
    /// already: then the failure has another reason, and the caller's own back-off is due.
    pub async fn wait(&self) -> bool {
        let mut changes = self.inner.state.subscribe();
        let before = changes.borrow_and_update().over.count;
        tokio::select! {
            _ = changes.wait_for(|state| state.silent_since.is_none()) => {}
            () = self.probe() => {}
        }
        let had_outage = self.over().count != before;
        if had_outage {
            tokio::time::sleep(moment()).await;
        }
        had_outage
    }

    /// Probes until the server answers, unless somebody else does.
    async fn probe(&self) {
        let _probing = self.inner.probing.lock().await;
        while !self.is_reachable() {
            let start = Instant::now();
            let probed = tokio::time::timeout(PROBE_TIME, (self.inner.probe)()).await;
            let reason = match probed {
                Ok(Ok(())) => return self.answered(),
                Ok(Err(reason)) => reason,
                Err(_) => format!("no answer within {PROBE_TIME:?}"),
            };
            self.begin_outage(&reason);
            let gap = Duration::from_secs_f64(rand::rng().random_range(PROBE_EVERY));
            tokio::time::sleep_until(start + gap).await;
        }
    }

    /// A probe has failed, too.
    pub(crate) fn begin_outage(&self, reason: &str) {
        self.note_reason(reason);
        self.inner.state.send_if_modified(|state| {
            let is_new = state.silent_since.is_some() && !state.is_outage;
            state.is_outage |= is_new;
            if is_new {
                let server = &self.inner.server;
                tracing::warn!(
                    server,
                    reason,
                    "The server cannot be reached; asking for it until it answers."
                );
            }
            is_new
        });
    }
}

impl Reachability {
    /// Keeps the reason, and logs one that has changed during the outage: what keeps the server away may no longer be what
    /// it was in the beginning.
    fn note_reason(&self, reason: &str) {
        let is_known = self.inner.state.borrow().is_outage;
        let mut noted = self.inner.reason.lock();
        let has_changed = noted.0 != reason;
        reason.clone_into(&mut noted.0);
        let is_due = noted.1.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if !is_known {
            noted.1 = None;
        } else if has_changed && is_due {
            noted.1 = Some(Instant::now());
            let server = &self.inner.server;
            tracing::warn!(
                server,
                reason,
                "The server still cannot be reached, for another reason than before."
            );
        }
    }
}

/// How long one of those who are released waits before it starts.
pub(crate) fn moment() -> Duration {
    SPREAD.mul_f64(rand::rng().random_range(0.0..1.0))
}

impl Slot {
    pub(crate) fn fill(&self, reachability: &Reachability) {
        let _ = self.0.set(reachability.clone());
    }

    pub(crate) fn get(&self) -> Option<Reachability> {
        self.0.get().cloned()
    }
}

impl fmt::Debug for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reachability")
            .field("server", &self.inner.server)
            .field("state", &*self.inner.state.borrow())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A server that can be switched off, and how often it was probed.
    fn server() -> (Reachability, Arc<AtomicBool>, Arc<AtomicUsize>) {
        let (down, probes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_down, count) = (Arc::clone(&down), Arc::clone(&probes));
        let probe: Probe = Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let answer = match is_down.load(Ordering::Relaxed) {
                true => Err("refused".to_owned()),
                false => Ok(()),
            };
            Box::pin(async move { answer })
        });
        (Reachability::new("test", probe), down, probes)
    }

    #[tokio::test(start_paused = true)]
    async fn all_wait_for_one_probe_and_are_released_together() {
        let (reachability, down, probes) = server();
        assert!(!reachability.wait().await, "nothing is wrong");
        down.store(true, Ordering::Relaxed);
        reachability.failed();
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let reachability = reachability.clone();
                tokio::spawn(async move { (reachability.wait().await, Instant::now()) })
            })
            .collect();
        tokio::time::sleep(75 * SECOND).await;
        let count = probes.load(Ordering::Relaxed);
        assert!((45..=95).contains(&count), "{count} probes in 75 s");
        assert!(reachability.is_probed());
        down.store(false, Ordering::Relaxed);
        let back = Instant::now();
        for waiter in waiting {
            let (had_outage, at) = waiter.await.unwrap();
            assert!(had_outage && at - back <= 2 * SECOND + SPREAD, "{:?}", at - back);
        }
        assert_eq!(reachability.over().count, 1);
        assert!(reachability.is_reachable() && !reachability.is_probed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_anybody_releases_those_who_wait() {
        let (reachability, down, _) = server();
        down.store(true, Ordering::Relaxed);
        reachability.failed();
        let over = reachability.outage_over();
        let waiter = tokio::spawn({
            let reachability = reachability.clone();
            async move { reachability.wait().await }
        });
        tokio::time::sleep(5 * SECOND).await;
        assert!(!waiter.is_finished());
        reachability.answered();
        assert!(waiter.await.unwrap());
        assert_eq!(over.await.count, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_connection_to_a_server_that_answers_is_no_outage() {
        let (reachability, _, probes) = server();
        reachability.failed();
        let start = Instant::now();
        assert!(!reachability.wait().await);
        assert_eq!((start.elapsed(), probes.load(Ordering::Relaxed)), (Duration::ZERO, 1));
        assert_eq!(reachability.over().count, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_reason_of_an_outage_is_known() {
        let reasons = Arc::new(parking_lot::Mutex::new(vec!["certificate", "refused"]));
        let probe: Probe = Box::new(move || {
            let reason = reasons.lock().pop();
            Box::pin(async move { reason.map_or(Ok(()), |reason| Err(reason.to_owned())) })
        });
        let reachability = Reachability::new("test", probe);
        reachability.failed();
        let waiter = tokio::spawn({
            let reachability = reachability.clone();
            async move { reachability.wait().await }
        });
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(reachability.reason(), "refused");
        tokio::time::sleep(SECOND * 3 / 2).await;
        assert_eq!(reachability.reason(), "certificate");
        assert!(waiter.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_one_who_probes_gives_up_another_takes_over() {
        let (reachability, down, _) = server();
        down.store(true, Ordering::Relaxed);
        reachability.failed();
        let wait = |reachability: Reachability| tokio::spawn(async move { reachability.wait().await });
        let first = wait(reachability.clone());
        tokio::time::sleep(SECOND).await;
        let second = wait(reachability.clone());
        tokio::time::sleep(SECOND).await;
        first.abort();
        down.store(false, Ordering::Relaxed);
        assert!(tokio::time::timeout(3 * SECOND, second).await.unwrap().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_agents_are_back_soon_and_not_all_at_once() {
        let down = Arc::new(AtomicBool::new(true));
        let agents: Vec<_> = (0..1000)
            .map(|_| {
                let is_down = Arc::clone(&down);
                let probe: Probe = Box::new(move || {
                    let answer = if is_down.load(Ordering::Relaxed) {
                        Err(String::new())
                    } else {
                        Ok(())
                    };
                    Box::pin(async move { answer })
                });
                let reachability = Reachability::new("test", probe);
                reachability.failed();
                tokio::spawn(async move {
                    reachability.wait().await;
                    Instant::now()
                })
            })
            .collect();
        tokio::time::sleep(30 * SECOND).await;
        down.store(false, Ordering::Relaxed);
        let back = Instant::now();
        let mut windows = [0_u32; 30];
        for agent in agents {
            let took = agent.await.unwrap() - back;
            windows[usize::try_from(took.as_millis() / 100).unwrap()] += 1;
        }
        assert!(windows[20..].iter().all(|count| *count == 0), "{windows:?}");
        assert!(windows.iter().all(|count| *count < 200), "{windows:?}");
    }
}
