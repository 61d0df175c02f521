//! Role-based access control: an index of roles and bindings that follows the store, and the decision.

use crate::call::User;
use crate::object::{items, strings, text};
use crate::routes::Target;
use crate::selector::Labels;
use crate::server::Core;
use crate::status::{ApiError, ApiResult};
use crate::storage::{Event, EventKind};
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// One rule of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    paths: Vec<String>,
}

impl Rule {
    fn of(value: &Value) -> Rule {
        let list = |key: &str| strings(value.get(key)).into_iter().map(str::to_owned).collect();
        Rule {
            verbs: list("verbs"),
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            paths: list("nonResourceURLs"),
        }
    }

    fn allows(&self, verb: &str, target: &Target) -> bool {
        let any = |list: &[String], wanted: &str| list.iter().any(|v| v == "*" || v == wanted);
        let full = if target.subresource.is_empty() {
            target.resource.clone()
        } else {
            format!("{}/{}", target.resource, target.subresource)
        };
        let all_of_subresource = format!("*/{}", target.subresource);
        let resource = self
            .resources
            .iter()
            .any(|r| r == "*" || *r == full || (!target.subresource.is_empty() && *r == all_of_subresource));
        any(&self.verbs, verb)
            && any(&self.groups, &target.group)
            && resource
            && (self.names.is_empty() || self.names.contains(&target.name))
    }

    fn allows_path(&self, verb: &str, path: &str) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => pattern == path,
        };
        self.verbs.iter().any(|v| v == "*" || v == verb) && self.paths.iter().any(matches)
    }

    fn to_json(&self) -> Value {
        let mut value = json!({"verbs": self.verbs});
        for (key, list) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.paths),
        ] {
            if !list.is_empty() {
                value[key] = json!(list);
            }
        }
        value
    }
}

/// A role or binding by namespace (empty for the cluster) and name.
type Name = (Arc<str>, Arc<str>);

struct Role {
    rules: Arc<Vec<Rule>>,
    labels: BTreeMap<String, String>,
    aggregates: Vec<Labels>,
}

struct Binding {
    role: Name,
    subjects: Vec<String>,
}

#[derive(Default)]
struct Index {
    roles: BTreeMap<Name, Role>,
    bindings: BTreeMap<Name, Binding>,
    by_subject: HashMap<String, BTreeSet<Name>>,
}

/// The rules in force.
#[derive(Default)]
pub struct Rbac(RwLock<Index>);

const ROLES: &str = "roles.rbac.authorization.k8s.io";
const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";
const CLUSTER_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";

/// Takes note of a changed role or binding.
pub fn observe(core: &Core, table: &str, event: &Event) {
    if !matches!(table, ROLES | CLUSTER_ROLES | BINDINGS | CLUSTER_BINDINGS) {
        return;
    }
    let object = &event.object;
    let name = (object.namespace.clone(), object.name.clone());
    let deleted = event.kind == EventKind::Deleted;
    let value = object.value();
    let mut index = core.rbac.0.write();
    match table {
        ROLES | CLUSTER_ROLES if deleted => drop(index.roles.remove(&name)),
        ROLES | CLUSTER_ROLES => {
            let rules = Arc::new(items(&value, &["rules"]).iter().map(Rule::of).collect());
            let selectors = items(&value, &["aggregationRule", "clusterRoleSelectors"]);
            let aggregates = selectors.iter().map(Labels::from_object).collect();
            index.roles.insert(
                name,
                Role {
                    rules,
                    labels: object.labels.clone(),
                    aggregates,
                },
            );
        }
        _ => {
            index.unbind(&name);
            if !deleted {
                index.bind(name, &value);
            }
        }
    }
}

impl Index {
    fn unbind(&mut self, name: &Name) {
        let Some(old) = self.bindings.remove(name) else { return };
        for subject in old.subjects {
            if let Some(set) = self.by_subject.get_mut(&subject) {
                set.remove(name);
                if set.is_empty() {
                    self.by_subject.remove(&subject);
                }
            }
        }
    }

    fn bind(&mut self, name: Name, value: &Value) {
        let cluster_role = text(value, &["roleRef", "kind"]) == "ClusterRole";
        let role_namespace = if cluster_role { Arc::from("") } else { name.0.clone() };
        let role = (role_namespace, Arc::from(text(value, &["roleRef", "name"])));
        let subjects: Vec<String> = items(value, &["subjects"])
            .iter()
            .filter_map(|s| subject_key(s, &name.0))
            .collect();
        for subject in &subjects {
            self.by_subject.entry(subject.clone()).or_default().insert(name.clone());
        }
        self.bindings.insert(name, Binding { role, subjects });
    }

    /// Rules of a role, those of roles it aggregates included.
    fn rules(&self, name: &Name) -> Vec<Arc<Vec<Rule>>> {
        let Some(role) = self.roles.get(name) else {
            return Vec::new();
        };
        let mut all = vec![role.rules.clone()];
        if !role.aggregates.is_empty() {
            let cluster = self.roles.iter().filter(|((namespace, _), _)| namespace.is_empty());
            let chosen = cluster.filter(|(_, other)| role.aggregates.iter().any(|s| s.matches(&other.labels)));
            all.extend(chosen.map(|(_, other)| other.rules.clone()));
        }
        all
    }

    /// Whether any rule that binds the user in the cluster or the namespace satisfies `wanted`.
    fn any_rule(&self, user: &User, namespace: Option<&str>, wanted: impl FnMut(&Rule) -> bool) -> bool {
        self.find(user, namespace, wanted).is_some()
    }

    /// The binding, and the subject in it, by which a rule that satisfies `wanted` binds the user.
    fn find(
        &self,
        user: &User,
        namespace: Option<&str>,
        mut wanted: impl FnMut(&Rule) -> bool,
    ) -> Option<(Name, String)> {
        let subjects = std::iter::once(format!("u:{}", user.name)).chain(user.groups.iter().map(|g| format!("g:{g}")));
        for subject in subjects {
            for name in self.by_subject.get(&subject).into_iter().flatten() {
                let in_scope = name.0.is_empty() || namespace.is_some_and(|ns| !ns.is_empty() && *name.0 == *ns);
                let Some(binding) = self.bindings.get(name).filter(|_| in_scope) else {
                    continue;
                };
                if self
                    .rules(&binding.role)
                    .iter()
                    .any(|rules| rules.iter().any(&mut wanted))
                {
                    return Some((name.clone(), subject));
                }
            }
        }
        None
    }

    /// Which binding grants, in words.
    fn explain(&self, name: &Name, subject: &str) -> Option<String> {
        let binding = self.bindings.get(name)?;
        let role_kind = if binding.role.0.is_empty() {
            "ClusterRole"
        } else {
            "Role"
        };
        let role = &binding.role.1;
        let what = if name.0.is_empty() {
            format!("ClusterRoleBinding \"{}\"", name.1)
        } else {
            format!("RoleBinding \"{}/{}\"", name.1, name.0)
        };
        let account = subject
            .strip_prefix("u:system:serviceaccount:")
            .and_then(|rest| rest.split_once(':'));
        let whom = match (account, subject.split_once(':')) {
            (Some((namespace, name)), _) => format!("ServiceAccount \"{name}/{namespace}\""),
            (None, Some(("g", group))) => format!("Group \"{group}\""),
            (None, _) => format!("User \"{}\"", subject.trim_start_matches("u:")),
        };
        Some(format!("RBAC: allowed by {what} of {role_kind} \"{role}\" to {whom}"))
    }
}

fn subject_key(subject: &Value, own_namespace: &str) -> Option<String> {
    let name = text(subject, &["name"]);
    match text(subject, &["kind"]) {
        "User" => Some(format!("u:{name}")),
        "Group" => Some(format!("g:{name}")),
        "ServiceAccount" => {
            let given = text(subject, &["namespace"]);
            let namespace = if given.is_empty() { own_namespace } else { given };
            Some(format!("u:system:serviceaccount:{namespace}:{name}"))
        }
        _ => None,
    }
}

impl Rbac {
    /// Allows a request for a resource, or refuses it as the real server words it.
    pub fn authorize(&self, user: &User, verb: &str, target: &Target) -> ApiResult<()> {
        if user.is_master() {
            return Ok(());
        }
        // For the authorizer a namespace object lies in itself.
        if self
            .0
            .read()
            .any_rule(user, Some(&target.namespace), |rule| rule.allows(verb, target))
        {
            return Ok(());
        }
        let resource = if target.subresource.is_empty() {
            target.resource.clone()
        } else {
            format!("{}/{}", target.resource, target.subresource)
        };
        let scope = if target.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", target.namespace)
        };
        let why = format!(
            "User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {scope}",
            user.name, target.group
        );
        Err(ApiError::forbidden(&target.group, &target.resource, &target.name, &why))
    }

    /// Why a request is allowed; empty for those who may do everything, `None` if it is not.
    pub fn reason(&self, user: &User, verb: &str, target: &Target) -> Option<String> {
        if user.is_master() {
            return Some(String::new());
        }
        let index = self.0.read();
        let (name, subject) = index.find(user, Some(&target.namespace), |rule| rule.allows(verb, target))?;
        index.explain(&name, &subject)
    }

    /// Whether a user may request a path that is no resource.
    pub fn authorize_path(&self, user: &User, verb: &str, path: &str) -> bool {
        user.is_master() || self.0.read().any_rule(user, None, |rule| rule.allows_path(verb, path))
    }

    /// The rules that bind a user in a namespace: those on resources and those on paths.
    pub fn rules_of(&self, user: &User, namespace: &str) -> (Vec<Value>, Vec<Value>) {
        if user.is_master() {
            let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
            return (vec![all], vec![json!({"verbs": ["*"], "nonResourceURLs": ["*"]})]);
        }
        let (mut resources, mut paths) = (Vec::new(), Vec::new());
        self.0.read().any_rule(user, Some(namespace), |rule| {
            if rule.paths.is_empty() {
                &mut resources
            } else {
                &mut paths
            }
            .push(rule.to_json());
            false
        });
        (resources, paths)
    }

    /// The first of these rules that the user does not hold in the namespace; `None` if it holds them all.
    pub fn first_not_held(&self, user: &User, namespace: &str, rules: &[Value]) -> Option<Value> {
        if user.is_master() {
            return None;
        }
        let index = self.0.read();
        rules
            .iter()
            .find(|value| !index.covers(user, namespace, &Rule::of(value)))
            .cloned()
    }

    /// The rules of a role, for the check that a binding grants nothing that its author lacks.
    pub fn role_rules(&self, namespace: &str, name: &str) -> Vec<Value> {
        let name = (Arc::from(namespace), Arc::from(name));
        self.0
            .read()
            .rules(&name)
            .iter()
            .flat_map(|rules| rules.iter().map(Rule::to_json).collect::<Vec<_>>())
            .collect()
    }
}

impl Index {
    /// Whether the user holds every single permission of a rule.
    fn covers(&self, user: &User, namespace: &str, rule: &Rule) -> bool {
        let names: Vec<String> = if rule.names.is_empty() {
            vec![String::new()]
        } else {
            rule.names.clone()
        };
        let each = |resource: &String, group: &String, verb: &String, name: &String| {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let target = Target {
                group: group.clone(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                name: name.clone(),
                ..Target::default()
            };
            self.any_rule(user, Some(namespace), |held| held.allows(verb, &target))
        };
        let resources = rule.resources.iter().all(|resource| {
            rule.groups.iter().all(|group| {
                rule.verbs
                    .iter()
                    .all(|verb| names.iter().all(|name| each(resource, group, verb, name)))
            })
        });
        let paths = rule.paths.iter().all(|path| {
            rule.verbs
                .iter()
                .all(|verb| self.any_rule(user, None, |held| held.allows_path(verb, path)))
        });
        resources && paths
    }
}
