//! Candidates against a server that stores one lease and checks its version.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;

#[derive(Clone, Default)]
struct Store {
    lease: Arc<Mutex<Option<Value>>>,
    down: Arc<Mutex<bool>>,
}

impl Store {
    fn client(&self) -> Client {
        let store = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let store = store.clone();
            async move {
                let method = request.method().clone();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let (code, answer) = store.answer(&method, &body);
                let body = Body::from(answer.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &Method, body: &[u8]) -> (u16, Value) {
        if *self.down.lock() {
            return (503, json!({}));
        }
        let mut lease = self.lease.lock();
        let version = lease.as_ref().map(|l| {
            l["metadata"]["resourceVersion"]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        });
        match *method {
            Method::GET => lease
                .clone()
                .map_or((404, json!({"reason": "NotFound"})), |lease| (200, lease)),
            Method::POST if version.is_some() => (409, json!({"reason": "AlreadyExists"})),
            _ => {
                let mut new: Value = serde_json::from_slice(body).unwrap();
                let based_on = new["metadata"]["resourceVersion"]
                    .as_str()
                    .map(|v| v.parse::<u64>().unwrap());
                if based_on != version {
                    return (409, json!({"reason": "Conflict"}));
                }
                new["metadata"]["resourceVersion"] = (version.unwrap_or(0) + 1).to_string().into();
                *lease = Some(new.clone());
                (200, new)
            }
        }
    }

    fn holder(&self) -> String {
        self.lease.lock().as_ref().unwrap()["spec"]["holderIdentity"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

fn elector(store: &Store, identity: &str) -> Elector {
    let options = Options {
        namespace: "fleet-system".into(),
        name: "l".into(),
        identity: identity.into(),
        lease_duration: Duration::from_secs(60),
        renew_deadline: Duration::from_secs(45),
        retry_period: Duration::from_secs(5),
    };
    Elector::new(store.client(), options, Clock::System)
}

#[tokio::test(start_paused = true)]
async fn the_second_candidate_waits_until_the_first_gives_the_lease_back() {
    let store = Store::default();
    let stop = CancellationToken::new();
    let mut first = elector(&store, "a");
    assert!(first.acquire(&stop).await);
    let end_first = CancellationToken::new();
    let first = tokio::spawn(first.keep(end_first.clone()));
    let mut second = elector(&store, "b");
    let waiting = tokio::spawn(async move {
        let stop = CancellationToken::new();
        second.acquire(&stop).await
    });
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(!waiting.is_finished(), "the first one renews");
    assert_eq!(store.holder(), "a");
    end_first.cancel();
    assert_eq!(first.await.unwrap(), Ok(()));
    let start = Instant::now();
    assert!(waiting.await.unwrap());
    assert!(start.elapsed() <= Duration::from_secs(7));
    assert_eq!(store.holder(), "b");
    assert_eq!(store.lease.lock().as_ref().unwrap()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_holder_is_replaced_after_the_lease_duration_as_we_see_it() {
    let store = Store::default();
    let stop = CancellationToken::new();
    assert!(elector(&store, "a").acquire(&stop).await);
    let start = Instant::now();
    assert!(elector(&store, "b").acquire(&stop).await);
    let waited = start.elapsed().as_secs();
    assert!((60..=67).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_or_was_taken_is_lost() {
    let store = Store::default();
    let stop = CancellationToken::new();
    let mut holder = elector(&store, "a");
    assert!(holder.acquire(&stop).await);
    *store.down.lock() = true;
    let start = Instant::now();
    let err = holder.keep(stop.clone()).await.unwrap_err();
    assert_eq!(err, "the lease fleet-system/l is lost: it could not be renewed in time");
    assert!((45..=51).contains(&start.elapsed().as_secs()));

    *store.down.lock() = false;
    let mut holder = elector(&store, "c");
    assert!(holder.acquire(&stop).await);
    if let Some(lease) = store.lease.lock().as_mut() {
        lease["spec"]["holderIdentity"] = "d".into();
        lease["metadata"]["resourceVersion"] = "99".into();
    }
    let err = holder.keep(stop).await.unwrap_err();
    assert_eq!(
        err,
        "the lease fleet-system/l is lost: it belongs to another process now"
    );
}
