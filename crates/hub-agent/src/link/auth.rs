//! Who speaks, and for which cluster it may: TokenReview and SubjectAccessReview of the hub's API server, whose answers
//! are believed for a minute (networking 16.7).

use std::collections::BTreeMap;
use std::time::Duration;

use api::names::member_namespace;
use api::text::groups;
use http::Method;
use kit::rest::{Call, media};
use kube::Client;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Answers that are kept at the most; a fleet has at most a thousand members.
const MOST: usize = 4096;
const DEADLINE: Duration = Duration::from_secs(10);
/// Questions to the API server at a time: callers that nobody knows yet must not crowd out the others.
const QUESTIONS: usize = 16;
const RESOURCE: &str = "internalserviceexports";
/// Whoever may do all of this may write the record of an export.
const VERBS: [&str; 3] = ["create", "update", "delete"];
/// Whoever may do anything may do that too. The Role of a member says so, which makes it one question instead of three.
const ANYTHING: &str = "*";

/// Asks the API server about identities and rights.
pub(super) struct Auth {
    client: Client,
    /// How long an answer of the API server is believed.
    believed: Duration,
    questions: Semaphore,
    users: Mutex<BTreeMap<[u8; 32], (Instant, User)>>,
    rights: Mutex<BTreeMap<(String, String), (Instant, bool)>>,
}

/// Somebody with an open session.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// How it proved who it is.
    pub proof: Proof,
    /// Whom that stood for when the call began.
    pub user: User,
}

/// How a caller proves who it is.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// By a bearer token, which can be withdrawn.
    Token(String),
    /// By a client certificate, which holds until it expires.
    Certificate,
}

/// How somebody with an open session stands with the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The token holds and so do the rights.
    Fine,
    /// The token is not accepted any more, or stands for somebody else.
    Unauthenticated,
    /// The rights on the cluster's records are gone.
    Forbidden,
}

/// Who a token stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct User {
    /// User name.
    pub username: String,
    /// Uid.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Review {
    status: ReviewStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ReviewStatus {
    authenticated: bool,
    allowed: bool,
    user: User,
}

impl Auth {
    pub(super) fn new(client: Client, believed: Duration) -> Self {
        Self {
            client,
            believed,
            questions: Semaphore::new(QUESTIONS),
            users: Mutex::default(),
            rights: Mutex::default(),
        }
    }

    /// Whom a bearer token stands for; `None` when the hub does not accept it. An error means that the hub could not
    /// be asked.
    pub(super) async fn authenticate(&self, token: &str) -> Result<Option<User>, kit::Error> {
        self.user(token, self.believed).await
    }

    /// As [`Auth::authenticate`], by answers younger than `age`.
    async fn user(&self, token: &str, age: Duration) -> Result<Option<User>, kit::Error> {
        if let Some(user) = fresh(&self.users, &digest(token), age) {
            return Ok(Some(user));
        }
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
        });
        let review = self
            .ask("/apis/authentication.k8s.io/v1/tokenreviews", "review a token", &body)
            .await?;
        if !review.status.authenticated {
            self.users.lock().remove(&digest(token));
            return Ok(None);
        }
        self.keep(&self.users, digest(token), review.status.user.clone());
        Ok(Some(review.status.user))
    }

    /// Whether the user may write the export records of a cluster.
    pub(super) async fn may_report(&self, user: &User, cluster: &str) -> Result<bool, kit::Error> {
        self.access(user, cluster, self.believed).await
    }

    /// As [`Auth::may_report`], by answers younger than `age`.
    async fn access(&self, user: &User, cluster: &str, age: Duration) -> Result<bool, kit::Error> {
        if let Some(allowed) = fresh(&self.rights, &rights_key(user, cluster), age) {
            return Ok(allowed);
        }
        let mut allowed = self.allowed(user, cluster, ANYTHING).await?;
        if !allowed {
            allowed = true;
            for verb in VERBS {
                allowed &= self.allowed(user, cluster, verb).await?;
            }
        }
        // Only a yes is kept: the rights of a cluster that joins come a moment after its agent.
        if allowed {
            self.keep(&self.rights, rights_key(user, cluster), allowed);
        } else {
            self.rights.lock().remove(&rights_key(user, cluster));
        }
        Ok(allowed)
    }

    /// How a caller with an open session stands, as far as the API server was asked in the time that answers are
    /// believed.
    pub(super) async fn standing(&self, caller: &Caller, cluster: &str) -> Result<Standing, kit::Error> {
        self.stands(caller, cluster, self.believed).await
    }

    /// How a caller with an open session stands now, whatever is believed.
    pub(super) async fn standing_now(&self, caller: &Caller, cluster: &str) -> Result<Standing, kit::Error> {
        self.stands(caller, cluster, Duration::ZERO).await
    }

    async fn stands(&self, caller: &Caller, cluster: &str, age: Duration) -> Result<Standing, kit::Error> {
        let user = match &caller.proof {
            Proof::Token(token) => self.user(token, age).await?,
            Proof::Certificate => Some(caller.user.clone()),
        };
        match user {
            Some(user) if user == caller.user => Ok(rights(self.access(&user, cluster, age).await?)),
            Some(_) | None => Ok(Standing::Unauthenticated),
        }
    }

    async fn allowed(&self, user: &User, cluster: &str, verb: &str) -> Result<bool, kit::Error> {
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user.username, "uid": user.uid, "groups": user.groups,
                "resourceAttributes": {
                    "namespace": member_namespace(cluster), "verb": verb,
                    "group": groups::NETWORKING, "resource": RESOURCE,
                },
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        Ok(self.ask(path, "review access", &body).await?.status.allowed)
    }

    async fn ask(&self, path: &str, what: &str, body: &Value) -> Result<Review, kit::Error> {
        // The semaphore is never closed.
        let _turn = self.questions.acquire().await;
        let call = Call::new(Method::POST, path, what).body(media::JSON, body.to_string().into_bytes());
        call.deadline(DEADLINE).json(&self.client).await
    }

    fn keep<K: Ord, V>(&self, kept: &Mutex<BTreeMap<K, (Instant, V)>>, key: K, value: V) {
        let mut kept = kept.lock();
        if kept.len() >= MOST {
            kept.retain(|_, (since, _)| since.elapsed() < self.believed);
        }
        if kept.len() < MOST {
            kept.insert(key, (Instant::now(), value));
        }
    }
}

/// A kept answer, if it is younger than `age`.
fn fresh<K: Ord, V: Clone>(kept: &Mutex<BTreeMap<K, (Instant, V)>>, key: &K, age: Duration) -> Option<V> {
    let kept = kept.lock();
    let (_, value) = kept.get(key).filter(|(since, _)| since.elapsed() < age)?;
    Some(value.clone())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn rights_key(user: &User, cluster: &str) -> (String, String) {
    let whom = format!("{}\n{}", user.username, user.groups.join("\n"));
    (whom, cluster.to_owned())
}

fn rights(may: bool) -> Standing {
    if may { Standing::Fine } else { Standing::Forbidden }
}
