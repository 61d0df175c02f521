//! The inventory of kinds and columns, written out once more from the contract (placement-api 1.1, 1.2; networking 3;
//! multicluster-failover A.1, B.2).

use super::*;

/// Group, kind, plural, short names, scope, versions (storage first), status subresource.
const KINDS: &[(&str, &str, &str, &str, char, &str, bool)] = &[
    (
        "C",
        "MemberCluster",
        "memberclusters",
        "cluster",
        'C',
        "v1beta1 v1",
        true,
    ),
    (
        "C",
        "InternalMemberCluster",
        "internalmemberclusters",
        "imc",
        'N',
        "v1beta1 v1",
        true,
    ),
    (
        "P",
        "ClusterResourcePlacement",
        "clusterresourceplacements",
        "crp",
        'C',
        "v1beta1 v1",
        true,
    ),
    (
        "P",
        "ResourcePlacement",
        "resourceplacements",
        "rp",
        'N',
        "v1beta1 v1",
        true,
    ),
    (
        "P",
        "ClusterResourcePlacementStatus",
        "clusterresourceplacementstatuses",
        "crps",
        'N',
        "v1beta1 v1",
        false,
    ),
    (
        "P",
        "ClusterSchedulingPolicySnapshot",
        "clusterschedulingpolicysnapshots",
        "csps",
        'C',
        "v1beta1 v1",
        true,
    ),
    (
        "P",
        "SchedulingPolicySnapshot",
        "schedulingpolicysnapshots",
        "sps",
        'N',
        "v1beta1",
        true,
    ),
    (
        "P",
        "ClusterResourceSnapshot",
        "clusterresourcesnapshots",
        "crs",
        'C',
        "v1beta1 v1",
        true,
    ),
    ("P", "ResourceSnapshot", "resourcesnapshots", "rs", 'N', "v1beta1", true),
    (
        "P",
        "ClusterResourceBinding",
        "clusterresourcebindings",
        "crb",
        'C',
        "v1beta1 v1",
        true,
    ),
    ("P", "ResourceBinding", "resourcebindings", "rb", 'N', "v1beta1", true),
    ("P", "Work", "works", "", 'N', "v1beta1 v1", true),
    ("P", "AppliedWork", "appliedworks", "", 'C', "v1beta1 v1", true),
    (
        "P",
        "ClusterResourceEnvelope",
        "clusterresourceenvelopes",
        "",
        'C',
        "v1beta1",
        false,
    ),
    ("P", "ResourceEnvelope", "resourceenvelopes", "", 'N', "v1beta1", false),
    (
        "P",
        "ClusterResourceOverride",
        "clusterresourceoverrides",
        "",
        'C',
        "v1beta1 v1 v1alpha1",
        false,
    ),
    (
        "P",
        "ResourceOverride",
        "resourceoverrides",
        "",
        'N',
        "v1beta1 v1 v1alpha1",
        false,
    ),
    (
        "P",
        "ClusterResourceOverrideSnapshot",
        "clusterresourceoverridesnapshots",
        "",
        'C',
        "v1beta1 v1 v1alpha1",
        false,
    ),
    (
        "P",
        "ResourceOverrideSnapshot",
        "resourceoverridesnapshots",
        "",
        'N',
        "v1beta1 v1 v1alpha1",
        false,
    ),
    (
        "P",
        "ClusterResourcePlacementEviction",
        "clusterresourceplacementevictions",
        "crpe",
        'C',
        "v1beta1 v1alpha1",
        true,
    ),
    (
        "P",
        "ClusterResourcePlacementDisruptionBudget",
        "clusterresourceplacementdisruptionbudgets",
        "crpdb",
        'C',
        "v1beta1 v1alpha1",
        false,
    ),
    (
        "P",
        "ClusterStagedUpdateRun",
        "clusterstagedupdateruns",
        "csur",
        'C',
        "v1beta1 v1 v1alpha1",
        true,
    ),
    (
        "P",
        "ClusterStagedUpdateStrategy",
        "clusterstagedupdatestrategies",
        "csus",
        'C',
        "v1beta1 v1 v1alpha1",
        true,
    ),
    (
        "P",
        "ClusterApprovalRequest",
        "clusterapprovalrequests",
        "careq",
        'C',
        "v1beta1 v1 v1alpha1",
        true,
    ),
    (
        "P",
        "StagedUpdateRun",
        "stagedupdateruns",
        "sur",
        'N',
        "v1beta1 v1",
        true,
    ),
    (
        "P",
        "StagedUpdateStrategy",
        "stagedupdatestrategies",
        "sus",
        'N',
        "v1beta1 v1",
        false,
    ),
    (
        "P",
        "ApprovalRequest",
        "approvalrequests",
        "areq",
        'N',
        "v1beta1 v1",
        true,
    ),
    ("I", "ClusterProfile", "clusterprofiles", "", 'N', "v1alpha1", true),
    ("K", "PlacementPolicy", "placementpolicies", "", 'N', "v1alpha1", true),
    (
        "K",
        "ClusterPlacementPolicy",
        "clusterplacementpolicies",
        "",
        'C',
        "v1alpha1",
        true,
    ),
    ("K", "PlacementBinding", "placementbindings", "", 'N', "v1alpha1", true),
    (
        "K",
        "ClusterPlacementBinding",
        "clusterplacementbindings",
        "",
        'C',
        "v1alpha1",
        true,
    ),
    (
        "K",
        "PlacementResourceSnapshot",
        "placementresourcesnapshots",
        "",
        'N',
        "v1alpha1",
        false,
    ),
    (
        "K",
        "ClusterPlacementResourceSnapshot",
        "clusterplacementresourcesnapshots",
        "",
        'C',
        "v1alpha1",
        false,
    ),
    ("K", "ClusterRequest", "clusterrequests", "", 'C', "v1alpha1", true),
    ("K", "Work", "works", "", 'N', "v1alpha1", true),
    (
        "N",
        "ServiceExport",
        "serviceexports",
        "svcexport",
        'N',
        "v1beta1 v1alpha1",
        true,
    ),
    (
        "N",
        "InternalServiceExport",
        "internalserviceexports",
        "internalsvcexport",
        'N',
        "v1alpha1",
        true,
    ),
    (
        "N",
        "ServiceImport",
        "serviceimports",
        "svcimport",
        'N',
        "v1alpha1",
        true,
    ),
    (
        "N",
        "MultiClusterService",
        "multiclusterservices",
        "mcs",
        'N',
        "v1alpha1",
        true,
    ),
    (
        "N",
        "InternalServiceImport",
        "internalserviceimports",
        "internalsvcimport",
        'N',
        "v1alpha1",
        true,
    ),
    (
        "N",
        "EndpointSliceExport",
        "endpointsliceexports",
        "",
        'N',
        "v1alpha1",
        true,
    ),
    (
        "N",
        "EndpointSliceImport",
        "endpointsliceimports",
        "",
        'N',
        "v1alpha1",
        false,
    ),
    (
        "N",
        "TrafficManagerProfile",
        "trafficmanagerprofiles",
        "tmp",
        'N',
        "v1beta1 v1alpha1",
        true,
    ),
    (
        "N",
        "TrafficManagerBackend",
        "trafficmanagerbackends",
        "tmb",
        'N',
        "v1beta1 v1alpha1",
        true,
    ),
    ("M", "MultiCluster", "multiclusters", "", 'N', "v1alpha1", true),
];

fn group(short: &str, kind: &str) -> (&'static str, Value) {
    match short {
        "P" => ("placement.kubernetes-fleet.io", json!(["fleet", "fleet-placement"])),
        "C" => ("cluster.kubernetes-fleet.io", json!(["fleet", "fleet-cluster"])),
        "K" => ("placement.kubefleet.dev", json!(["kubefleet", "kubefleet-placement"])),
        "N" => ("networking.fleet.azure.com", json!(["fleet-networking"])),
        "I" => ("multicluster.x-k8s.io", Value::Null),
        "M" => ("kube-vip.io", Value::Null),
        other => panic!("{kind}: unknown group {other}"),
    }
}

#[test]
fn kinds_are_those_of_the_contract() {
    let crds = all();
    assert_eq!(crds.len(), KINDS.len());
    for (short, kind, plural, short_name, scope, versions, status) in KINDS {
        let (group, categories) = group(short, kind);
        let crd = crds
            .iter()
            .find(|c| c.group == group && c.kind == *kind)
            .unwrap_or_else(|| panic!("{kind} is missing"));
        assert_eq!(crd.file_name(), format!("{group}_{plural}.yaml"));
        let object = crd.object();
        assert_eq!(object["metadata"], json!({ "name": format!("{plural}.{group}") }));
        let spec = &object["spec"];
        let mut names = json!({
            "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase(),
        });
        if !categories.is_null() {
            names["categories"] = categories;
        }
        if !short_name.is_empty() {
            names["shortNames"] = json!([short_name]);
        }
        assert_eq!(spec["names"], names);
        assert_eq!(
            spec["scope"],
            if *scope == 'C' { "Cluster" } else { "Namespaced" },
            "{kind}"
        );
        let mut expected: Vec<(&str, bool)> = versions.split(' ').enumerate().map(|(at, v)| (v, at == 0)).collect();
        expected.sort();
        let served: Vec<(&str, bool)> = spec["versions"]
            .as_array()
            .unwrap()
            .iter()
            .inspect(|v| assert_eq!(v["served"], true))
            .map(|v| (v["name"].as_str().unwrap(), v["storage"].as_bool().unwrap()))
            .collect();
        assert_eq!(served, expected, "{kind}");
        for version in spec["versions"].as_array().unwrap() {
            let subresources = match (*kind, status) {
                (_, true) => json!({ "status": {} }),
                ("ClusterResourcePlacementStatus", _) => json!({}),
                _ => Value::Null,
            };
            assert_eq!(version["subresources"], subresources, "{kind}");
        }
        assert_eq!(spec.get("conversion"), None, "{kind}");
    }
}

/// The columns of a kind's version as `Name=path`, with `~` before those of type date and `*` before wide ones.
fn columns(kind: &str, version: &str) -> Vec<String> {
    let crds = all();
    let crd = crds.iter().find(|c| c.kind == kind).unwrap();
    let version = crd.versions.iter().find(|v| v.name == version).unwrap();
    let objects = version.columns.iter().map(Column::object);
    objects
        .map(|c| {
            let wide = if c["priority"] == 1 { "*" } else { "" };
            let date = if c["type"] == "date" { "~" } else { "" };
            format!(
                "{wide}{date}{}={}",
                c["name"].as_str().unwrap(),
                c["jsonPath"].as_str().unwrap()
            )
        })
        .collect()
}

const AGE: &str = "~Age=.metadata.creationTimestamp";
const GEN: &str = "Gen=.metadata.generation";

fn status(name: &str, type_: &str) -> String {
    format!("{name}=.status.conditions[?(@.type==\"{type_}\")].status")
}

#[test]
fn columns_of_placements_and_members() {
    for (kind, prefix) in [
        ("ClusterResourcePlacement", "ClusterResourcePlacement"),
        ("ResourcePlacement", "ResourcePlacement"),
    ] {
        let observed =
            |name: &str, t: &str| format!("{name}=.status.conditions[?(@.type==\"{prefix}{t}\")].observedGeneration");
        let expected = [
            GEN.to_owned(),
            "*Type=.spec.policy.placementType".to_owned(),
            status("Scheduled", &format!("{prefix}Scheduled")),
            observed("Scheduled-Gen", "Scheduled"),
            status("*Work-Synchronized", &format!("{prefix}WorkSynchronized")),
            observed("*Work-Synchronized-Gen", "WorkSynchronized"),
            status("Available", &format!("{prefix}Available")),
            observed("Available-Gen", "Available"),
            AGE.to_owned(),
        ];
        assert_eq!(columns(kind, "v1"), expected);
        assert_eq!(columns(kind, "v1beta1"), expected);
    }
    let member = [
        status("Joined", "Joined"),
        AGE.to_owned(),
        "~Member-Agent-Last-Seen=.status.agentStatus[?(@.type==\"MemberAgent\")].lastReceivedHeartbeat".to_owned(),
        "Node-Count=.status.properties.kubernetes-fleet\\.io/node-count.value".to_owned(),
        "Available-CPU=.status.resourceUsage.available.cpu".to_owned(),
        "Available-Memory=.status.resourceUsage.available.memory".to_owned(),
        "*Allocatable-CPU=.status.resourceUsage.allocatable.cpu".to_owned(),
        "*Allocatable-Memory=.status.resourceUsage.allocatable.memory".to_owned(),
    ];
    assert_eq!(columns("MemberCluster", "v1"), member);
    assert_eq!(columns("MemberCluster", "v1beta1"), member);
    assert_eq!(columns("InternalMemberCluster", "v1beta1"), [AGE]);
}

#[test]
fn columns_of_internal_kinds() {
    for kind in [
        "ClusterSchedulingPolicySnapshot",
        "SchedulingPolicySnapshot",
        "ClusterResourceSnapshot",
        "ResourceSnapshot",
    ] {
        assert_eq!(columns(kind, "v1beta1"), [GEN, AGE], "{kind}");
    }
    let mirror = [
        "Resource-Index=.sourceStatus.observedResourceIndex",
        "Last-Updated=.lastUpdatedTime",
        AGE,
    ];
    assert_eq!(columns("ClusterResourcePlacementStatus", "v1"), mirror);
    for kind in ["ClusterResourceBinding", "ResourceBinding"] {
        let expected = [
            status("WorkSynchronized", "WorkSynchronized"),
            status("ResourcesApplied", "Applied"),
            status("*ResourceAvailable", "Available"),
            AGE.to_owned(),
        ];
        assert_eq!(columns(kind, "v1beta1"), expected);
    }
}

#[test]
fn columns_of_staged_updates_and_evictions() {
    for (kind, version) in [
        ("ClusterStagedUpdateRun", "v1"),
        ("ClusterStagedUpdateRun", "v1beta1"),
        ("ClusterStagedUpdateRun", "v1alpha1"),
        ("StagedUpdateRun", "v1"),
        ("StagedUpdateRun", "v1beta1"),
    ] {
        let mut expected = vec![
            "Placement=.spec.placementName".to_owned(),
            "Resource-Snapshot-Index=.spec.resourceSnapshotIndex".to_owned(),
            "Policy-Snapshot-Index=.status.policySnapshotIndexUsed".to_owned(),
            status("Initialized", "Initialized"),
            status("Progressing", "Progressing"),
            status("Succeeded", "Succeeded"),
            AGE.to_owned(),
            "*Strategy=.spec.stagedRolloutStrategyName".to_owned(),
        ];
        expected.retain(|c| version != "v1alpha1" || !c.starts_with("Progressing"));
        assert_eq!(columns(kind, version), expected);
    }
    for kind in ["ClusterApprovalRequest", "ApprovalRequest"] {
        let expected = [
            "Update-Run=.spec.parentStageRollout".to_owned(),
            "Stage=.spec.targetStage".to_owned(),
            status("Approved", "Approved"),
            AGE.to_owned(),
        ];
        assert_eq!(columns(kind, "v1"), expected);
    }
    let eviction = [status("Valid", "Valid"), status("Executed", "Executed")];
    assert_eq!(columns("ClusterResourcePlacementEviction", "v1beta1"), eviction);
    assert!(columns("ClusterResourcePlacementEviction", "v1alpha1").is_empty());
}

#[test]
fn columns_of_networking_kinds() {
    let export = [
        "Is-Valid=.status.conditions[?(@.type=='Valid')].status",
        "Is-Conflicted=.status.conditions[?(@.type=='Conflict')].status",
        AGE,
    ];
    assert_eq!(columns("ServiceExport", "v1alpha1"), export);
    for (kind, expected) in [
        (
            "MultiClusterService",
            vec![
                "Service-Import=.spec.serviceImport.name",
                "External-IP=.status.loadBalancer.ingress[0].ip",
                "Is-Valid=.status.conditions[?(@.type=='Valid')].status",
                AGE,
            ],
        ),
        (
            "TrafficManagerProfile",
            vec![
                "DNS-Name=.status.dnsName",
                "Is-Programmed=.status.conditions[?(@.type=='Programmed')].status",
                AGE,
            ],
        ),
        (
            "TrafficManagerBackend",
            vec![
                "Profile=.spec.profile.name",
                "Backend=.spec.backend.name",
                "Is-Accepted=.status.conditions[?(@.type=='Accepted')].status",
                AGE,
            ],
        ),
        ("ServiceImport", vec![]),
    ] {
        assert_eq!(columns(kind, "v1alpha1"), expected);
    }
    assert!(columns("ClusterResourceOverride", "v1beta1").is_empty());
}

#[test]
fn columns_of_multiclusters() {
    let expected = [
        "Rank=.spec.rank",
        "Leading=.status.leading",
        "Leader=.status.leaderAddress",
        "Term=.status.term",
        AGE,
    ];
    assert_eq!(columns("MultiCluster", "v1alpha1"), expected);
}
