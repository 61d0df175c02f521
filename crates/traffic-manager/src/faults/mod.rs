//! Faults on demand, for tests of clients: the server as a fake of Azure's resource manager that fails as asked.
//! It works in process only: nothing over the network can ask for a fault.

mod issuer;
mod named;
mod server;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::http::{Effect, Interceptor, Seen};

pub use issuer::{AUDIENCE, ISSUER, Issuer, SUBJECT};
pub use named::Named;
pub use server::{CLIENT, Options, READER, READER_SECRET, SECRET, Server, TENANT, WORKLOAD};

/// Faults that tests ask for, and the requests that were seen. Clones share both.
#[derive(Clone, Default)]
pub struct Faults {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    rules: Vec<Rule>,
    seen: Vec<Seen>,
    named: Option<Named>,
}

/// Which requests a fault befalls, and how often.
#[derive(Clone)]
pub struct Rule {
    method: Option<Method>,
    /// Part of the path, in lower case.
    path: String,
    /// How many requests it befalls; `None` means all.
    left: Option<usize>,
    /// How many requests pass before.
    skip: usize,
    fault: Fault,
}

/// What may befall a request.
#[derive(Clone)]
pub enum Fault {
    /// It is answered late.
    Delay(Duration),
    /// Nothing is done and the connection breaks.
    DropBefore,
    /// Everything is done and the connection breaks: the client cannot know.
    DropAfter,
    /// An ARM error: status, code, seconds of `Retry-After`.
    Refuse(u16, &'static str, Option<u64>),
    /// A body that is no JSON, with status 200.
    Garbage,
    /// A redirection to another address.
    Redirect(String),
    /// Properties are missing in the answer, by their JSON pointers.
    Missing(Vec<&'static str>),
    /// The answer is changed.
    Edit(Arc<dyn Fn(&mut Value) + Send + Sync>),
}

impl Faults {
    /// Adds a fault.
    pub fn add(&self, rule: Rule) {
        self.shared.lock().rules.push(rule);
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        let mut shared = self.shared.lock();
        shared.rules.clear();
        shared.named = None;
    }

    /// Makes names of profiles, clusters and endpoints mean faults, as the fake provider of the reference does.
    pub fn by_name(&self, named: Named) {
        self.shared.lock().named = Some(named);
    }

    /// The requests since the last call, in order.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.lock().seen)
    }
}

impl Rule {
    /// A fault that befalls every request from now on.
    pub fn new(fault: Fault) -> Self {
        Self {
            method: None,
            path: String::new(),
            left: None,
            skip: 0,
            fault,
        }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only requests whose path contains this, without regard to case.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = part.to_ascii_lowercase();
        self
    }

    /// Only so many requests.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.left = Some(times);
        self
    }

    /// Only after so many requests have passed.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    fn matches(&self, seen: &Seen) -> bool {
        self.left != Some(0)
            && self.method.as_ref().is_none_or(|method| *method == seen.method)
            && seen.path.to_ascii_lowercase().contains(&self.path)
    }

    /// The effect on a request that matches; counts it.
    fn befall(&mut self) -> Option<Effect> {
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Some(self.fault.effect())
    }
}

impl Fault {
    fn effect(&self) -> Effect {
        match self {
            Self::Delay(delay) => Effect::Delay(*delay),
            Self::DropBefore => Effect::DropBefore,
            Self::DropAfter => Effect::DropAfter,
            Self::Refuse(status, code, retry_after) => refuse(*status, code, *retry_after),
            Self::Garbage => Effect::Answer(Response::new(Bytes::from_static(b"<html>\0not JSON"))),
            Self::Redirect(to) => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                if let Ok(to) = to.parse() {
                    response.headers_mut().insert(http::header::LOCATION, to);
                }
                Effect::Answer(response)
            }
            Self::Missing(pointers) => {
                let pointers = pointers.clone();
                Effect::Edit(Arc::new(move |body| {
                    pointers.iter().for_each(|pointer| remove(body, pointer))
                }))
            }
            Self::Edit(edit) => Effect::Edit(Arc::clone(edit)),
        }
    }
}

impl Interceptor for Faults {
    fn intercept(&self, request: &Seen) -> Vec<Effect> {
        let mut shared = self.shared.lock();
        shared.seen.push(request.clone());
        let mut effects: Vec<Effect> = Vec::new();
        for rule in &mut shared.rules {
            if rule.matches(request) {
                effects.extend(rule.befall());
            }
        }
        effects.extend(shared.named.as_ref().and_then(|named| named.effect(request)));
        effects
    }
}

/// An ARM error as an effect.
fn refuse(status: u16, code: &str, retry_after: Option<u64>) -> Effect {
    let body = json!({"error": {"code": code, "message": format!("Injected: {code}.")}});
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(http::header::RETRY_AFTER, seconds.into());
    }
    Effect::Answer(response)
}

/// Takes away what a JSON pointer names.
fn remove(body: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return;
    };
    if let Some(parent) = body.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(name);
    }
}
