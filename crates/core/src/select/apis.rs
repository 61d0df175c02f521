//! Which APIs and namespaces may be selected (hub-behaviour 2.1, 2.2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The allow or skip list of APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiLists {
    mode: Mode,
    groups: BTreeSet<String>,
    versions: BTreeSet<(String, String)>,
    kinds: BTreeSet<(String, String)>,
    exact: BTreeSet<(String, String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Mode {
    /// What is listed is not propagated.
    Skip,
    /// Only what is listed is propagated.
    Allow,
}

/// Why the flags cannot be used. Stops the start of the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiListError {
    /// Both flags are set.
    #[error("The allowed and the skipped propagating APIs must not both be set.")]
    Both,
    /// An entry has a form that is not known.
    #[error(
        "The entry {0:?} is invalid: write <group>, <group>/<version>, <group>/<version>/<Kind>[,<Kind>...] or v1/<Kind>[,<Kind>...]."
    )]
    Entry(String),
}

const SKIPPED_GROUPS: [&str; 4] = [
    "cluster.kubernetes-fleet.io",
    "events.k8s.io",
    "coordination.k8s.io",
    "metrics.k8s.io",
];

const SKIPPED_NETWORKING: [&str; 3] = ["ServiceImport", "TrafficManagerProfile", "TrafficManagerBackend"];

const SKIPPED_PLACEMENT: [&str; 22] = [
    "ClusterResourcePlacement",
    "ResourcePlacement",
    "ClusterResourceBinding",
    "ResourceBinding",
    "ClusterResourceSnapshot",
    "ResourceSnapshot",
    "ClusterSchedulingPolicySnapshot",
    "SchedulingPolicySnapshot",
    "Work",
    "ClusterStagedUpdateRun",
    "ClusterStagedUpdateStrategy",
    "ClusterApprovalRequest",
    "StagedUpdateRun",
    "StagedUpdateStrategy",
    "ApprovalRequest",
    "ClusterResourcePlacementEviction",
    "ClusterResourcePlacementDisruptionBudget",
    "ClusterResourceOverride",
    "ClusterResourceOverrideSnapshot",
    "ResourceOverride",
    "ResourceOverrideSnapshot",
    "ClusterResourcePlacementStatus",
];

impl Default for ApiLists {
    /// The built-in skip list.
    fn default() -> Self {
        let owned = |group: &str, kind: &str| (group.to_owned(), kind.to_owned());
        let mut kinds = BTreeSet::new();
        kinds.extend(SKIPPED_NETWORKING.map(|kind| owned("networking.fleet.azure.com", kind)));
        kinds.extend(SKIPPED_PLACEMENT.map(|kind| owned("placement.kubernetes-fleet.io", kind)));
        let core = |kind: &str| (String::new(), "v1".to_owned(), kind.to_owned());
        Self {
            mode: Mode::Skip,
            groups: SKIPPED_GROUPS.map(str::to_owned).into(),
            versions: BTreeSet::new(),
            kinds,
            exact: ["Pod", "Node", "Event"].map(core).into(),
        }
    }
}

impl ApiLists {
    /// Reads `--allowed-propagating-apis` and `--skipped-propagating-apis`.
    ///
    /// # Errors
    /// When both are set or an entry has no known form.
    pub fn parse(allowed: &str, skipped: &str) -> Result<Self, ApiListError> {
        let (mut lists, text) = match (allowed.is_empty(), skipped.is_empty()) {
            (false, false) => return Err(ApiListError::Both),
            (false, true) => {
                let empty = Self {
                    mode: Mode::Allow,
                    groups: BTreeSet::new(),
                    versions: BTreeSet::new(),
                    kinds: BTreeSet::new(),
                    exact: BTreeSet::new(),
                };
                (empty, allowed)
            }
            _ => (Self::default(), skipped),
        };
        for entry in text.split(';').filter(|entry| !entry.is_empty()) {
            lists.add(entry).ok_or_else(|| ApiListError::Entry(entry.to_owned()))?;
        }
        Ok(lists)
    }

    /// Whether objects of this API must stay on the hub.
    pub fn is_disabled(&self, group: &str, version: &str, kind: &str) -> bool {
        let pair = |other: &str| (group.to_owned(), other.to_owned());
        let listed = self.groups.contains(group)
            || self.versions.contains(&pair(version))
            || self.kinds.contains(&pair(kind))
            || self
                .exact
                .contains(&(group.to_owned(), version.to_owned(), kind.to_owned()));
        listed == (self.mode == Mode::Skip)
    }

    /// Whether some API of this group may be propagated.
    pub fn may_enable(&self, group: &str) -> bool {
        match self.mode {
            Mode::Skip => !self.groups.contains(group),
            Mode::Allow => {
                self.groups.contains(group)
                    || self
                        .versions
                        .iter()
                        .chain(&self.kinds)
                        .any(|(listed, _)| listed == group)
                    || self.exact.iter().any(|(listed, _, _)| listed == group)
            }
        }
    }

    fn add(&mut self, entry: &str) -> Option<()> {
        let mut pieces = entry.split(',');
        let first = pieces.next()?;
        let parts: Vec<&str> = first.split('/').collect();
        match parts.as_slice() {
            [_] if entry.contains('/') => return None,
            [_] => {
                self.groups.insert(entry.to_owned());
            }
            ["v1", kind] => self.add_kinds("", "v1", kind, pieces)?,
            [_, _] if entry.contains(',') => return None,
            [version, kind] if version.starts_with("v1") => self.add_kinds("", "v1", kind, pieces)?,
            [group, version] => {
                self.versions.insert(((*group).to_owned(), (*version).to_owned()));
            }
            [group, version, kind] => self.add_kinds(group, version, kind, pieces)?,
            _ => return None,
        }
        Some(())
    }

    /// Takes a list of kinds; each further one may repeat the prefix.
    fn add_kinds<'a>(
        &mut self,
        group: &str,
        version: &str,
        first: &'a str,
        further: impl Iterator<Item = &'a str>,
    ) -> Option<()> {
        for piece in std::iter::once(first).chain(further) {
            let parts: Vec<&str> = piece.split('/').collect();
            let (group, version, kind) = match parts.as_slice() {
                [kind] => (group, version, *kind),
                ["v1", kind] => ("", "v1", *kind),
                [group, version, kind] => (*group, *version, *kind),
                _ => return None,
            };
            self.exact
                .insert((group.to_owned(), version.to_owned(), kind.to_owned()));
        }
        Some(())
    }
}

/// Which namespaces may be selected: none that Kubernetes or the fleet reserves, none that the flag names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceRule {
    skipped: BTreeSet<String>,
}

impl NamespaceRule {
    /// Reads `--skipped-propagating-namespaces`; commas and semicolons separate.
    pub fn parse(skipped: &str) -> Self {
        Self {
            skipped: skipped
                .split([',', ';'])
                .map(str::trim)
                .filter(|n| !n.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Whether the namespace and its content may be propagated.
    pub fn allows(&self, name: &str) -> bool {
        !(name.starts_with("kube-") || name.starts_with("fleet-") || name == "default" || self.skipped.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_entries() {
        let lists = ApiLists::parse("", "apps;batch/v1;v1/ConfigMap,Secret;a.io/v2/X,a.io/v2/Y;v1/A,v1/B").unwrap();
        let cases = [
            ("apps", "v1", "Deployment", true),
            ("batch", "v1", "Job", true),
            ("batch", "v1beta1", "CronJob", false),
            ("", "v1", "Secret", true),
            ("", "v1", "Service", false),
            ("a.io", "v2", "X", true),
            ("a.io", "v2", "Y", true),
            ("a.io", "v1", "Y", false),
            ("", "v1", "A", true),
            ("", "v1", "B", true),
            // Built in.
            ("", "v1", "Event", true),
            ("metrics.k8s.io", "v1", "NodeMetrics", true),
            ("placement.kubernetes-fleet.io", "v1beta1", "Work", true),
            (
                "placement.kubernetes-fleet.io",
                "v1beta1",
                "ClusterResourcePlacementStatus",
                true,
            ),
            ("placement.kubernetes-fleet.io", "v1beta1", "ResourceEnvelope", false),
            ("networking.fleet.azure.com", "v1beta1", "ServiceImport", true),
            ("networking.fleet.azure.com", "v1beta1", "ServiceExport", false),
        ];
        for (group, version, kind, disabled) in cases {
            assert_eq!(
                lists.is_disabled(group, version, kind),
                disabled,
                "{group}/{version} {kind}"
            );
        }
        for (group, expected) in [
            ("", true),
            ("batch", true),
            ("new.io", true),
            ("apps", false),
            ("metrics.k8s.io", false),
        ] {
            assert_eq!(lists.may_enable(group), expected, "{group:?}");
        }
    }

    #[test]
    fn an_allow_list_replaces_the_built_in_list() {
        let lists = ApiLists::parse("v1/Pod;apps", "").unwrap();
        assert!(!lists.is_disabled("", "v1", "Pod"));
        assert!(!lists.is_disabled("apps", "v1", "Deployment"));
        assert!(lists.is_disabled("", "v1", "ConfigMap"));
        for (group, expected) in [("", true), ("apps", true), ("batch", false)] {
            assert_eq!(lists.may_enable(group), expected, "{group:?}");
        }
        // A bare `v1` is a group of that name, not the core group.
        assert!(ApiLists::parse("v1", "").unwrap().is_disabled("", "v1", "Pod"));
    }

    #[test]
    fn refused_forms() {
        assert_eq!(ApiLists::parse("a", "b"), Err(ApiListError::Both));
        for entry in ["a/b/c/d", "g/v,h/w", "a/b/C,d/e"] {
            assert_eq!(ApiLists::parse("", entry), Err(ApiListError::Entry(entry.to_owned())));
        }
    }

    #[test]
    fn reserved_namespaces() {
        let rule = NamespaceRule::parse("one, two;three");
        for (name, allowed) in [
            ("kube-system", false),
            ("fleet-system", false),
            ("default", false),
            ("two", false),
            ("three", false),
            ("app", true),
        ] {
            assert_eq!(rule.allows(name), allowed, "{name}");
        }
    }
}
