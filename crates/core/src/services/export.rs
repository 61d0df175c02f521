//! What a member reports of an exported Service, and what the hub answers about it (networking 16.3 and 16.4).

use jiff::Timestamp;

use super::EndpointSettings;

/// Namespace and name of a ServiceExport, which are those of its Service as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExportKey {
    /// Namespace on the member and, by namespace sameness, in the whole fleet.
    pub namespace: String,
    /// Name of the export.
    pub name: String,
}

impl std::fmt::Display for ExportKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Everything that is reported of one export. A report is whole: what is absent has its default.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportReport {
    /// The exported Service.
    pub service: ServiceRef,
    /// Since when this version of the Service is exported.
    pub exported_since: Option<Timestamp>,
    /// Ports in the Service's order.
    pub ports: Vec<ServicePort>,
    /// `ClusterIP`, `NodePort` or `LoadBalancer`; empty when the member reports nothing for traffic.
    pub service_type: String,
    /// Weight 1 to 1000; absent counts as 1.
    pub weight: Option<i64>,
    /// The Service requests an internal load balancer.
    pub internal_load_balancer: bool,
    /// What is known of the public address.
    pub public_ip: PublicIp,
    /// Whether the Service has an endpoint that is ready; `None` where that is not known.
    pub is_ready: Option<bool>,
    /// What users choose of the endpoint.
    pub endpoint: EndpointSettings,
}

/// Identity of the exported Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRef {
    /// Uid of the Service: another uid under the same name is another Service.
    pub uid: String,
    /// Version of the Service that the report describes.
    pub resource_version: String,
    /// `v1`.
    pub api_version: String,
    /// `Service`.
    pub kind: String,
}

/// One port of an exported Service (networking 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Port name; empty when the Service gives none.
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Application protocol, when the Service names one.
    pub app_protocol: Option<String>,
    /// 1 to 65535.
    pub port: i32,
    /// Number or name of the pods' port.
    pub target_port: Option<TargetPort>,
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// By number.
    Number(i32),
    /// By the name that the container gives it.
    Name(String),
}

/// How far the lookup of the public address has come (networking 16.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublicIpState {
    /// The feature is off, the Service is no load balancer, or the load balancer is internal.
    #[default]
    NotApplicable,
    /// The Service has no ingress address yet.
    PendingIngress,
    /// A lookup is under way.
    LookupPending,
    /// No public address matches the ingress address.
    NotFound,
    /// Found: `resource_id` and `dns_label_configured` hold.
    Found,
    /// The lookup failed: what was known before still counts.
    LookupFailed,
}

/// Facts about the public address of an exported load balancer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublicIp {
    /// How far the lookup has come.
    pub state: PublicIpState,
    /// The ingress address, empty when there is none.
    pub ip: String,
    /// Cloud resource id of the address, when found.
    pub resource_id: String,
    /// The address has a DNS label.
    pub dns_label_configured: bool,
    /// Full domain name of the address, when known.
    pub fqdn: String,
    /// Why the lookup failed.
    pub error: Option<LookupError>,
}

/// Why public addresses cannot be listed, without secrets and ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookupError {
    /// HTTP status; `None` without an answer.
    pub status: Option<u16>,
    /// Code of the error.
    pub code: String,
    /// What is in the way when nothing was answered, as a part of a sentence; empty when no more is known.
    pub message: String,
}

impl std::fmt::Display for LookupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            None if self.message.is_empty() => f.write_str("no answer came"),
            None => f.write_str(&self.message),
            Some(status) if self.code.is_empty() => write!(f, "{status}"),
            Some(status) => write!(f, "{status} {}", self.code),
        }
    }
}

/// Why an export is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawReason {
    /// The ServiceExport is gone or being deleted.
    ExportDeleted,
    /// There is no Service of that name.
    ServiceNotFound,
    /// The Service cannot be exported.
    ServiceIneligible,
    /// The weight annotation is 0.
    ZeroWeight,
    /// The cluster leaves the fleet.
    Leaving,
}

/// A withdrawal: the hub deletes its record unless that belongs to another Service by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Uid of the Service that was exported; empty when the member no longer knows it.
    pub service_uid: String,
    /// Why.
    pub reason: WithdrawReason,
}

/// The hub's judgement of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// Not judged yet.
    #[default]
    Unknown,
    /// The ports agree with those of the other clusters.
    NoConflict,
    /// The ports differ from those that were accepted first.
    Conflict,
}

/// The judgement of an export as its member learns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Uid of the judged Service.
    pub service_uid: String,
    /// The judgement.
    pub conflict: Conflict,
    /// Condition reason.
    pub reason: String,
    /// Condition message.
    pub message: String,
    /// Sequence number of the report that is judged, 0 when that is not known.
    pub for_seq: u64,
}
