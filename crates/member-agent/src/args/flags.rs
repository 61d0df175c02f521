//! The flags of the member agent, with their defaults and help texts (member-behaviour 8.2).

use kit::flags::FlagSet;

const BACKOFF: &str = "Back-off of the periodic pass over a Work.";

/// All flags, in the order of the help.
pub(super) fn flags() -> FlagSet {
    FlagSet::new("member-agent", "Applies Works on this cluster and reports to the hub.")
        .switch(
            "use-ca-auth",
            false,
            "Use a client certificate instead of a token towards the hub.",
        )
        .switch("tls-insecure", false, "Do not check the hub's certificate.")
        .value(
            "hub-health-probe-bind-address",
            ":8081",
            "Address of the probes; 0 switches them off.",
        )
        .value(
            "health-probe-bind-address",
            ":8091",
            "Second address of the probes; 0 switches them off.",
        )
        .value(
            "hub-metrics-bind-address",
            ":8080",
            "Address of the metrics; 0 switches them off.",
        )
        .value(
            "metrics-bind-address",
            ":8090",
            "Second address of the metrics; 0 switches them off.",
        )
        .ignored("hub-pprof-port", "6066")
        .ignored("pprof-port", "6065")
        .ignored("fleet-system-namespace", "fleet-system")
        .ignored("member-metrics-bind-address", ":8090")
        .ignored("member-health-probe-bind-address", ":8091")
        .switch(
            "enable-pprof",
            false,
            "Accepted for compatibility: there is no Go profile to serve.",
        )
        .value(
            "hub-api-qps",
            "50",
            "Requests a second to the hub; negative means unlimited.",
        )
        .value("hub-api-burst", "500", "Requests to the hub at once.")
        .value(
            "member-api-qps",
            "250",
            "Requests a second to the member; negative means unlimited.",
        )
        .value("member-api-burst", "1000", "Requests to the member at once.")
        .switch(
            "leader-elect",
            false,
            "Work only while holding the leases on the member.",
        )
        .value(
            "leader-lease-duration",
            "15s",
            "How long others wait after our last sign of life.",
        )
        .value("leader-renew-deadline", "10s", "How long we try to renew a lease.")
        .value(
            "leader-retry-period",
            "2s",
            "Time between tries to get or renew a lease.",
        )
        .value(
            "leader-election-namespace",
            "kube-system",
            "Namespace of the leases on the member.",
        )
        .value(
            "deletion-wait-time",
            "5",
            "Minutes that the garbage collector gets before objects are unblocked.",
        )
        .switch(
            "enable-work-applier-priority-queue",
            false,
            "Process Works that are new, deleted or not yet fine before others, and periodic looks last.",
        )
        .value(
            "work-applier-priority-linear-equation-coeff-a",
            "-3",
            "What each minute of its age adds to the priority of a changed Work that was fine, in the priority queue.",
        )
        .value(
            "work-applier-priority-linear-equation-coeff-b",
            "100",
            "Priority of a changed Work that was fine and has no age; 100 is the highest.",
        )
        .value(
            "work-applier-requeue-rate-limiter-attempts-with-fixed-delay",
            "1",
            BACKOFF,
        )
        .value("work-applier-requeue-rate-limiter-fixed-delay-seconds", "5", BACKOFF)
        .value(
            "work-applier-requeue-rate-limiter-exponential-base-for-slow-backoff",
            "1.2",
            BACKOFF,
        )
        .value(
            "work-applier-requeue-rate-limiter-initial-slow-backoff-delay-seconds",
            "2",
            BACKOFF,
        )
        .value(
            "work-applier-requeue-rate-limiter-max-slow-backoff-delay-seconds",
            "15",
            BACKOFF,
        )
        .value(
            "work-applier-requeue-rate-limiter-exponential-base-for-fast-backoff",
            "1.5",
            BACKOFF,
        )
        .value(
            "work-applier-requeue-rate-limiter-max-fast-backoff-delay-seconds",
            "900",
            BACKOFF,
        )
        .switch(
            "work-applier-requeue-rate-limiter-skip-to-fast-backoff-for-available-or-diff-reported-work-objs",
            true,
            "Whether Works that are fine leave the slow phase of the back-off at once.",
        )
        .value(
            "region",
            "",
            "Region of the cluster, for the prices of the azure property provider; empty means that of its nodes.",
        )
        .value(
            "property-provider",
            "none",
            "Property provider: azure, or anything else for the built-in facts.",
        )
        .value(
            "cloud-config",
            azure::DEFAULT_PATH,
            "Cloud config in JSON or YAML by which public IP addresses of exported Services are looked up. Without one, where \
             the flag is not given or empty, their addresses are reported as the Services show them.",
        )
        .switch(
            "use-cost-properties-in-azure-provider",
            true,
            "Whether the azure property provider reports costs.",
        )
        .switch(
            "use-available-res-properties-in-azure-provider",
            true,
            "Whether the azure property provider reports what is available.",
        )
        .switch(
            "enable-namespace-collection-in-property-provider",
            false,
            "Report the member's namespaces to the hub.",
        )
        .switch(
            "enable-v1beta1-apis",
            true,
            "Accepted for compatibility: there are no other versions.",
        )
        .switch(
            "enable-v1alpha1-apis",
            false,
            "Must stay false: that version of memberships is not served.",
        )
        .switch(
            "enable-networking-features",
            true,
            "Follow ServiceExports and report them to the hub.",
        )
        .value(
            "export-report",
            "grpc",
            "How exports are reported: grpc, over a session with the hub agent, or objects, which the agent writes itself.",
        )
        .switch(
            "enable-traffic-manager-feature",
            true,
            "Report type, weight, readiness and public address of exported Services.",
        )
        .value(
            "hub-link-address",
            "",
            "URL of the hub agent's sessions; empty means that no exports are reported.",
        )
        .value(
            "hub-link-ca-file",
            "",
            "PEM file of the authority that the sessions' certificate is checked against.",
        )
        .value(
            "hub-link-server-name",
            "",
            "Name in the sessions' certificate; empty means the host of the address.",
        )
        .value(
            "kubeconfig",
            "",
            "Kubeconfig of the member; empty means KUBECONFIG, the pod, or the home folder.",
        )
        .without_effect(&[
            ("enable-pprof", "false"),
            ("enable-v1beta1-apis", "true"),
        ])
}
