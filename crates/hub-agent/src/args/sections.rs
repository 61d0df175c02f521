//! The parts of the configuration, each with its checks (hub-behaviour 11.2).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use fairway_core::placement::{Settings, Stages};
use fairway_core::select::{ApiListError, ApiLists, NamespaceRule};
use kit::backoff::Backoff;
use kit::client::RateLimit;
use kit::flags::Values;
use kit::telemetry::Format;

use crate::link;

/// How to reach the hub's API server.
#[derive(Debug, Clone, PartialEq)]
pub struct HubConnection {
    /// Path of a kubeconfig; empty means the usual places.
    pub kubeconfig: String,
    /// Limit of requests; `None` means none.
    pub rate: Option<RateLimit>,
}

/// Leader election.
#[derive(Debug, Clone, PartialEq)]
pub struct Election {
    /// Whether to work only while leading.
    pub enabled: bool,
    /// How long others wait for a silent leader.
    pub lease_duration: Duration,
    /// How long the leader tries to renew.
    pub renew_deadline: Duration,
    /// Time between tries.
    pub retry_period: Duration,
    /// Namespace of the lease.
    pub namespace: String,
    /// Limit of requests of its own client.
    pub rate: Option<RateLimit>,
}

/// Probes, metrics, logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Address of the probes; empty or `0` means none.
    pub probes: String,
    /// Address of the metrics; empty or `0` means none.
    pub metrics: String,
    /// Level of the flag `v`.
    pub verbosity: u8,
    /// How log lines look.
    pub log_format: Format,
}

/// Which groups of APIs are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// ClusterProfiles.
    pub cluster_inventory: bool,
    /// Staged update runs.
    pub update_runs: bool,
    /// Evictions and disruption budgets.
    pub evictions: bool,
    /// Placements in namespaces.
    pub resource_placement: bool,
}

/// Which resources may be selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// By API.
    pub apis: ApiLists,
    /// By namespace.
    pub namespaces: NamespaceRule,
}

/// Sizes and speeds of queues.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueueLimits {
    /// `--concurrent-resource-change-syncs`.
    pub resource_changes: usize,
    /// `--max-fleet-size`.
    pub fleet: usize,
    /// `--max-concurrent-cluster-placement`.
    pub placements: usize,
    /// Waits before repetitions.
    pub backoff: Backoff,
    /// Repetitions a second.
    pub repetitions: RateLimit,
}

/// Rules about members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRules {
    /// Silence after which a member counts as unhealthy in its profile.
    pub unhealthy_after: Duration,
    /// How long a leaving member may take.
    pub force_delete_wait: Duration,
    /// Whether the networking agents must join as well.
    pub networking: bool,
}

/// Webhooks and their certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhooks {
    /// Whether they are served.
    pub enabled: bool,
    /// Whether the API server reaches them through a Service rather than a URL.
    pub by_service: bool,
    /// Name of that Service.
    pub service: String,
    /// Whether cert-manager makes the certificates.
    pub use_cert_manager: bool,
}

/// What admission forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Whether the fleet's objects are guarded.
    pub guard_rail: bool,
    /// Who passes the guard.
    pub whitelisted_users: BTreeSet<String>,
    /// Whether only they may change labels of members.
    pub deny_label_changes: bool,
    /// Whether the hub runs workloads itself.
    pub workloads_on_hub: bool,
    /// Whether PodDisruptionBudgets may exist on the hub.
    pub disruption_budgets: bool,
    /// Whether admission policies are managed.
    pub policies: bool,
    /// Their configuration.
    pub policy_config: String,
}

/// Which controllers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controllers {
    /// Stages of the planner; with none of them no placement is worked on.
    pub stages: Stages,
    /// MemberClusters.
    pub members: bool,
    /// Override snapshots.
    pub overrides: bool,
}

const NO_LIMIT: Duration = Duration::MAX;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn rate(
    v: &mut Values,
    qps: &'static str,
    burst: &'static str,
    max: (f64, u32),
    unlimited: fn(f64) -> bool,
) -> Option<RateLimit> {
    let rate = v.number_or(qps, 10.0..=max.0, unlimited);
    let at_once = v.number(burst, 10..=max.1);
    v.require(
        f64::from(at_once) >= rate,
        &format!("The flag --{burst} must not be below --{qps}."),
    );
    RateLimit::from_flags(rate, at_once)
}

impl HubConnection {
    pub(super) fn read(v: &mut Values) -> Self {
        let rate = rate(v, "hub-api-qps", "hub-api-burst", (10_000.0, 20_000), |qps| qps < 0.0);
        Self {
            kubeconfig: v.text("kubeconfig"),
            rate,
        }
    }
}

impl Election {
    pub(super) fn read(v: &mut Values) -> Self {
        let any = Duration::from_millis(100)..=NO_LIMIT;
        let election = Self {
            enabled: v.switch("leader-elect"),
            lease_duration: v.duration("leader-lease-duration", secs(1)..=NO_LIMIT),
            renew_deadline: v.duration("leader-renew-deadline", any.clone()),
            retry_period: v.duration("leader-retry-period", any),
            namespace: v.text("leader-election-namespace"),
            rate: rate(
                v,
                "leader-election-qps",
                "leader-election-burst",
                (1000.0, 2000),
                |qps| qps <= 0.0,
            ),
        };
        v.require(
            election.renew_deadline < election.lease_duration && election.retry_period < election.renew_deadline,
            "The leader's retry period must be below its renew deadline, and that below the lease duration.",
        );
        election
    }
}

impl Process {
    pub(super) fn read(v: &mut Values) -> Self {
        let log_format = match v.choice("log-format", &["auto", "text", "json"]).as_str() {
            "text" => Format::Text,
            "json" => Format::Json,
            _ => Format::Auto,
        };
        Self {
            probes: v.text("health-probe-bind-address"),
            metrics: v.text("metrics-bind-address"),
            verbosity: v.verbosity(),
            log_format,
        }
    }
}

impl Features {
    pub(super) fn read(v: &mut Values) -> Self {
        let v1beta1 = v.switch("enable-v1beta1-apis");
        v.require(v1beta1, "The flag --enable-v1beta1-apis must stay true.");
        // Accepted and checked for compatibility; caches here have no need to be read anew.
        v.duration("resync-period", secs(3600)..=secs(12 * 3600));
        Self {
            cluster_inventory: v.switch("enable-cluster-inventory-apis"),
            update_runs: v.switch("enable-staged-update-run-apis"),
            evictions: v.switch("enable-eviction-apis"),
            resource_placement: v.switch("enable-resource-placement"),
        }
    }
}

impl Selection {
    pub(super) fn read(v: &mut Values) -> Self {
        let apis = ApiLists::parse(&v.text("allowed-propagating-apis"), &v.text("skipped-propagating-apis"));
        let apis = apis.unwrap_or_else(|err| {
            v.problem(match err {
                ApiListError::Both => {
                    "Only one of --allowed-propagating-apis and --skipped-propagating-apis can be set.".to_owned()
                }
                ApiListError::Entry(entry) => format!("The list of APIs has an entry that cannot be read: {entry:?}."),
            });
            ApiLists::default()
        });
        Self {
            apis,
            namespaces: NamespaceRule::parse(&v.text("skipped-propagating-namespaces")),
        }
    }
}

impl QueueLimits {
    pub(super) fn read(v: &mut Values) -> Self {
        let base = v.duration(
            "rate-limiter-base-delay",
            Duration::from_millis(1)..=Duration::from_millis(200),
        );
        let max = v.duration("rate-limiter-max-delay", secs(1)..=secs(300));
        v.require(
            base < max,
            "The flag --rate-limiter-base-delay must be below --rate-limiter-max-delay.",
        );
        let qps = v.number("rate-limiter-qps", 1_u32..=1000);
        let burst = v.number("rate-limiter-bucket-size", 1_u32..=10_000);
        v.require(
            qps <= burst,
            "The flag --rate-limiter-qps must not be above --rate-limiter-bucket-size.",
        );
        Self {
            resource_changes: v.number("concurrent-resource-change-syncs", 1..=100),
            fleet: v.number("max-fleet-size", 30..=200),
            placements: v.number("max-concurrent-cluster-placement", 10..=200),
            backoff: Backoff::new(base, max),
            repetitions: RateLimit {
                qps: f64::from(qps),
                burst,
            },
        }
    }

    /// Placements worked on at once: as many as KubeFleet rolls out at once (hub-behaviour 11.3).
    pub fn placement_workers(&self) -> usize {
        self.fleet.div_ceil(30) * self.placements.div_ceil(10)
    }

    /// Members worked on at once.
    pub fn member_workers(&self) -> usize {
        self.fleet.div_ceil(100)
    }
}

impl MemberRules {
    pub(super) fn read(v: &mut Values) -> Self {
        Self {
            unhealthy_after: v.duration("cluster-unhealthy-threshold", secs(30)..=secs(3600)),
            force_delete_wait: v.duration("force-delete-wait-time", secs(30)..=secs(3600)),
            networking: v.switch("networking-agents-enabled"),
        }
    }
}

impl Webhooks {
    pub(super) fn read(v: &mut Values) -> Self {
        let webhooks = Self {
            enabled: v.switch("enable-webhook"),
            by_service: v.choice("webhook-client-connection-type", &["url", "service"]) == "service",
            service: v.text("webhook-service-name"),
            use_cert_manager: v.switch("use-cert-manager"),
        };
        v.require(
            !webhooks.enabled || !webhooks.service.is_empty(),
            "The flag --webhook-service-name must not be empty while webhooks are enabled.",
        );
        webhooks
    }
}

impl Admission {
    pub(super) fn read(v: &mut Values) -> Self {
        let users = v.text("whitelisted-users");
        Self {
            guard_rail: v.switch("enable-guard-rail"),
            whitelisted_users: list(&users).map(str::to_owned).collect(),
            deny_label_changes: v.switch("deny-modify-member-cluster-labels"),
            workloads_on_hub: v.switch("enable-workload"),
            disruption_budgets: v.switch("enable-pdbs"),
            policies: v.switch("enable-admission-policy-manager"),
            policy_config: v.text("admission-policy-manager-config"),
        }
    }
}

impl Controllers {
    /// Names that `--controllers` knows.
    pub const NAMES: [&'static str; 6] = [
        "placement",
        "scheduler",
        "rollout",
        "work-generator",
        "membercluster",
        "override",
    ];

    pub(super) fn read(v: &mut Values) -> Self {
        let text = v.text("controllers");
        for name in list(&text) {
            let known = name == "*" || Self::NAMES.contains(&name.strip_prefix('-').unwrap_or(name));
            if !known {
                v.problem(format!(
                    "The flag --controllers names {name:?}; known are {} and *.",
                    Self::NAMES.join(", ")
                ));
            }
        }
        let is_on = |name: &str| {
            let off = list(&text).any(|entry| entry.strip_prefix('-') == Some(name));
            !off && list(&text).any(|entry| entry == "*" || entry == name)
        };
        Self {
            stages: Stages {
                placement: is_on("placement"),
                schedule: is_on("scheduler"),
                rollout: is_on("rollout"),
                work: is_on("work-generator"),
            },
            members: is_on("membercluster"),
            overrides: is_on("override"),
        }
    }

    /// Whether placements are worked on at all.
    pub fn any_stage(&self) -> bool {
        let Stages {
            placement,
            schedule,
            rollout,
            work,
        } = self.stages;
        placement || schedule || rollout || work
    }
}

/// What the planner decides by.
pub(super) fn planner(v: &mut Values, selection: &Selection, controllers: &Controllers, workloads: bool) -> Settings {
    Settings {
        apis: selection.apis.clone(),
        namespaces: selection.namespaces.clone(),
        snapshot_minimum_interval: v.duration(
            "resource-snapshot-creation-minimum-interval",
            Duration::ZERO..=secs(300),
        ),
        snapshot_collection: v.duration("resource-changes-collection-duration", Duration::ZERO..=secs(60)),
        enable_workload: workloads,
        stages: controllers.stages,
        ..Settings::default()
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// How the members' sessions are served; `None` when the address switches them off.
pub(super) fn link(v: &mut Values) -> Option<link::Config> {
    let ping_interval = v.duration("member-link-ping-interval", Duration::from_millis(100)..=secs(60));
    let address = v.text("member-link-bind-address");
    if matches!(address.as_str(), "" | "0") {
        return None;
    }
    // Go's notation for all interfaces.
    let target = if address.starts_with(':') {
        format!("0.0.0.0{address}")
    } else {
        address.clone()
    };
    let Ok(bind) = target.parse() else {
        v.problem(format!(
            "The flag --member-link-bind-address is {address:?}; give an IP address and a port, or 0."
        ));
        return None;
    };
    let [cert, key] = ["member-link-cert-file", "member-link-key-file"].map(|name| PathBuf::from(v.text(name)));
    let client_ca = v.text("member-link-client-ca-file");
    Some(link::Config {
        client_ca_file: (!client_ca.is_empty()).then(|| PathBuf::from(client_ca)),
        ping_interval,
        ..link::Config::new(bind, cert, key)
    })
}
