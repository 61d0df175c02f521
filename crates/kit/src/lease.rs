//! Leader election over a Lease: at most one agent of a name works at a time.
//!
//! A lease is taken and kept by replacing it under its resourceVersion, so two candidates cannot both succeed. Clocks of
//! different machines are never compared: a lease counts as expired when we have seen it unchanged for its duration.

use std::time::Duration;

use http::Method;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::ObjectMeta;
use rand::Rng as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::Error;
use crate::resource::{ObjectKey, Resource};
use crate::rest::{Call, media};

/// The API of leases.
pub const LEASES: Resource = Resource::namespaced("coordination.k8s.io", "v1", "Lease", "leases");

/// Which lease, by whom, and how often.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespace of the lease.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
    /// Who we are; different for each process.
    pub identity: String,
    /// How long others wait after the last sign of life before they take over.
    pub lease_duration: Duration,
    /// How long we try to renew before we give up.
    pub renew_deadline: Duration,
    /// Time between tries.
    pub retry_period: Duration,
}

/// A candidate for a lease.
pub struct Elector {
    client: Client,
    options: Options,
    clock: Clock,
    observed: Option<Observed>,
}

/// The lease as it was last seen, and since when it has looked so.
struct Observed {
    lease: Lease,
    since: Instant,
}

impl Options {
    /// Name of this process among the candidates: host and a random part.
    pub fn identity() -> String {
        let host = std::env::var("HOSTNAME")
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "agent".to_owned());
        format!("{host}_{:016x}", rand::rng().random::<u64>())
    }
}

impl Elector {
    /// A candidate that holds nothing yet.
    pub fn new(client: Client, options: Options, clock: Clock) -> Self {
        Self {
            client,
            options,
            clock,
            observed: None,
        }
    }

    /// Waits until the lease is ours. `false` when `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        let mut is_logged = false;
        loop {
            match self.attempt().await {
                Ok(true) => {
                    tracing::info!(lease = self.options.name, identity = self.options.identity, "Leading.");
                    return true;
                }
                Ok(false) => {
                    if !is_logged {
                        let holder = self.observed.as_ref().map_or("", |seen| holder(&seen.lease));
                        tracing::info!(lease = self.options.name, holder, "Waiting to lead.");
                        is_logged = true;
                    }
                }
                Err(err) => {
                    tracing::warn!(lease = self.options.name, error = %err, "The lease cannot be read or written; trying again.")
                }
            }
            let wait = self.options.retry_period.mul_f64(rand::rng().random_range(1.0..1.2));
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return false;
            }
        }
    }

    /// How often the lease has changed hands so far; grows with every new holder.
    pub fn transitions(&self) -> u64 {
        let spec = self.observed.as_ref().and_then(|seen| seen.lease.spec.as_ref());
        spec.and_then(|spec| u64::try_from(spec.lease_transitions?).ok())
            .unwrap_or_default()
    }

    /// Keeps the lease until `stop`, then gives it back.
    ///
    /// # Errors
    /// When it is lost: the process must end at once, because somebody else may work already.
    pub async fn keep(mut self, stop: CancellationToken) -> Result<(), String> {
        let mut renewed = Instant::now();
        loop {
            if stop
                .run_until_cancelled(tokio::time::sleep(self.options.retry_period))
                .await
                .is_none()
            {
                self.release().await;
                return Ok(());
            }
            let left = self.options.renew_deadline.saturating_sub(renewed.elapsed());
            // Others count from when the renewal was stored, which may be long before its answer is here.
            let asked = Instant::now();
            match tokio::time::timeout(left, self.attempt()).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Ok(false)) => return Err(self.lost("it belongs to another process now")),
                Ok(Err(err)) => {
                    tracing::warn!(lease = self.options.name, error = %err, "Cannot renew the lease.");
                }
                Err(_) => {}
            }
            if renewed.elapsed() >= self.options.renew_deadline {
                return Err(self.lost("it could not be renewed in time"));
            }
        }
    }

    fn lost(&self, why: &str) -> String {
        format!(
            "the lease {}/{} is lost: {why}",
            self.options.namespace, self.options.name
        )
    }

    /// Takes or renews the lease if that is allowed now. `false` when somebody else holds it.
    async fn attempt(&mut self) -> Result<bool, Error> {
        // The holder writes without reading first; a conflict shows that the copy is old.
        if let Some(seen) = &self.observed
            && holder(&seen.lease) == self.options.identity
        {
            let wanted = self.wanted(Some(&seen.lease));
            match self.write(&wanted, true).await {
                Err(err) if err.is_conflict() || err.is_not_found() => {}
                answer => return self.note(answer),
            }
        }
        let wanted = match self.read().await? {
            None => self.wanted(None),
            Some(lease) => {
                let unchanged = self
                    .observed
                    .as_ref()
                    .filter(|seen| seen.lease.spec == lease.spec)
                    .map(|s| s.since);
                let since = unchanged.unwrap_or_else(Instant::now);
                let duration = lease
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.lease_duration_seconds)
                    .unwrap_or_default();
                let duration = Duration::from_secs(u64::try_from(duration).unwrap_or_default());
                let free =
                    holder(&lease).is_empty() || holder(&lease) == self.options.identity || since.elapsed() >= duration;
                let wanted = self.wanted(Some(&lease));
                self.observed = Some(Observed { lease, since });
                if !free {
                    return Ok(false);
                }
                wanted
            }
        };
        let exists = wanted.metadata.resource_version.is_some();
        match self.write(&wanted, exists).await {
            Err(err) if err.is_conflict() || err.is_already_exists() => Ok(false),
            answer => self.note(answer),
        }
    }

    fn note(&mut self, answer: Result<Lease, Error>) -> Result<bool, Error> {
        self.observed = Some(Observed {
            lease: answer?,
            since: Instant::now(),
        });
        Ok(true)
    }

    /// The lease as we want it, following `current`.
    fn wanted(&self, current: Option<&Lease>) -> Lease {
        let now = MicroTime(self.clock.now());
        let before = current.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let ours = before.holder_identity.as_deref() == Some(self.options.identity.as_str());
        let transitions = before.lease_transitions.unwrap_or_default();
        let duration = i32::try_from(self.options.lease_duration.as_secs().max(1)).unwrap_or(i32::MAX);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.options.name.clone()),
                namespace: Some(self.options.namespace.clone()),
                resource_version: current.and_then(|lease| lease.metadata.resource_version.clone()),
                ..current.map(|lease| lease.metadata.clone()).unwrap_or_default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.options.identity.clone()),
                lease_duration_seconds: Some(duration),
                acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if ours || current.is_none() {
                    transitions
                } else {
                    transitions + 1
                }),
                ..before
            }),
        }
    }

    /// Lets the next candidate in at once.
    async fn release(&mut self) {
        let Some(seen) = self.observed.take() else { return };
        let mut lease = self.wanted(Some(&seen.lease));
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        if let Err(err) = self.write(&lease, true).await {
            tracing::info!(lease = self.options.name, error = %err, "The lease was not given back; it will expire.");
        }
    }

    fn key(&self) -> ObjectKey {
        ObjectKey::namespaced(&self.options.namespace, &self.options.name)
    }

    async fn read(&self) -> Result<Option<Lease>, Error> {
        let call = Call::new(
            Method::GET,
            LEASES.object(&self.key(), None),
            format!("get Lease {}", self.key()),
        );
        match call
            .deadline(self.options.renew_deadline)
            .json::<Lease>(&self.client)
            .await
        {
            Ok(lease) => Ok(Some(lease)),
            Err(err) if err.is_not_found() => Ok(None),
            Err(err) => Err(err),
        }
    }

    async fn write(&self, lease: &Lease, exists: bool) -> Result<Lease, Error> {
        let what = format!("write Lease {}", self.key());
        let body = serde_json::to_vec(lease).map_err(|err| Error::Request {
            what: what.clone(),
            cause: err.to_string(),
        })?;
        let (method, path) = if exists {
            (Method::PUT, LEASES.object(&self.key(), None))
        } else {
            (Method::POST, LEASES.collection(Some(&self.options.namespace)))
        };
        let call = Call::new(method, path, what).body(media::JSON, body);
        call.deadline(self.options.renew_deadline).json(&self.client).await
    }
}

fn holder(lease: &Lease) -> &str {
    lease
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
