//! The server's state and its handle.

use crate::authn::Tokens;
use crate::call::User;
use crate::clock::Clock;
use crate::controllers::Queue;
use crate::faults::Faults;
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::namespaces::Emptying;
use crate::pki::Authority;
use crate::rbac::Rbac;
use crate::registry::Registry;
use crate::reply::Body;
use crate::services::Addresses;
use crate::storage::{Backup, Limits, Store};
use crate::{bootstrap, dispatch};
use http::{Request, Response, header};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Everything a server holds.
pub struct Core {
    /// Objects.
    pub store: Arc<Store>,
    /// Served resources.
    pub registry: Registry,
    /// Time.
    pub clock: Clock,
    /// Identifiers.
    pub ids: Ids,
    /// Faults for tests.
    pub faults: Faults,
    /// Request counts.
    pub metrics: Metrics,
    /// Rules of who may do what.
    pub rbac: Rbac,
    /// Certificates.
    pub ca: Authority,
    /// Service account tokens.
    pub tokens: Tokens,
    /// Follow-up work.
    pub queue: Queue,
    /// Service addresses and node ports.
    pub addresses: Addresses,
    /// Namespaces on their way out.
    pub emptying: Emptying,
    /// How the server was built.
    pub settings: Settings,
}

/// Settings that hold for the server's life.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time between the deletion of a namespace and that of its content.
    pub namespace_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        // Real clusters take five seconds; this is long enough for a client that deletes a list of objects.
        Settings {
            namespace_delay: Duration::from_millis(300),
        }
    }
}

/// How a server is to be built.
#[derive(Debug, Default)]
pub struct Builder {
    clock: Option<Clock>,
    seed: Option<u64>,
    limits: Limits,
    authority: Option<Authority>,
    settings: Settings,
}

impl Builder {
    /// Takes the time from this clock; by default it moves with tokio's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes uids and generated names reproducible.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Bounds the watch history.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Uses an existing authority, so that many servers share one or a restarted server keeps its own.
    pub fn authority(mut self, authority: Authority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Time between the deletion of a namespace and that of its content.
    pub fn namespace_delay(mut self, delay: Duration) -> Self {
        self.settings.namespace_delay = delay;
        self
    }

    /// Builds the server with its standard namespaces and roles.
    ///
    /// # Errors
    /// When keys cannot be generated.
    pub fn build(self) -> anyhow::Result<ApiServer> {
        let ids = Ids::new(self.seed);
        let store = Arc::new(Store::new(self.limits));
        let for_faults = store.clone();
        let core = Arc::new(Core {
            clock: self.clock.unwrap_or_default(),
            faults: Faults::new(move || for_faults.rv()),
            metrics: Metrics::default(),
            rbac: Rbac::default(),
            ca: match self.authority {
                Some(authority) => authority,
                None => Authority::generate()?,
            },
            tokens: Tokens::new(ids.bytes()),
            queue: Queue::default(),
            addresses: Addresses::default(),
            emptying: Emptying::default(),
            settings: self.settings,
            registry: Registry::default(),
            store,
            ids,
        });
        for resource in core.registry.snapshot().values() {
            core.store.add_table(&resource.table);
        }
        bootstrap::run(&core);
        Ok(ApiServer(core))
    }
}

/// A Kubernetes API server in memory. A cheap handle: clones share the server.
#[derive(Clone)]
pub struct ApiServer(pub(crate) Arc<Core>);

impl ApiServer {
    /// Begins to build a server.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client that may do everything (`system:masters`), in process.
    pub fn client(&self) -> kube::Client {
        self.client_for(User::admin(), "fairway-in-process")
    }

    /// A client that acts as this user and these groups (`system:authenticated` is added), in process.
    pub fn client_as(&self, user: &str, groups: &[&str]) -> kube::Client {
        self.client_for(User::new(user, groups), "fairway-in-process")
    }

    /// A client that acts as a service account, in process, without a token.
    pub fn client_as_service_account(&self, namespace: &str, name: &str) -> kube::Client {
        let uid = self
            .0
            .store
            .get("serviceaccounts", namespace, name)
            .map(|s| s.uid.to_string())
            .unwrap_or_default();
        self.client_for(User::service_account(namespace, name, &uid), "fairway-in-process")
    }

    /// A client that authenticates with a bearer token, in process.
    pub fn client_with_token(&self, token: &str) -> kube::Client {
        kube::Client::new(
            self.service(Identity::Token(token.to_owned()), "fairway-in-process"),
            "default",
        )
    }

    /// A client that acts as `user` and calls itself `agent` in the metrics.
    pub fn client_for(&self, user: User, agent: &str) -> kube::Client {
        kube::Client::new(self.service(Identity::User(user), agent), "default")
    }

    /// The server as a `tower` service for one identity.
    pub fn service(&self, identity: Identity, agent: &str) -> InProcess {
        InProcess {
            server: self.clone(),
            identity,
            agent: agent.to_owned(),
        }
    }

    /// The switchboard of faults.
    pub fn faults(&self) -> Faults {
        self.0.faults.clone()
    }

    /// Counts of requests.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The server's certificate authority.
    pub fn authority(&self) -> &Authority {
        &self.0.ca
    }

    /// The latest resourceVersion.
    pub fn resource_version(&self) -> u64 {
        self.0.store.rv()
    }

    /// Forgets the watch history: resuming from before now is answered with 410 Expired.
    pub fn compact(&self) {
        self.0.store.compact();
    }

    /// What the server stores now, to go back to it.
    pub fn backup(&self) -> Backup {
        self.0.store.backup()
    }

    /// Goes back to what was stored, as a cluster does whose etcd is restored; all watches end.
    pub fn restore(&self, backup: &Backup) {
        self.0.store.restore(backup);
    }

    /// Issues a token for a service account, valid for `seconds`, without checking that the account exists.
    pub fn issue_token(&self, namespace: &str, name: &str, seconds: i64) -> String {
        let uid = self
            .0
            .store
            .get("serviceaccounts", namespace, name)
            .map(|s| s.uid.to_string())
            .unwrap_or_default();
        let expires = crate::clock::plus_seconds(self.0.clock.now(), seconds);
        self.0.tokens.issue(&self.0, namespace, name, &uid, &[], expires)
    }

    /// Handles one request.
    ///
    /// # Errors
    /// Only when a fault breaks the connection on purpose.
    pub async fn handle<B>(&self, request: Request<B>, identity: Identity) -> io::Result<Response<Body>>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        dispatch::handle(&self.0, request, identity).await
    }
}

/// How a caller proves who it is.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The transport has authenticated the user (in process, or a client certificate).
    User(User),
    /// By a bearer token.
    Token(String),
    /// By what the request's headers say.
    Headers,
}

/// The server under a `kube::Client`, for one identity.
#[derive(Clone)]
pub struct InProcess {
    server: ApiServer,
    identity: Identity,
    agent: String,
}

impl<B> tower::Service<Request<B>> for InProcess
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = futures::future::BoxFuture<'static, io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if !request.headers().contains_key(header::USER_AGENT)
            && let Ok(agent) = header::HeaderValue::from_str(&self.agent)
        {
            request.headers_mut().insert(header::USER_AGENT, agent);
        }
        let (server, identity) = (self.server.clone(), self.identity.clone());
        Box::pin(async move { server.handle(request, identity).await })
    }
}
