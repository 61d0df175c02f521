//! Validation rules that several versions or kinds share (placement-api 12.1, 12.2, 12.5), in declared order.

/// CEL expression and message.
pub(crate) type Rule = (&'static str, &'static str);

/// On lists of resource selectors.
pub(crate) const NAME_OR_LABELS: Rule = (
    "self.all(x, !(has(x.name) && size(x.name) > 0 && has(x.labelSelector)))",
    "name and labelSelector are mutually exclusive in a resource selector",
);

/// On the name of an object.
pub(crate) const NAME_63: &[Rule] = &[("size(self.metadata.name) < 64", "metadata.name max length is 63")];
/// On the name of a staged update run in its first version.
pub(crate) const NAME_127: &[Rule] = &[("size(self.metadata.name) < 128", "metadata.name max length is 127")];

/// On specs that never change.
pub(crate) const IMMUTABLE_SPEC: &[Rule] = &[("self == oldSelf", "The spec field is immutable")];

/// On the spec of overrides.
pub(crate) const OVERRIDE_PLACEMENT: &[Rule] = &[(
    "(has(oldSelf.placement) && has(self.placement) && oldSelf.placement == self.placement) || \
     (!has(oldSelf.placement) && !has(self.placement))",
    "The placement field is immutable",
)];

/// On a ClusterResourceOverride.
pub(crate) const CLUSTER_OVERRIDE: &[Rule] = &[(
    "!has(self.spec.placement) || self.spec.placement.scope != 'Namespaced'",
    "clusterResourceOverride placement reference cannot be Namespaced scope",
)];

/// On the type of a rollout strategy.
pub(crate) const STRATEGY_TYPE: &[Rule] = &[(
    "!(self != 'External' && oldSelf == 'External')",
    "cannot change rollout strategy type from 'External' to other types",
)];

/// On the policy of a placement; snapshots of policies have none of them.
pub(crate) const POLICY: &[Rule] = &[
    (
        "!(self.placementType != oldSelf.placementType)",
        "placement type is immutable",
    ),
    (
        "self.placementType != 'PickFixed' || (!has(self.affinity) && !has(self.numberOfClusters) && \
         !has(self.topologySpreadConstraints) && !has(self.tolerations))",
        "affinity, numberOfClusters, topologySpreadConstraints, and tolerations cannot be set when placementType is \
         PickFixed",
    ),
    (
        "self.placementType != 'PickAll' || (!has(self.clusterNames) && !has(self.numberOfClusters) && \
         !has(self.topologySpreadConstraints))",
        "clusterNames, numberOfClusters, and topologySpreadConstraints cannot be set when placementType is PickAll",
    ),
    (
        "self.placementType != 'PickN' || (!has(self.clusterNames) && has(self.numberOfClusters))",
        "clusterNames cannot be set and numberOfClusters must be set when placementType is PickN",
    ),
];

/// On the tolerations of a policy.
pub(crate) const TOLERATIONS: &[Rule] = &[
    (
        "self.all(x, x.operator != 'Exists' || !has(x.value) || size(x.value) == 0)",
        "value must be empty when operator is Exists",
    ),
    (
        "self.all(x, (has(x.key) && size(x.key) > 0) || x.operator == 'Exists')",
        "operator must be Exists when key is empty",
    ),
];

const POLICY_STAYS: Rule = (
    "!(has(oldSelf.policy) && !has(self.policy))",
    "policy cannot be removed once set",
);

/// Number of selectors of the core Namespace kind for which an expression holds besides.
macro_rules! namespaces {
    ($($more:literal),*) => {
        concat!(
            "size(self.resourceSelectors.filter(x, x.kind == 'Namespace' && x.group == \"\" && x.version == 'v1'",
            $($more,)*
            "))"
        )
    };
}
/// The same, of those that bring along what the other selectors pick.
macro_rules! leading_namespaces {
    ($($more:literal)?) => {
        namespaces!(" && has(x.selectionScope) && x.selectionScope == 'NamespaceWithResourceSelectors'" $(, $more)?)
    };
}

const ONE_NAMESPACE: Rule = (
    concat!(leading_namespaces!(), " <= 1"),
    "only one namespace selector with NamespaceWithResourceSelectors mode is allowed",
);
const BY_NAME: Rule = (
    concat!(
        leading_namespaces!(),
        " == 0 || (",
        leading_namespaces!(" && has(x.name) && size(x.name) > 0 && !has(x.labelSelector)"),
        " == 1)"
    ),
    "namespace selector with NamespaceWithResourceSelectors mode must select by name (not by label)",
);
const NO_MIX: Rule = (
    concat!(leading_namespaces!(), " == 0 || ", namespaces!(), " == 1"),
    "when using NamespaceWithResourceSelectors mode, only one namespace selector is allowed (cannot mix with other \
     namespace selectors)",
);

/// On the spec of a ResourcePlacement.
pub(crate) const NAMESPACED_PLACEMENT: &[Rule] = &[POLICY_STAYS, ONE_NAMESPACE, BY_NAME, NO_MIX];

/// On the spec of a ClusterResourcePlacement.
pub(crate) const CLUSTER_PLACEMENT: &[Rule] = &[
    POLICY_STAYS,
    (
        "!(self.statusReportingScope == 'NamespaceAccessible' && \
         size(self.resourceSelectors.filter(x, x.kind == 'Namespace')) != 1)",
        "when statusReportingScope is NamespaceAccessible, exactly one resourceSelector with kind 'Namespace' is required",
    ),
    (
        "!has(oldSelf.statusReportingScope) || self.statusReportingScope == oldSelf.statusReportingScope",
        "statusReportingScope is immutable",
    ),
    ONE_NAMESPACE,
    BY_NAME,
    NO_MIX,
];
