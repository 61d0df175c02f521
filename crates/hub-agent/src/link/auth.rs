//! Who calls, and for which cluster it may: TokenReview and SubjectAccessReview of the hub's API server, whose answers
//! are believed for a minute (networking 16.7).

use std::time::Duration;

use api::names::member_namespace;
use api::text::groups;
use http::Method;
use kit::rest::{Call, media};
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::answers::Answers;

/// Answers that are kept at the most; a fleet has at most a thousand members.
const MOST: usize = 4096;
/// Refused tokens that are remembered at the most. They have room of their own: whoever shows many of them must not
/// displace the accepted ones.
const MOST_REFUSED: usize = 1024;
/// How long a refused token stays refused without a question: long enough that a member with a broken one does not keep
/// the API server busy, short enough that one whose account comes a moment later is soon let in.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Time for an answer, with the wait for a free slot.
const DEADLINE: Duration = Duration::from_secs(10);
/// Questions to the API server at a time: callers that nobody knows yet must not delay the others for long.
const QUESTIONS: usize = 16;
const RESOURCE: &str = "internalserviceexports";
/// Whoever may do all of this may write the record of an export.
const VERBS: [&str; 3] = ["create", "update", "delete"];
/// Whoever may do anything may do that too. The Role of a member says so, which makes it one question instead of three.
const ANYTHING: &str = "*";

/// Checks identities and rights with the API server.
pub(super) struct Auth {
    client: Client,
    /// How long an answer of the API server is believed.
    believed: Duration,
    questions: Semaphore,
    users: Answers<[u8; 32], User>,
    refused: Answers<[u8; 32], ()>,
    /// Who may write the records of a cluster. Only a yes is kept: the rights of a cluster that joins come a moment after
    /// its agent.
    rights: Answers<(String, String), ()>,
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
            users: Answers::new(MOST, believed),
            refused: Answers::new(MOST_REFUSED, REFUSED_FOR),
            rights: Answers::new(MOST, believed),
        }
    }

    /// Whom a bearer token stands for; `None` when the hub does not accept it. An error means that the hub could not
    /// be asked.
    pub(super) async fn authenticate(&self, token: &str) -> Result<Option<User>, kit::Error> {
        self.user(token, self.believed).await
    }

    /// As [`Auth::authenticate`], by answers younger than `age`.
    async fn user(&self, token: &str, age: Duration) -> Result<Option<User>, kit::Error> {
        let shown = digest(token);
        if let Some(user) = self.users.get(&shown, age) {
            return Ok(Some(user));
        }
        if self.refused.get(&shown, age).is_some() {
            return Ok(None);
        }
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
        });
        let review = self
            .ask("/apis/authentication.k8s.io/v1/tokenreviews", "review a token", &body)
            .await?;
        if !review.status.authenticated {
            self.users.forget(&shown);
            self.refused.keep(shown, ());
            return Ok(None);
        }
        self.refused.forget(&shown);
        self.users.keep(shown, review.status.user.clone());
        Ok(Some(review.status.user))
    }

    /// Whether the user may write the export records of a cluster.
    pub(super) async fn may_report(&self, user: &User, cluster: &str) -> Result<bool, kit::Error> {
        self.access(user, cluster, self.believed).await
    }

    /// As [`Auth::may_report`], by answers younger than `age`.
    async fn access(&self, user: &User, cluster: &str, age: Duration) -> Result<bool, kit::Error> {
        let key = rights_key(user, cluster);
        if self.rights.get(&key, age).is_some() {
            return Ok(true);
        }
        let mut allowed = self.allowed(user, cluster, ANYTHING).await?;
        if !allowed {
            allowed = true;
            for verb in VERBS {
                allowed &= self.allowed(user, cluster, verb).await?;
            }
        }
        if allowed {
            self.rights.keep(key, ());
        } else {
            self.rights.forget(&key);
        }
        Ok(allowed)
    }

    /// The rights of a caller with an open session, as far as the API server was queried in the time that answers are
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
        let asked = async {
            // The semaphore is never closed.
            let _turn = self.questions.acquire().await;
            let call = Call::new(Method::POST, path, what).body(media::JSON, body.to_string().into_bytes());
            call.deadline(DEADLINE).json(&self.client).await
        };
        let late = || kit::Error::Transport {
            what: what.to_owned(),
            cause: format!("no answer within {} s", DEADLINE.as_secs()),
        };
        tokio::time::timeout(DEADLINE, asked)
            .await
            .unwrap_or_else(|_| Err(late()))
    }
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::client::Body;

    use super::*;

    /// An API server that accepts tokens that begin with `good`, and does not answer about `silent`. With the number of
    /// questions that it was asked.
    fn server() -> (Auth, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                let body = request.into_body().collect_bytes().await.unwrap_or_default();
                let review: Value = serde_json::from_slice(&body).unwrap_or_default();
                let token = review["spec"]["token"].as_str().unwrap_or_default().to_owned();
                if token == "silent" {
                    std::future::pending::<()>().await;
                }
                let status = json!({"authenticated": token.starts_with("good"), "user": {"username": token}});
                let answer = json!({"status": status}).to_string().into_bytes();
                Ok::<_, Infallible>(http::Response::new(Body::from(answer)))
            }
        });
        let client = Client::new(service, "default");
        (Auth::new(client, Duration::from_secs(60)), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn refused_tokens_are_asked_about_once_in_a_while_and_never_displace_accepted_ones() {
        let (auth, asked) = server();
        let questions = || asked.swap(0, Ordering::Relaxed);
        for _ in 0..10 {
            assert_eq!(auth.authenticate("bad").await.unwrap(), None);
        }
        assert_eq!(questions(), 1);
        assert!(auth.authenticate("good").await.unwrap().is_some());
        for number in 0..3 * MOST {
            assert_eq!(auth.authenticate(&number.to_string()).await.unwrap(), None);
        }
        questions();
        assert!(auth.authenticate("good").await.unwrap().is_some());
        assert_eq!(questions(), 0, "the accepted token is still known");
        assert_eq!(auth.authenticate("bad").await.unwrap(), None);
        tokio::time::advance(REFUSED_FOR).await;
        questions();
        assert_eq!(auth.authenticate("bad").await.unwrap(), None);
        assert_eq!(questions(), 1, "a refusal is believed for a short time only");
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_does_not_answer_is_waited_for_within_the_deadline() {
        let (auth, _) = server();
        let auth = Arc::new(auth);
        let begun = tokio::time::Instant::now();
        // More than may be in flight at a time: the last of them waits for a slot.
        let all: Vec<_> = (0..3 * QUESTIONS)
            .map(|_| {
                let auth = Arc::clone(&auth);
                tokio::spawn(async move { auth.authenticate("silent").await.is_err() })
            })
            .collect();
        for one in all {
            assert!(one.await.unwrap());
        }
        assert!(
            begun.elapsed() <= DEADLINE + Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
}
