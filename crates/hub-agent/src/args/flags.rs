//! The flags by name, with their defaults and help.

use kit::flags::FlagSet;

/// All flags of the hub agent.
pub(super) fn set() -> FlagSet {
    let set = FlagSet::new(
        "hub-agent",
        "The hub agent of Fairway: decides which member cluster gets which resources.",
    );
    admission(queues(features(process(set)))).without_effect(&WITHOUT_EFFECT)
}

/// Flags of features that do not exist, each with the value that requests nothing.
const WITHOUT_EFFECT: [(&str, &str); 14] = [
    ("enable-cluster-inventory-apis", "false"),
    ("cluster-unhealthy-threshold", "60s"),
    ("enable-staged-update-run-apis", "false"),
    ("enable-eviction-apis", "false"),
    ("enable-webhook", "false"),
    ("webhook-client-connection-type", "url"),
    ("webhook-service-name", "fleetwebhook"),
    ("use-cert-manager", "false"),
    ("enable-guard-rail", "false"),
    ("whitelisted-users", ""),
    ("deny-modify-member-cluster-labels", "false"),
    ("enable-pdbs", "true"),
    ("enable-admission-policy-manager", "false"),
    ("admission-policy-manager-config", ""),
];

fn process(set: FlagSet) -> FlagSet {
    set.value(
        "kubeconfig",
        "",
        "Kubeconfig of the hub; otherwise KUBECONFIG, the pod's service account, the home folder.",
    )
    .value(
        "hub-api-qps",
        "250",
        "Requests a second to the hub; negative means unlimited.",
    )
    .value("hub-api-burst", "1000", "Requests at once to the hub.")
    .switch("leader-elect", false, "Work only while holding the leader lease.")
    .value(
        "leader-lease-duration",
        "60s",
        "How long others wait for a silent leader.",
    )
    .value(
        "leader-renew-deadline",
        "45s",
        "How long the leader tries to renew before it gives up.",
    )
    .value(
        "leader-retry-period",
        "5s",
        "Time between tries to get or renew the lease.",
    )
    .value("leader-election-namespace", "fleet-system", "Namespace of the lease.")
    .value(
        "leader-election-qps",
        "250",
        "Requests a second for leader election; not positive means unlimited.",
    )
    .value("leader-election-burst", "1000", "Requests at once for leader election.")
    .value(
        "health-probe-bind-address",
        ":8081",
        "Address of the probes; 0 switches them off.",
    )
    .value(
        "metrics-bind-address",
        ":8080",
        "Address of the metrics; 0 switches them off.",
    )
    .value(
        "log-format",
        "auto",
        "text, json, or auto: text on a terminal, else json.",
    )
    .ignored("pprof-port", "6065")
    .ignored_switch("enable-pprof")
    .ignored("resync-period", "6h")
    .ignored("internalserviceexport-retry-interval", "2s")
}

fn features(set: FlagSet) -> FlagSet {
    set.switch("enable-v1beta1-apis", true, "Must stay true.")
        .switch(
            "enable-cluster-inventory-apis",
            true,
            "Keep a ClusterProfile for each member.",
        )
        .switch("enable-staged-update-run-apis", true, "Serve staged update runs.")
        .switch("enable-eviction-apis", true, "Serve evictions and disruption budgets.")
        .switch("enable-resource-placement", true, "Serve placements in namespaces.")
        .switch(
            "networking-agents-enabled",
            false,
            "Expect the networking agents to join as well.",
        )
        .value(
            "member-link-bind-address",
            ":9444",
            "Address of the members' sessions; 0 switches them off.",
        )
        .value(
            "member-link-cert-file",
            "/tmp/fairway-member-link/tls.crt",
            "PEM file of the certificate that sessions are served under.",
        )
        .value(
            "member-link-key-file",
            "/tmp/fairway-member-link/tls.key",
            "PEM file of its private key.",
        )
        .value(
            "member-link-client-ca-file",
            "",
            "PEM file of the authority of the members' client certificates; empty means that only tokens are accepted.",
        )
        .value(
            "member-link-ping-interval",
            "10s",
            "Time between two signs of life of each session. A member that has missed three has no session any more; one \
             without a session and without a sign of life for four counts as lost where fast degradation is asked for.",
        )
        .switch(
            "enable-traffic-manager-feature",
            true,
            "Record type, weight and public address of exports, and work on TrafficManagerProfiles.",
        )
        .value(
            "cloud-config",
            "/etc/kubernetes/provider/azure.json",
            "File that says which traffic manager to use and who the agent is there; read only with \
             --enable-traffic-manager-feature.",
        )
        .value(
            "controllers",
            "*",
            "Controllers to run, comma-separated; * is all, -name all but that one.",
        )
        .value(
            "cluster-unhealthy-threshold",
            "60s",
            "Silence after which a member counts as unhealthy in its profile.",
        )
        .value("force-delete-wait-time", "15m", "How long a leaving member may take.")
        .ignored("work-pending-grace-period", "15s")
        .value(
            "skipped-propagating-apis",
            "",
            "APIs that are never selected, separated by semicolons.",
        )
        .value(
            "allowed-propagating-apis",
            "",
            "The only APIs that may be selected, separated by semicolons.",
        )
        .value(
            "skipped-propagating-namespaces",
            "",
            "Namespaces that are never selected.",
        )
        .value(
            "resource-snapshot-creation-minimum-interval",
            "30s",
            "Least time between two snapshots of a placement.",
        )
        .value(
            "resource-changes-collection-duration",
            "15s",
            "How long changes are collected before a snapshot.",
        )
}

fn queues(set: FlagSet) -> FlagSet {
    set.value(
        "concurrent-resource-change-syncs",
        "20",
        "Changes of resources handled at once.",
    )
    .value(
        "max-fleet-size",
        "100",
        "Members that the sizes of queues are meant for.",
    )
    .value(
        "max-concurrent-cluster-placement",
        "100",
        "Placements that the sizes of queues are meant for.",
    )
    .value(
        "rate-limiter-base-delay",
        "5ms",
        "Wait before the first repetition of what failed.",
    )
    .value("rate-limiter-max-delay", "60s", "Longest wait before a repetition.")
    .value("rate-limiter-qps", "10", "Repetitions a second.")
    .value("rate-limiter-bucket-size", "100", "Repetitions at once.")
}

fn admission(set: FlagSet) -> FlagSet {
    set.switch("enable-webhook", true, "Serve admission webhooks.")
        .value(
            "webhook-client-connection-type",
            "url",
            "How the API server reaches the webhooks: url or service.",
        )
        .value("webhook-service-name", "fleetwebhook", "Service of the webhooks.")
        .switch(
            "enable-guard-rail",
            false,
            "Guard the fleet's objects against accidental changes.",
        )
        .value(
            "whitelisted-users",
            "",
            "Users whom the guard rail lets pass, comma-separated.",
        )
        .switch(
            "deny-modify-member-cluster-labels",
            false,
            "Only the whitelisted may change labels of members.",
        )
        .switch("enable-workload", false, "Pods and ReplicaSets may exist on the hub.")
        .switch("enable-pdbs", true, "PodDisruptionBudgets may exist on the hub.")
        .switch(
            "use-cert-manager",
            false,
            "Certificates of the webhooks come from cert-manager.",
        )
        .switch("enable-admission-policy-manager", false, "Manage admission policies.")
        .value(
            "admission-policy-manager-config",
            "",
            "Path of the configuration of admission policies.",
        )
}
