//! Columns of built-in kinds.

mod cells;

use cells::*;
use jiff::Timestamp;
use serde_json::Value;

/// One column.
pub struct Col {
    /// Heading.
    pub name: &'static str,
    /// Shown in wide output only.
    pub wide: bool,
    /// Whether its cells are numbers.
    pub number: bool,
    /// Makes the cell of an object.
    pub cell: fn(&Value, Timestamp) -> Value,
}

const fn col(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Col {
    Col {
        name,
        wide: false,
        number: false,
        cell,
    }
}

const fn num(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Col {
    Col {
        name,
        wide: false,
        number: true,
        cell,
    }
}

const fn wide(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Col {
    Col {
        name,
        wide: true,
        number: false,
        cell,
    }
}

const NAME: Col = col("Name", name);
const AGE: Col = col("Age", age);

static DEFAULT: &[Col] = &[NAME, AGE];
static CREATED_AT: &[Col] = &[NAME, col("Created At", created_at)];
static PODS: &[Col] = &[
    NAME,
    col("Ready", pod_ready),
    col("Status", pod_status),
    col("Restarts", pod_restarts),
    AGE,
    wide("IP", |v, _| or_none(v, &["status", "podIP"])),
    wide("Node", |v, _| or_none(v, &["spec", "nodeName"])),
    wide("Nominated Node", |v, _| or_none(v, &["status", "nominatedNodeName"])),
    wide("Readiness Gates", |_, _| "<none>".into()),
];
static DEPLOYMENTS: &[Col] = &[
    NAME,
    col("Ready", |v, _| {
        ratio(v, &["status", "readyReplicas"], &["spec", "replicas"])
    }),
    col("Up-to-date", |v, _| number(v, &["status", "updatedReplicas"])),
    col("Available", |v, _| number(v, &["status", "availableReplicas"])),
    AGE,
    wide("Containers", containers),
    wide("Images", images),
    wide("Selector", selector),
];
static REPLICA_SETS: &[Col] = &[
    NAME,
    num("Desired", |v, _| number(v, &["spec", "replicas"])),
    num("Current", |v, _| number(v, &["status", "replicas"])),
    num("Ready", |v, _| number(v, &["status", "readyReplicas"])),
    AGE,
    wide("Containers", containers),
    wide("Images", images),
    wide("Selector", selector),
];
static STATEFUL_SETS: &[Col] = &[
    NAME,
    col("Ready", |v, _| {
        ratio(v, &["status", "readyReplicas"], &["spec", "replicas"])
    }),
    AGE,
    wide("Containers", containers),
    wide("Images", images),
];
static DAEMON_SETS: &[Col] = &[
    NAME,
    num("Desired", |v, _| number(v, &["status", "desiredNumberScheduled"])),
    num("Current", |v, _| number(v, &["status", "currentNumberScheduled"])),
    num("Ready", |v, _| number(v, &["status", "numberReady"])),
    num("Up-to-date", |v, _| number(v, &["status", "updatedNumberScheduled"])),
    num("Available", |v, _| number(v, &["status", "numberAvailable"])),
    col("Node Selector", |v, _| {
        map_text(v, &["spec", "template", "spec", "nodeSelector"])
    }),
    AGE,
    wide("Containers", containers),
    wide("Images", images),
    wide("Selector", selector),
];
static JOBS: &[Col] = &[
    NAME,
    col("Status", job_status),
    col("Completions", |v, _| {
        ratio(v, &["status", "succeeded"], &["spec", "completions"])
    }),
    col("Duration", job_duration),
    AGE,
    wide("Containers", containers),
    wide("Images", images),
    wide("Selector", selector),
];
static CRON_JOBS: &[Col] = &[
    NAME,
    col("Schedule", |v, _| or_none(v, &["spec", "schedule"])),
    col("Timezone", |v, _| or_none(v, &["spec", "timeZone"])),
    col("Suspend", |v, _| {
        if v.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
            "True"
        } else {
            "False"
        }
        .into()
    }),
    num("Active", |v, _| count(v, &["status", "active"])),
    col("Last Schedule", |v, now| {
        age_of(v, &["status", "lastScheduleTime"], now)
    }),
    AGE,
    wide("Containers", |v, now| {
        containers(v.pointer("/spec/jobTemplate").unwrap_or(v), now)
    }),
    wide("Images", |v, now| {
        images(v.pointer("/spec/jobTemplate").unwrap_or(v), now)
    }),
    wide("Selector", |v, now| {
        selector(v.pointer("/spec/jobTemplate").unwrap_or(v), now)
    }),
];
static SERVICES: &[Col] = &[
    NAME,
    col("Type", |v, _| or_none(v, &["spec", "type"])),
    col("Cluster-IP", |v, _| or_none(v, &["spec", "clusterIP"])),
    col("External-IP", service_external),
    col("Port(s)", service_ports),
    AGE,
    wide("Selector", |v, _| map_text(v, &["spec", "selector"])),
];
static NAMESPACES: &[Col] = &[NAME, col("Status", |v, _| plain(v, &["status", "phase"])), AGE];
static NODES: &[Col] = &[
    NAME,
    col("Status", node_status),
    col("Roles", node_roles),
    AGE,
    col("Version", |v, _| plain(v, &["status", "nodeInfo", "kubeletVersion"])),
    wide("Internal-IP", |v, _| node_address(v, "InternalIP")),
    wide("External-IP", |v, _| node_address(v, "ExternalIP")),
    wide("OS-Image", |v, _| or_unknown(v, &["status", "nodeInfo", "osImage"])),
    wide("Kernel-Version", |v, _| {
        or_unknown(v, &["status", "nodeInfo", "kernelVersion"])
    }),
    wide("Container-Runtime", |v, _| {
        or_unknown(v, &["status", "nodeInfo", "containerRuntimeVersion"])
    }),
];
static CONFIG_MAPS: &[Col] = &[NAME, col("Data", data_count), AGE];
static SECRETS: &[Col] = &[
    NAME,
    col("Type", |v, _| plain(v, &["type"])),
    col("Data", data_count),
    AGE,
];
static SERVICE_ACCOUNTS: &[Col] = &[NAME, col("Secrets", |v, _| count(v, &["secrets"])), AGE];
static ENDPOINTS: &[Col] = &[NAME, col("Endpoints", endpoints), AGE];
static ENDPOINT_SLICES: &[Col] = &[
    NAME,
    col("AddressType", |v, _| plain(v, &["addressType"])),
    col("Ports", slice_ports),
    col("Endpoints", slice_endpoints),
    AGE,
];
static EVENTS: &[Col] = &[
    col("Last Seen", event_seen),
    col("Type", |v, _| plain(v, &["type"])),
    col("Reason", |v, _| plain(v, &["reason"])),
    col("Object", event_object),
    wide("Subobject", |v, _| plain(v, &["involvedObject", "fieldPath"])),
    wide("Source", |v, _| plain(v, &["source", "component"])),
    col("Message", |v, _| event_message(v)),
    wide("First Seen", |v, now| age_of(v, &["firstTimestamp"], now)),
    wide("Count", |v, _| number(v, &["count"])),
    wide("Name", name),
];
static CLAIMS: &[Col] = &[
    NAME,
    col("Status", |v, _| plain(v, &["status", "phase"])),
    col("Volume", |v, _| plain(v, &["spec", "volumeName"])),
    col("Capacity", |v, _| plain(v, &["status", "capacity", "storage"])),
    col("Access Modes", |v, _| access_modes(v, &["status", "accessModes"])),
    col("StorageClass", |v, _| plain(v, &["spec", "storageClassName"])),
    col("VolumeAttributesClass", |_, _| "<unset>".into()),
    AGE,
    wide("VolumeMode", |v, _| plain(v, &["spec", "volumeMode"])),
];
static VOLUMES: &[Col] = &[
    NAME,
    col("Capacity", |v, _| plain(v, &["spec", "capacity", "storage"])),
    col("Access Modes", |v, _| access_modes(v, &["spec", "accessModes"])),
    col("Reclaim Policy", |v, _| {
        plain(v, &["spec", "persistentVolumeReclaimPolicy"])
    }),
    col("Status", |v, _| plain(v, &["status", "phase"])),
    col("Claim", volume_claim),
    col("StorageClass", |v, _| plain(v, &["spec", "storageClassName"])),
    col("VolumeAttributesClass", |_, _| "<unset>".into()),
    col("Reason", |v, _| plain(v, &["status", "reason"])),
    AGE,
    wide("VolumeMode", |v, _| plain(v, &["spec", "volumeMode"])),
];
static BINDINGS: &[Col] = &[
    NAME,
    col("Role", binding_role),
    AGE,
    wide("Users", |v, _| subjects(v, "User")),
    wide("Groups", |v, _| subjects(v, "Group")),
    wide("ServiceAccounts", |v, _| subjects(v, "ServiceAccount")),
];
static LEASES: &[Col] = &[NAME, col("Holder", |v, _| plain(v, &["spec", "holderIdentity"])), AGE];
static INGRESSES: &[Col] = &[
    NAME,
    col("Class", |v, _| or_none(v, &["spec", "ingressClassName"])),
    col("Hosts", ingress_hosts),
    col("Address", |v, _| load_balancer(v).into()),
    col("Ports", |v, _| {
        if v.pointer("/spec/tls").is_some() {
            "80, 443"
        } else {
            "80"
        }
        .into()
    }),
    AGE,
];
static NETWORK_POLICIES: &[Col] = &[
    NAME,
    col("Pod-Selector", |v, _| selector_at(v, &["spec", "podSelector"])),
    AGE,
];
static INGRESS_CLASSES: &[Col] = &[
    NAME,
    col("Controller", |v, _| plain(v, &["spec", "controller"])),
    col("Parameters", |v, _| or_none(v, &["spec", "parameters", "name"])),
    AGE,
];
static BUDGETS: &[Col] = &[
    NAME,
    col("Min Available", |v, _| or_not_available(v, &["spec", "minAvailable"])),
    col("Max Unavailable", |v, _| {
        or_not_available(v, &["spec", "maxUnavailable"])
    }),
    num("Allowed Disruptions", |v, _| {
        number(v, &["status", "disruptionsAllowed"])
    }),
    AGE,
];
static STORAGE_CLASSES: &[Col] = &[
    NAME,
    col("Provisioner", |v, _| plain(v, &["provisioner"])),
    col("ReclaimPolicy", |v, _| plain(v, &["reclaimPolicy"])),
    col("VolumeBindingMode", |v, _| plain(v, &["volumeBindingMode"])),
    col("AllowVolumeExpansion", |v, _| flag(v, &["allowVolumeExpansion"])),
    AGE,
];
static PRIORITY_CLASSES: &[Col] = &[
    NAME,
    num("Value", |v, _| number(v, &["value"])),
    col("Global-Default", |v, _| flag(v, &["globalDefault"])),
    AGE,
    col("PreemptionPolicy", |v, _| plain(v, &["preemptionPolicy"])),
];
static AUTOSCALERS: &[Col] = &[
    NAME,
    col("Reference", autoscaler_target),
    col("Targets", |_, _| "<unknown>".into()),
    col("MinPods", |v, _| or_not_available(v, &["spec", "minReplicas"])),
    col("MaxPods", |v, _| or_not_available(v, &["spec", "maxReplicas"])),
    col("Replicas", |v, _| number(v, &["status", "currentReplicas"])),
    AGE,
];
static WEBHOOKS: &[Col] = &[NAME, num("Webhooks", |v, _| count(v, &["webhooks"])), AGE];
static REVISIONS: &[Col] = &[
    NAME,
    col("Controller", revision_controller),
    col("Revision", |v, _| number(v, &["revision"])),
    AGE,
];

/// The columns of a built-in kind, by its table; name and age for anything else.
pub fn of(table: &str) -> &'static [Col] {
    match table {
        "pods" => PODS,
        "deployments.apps" => DEPLOYMENTS,
        "replicasets.apps" | "replicationcontrollers" => REPLICA_SETS,
        "statefulsets.apps" => STATEFUL_SETS,
        "daemonsets.apps" => DAEMON_SETS,
        "controllerrevisions.apps" => REVISIONS,
        "jobs.batch" => JOBS,
        "cronjobs.batch" => CRON_JOBS,
        "services" => SERVICES,
        "namespaces" => NAMESPACES,
        "nodes" => NODES,
        "configmaps" => CONFIG_MAPS,
        "secrets" => SECRETS,
        "serviceaccounts" => SERVICE_ACCOUNTS,
        "endpoints" => ENDPOINTS,
        "endpointslices.discovery.k8s.io" => ENDPOINT_SLICES,
        "events" => EVENTS,
        "persistentvolumeclaims" => CLAIMS,
        "persistentvolumes" => VOLUMES,
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => BINDINGS,
        "roles.rbac.authorization.k8s.io"
        | "clusterroles.rbac.authorization.k8s.io"
        | "customresourcedefinitions.apiextensions.k8s.io"
        | "limitranges" => CREATED_AT,
        "leases.coordination.k8s.io" => LEASES,
        "ingresses.networking.k8s.io" => INGRESSES,
        "networkpolicies.networking.k8s.io" => NETWORK_POLICIES,
        "ingressclasses.networking.k8s.io" => INGRESS_CLASSES,
        "poddisruptionbudgets.policy" => BUDGETS,
        "storageclasses.storage.k8s.io" => STORAGE_CLASSES,
        "priorityclasses.scheduling.k8s.io" => PRIORITY_CLASSES,
        "horizontalpodautoscalers.autoscaling" => AUTOSCALERS,
        "mutatingwebhookconfigurations.admissionregistration.k8s.io"
        | "validatingwebhookconfigurations.admissionregistration.k8s.io" => WEBHOOKS,
        _ => DEFAULT,
    }
}
