//! Annotation keys (placement-api 15.3, networking 2.2).

/// Policy snapshot: placement generation last reflected.
pub const PLACEMENT_GENERATION: &str = "kubernetes-fleet.io/CRP-generation";

/// Policy snapshot: the authoritative count of PickN.
pub const NUMBER_OF_CLUSTERS: &str = "kubernetes-fleet.io/number-of-clusters";

/// Master resource snapshot: hash of the content; its presence marks the master.
pub const RESOURCE_HASH: &str = "kubernetes-fleet.io/resource-hash";

/// Master resource snapshot: size of the group, itself included.
pub const NUMBER_OF_SNAPSHOTS: &str = "kubernetes-fleet.io/number-of-resource-snapshots";

/// Master resource snapshot: number of envelopes in the selection.
pub const NUMBER_OF_ENVELOPES: &str = "kubernetes-fleet.io/number-of-enveloped-object";

/// Master resource snapshot: when newer content was first seen.
pub const NEXT_SNAPSHOT_DETECTION_TIME: &str = "kubernetes-fleet.io/next-resource-snapshot-candidate-detection-time";

/// Further resource snapshot of a group: position from 0.
pub const SNAPSHOT_SUBINDEX: &str = "kubernetes-fleet.io/subindex-of-resource-snapshot";

/// Binding: state before it became Unscheduled.
pub const PREVIOUS_BINDING_STATE: &str = "kubernetes-fleet.io/previous-binding-state";

/// Work: name of the master resource snapshot.
pub const PARENT_SNAPSHOT_NAME: &str = "kubernetes-fleet.io/parent-resource-snapshot-name";

/// Work: hash of the applied ClusterResourceOverride snapshots.
pub const CLUSTER_OVERRIDE_HASH: &str = "kubernetes-fleet.io/parent-cluster-resource-override-snapshot-hash";

/// Work: hash of the applied ResourceOverride snapshots.
pub const OVERRIDE_HASH: &str = "kubernetes-fleet.io/parent-resource-override-snapshot-hash";

/// Work: how many Works its binding has with the same resource snapshot and overrides. Private to our agents.
pub const NUMBER_OF_WORKS: &str = "kubernetes-fleet.io/number-of-works";

/// Work: `true` leaves the placed objects behind when it is deleted. Private to our agents.
pub const ABANDON_ON_DELETE: &str = "kubernetes-fleet.io/abandon-on-delete";

/// Placed object: hash of the manifest.
pub const SPEC_HASH: &str = "kubernetes-fleet.io/spec-hash";

/// Placed object: the manifest last applied, empty when it is too large.
pub const LAST_APPLIED: &str = "kubernetes-fleet.io/last-applied-configuration";

/// User's ConfigMap: `true` makes it an envelope candidate.
pub const ENVELOPE_CONFIGMAP: &str = "kubernetes-fleet.io/envelope-configmap";

/// MemberCluster: any key with this start makes it a fleet member for the guard rail.
pub const FLEET_CLUSTER_PREFIX: &str = "fleet.azure.com";

/// What kubectl applied last; never propagated.
pub const KUBECTL_LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Webhook configurations: certificate whose authority is injected.
pub const INJECT_CA: &str = "cert-manager.io/inject-ca-from";

/// ServiceExport: weight of the exported service, 0 to 1000.
pub const EXPORT_WEIGHT: &str = "networking.fleet.azure.com/weight";

/// ServiceImport on the hub: members that use it.
pub const SERVICE_IN_USE_BY: &str = "networking.fleet.azure.com/service-in-use-by";

/// EndpointSlice on the exporter: name of its export.
pub const FLEET_UNIQUE_NAME: &str = "networking.fleet.azure.com/fleet-unique-name";

/// ServiceExport: version that export durations are counted from.
pub const LAST_SEEN_RESOURCE_VERSION: &str = "networking.fleet.azure.com/last-seen-resource-version";

/// EndpointSlice: generation that export durations are counted from.
pub const LAST_SEEN_GENERATION: &str = "networking.fleet.azure.com/last-seen-generation";

/// When that version or generation was first seen.
pub const LAST_SEEN_TIMESTAMP: &str = "networking.fleet.azure.com/last-seen-timestamp";

/// InternalServiceExport: version whose duration was counted.
pub const LAST_OBSERVED_RESOURCE_VERSION: &str = "networking.fleet.azure.com/last-observed-resource-version";

/// EndpointSliceImport: generation whose duration was counted.
pub const LAST_OBSERVED_GENERATION: &str = "networking.fleet.azure.com/last-observed-generation";

/// MultiClusterService: whether the load balancer is internal.
pub const MCS_INTERNAL_LOAD_BALANCER: &str = "networking.fleet.azure.com/azure-load-balancer-internal";

/// InternalServiceExport: `true` or `false`, whether the exported Service has an endpoint that is ready. Ours; absent means
/// that it is not known.
pub const EXPORT_READY: &str = "networking.fleet.azure.com/service-ready";

/// InternalServiceExport: why the member could not look the public address up. Ours; absent means that it could, or that
/// nothing was looked up.
pub const EXPORT_LOOKUP_ERROR: &str = "networking.fleet.azure.com/public-ip-lookup-error";

/// Service: `true` means an internal load balancer.
pub const AZURE_INTERNAL_LOAD_BALANCER: &str = "service.beta.kubernetes.io/azure-load-balancer-internal";

/// Service: resource group of its public address.
pub const AZURE_RESOURCE_GROUP: &str = "service.beta.kubernetes.io/azure-load-balancer-resource-group";

/// Service: wanted DNS label of its public address.
pub const AZURE_DNS_LABEL: &str = "service.beta.kubernetes.io/azure-dns-label-name";

/// ServiceExport, and TrafficManagerBackend for all members without one of their own: rank of the endpoint where the profile
/// routes by `Priority`, 1 to 1000, the lowest first. Ours; absent means that the traffic manager chooses one. Records
/// carry that of their ServiceExport.
pub const ENDPOINT_PRIORITY: &str = "networking.fleet.azure.com/endpoint-priority";

/// ServiceExport, and TrafficManagerBackend for all members without one of their own: region of the endpoint where the
/// profile routes by `Performance`, as `West Europe`. Ours; absent means that of the public address. Records carry that of
/// their ServiceExport.
pub const ENDPOINT_LOCATION: &str = "networking.fleet.azure.com/endpoint-location";

/// TrafficManagerProfile: seconds for which resolvers may keep an answer, 0 to 2147483647. Ours; absent means 60.
pub const TRAFFIC_TTL_SECONDS: &str = "networking.fleet.azure.com/ttl-seconds";

/// TrafficManagerProfile: seconds between two probes, 1 to 3600, instead of those of the spec. Ours; Azure takes 10 and 30
/// only.
pub const TRAFFIC_PROBE_INTERVAL_SECONDS: &str = "networking.fleet.azure.com/probe-interval-seconds";

/// TrafficManagerProfile: `true` degrades endpoints that are known to serve nothing without waiting for probes. Ours; absent
/// means `false`.
pub const TRAFFIC_FAST_DEGRADATION: &str = "networking.fleet.azure.com/fast-degradation";

/// TrafficManagerProfile: `Weighted`, `Priority` or `Performance`. Ours; absent means `Weighted`.
pub const TRAFFIC_ROUTING_METHOD: &str = "networking.fleet.azure.com/routing-method";
