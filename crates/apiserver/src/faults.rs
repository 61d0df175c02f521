//! A switchboard of faults for tests: delays, errors, cut watches and stale reads, by what a request names.

use crate::call::User;
use crate::routes::{Target, Verb};
use crate::status::ApiError;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Cuts remembered for watches that have not looked yet.
const CUTS_KEPT: usize = 64;

/// Which requests a fault hits; an empty or absent part matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    /// Verbs.
    pub verbs: Vec<Verb>,
    /// API group.
    pub group: Option<String>,
    /// Plural resource name.
    pub resource: Option<String>,
    /// Subresource; `Some("")` is the object itself.
    pub subresource: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Object name.
    pub name: Option<String>,
    /// User name.
    pub user: Option<String>,
}

impl Matcher {
    /// Everything.
    pub fn any() -> Self {
        Matcher::default()
    }

    /// Requests for a resource (plural name).
    pub fn resource(plural: &str) -> Self {
        Matcher {
            resource: Some(plural.to_owned()),
            ..Matcher::default()
        }
    }

    /// Narrows to verbs.
    pub fn verbs(mut self, verbs: &[Verb]) -> Self {
        self.verbs = verbs.to_vec();
        self
    }

    /// Narrows to an object name.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Narrows to a namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Narrows to a subresource; the empty text is the object itself.
    pub fn subresource(mut self, subresource: &str) -> Self {
        self.subresource = Some(subresource.to_owned());
        self
    }

    /// Narrows to a user.
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    fn matches(&self, user: &User, verb: Verb, target: &Target) -> bool {
        let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        (self.verbs.is_empty() || self.verbs.contains(&verb))
            && fits(&self.group, &target.group)
            && fits(&self.resource, &target.resource)
            && fits(&self.subresource, &target.subresource)
            && fits(&self.namespace, &target.namespace)
            && fits(&self.name, &target.name)
            && fits(&self.user, &user.name)
    }
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The request waits before it is handled.
    Delay(Duration),
    /// The request is answered with this error and has no effect.
    Error(ApiError),
    /// The request is handled, but the answer is lost: the connection breaks.
    LoseAnswer,
    /// The connection breaks before the request is handled.
    HangUp,
    /// Reads answer with the state at the time the fault was set.
    StaleRead,
}

/// Names a fault that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(u64);

struct Fault {
    matcher: Matcher,
    action: Action,
    skip: u32,
    left: Option<u32>,
    hits: u64,
    /// The store's version when the fault was set.
    rv: u64,
}

/// What the faults demand for one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultDecision {
    /// Wait this long first.
    pub delay: Duration,
    /// Answer with this error.
    pub error: Option<ApiError>,
    /// Break the connection instead of handling it.
    pub hang_up: bool,
    /// Break the connection instead of answering.
    pub lose_answer: bool,
    /// Read at this version.
    pub stale: Option<u64>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    faults: BTreeMap<FaultId, Fault>,
    /// The latest cuts with their numbers; a watch that lags behind so many has missed none that matter to tests.
    cuts: VecDeque<(u64, Matcher)>,
}

/// Handle to the switchboard. Cheap to clone.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
    cuts: Arc<tokio::sync::watch::Sender<u64>>,
    store_rv: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Faults {
    /// A switchboard without faults. `store_rv` returns the store's present version.
    pub fn new(store_rv: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Faults {
            inner: Arc::default(),
            cuts: Arc::new(tokio::sync::watch::Sender::new(0)),
            store_rv: Arc::new(store_rv),
        }
    }

    /// Sets a fault until it is removed.
    pub fn add(&self, matcher: Matcher, action: Action) -> FaultId {
        self.add_counted(matcher, action, 0, None)
    }

    /// Sets a fault for the next `times` matching requests.
    pub fn add_times(&self, matcher: Matcher, action: Action, times: u32) -> FaultId {
        self.add_counted(matcher, action, 0, Some(times))
    }

    /// Sets a fault that lets `skip` matching requests pass and then hits `times` (all without a number).
    pub fn add_counted(&self, matcher: Matcher, action: Action, skip: u32, times: Option<u32>) -> FaultId {
        let rv = (self.store_rv)();
        let mut inner = self.inner.lock();
        inner.next += 1;
        let id = FaultId(inner.next);
        inner.faults.insert(
            id,
            Fault {
                matcher,
                action,
                skip,
                left: times,
                hits: 0,
                rv,
            },
        );
        id
    }

    /// Takes the right to list and watch away: running watches end, new ones are refused until the fault is removed. The
    /// rules of access control only decide when a request begins, as with a real server.
    pub fn revoke_watch(&self, matcher: Matcher) -> FaultId {
        let refusal = ApiError::forbidden(
            "",
            matcher.resource.as_deref().unwrap_or("*"),
            "",
            "the right was revoked",
        );
        let matcher = matcher.verbs(&[Verb::List, Verb::Watch]);
        let id = self.add(matcher.clone(), Action::Error(refusal));
        self.drop_watches(matcher);
        id
    }

    /// Removes a fault.
    pub fn remove(&self, id: FaultId) {
        self.inner.lock().faults.remove(&id);
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.inner.lock().faults.clear();
    }

    /// How many requests a fault has hit. A removed fault has hit none.
    pub fn hits(&self, id: FaultId) -> u64 {
        self.inner.lock().faults.get(&id).map(|f| f.hits).unwrap_or(0)
    }

    /// Breaks the connection of every running watch that matches.
    pub fn drop_watches(&self, matcher: Matcher) {
        let mut inner = self.inner.lock();
        let number = *self.cuts.borrow() + 1;
        inner.cuts.push_back((number, matcher));
        while inner.cuts.len() > CUTS_KEPT {
            inner.cuts.pop_front();
        }
        self.cuts.send_replace(number);
    }

    pub(crate) fn cuts(&self) -> tokio::sync::watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    /// Whether a cut after number `since` matches a watch.
    pub(crate) fn cut(&self, since: u64, user: &User, target: &Target) -> bool {
        let inner = self.inner.lock();
        inner
            .cuts
            .iter()
            .any(|(number, m)| *number > since && m.matches(user, Verb::Watch, target))
    }

    /// What the faults demand for a request; counts the hits.
    pub(crate) fn judge(&self, user: &User, verb: Verb, target: &Target) -> FaultDecision {
        let mut decision = FaultDecision::default();
        let mut inner = self.inner.lock();
        for fault in inner
            .faults
            .values_mut()
            .filter(|f| f.matcher.matches(user, verb, target))
        {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            match &mut fault.left {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            fault.hits += 1;
            match &fault.action {
                Action::Delay(time) => decision.delay += *time,
                Action::Error(error) => decision.error = Some(error.clone()),
                Action::LoseAnswer => decision.lose_answer = true,
                Action::HangUp => decision.hang_up = true,
                Action::StaleRead => decision.stale = Some(fault.rv),
            }
        }
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_count_and_match() {
        let faults = Faults::new(|| 42);
        let (user, target) = (
            User::admin(),
            Target {
                resource: "works".into(),
                name: "w".into(),
                ..Target::default()
            },
        );
        let error = ApiError::new(503, "ServiceUnavailable", "down");
        let id = faults.add_counted(
            Matcher::resource("works").verbs(&[Verb::Patch]),
            Action::Error(error.clone()),
            1,
            Some(1),
        );
        faults.add(Matcher::any().name("w"), Action::StaleRead);
        assert_eq!(
            faults.judge(&user, Verb::Patch, &target).error,
            None,
            "the first passes"
        );
        let decision = faults.judge(&user, Verb::Patch, &target);
        assert_eq!((decision.error, decision.stale), (Some(error), Some(42)));
        assert_eq!(faults.judge(&user, Verb::Patch, &target).error, None, "only once");
        assert_eq!(faults.hits(id), 1);
        faults.clear();
        assert_eq!(faults.judge(&user, Verb::Get, &target), FaultDecision::default());
    }
}
