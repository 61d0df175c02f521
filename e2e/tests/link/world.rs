//! A hub and members on embedded API servers, with the halves of the session that a test starts and ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use apiserver::{ApiServer, User};
use control_plane::pki::Authority;
use e2e::requests::Requests;
use hub_agent::link::{self as hub_link, Membership};
use hub_agent::services::Services;
use kit::client::RateLimit;
use kit::clock::Clock;
use kit::controller::{Environment, Reconciles};
use kit::events;
use kit::metrics::Metrics;
use kit::rest::{Call, media};
use kit::writer::{Deletion, Patch, Writer};
use kit::{ObjectKey, Resource};
use member_agent::link::{self as member_link, Cloud, CloudConfigFile, Departure, Traffic};
use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const RECORDS: Resource = Resource::namespaced(
    "networking.fleet.azure.com",
    "v1alpha1",
    "InternalServiceExport",
    "internalserviceexports",
);
pub const EXPORTS: Resource = Resource::namespaced(
    "networking.fleet.azure.com",
    "v1beta1",
    "ServiceExport",
    "serviceexports",
);
pub const SERVICES: Resource = Resource::namespaced("", "v1", "Service", "services");
const DEFINITIONS: Resource = Resource::cluster(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
);
const MEMBERSHIPS: Resource = Resource::namespaced(
    "cluster.kubernetes-fleet.io",
    "v1beta1",
    "InternalMemberCluster",
    "internalmemberclusters",
);
const NAMESPACES: Resource = Resource::cluster("", "v1", "Namespace", "namespaces");
const ACCOUNTS: Resource = Resource::namespaced("", "v1", "ServiceAccount", "serviceaccounts");
const RBAC: &str = "rbac.authorization.k8s.io";
const ROLES: Resource = Resource::namespaced(RBAC, "v1", "Role", "roles");
const BINDINGS: Resource = Resource::namespaced(RBAC, "v1", "RoleBinding", "rolebindings");
const CLUSTER_ROLES: Resource = Resource::cluster(RBAC, "v1", "ClusterRole", "clusterroles");
const CLUSTER_BINDINGS: Resource = Resource::cluster(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings");
const SYSTEM: &str = "fleet-system";
pub const FINALIZER: &str = "networking.fleet.azure.com/svc-export-cleanup";
pub const WEIGHT: &str = "networking.fleet.azure.com/weight";

/// How long anything may take to come about.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A part that runs until it is stopped.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// The hub.
pub struct World {
    pub server: ApiServer,
    pub user: Writer,
    pub folder: PathBuf,
    pub port: u16,
    pub memberships: Arc<Mutex<BTreeMap<String, Membership>>>,
    pub config: hub_link::Config,
    /// Notifies the hub's half that the rights of a cluster may have changed.
    pub rights: broadcast::Sender<String>,
    /// Topics beside exports.
    pub topics: hub_link::Topics,
    pub presence: Arc<hub_link::Presence>,
    /// What the hub's half takes for the time.
    pub clock: Clock,
    /// Those of the half that runs or ran last.
    pub metrics: Option<hub_link::Metrics>,
    half: Option<Running>,
}

/// A member.
pub struct Member {
    pub name: String,
    pub server: ApiServer,
    pub user: Writer,
    pub token_file: PathBuf,
    pub departure: Arc<Departure>,
    pub config: member_link::Config,
    /// How exports are reported, where that is not over a session.
    pub way: Option<member_link::Way>,
    pub metrics: Option<member_link::Metrics>,
    /// How public addresses are looked up.
    pub cloud_config: CloudConfigFile,
    /// Whether anything is reported for traffic.
    pub has_traffic: bool,
    half: Option<Running>,
}

/// What a record or an export says: Service uid, ports, weight.
pub type Facts = BTreeMap<String, (String, Value, i64)>;

fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("fairway-link-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn free_port() -> u16 {
    let [port] = control_plane::free_ports().unwrap();
    port
}

/// A certificate for loopback from a fresh authority, written to `tls.crt`, `tls.key` and `ca.crt`.
pub fn certificates(folder: &Path) {
    let authority = Authority::new("link").unwrap();
    let pair = authority.server("localhost", &["localhost", "127.0.0.1"]).unwrap();
    std::fs::write(folder.join("tls.crt"), pair.cert_pem).unwrap();
    std::fs::write(folder.join("tls.key"), pair.key_pem).unwrap();
    std::fs::write(folder.join("ca.crt"), authority.cert_pem()).unwrap();
}

async fn define(user: &Writer, name: &str) {
    let file = format!("{}/../deploy/crds/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let definition = api::yaml::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    user.create(&DEFINITIONS, None, &definition).await.unwrap();
}

async fn namespace(user: &Writer, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    user.create(&NAMESPACES, None, &object).await.unwrap();
}

/// Waits for something to become true; the error is what is still wrong.
pub async fn eventually<F, Fut>(what: &str, check: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    eventually_in(TIME_LIMIT, what, check).await;
}

/// The same for what may take longer.
pub async fn eventually_in<F, Fut>(within: Duration, what: &str, mut check: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let deadline = tokio::time::Instant::now() + within;
    loop {
        match check().await {
            Ok(()) => return,
            Err(wrong) if tokio::time::Instant::now() > deadline => panic!("{what}: {wrong}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// An error unless both are equal.
pub fn equal<T: PartialEq + std::fmt::Debug>(left: T, right: T) -> Result<(), String> {
    if left == right {
        return Ok(());
    }
    Err(format!("{left:?}\nis not\n{right:?}"))
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    /// A hub with the rights of the deployed agent, without the agent.
    pub async fn new() -> Self {
        kit::install_crypto();
        kit::telemetry::init(kit::telemetry::Format::Text, 0);
        let server = ApiServer::builder().build().unwrap();
        let user = Writer::new(server.client(), Duration::from_secs(5));
        define(&user, "networking.fleet.azure.com_internalserviceexports").await;
        namespace(&user, SYSTEM).await;
        let rules = json!([
            {"apiGroups": ["networking.fleet.azure.com"],
             "resources": ["internalserviceexports", "internalserviceexports/status"],
             "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]},
            {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
            {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
        ]);
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "hub-agent-role"}, "rules": rules});
        user.create(&CLUSTER_ROLES, None, &role).await.unwrap();
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "hub-agent-role"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "hub-agent-role"},
            "subjects": [{"kind": "ServiceAccount", "name": "hub-agent-sa", "namespace": SYSTEM}]});
        user.create(&CLUSTER_BINDINGS, None, &binding).await.unwrap();
        let folder = folder();
        certificates(&folder);
        let port = free_port();
        let bind = format!("127.0.0.1:{port}").parse().unwrap();
        let config = hub_link::Config {
            // A side counts as gone after a few of these: long enough for a busy machine.
            ping_interval: Duration::from_secs(3),
            confirm_after: Duration::from_millis(700),
            drain: Duration::from_millis(200),
            drain_each: Duration::ZERO,
            ..hub_link::Config::new(bind, folder.join("tls.crt"), folder.join("tls.key"))
        };
        Self {
            server,
            user,
            folder,
            port,
            memberships: Arc::default(),
            config,
            rights: broadcast::Sender::new(16),
            topics: hub_link::Topics::default(),
            presence: Arc::default(),
            clock: Clock::System,
            metrics: None,
            half: None,
        }
    }

    /// Questions about tokens and rights that the hub's API server was asked so far.
    pub async fn reviews(&self) -> u64 {
        let requests = Requests::of(&self.server.client()).await.unwrap().0;
        let asked = requests
            .iter()
            .filter(|(request, _)| request.resource.ends_with("reviews"));
        asked.map(|(_, count)| count).sum()
    }

    /// Defines another kind on the hub.
    pub async fn define(&self, name: &str) {
        define(&self.user, name).await;
    }

    /// Starts the hub's half.
    pub fn start(&mut self) {
        let user = User::service_account(SYSTEM, "hub-agent-sa", "");
        let client = self.server.client_for(user, "hub-agent");
        let known = Arc::clone(&self.memberships);
        let members: hub_link::Members =
            Arc::new(move |name| known.lock().get(name).copied().unwrap_or(Membership::None));
        let metrics = hub_link::Metrics::register(&Registry::new()).unwrap();
        self.metrics = Some(metrics.clone());
        let (rights, topics) = (self.rights.subscribe(), self.topics.clone());
        let presence = Arc::clone(&self.presence);
        let (config, clock, stop) = (self.config.clone(), self.clock, CancellationToken::new());
        let ended = stop.clone();
        let task = tokio::spawn(async move {
            let services = services(client.clone(), clock);
            let parts = hub_link::Parts {
                services: Arc::clone(&services),
                members,
                rights,
                topics,
                presence,
            };
            let sessions = hub_link::run(config, client, parts, metrics, clock, ended.clone());
            // The records are followed until the last session has ended.
            let follow = CancellationToken::new();
            let sessions = async {
                sessions.await.unwrap();
                follow.cancel();
            };
            tokio::join!(sessions, services.run(follow.clone()));
        });
        self.half = Some(Running { stop, task });
    }

    /// Serves members as a replica that does not lead.
    pub fn stand_by(&self, stop: CancellationToken) -> impl Future<Output = Result<(), String>> + use<> {
        let metrics = hub_link::Metrics::register(&Registry::new()).unwrap();
        hub_link::stand_by(self.config.clone(), metrics, stop)
    }

    /// Starts what judges records, without sessions.
    pub fn start_without_sessions(&mut self) {
        let user = User::service_account(SYSTEM, "hub-agent-sa", "");
        let services = services(self.server.client_for(user, "hub-agent"), self.clock);
        let stop = CancellationToken::new();
        let ended = stop.clone();
        let task = tokio::spawn(async move { services.run(ended).await });
        self.half = Some(Running { stop, task });
    }

    /// Ends the hub's half.
    pub async fn stop(&mut self) {
        self.half.take().unwrap().end().await;
    }

    /// Lets a member join: namespace, Role and RoleBinding as the hub agent makes them, and an account.
    pub async fn join(&self, name: &str) {
        self.memberships.lock().insert(name.to_owned(), Membership::Member);
        let inside = format!("fleet-member-{name}");
        namespace(&self.user, &inside).await;
        let identity = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"namespace": SYSTEM, "name": account(name)}});
        self.user.create(&ACCOUNTS, Some(SYSTEM), &identity).await.unwrap();
        let all = |group: &str| json!({"apiGroups": [group], "resources": ["*"], "verbs": ["*"]});
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"namespace": inside, "name": api::names::member_role(name)},
        "rules": [
            all("cluster.kubernetes-fleet.io"), all("placement.kubernetes-fleet.io"),
            all("networking.fleet.azure.com"),
            {"apiGroups": [""], "resources": ["events"],
             "verbs": ["get", "list", "update", "patch", "watch", "create"]},
        ]});
        self.user.create(&ROLES, Some(&inside), &role).await.unwrap();
        self.bind(name).await;
    }

    /// Gives a joined member its rights.
    pub async fn bind(&self, name: &str) {
        let inside = format!("fleet-member-{name}");
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"namespace": inside, "name": api::names::member_role_binding(name)},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": api::names::member_role(name)},
            "subjects": [{"kind": "ServiceAccount", "name": account(name), "namespace": SYSTEM}]});
        self.user.create(&BINDINGS, Some(&inside), &binding).await.unwrap();
    }

    /// Gives a user the rights of a joined member.
    pub async fn bind_user(&self, name: &str, user: &str) {
        let inside = format!("fleet-member-{name}");
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"namespace": inside, "name": user},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": api::names::member_role(name)},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}]});
        self.user.create(&BINDINGS, Some(&inside), &binding).await.unwrap();
    }

    /// Takes a member its rights.
    pub async fn unbind(&self, name: &str) {
        let binding = api::names::member_role_binding(name);
        let key = ObjectKey::namespaced(&format!("fleet-member-{name}"), &binding);
        self.user.delete(&BINDINGS, &key, Deletion::default()).await.unwrap();
    }

    /// Deletes a member's account, and with it every token.
    pub async fn delete_account(&self, name: &str) {
        let key = ObjectKey::namespaced(SYSTEM, &account(name));
        self.user.delete(&ACCOUNTS, &key, Deletion::default()).await.unwrap();
    }

    /// Says what the hub wants of a member.
    pub async fn want(&self, name: &str, state: &str) {
        let key = ObjectKey::namespaced(&format!("fleet-member-{name}"), name);
        let spec = json!({"state": state, "heartbeatPeriodSeconds": 60});
        let patch = json!({"spec": spec});
        let changed = self.user.patch(&MEMBERSHIPS, &key, None, Patch::Merge, &patch).await;
        if changed.is_err() {
            let object = json!({"apiVersion": MEMBERSHIPS.api_version(), "kind": "InternalMemberCluster",
                "metadata": {"name": name, "namespace": key.namespace}, "spec": spec});
            let namespace = key.namespace.as_deref();
            self.user.create(&MEMBERSHIPS, namespace, &object).await.unwrap();
        }
    }

    /// The InternalMemberCluster of a member.
    pub async fn membership(&self, name: &str) -> Value {
        let key = ObjectKey::namespaced(&format!("fleet-member-{name}"), name);
        self.user.get(&MEMBERSHIPS, &key).await.unwrap()
    }

    /// Status of a member's condition Joined, `-` where there is none.
    pub async fn joined(&self, name: &str) -> String {
        let membership = self.membership(name).await;
        let conditions = membership.pointer("/status/agentStatus/0/conditions");
        let joined = conditions.and_then(Value::as_array).into_iter().flatten();
        joined
            .filter(|one| one["type"] == "Joined")
            .map(|one| one["status"].as_str().unwrap().to_owned())
            .next()
            .unwrap_or("-".to_owned())
    }

    /// The hub as a member's account may use it.
    pub fn client_of(&self, name: &str) -> kube::Client {
        let user = User::service_account(SYSTEM, &account(name), "");
        self.server.client_for(user, "member-agent")
    }

    /// A token of a member's account for an hour.
    pub async fn token(&self, name: &str) -> String {
        self.token_for(name, 3600).await
    }

    /// A token of a member's account for some seconds, by TokenRequest.
    pub async fn token_for(&self, name: &str, seconds: u32) -> String {
        let path = format!("/api/v1/namespaces/{SYSTEM}/serviceaccounts/{}/token", account(name));
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds}});
        let call =
            Call::new(http::Method::POST, path, "ask for a token").body(media::JSON, body.to_string().into_bytes());
        let answer: Value = call.json(self.user.client()).await.unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// A joined member whose half reports to this hub, not started yet.
    pub async fn member(&self, name: &str) -> Member {
        self.join(name).await;
        let token = self.token(name).await;
        Member::new(name, &self.folder, self.port, &token).await
    }

    /// What the hub has recorded of a member.
    pub async fn records(&self, member: &str) -> Facts {
        let inside = format!("fleet-member-{member}");
        let mut facts = Facts::new();
        for record in list(&self.user, &RECORDS, &inside).await {
            let reference = &record["spec"]["serviceReference"];
            assert_eq!(reference["clusterId"], member);
            facts.insert(
                reference["namespacedName"].as_str().unwrap().to_owned(),
                (
                    reference["uid"].as_str().unwrap().to_owned(),
                    record["spec"]["ports"].clone(),
                    record["spec"]["weight"].as_i64().unwrap_or(1),
                ),
            );
        }
        facts
    }

    /// Waits until the records of a member are what it exports.
    pub async fn converged(&self, member: &Member) {
        eventually("the records equal the exports", || async {
            equal(self.records(&member.name).await, member.exported().await)
        })
        .await;
    }

    /// Full syncs that the half carried out, of all members.
    pub fn syncs(&self) -> u64 {
        let metrics = self.metrics.as_ref().unwrap();
        metrics.syncs.with_label_values(&["applied"]).get()
    }

    /// The uids of a member's records, by the exports they record.
    pub async fn identities(&self, member: &str) -> BTreeMap<String, String> {
        let all = list(&self.user, &RECORDS, &format!("fleet-member-{member}")).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        all.iter()
            .map(|record| {
                let export = &record["spec"]["serviceReference"]["namespacedName"];
                (text(export), text(&record["metadata"]["uid"]))
            })
            .collect()
    }

    /// Writes to records by the hub agent so far.
    pub fn writes(&self) -> u64 {
        self.server.metrics().total(|labels, agent| {
            agent == "hub-agent" && labels.is_write() && labels.resource == "internalserviceexports"
        })
    }
}

/// The records and their controller, as the hub agent runs them.
fn services(client: kube::Client, clock: Clock) -> Arc<Services> {
    let writer = Writer::new(client, Duration::from_secs(5));
    // No events are recorded about records.
    let (recorder, _) = events::channel(writer.clone(), clock);
    let environment = Environment {
        writer,
        indexes: Arc::default(),
        recorder,
        clock,
        longest_wait: Duration::from_secs(30),
        repetitions: RateLimit { qps: 100.0, burst: 100 },
    };
    let series = Reconciles::register(&Metrics::new().unwrap(), "hub").unwrap();
    Services::new(&environment, series.of("internalserviceexport"), true)
}

fn account(member: &str) -> String {
    format!("fleet-member-agent-{member}")
}

pub async fn list(user: &Writer, resource: &Resource, namespace: &str) -> Vec<Value> {
    let call = Call::new(http::Method::GET, resource.collection(Some(namespace)), "list");
    let answer: Value = call.json(user.client()).await.unwrap();
    answer["items"].as_array().unwrap().clone()
}

impl Member {
    /// A member with a namespace `app` whose half connects to a port of loopback.
    pub async fn new(name: &str, folder: &Path, port: u16, token: &str) -> Self {
        let server = ApiServer::builder().build().unwrap();
        let user = Writer::new(server.client(), Duration::from_secs(5));
        define(&user, "networking.fleet.azure.com_serviceexports").await;
        namespace(&user, "app").await;
        let token_file = folder.join(format!("token-{name}"));
        std::fs::write(&token_file, token).unwrap();
        let config = member_link::Config {
            reconnect: [Duration::from_millis(20), Duration::from_millis(200)],
            spread: Duration::from_millis(50),
            ..member_link::Config::new(
                format!("https://127.0.0.1:{port}"),
                folder.join("ca.crt"),
                member_link::Identity::TokenFile(token_file.clone()),
                name.to_owned(),
            )
        };
        Self {
            name: name.to_owned(),
            server,
            user,
            token_file,
            departure: Departure::new(),
            config,
            way: None,
            metrics: None,
            cloud_config: CloudConfigFile::default(),
            has_traffic: true,
            half: None,
        }
    }

    /// Defines another kind on the member.
    pub async fn define(&self, name: &str) {
        define(&self.user, name).await;
    }

    /// The member as its agent may use it.
    pub fn client(&self) -> kube::Client {
        let user = User::new("member-agent", &["system:masters"]);
        self.server.client_for(user, "member-agent")
    }

    /// Starts the member's half, as a new process would.
    pub fn start(&mut self) {
        let client = self.client();
        let (recorder, writer) = events::channel(Writer::new(client.clone(), Duration::from_secs(5)), Clock::System);
        let metrics = member_link::Metrics::register(&Registry::new()).unwrap();
        self.metrics = Some(metrics.clone());
        let session = || self.config.clone().into();
        let (way, departure, stop) = (
            self.way.clone().unwrap_or_else(session),
            Arc::clone(&self.departure),
            CancellationToken::new(),
        );
        let traffic = match self.has_traffic {
            true => Traffic::On(Cloud::new(self.cloud_config.clone())),
            false => Traffic::Off,
        };
        let ended = stop.clone();
        let task = tokio::spawn(async move {
            let parts = member_link::Parts {
                member: client,
                departure,
                recorder,
                metrics,
                clock: Clock::System,
                traffic,
            };
            let link = member_link::run(way, parts, ended.clone());
            tokio::join!(link, writer.run(ended));
        });
        self.half = Some(Running { stop, task });
    }

    /// Ends the member's half.
    pub async fn stop(&mut self) {
        self.half.take().unwrap().end().await;
    }

    pub fn connected(&self) -> bool {
        self.metrics
            .as_ref()
            .is_some_and(|metrics| metrics.connected.get() == 1)
    }

    pub async fn service(&self, name: &str, port: u16) {
        let object = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "app", "name": name},
            "spec": {"ports": [{"name": "web", "port": port, "targetPort": 8080}]}});
        self.user.create(&SERVICES, Some("app"), &object).await.unwrap();
    }

    pub async fn export(&self, name: &str) {
        let object = json!({"apiVersion": EXPORTS.api_version(), "kind": "ServiceExport",
            "metadata": {"namespace": "app", "name": name}});
        self.user.create(&EXPORTS, Some("app"), &object).await.unwrap();
    }

    /// A Service and its export.
    pub async fn exported_service(&self, name: &str, port: u16) {
        self.service(name, port).await;
        self.export(name).await;
    }

    pub async fn patch(&self, resource: &Resource, name: &str, body: Value) {
        let key = ObjectKey::namespaced("app", name);
        self.user
            .patch(resource, &key, None, Patch::Merge, &body)
            .await
            .unwrap();
    }

    pub async fn delete(&self, resource: &Resource, name: &str) {
        let key = ObjectKey::namespaced("app", name);
        self.user.delete(resource, &key, Deletion::default()).await.unwrap();
    }

    pub async fn get_export(&self, name: &str) -> Option<Value> {
        let key = ObjectKey::namespaced("app", name);
        match self.user.get(&EXPORTS, &key).await {
            Ok(export) => Some(export),
            Err(error) if error.is_not_found() => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// What this member exports, by its own objects.
    pub async fn exported(&self) -> Facts {
        let mut facts = Facts::new();
        for export in list(&self.user, &EXPORTS, "app").await {
            let metadata = &export["metadata"];
            if metadata.get("deletionTimestamp").is_some() {
                continue;
            }
            let weight = metadata["annotations"][WEIGHT]
                .as_str()
                .map_or(1, |text| text.parse().unwrap());
            let name = metadata["name"].as_str().unwrap();
            let key = ObjectKey::namespaced("app", name);
            let Ok(service) = self.user.get(&SERVICES, &key).await else {
                continue;
            };
            if weight == 0 || service["spec"]["clusterIP"] == "None" {
                continue;
            }
            let uid = service["metadata"]["uid"].as_str().unwrap().to_owned();
            let port = &service["spec"]["ports"][0];
            let ports = json!([{"name": port["name"], "protocol": "TCP",
                "port": port["port"], "targetPort": port["targetPort"]}]);
            facts.insert(format!("app/{name}"), (uid, ports, weight));
        }
        facts
    }

    /// Status and reason of the Valid and Conflict conditions, `-` where there is none.
    pub async fn conditions(&self, name: &str) -> String {
        let Some(export) = self.get_export(name).await else {
            return "gone".to_owned();
        };
        let show = |kind: &str| {
            let all = export["status"]["conditions"].as_array().cloned().unwrap_or_default();
            all.iter()
                .find(|condition| condition["type"] == kind)
                .map_or("-".to_owned(), |condition| {
                    let text = |field: &str| condition[field].as_str().unwrap().to_owned();
                    format!("{}/{}", text("status"), text("reason"))
                })
        };
        format!("{} {}", show("Valid"), show("Conflict"))
    }

    /// Waits for conditions as [`Member::conditions`] shows them.
    pub async fn shows(&self, name: &str, conditions: &str) {
        eventually(&format!("conditions of {name}"), || async {
            equal(self.conditions(name).await.as_str(), conditions)
        })
        .await;
    }
}

pub const FINE: &str = "True/ServiceIsValid False/NoConflictFound";
pub const CONFLICT: &str = "True/ServiceIsValid True/ConflictFound";
pub const PENDING: &str = "True/ServiceIsValid Unknown/ServicePendingConflictResolution";
