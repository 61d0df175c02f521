//! Names of generated objects (placement-api 15.5) and the Kubernetes rules for names and labels.

use sha2::{Digest, Sha256};

use crate::hex::hex;

/// Namespace of the agents, leases and cluster profiles.
pub const SYSTEM_NAMESPACE: &str = "fleet-system";
/// Prefix of member namespaces.
pub const MEMBER_NAMESPACE_PREFIX: &str = "fleet-member-";
/// Name of the deletion stage of a staged update run.
pub const DELETION_STAGE: &str = "kubernetes-fleet.io/deleteStage";
/// Name of the hub agent's leader lease.
pub const HUB_LEASE: &str = "136224848560.hub.fleet.azure.com";
/// Longest legal name of a placement or a member cluster.
pub const MAX_NAME: usize = 63;

/// How much of a placement's name begins the names of its bindings.
const PLACEMENT_IN_BINDING: usize = 26;

/// A name that Kubernetes would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the generated name {name:?} is not valid: {why}")]
pub struct InvalidName {
    /// The name.
    pub name: String,
    /// The complaints of Kubernetes, joined by `; `.
    pub why: String,
}

/// The hub namespace of a member.
pub fn member_namespace(member: &str) -> String {
    format!("{MEMBER_NAMESPACE_PREFIX}{member}")
}

/// The member that a hub namespace belongs to.
pub fn member_of_namespace(namespace: &str) -> Option<&str> {
    namespace
        .strip_prefix(MEMBER_NAMESPACE_PREFIX)
        .filter(|member| !member.is_empty())
}

/// The Role of a member's agent.
pub fn member_role(member: &str) -> String {
    format!("fleet-role-{member}")
}

/// The RoleBinding of a member's agent.
pub fn member_role_binding(member: &str) -> String {
    format!("fleet-rolebinding-{member}")
}

/// Whether a namespace is reserved: never selectable, guarded by admission.
pub fn is_reserved_namespace(namespace: &str) -> bool {
    namespace.starts_with("fleet-") || namespace.starts_with("kube-")
}

/// A scheduling policy snapshot.
pub fn policy_snapshot(placement: &str, index: u64) -> String {
    format!("{placement}-{index}")
}

/// The index in the name of a policy snapshot of the placement; `None` when the name has another form.
pub fn policy_snapshot_index(placement: &str, snapshot: &str) -> Option<u64> {
    snapshot.strip_prefix(placement)?.strip_prefix('-')?.parse().ok()
}

/// The master of a group of resource snapshots.
pub fn master_snapshot(placement: &str, index: u64) -> String {
    format!("{placement}-{index}-snapshot")
}

/// A further part of a group of resource snapshots, `sub` from 0.
pub fn sub_snapshot(placement: &str, index: u64, sub: u64) -> String {
    format!("{placement}-{index}-{sub}")
}

/// The index in the name of a resource snapshot of the placement, master or further part; `None` when the name has
/// another form.
pub fn resource_snapshot_index(placement: &str, snapshot: &str) -> Option<u64> {
    let (index, part) = snapshot.strip_prefix(placement)?.strip_prefix('-')?.split_once('-')?;
    if part != "snapshot" {
        part.parse::<u64>().ok()?;
    }
    index.parse().ok()
}

/// An override snapshot.
pub fn override_snapshot(over: &str, index: u64) -> String {
    format!("{over}-{index}")
}

/// A binding: placement cut to 26 characters, cluster to 27, and eight fresh hex digits. It must be an RFC 1123 label.
pub fn binding(placement: &str, cluster: &str, hex8: &str) -> Result<String, InvalidName> {
    let name = format!("{}-{}-{hex8}", cut(placement, PLACEMENT_IN_BINDING), cut(cluster, 27));
    match dns_label_errors(&name) {
        errors if errors.is_empty() => Ok(name),
        errors => Err(InvalidName {
            name,
            why: errors.join("; "),
        }),
    }
}

/// Whether the name of a binding begins as those of a placement do; others may begin so as well.
pub fn begins_binding(placement: &str, binding: &str) -> bool {
    let rest = binding.strip_prefix(cut(placement, PLACEMENT_IN_BINDING));
    rest.is_some_and(|rest| rest.starts_with('-'))
}

/// Whether a name has the form of those that [`binding`] makes for a placement and a cluster.
pub fn is_binding_of(name: &str, placement: &str, cluster: &str) -> bool {
    let prefix = format!("{}-{}-", cut(placement, PLACEMENT_IN_BINDING), cut(cluster, 27));
    name.strip_prefix(&prefix)
        .is_some_and(|digits| digits.len() == 8 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

/// The prefix of a placement's Work names: the namespace of a ResourcePlacement is part of it.
fn work_prefix(namespace: Option<&str>, placement: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}.{placement}"),
        None => placement.to_owned(),
    }
}

/// Whether the name of a Work begins as those of a placement do; others may begin so as well.
pub fn begins_work(namespace: Option<&str>, placement: &str, work: &str) -> bool {
    let rest = work.strip_prefix(&work_prefix(namespace, placement));
    rest.is_some_and(|rest| rest.starts_with('-'))
}

/// The Work of a master snapshot. `namespace` is that of a ResourcePlacement.
pub fn master_work(namespace: Option<&str>, placement: &str) -> String {
    format!("{}-work", work_prefix(namespace, placement))
}

/// The Work of a further snapshot of the group.
pub fn sub_work(namespace: Option<&str>, placement: &str, sub: u64) -> String {
    format!("{}-{sub}", work_prefix(namespace, placement))
}

/// The Work of an envelope: the Work name of the snapshot that holds it and 16 hex digits made from the envelope's
/// kind, namespace (empty for a ClusterResourceEnvelope) and name.
pub fn envelope_work(snapshot_work: &str, kind: &str, namespace: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{kind}/{namespace}/{name}"));
    format!("{snapshot_work}-envelope-{}", hex(&digest[..8]))
}

/// The approval request before a stage.
pub fn approval_before(run: &str, stage: &str) -> String {
    format!("{run}-before-{stage}")
}

/// The approval request after a stage.
pub fn approval_after(run: &str, stage: &str) -> String {
    format!("{run}-after-{stage}")
}

/// The internal export or import of a service (networking 2.3).
pub fn internal_service(namespace: &str, name: &str) -> String {
    format!("{namespace}-{name}")
}

/// Checks that objects can be made for a placement of this name: its snapshots, bindings and Works carry it as a label,
/// and bindings begin with it.
///
/// # Errors
/// A sentence for the user that names the limit.
pub fn check_placement(name: &str) -> Result<(), String> {
    check_label("placement", "the objects that are made for it", name)?;
    if is_dns_label(cut(name, PLACEMENT_IN_BINDING).trim_end_matches('-')) {
        return Ok(());
    }
    Err(format!(
        "The first {PLACEMENT_IN_BINDING} characters of the name of the placement {name:?} begin the names of its bindings, so \
         that they may be lower case letters, digits and '-' only. Make it anew under another name."
    ))
}

/// Checks that a namespace can be made for a member cluster of this name.
///
/// # Errors
/// A sentence for the user that names the limit.
pub fn check_member(name: &str) -> Result<(), String> {
    let most = MAX_NAME - MEMBER_NAMESPACE_PREFIX.len();
    if name.len() > most {
        return Err(format!(
            "The name of the member cluster has {} characters. Its namespace {MEMBER_NAMESPACE_PREFIX}<name> may have \
             {MAX_NAME}, so that the name may have {most}. Join the cluster under a shorter name.",
            name.len()
        ));
    }
    if is_dns_label(name) {
        return Ok(());
    }
    Err(format!(
        "The name of the member cluster {name:?} is part of the name of its namespace, so that it may be made of lower case \
         letters, digits and '-' only. Join the cluster under another name."
    ))
}

/// Checks that snapshots can be made for an override of this name.
///
/// # Errors
/// A sentence for the user that names the limit.
pub fn check_override(name: &str) -> Result<(), String> {
    check_label("override", "its snapshots", name)
}

/// Checks that a Work can be made for an envelope of this name.
///
/// # Errors
/// A sentence for the user that names the limit.
pub fn check_envelope(name: &str) -> Result<(), String> {
    check_label("envelope", "its Works", name)
}

fn check_label(what: &str, who: &str, name: &str) -> Result<(), String> {
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(format!(
        "The name of the {what} has {} characters, but {who} carry it as a label, which may have {MAX_NAME}. Make the {what} \
         anew under a shorter name.",
        name.len()
    ))
}

/// At most `max` leading characters.
fn cut(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_TEXT: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
     and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// What Kubernetes complains about in a DNS-1123 label.
pub fn dns_label_errors(name: &str) -> Vec<String> {
    let mut errors = too_long(name, 63);
    if !is_dns_label(name) {
        errors.push(LABEL_TEXT.to_owned());
    }
    errors
}

/// What Kubernetes complains about in a DNS-1123 subdomain.
pub fn dns_subdomain_errors(name: &str) -> Vec<String> {
    let mut errors = too_long(name, 253);
    if !name.split('.').all(is_dns_label) {
        errors.push(SUBDOMAIN_TEXT.to_owned());
    }
    errors
}

/// What Kubernetes complains about in a label value.
pub fn label_value_errors(value: &str) -> Vec<String> {
    let mut errors = too_long(value, 63);
    if !value.is_empty() && !is_qualified_part(value) {
        errors.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
             and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '({QUALIFIED})?')"
        ));
    }
    errors
}

/// What Kubernetes complains about in a label, annotation or taint key.
pub fn qualified_name_errors(key: &str) -> Vec<String> {
    let example = format!("(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}')");
    let mut errors = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(dns_subdomain_errors(prefix).iter().map(|e| format!("prefix part {e}")));
            }
            *name
        }
        _ => {
            return vec![format!(
                "a qualified name {QUALIFIED_TEXT} {example} with an optional DNS subdomain prefix and '/' \
                 (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else {
        errors.extend(too_long(name, 63).iter().map(|e| format!("name part {e}")));
    }
    if !is_qualified_part(name) {
        errors.push(format!("name part {QUALIFIED_TEXT} {example}"));
    }
    errors
}

fn too_long(text: &str, max: usize) -> Vec<String> {
    if text.len() > max {
        vec![format!("must be no more than {max} bytes")]
    } else {
        Vec::new()
    }
}

fn is_dns_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_qualified_part(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names() {
        let table = [
            (member_namespace("m"), "fleet-member-m"),
            (member_role("m"), "fleet-role-m"),
            (member_role_binding("m"), "fleet-rolebinding-m"),
            (policy_snapshot("p", 0), "p-0"),
            (master_snapshot("p", 12), "p-12-snapshot"),
            (sub_snapshot("p", 12, 0), "p-12-0"),
            (override_snapshot("o", 1), "o-1"),
            (master_work(None, "p"), "p-work"),
            (master_work(Some("ns"), "p"), "ns.p-work"),
            (sub_work(None, "p", 0), "p-0"),
            (sub_work(Some("ns"), "p", 3), "ns.p-3"),
            (approval_before("r", "s"), "r-before-s"),
            (approval_after("r", "s"), "r-after-s"),
            (internal_service("ns", "svc"), "ns-svc"),
            // First eight bytes of sha256 over "ConfigMap/app/web" and "ClusterResourceEnvelope//e", by sha256sum.
            (
                envelope_work("p-work", "ConfigMap", "app", "web"),
                "p-work-envelope-6bf887c68ba1d670",
            ),
            (
                envelope_work("p-0", "ClusterResourceEnvelope", "", "e"),
                "p-0-envelope-219e199518acb7c8",
            ),
        ];
        for (name, expected) in table {
            assert_eq!(name, expected);
        }
        assert_eq!(SYSTEM_NAMESPACE, "fleet-system");
        assert_eq!(DELETION_STAGE, "kubernetes-fleet.io/deleteStage");
        assert_eq!(HUB_LEASE, "136224848560.hub.fleet.azure.com");
    }

    #[test]
    fn members_of_namespaces() {
        assert_eq!(member_of_namespace("fleet-member-m"), Some("m"));
        assert_eq!(member_of_namespace("fleet-member-"), None);
        assert_eq!(member_of_namespace("other"), None);
        for (namespace, reserved) in [
            ("fleet-x", true),
            ("kube-x", true),
            ("fleet", false),
            ("default", false),
        ] {
            assert_eq!(is_reserved_namespace(namespace), reserved, "{namespace}");
        }
    }

    #[test]
    fn bindings_are_cut_to_a_label() {
        let table = [
            ("p", "c", "p-c-0123abcd".to_owned()),
            (
                &"p".repeat(26),
                &"c".repeat(27),
                format!("{}-{}-0123abcd", "p".repeat(26), "c".repeat(27)),
            ),
            (
                &"p".repeat(63),
                &"c".repeat(63),
                format!("{}-{}-0123abcd", "p".repeat(26), "c".repeat(27)),
            ),
        ];
        for (placement, cluster, expected) in table {
            assert_eq!(binding(placement, cluster, "0123abcd").unwrap(), expected);
        }
        assert_eq!(binding(&"p".repeat(63), &"c".repeat(63), "0123abcd").unwrap().len(), 63);
        for (name, placement, cluster, wanted) in [
            ("p-c-0123abcd", "p", "c", true),
            ("p-c-0123abcd", "p", "d", false),
            ("p-q-c-0123abcd", "p", "c", false),
            ("p-c-d-0123abcd", "p", "c", false),
            ("p-c-0123abcx", "p", "c", false),
        ] {
            assert_eq!(is_binding_of(name, placement, cluster), wanted, "{name}");
            assert!(!wanted || begins_binding(placement, name), "{name}");
        }
        for (name, policy, resource) in [
            ("p-3", Some(3), None),
            ("p-3-snapshot", None, Some(3)),
            ("p-3-0", None, Some(3)),
            ("p-3-0-snapshot", None, None),
            ("p-x-snapshot", None, None),
            ("pq-3", None, None),
            ("p", None, None),
        ] {
            assert_eq!(policy_snapshot_index("p", name), policy, "{name}");
            assert_eq!(resource_snapshot_index("p", name), resource, "{name}");
        }
        assert!(begins_work(None, "p", "p-work") && begins_work(Some("ns"), "p", "ns.p-3"));
        assert!(!begins_work(None, "p", "pq-work") && !begins_work(None, "p", "ns.p-3"));
        assert!(!begins_binding("q", "p-c-0123abcd") && !begins_binding("p", "pq-c-0123abcd"));
        let error = binding("p", "a.b", "0123abcd").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the generated name \"p-a.b-0123abcd\" is not valid: a lowercase RFC 1123 label")
        );
    }

    #[test]
    fn names_that_fit_and_that_do_not() {
        let long = |count: usize| "z".repeat(count);
        for (name, wrong) in [
            (long(63), None),
            (
                long(64),
                Some("has 64 characters, but the objects that are made for it carry it as a label, which may have 63"),
            ),
            (format!("{}.b", long(26)), None),
            (format!("{}.b", long(25)), Some("The first 26 characters")),
            (format!("{}-b", long(25)), None),
            ("my.app".to_owned(), Some("The first 26 characters")),
        ] {
            let found = check_placement(&name).err();
            assert_eq!(found.is_some(), wrong.is_some(), "{name}: {found:?}");
            assert!(found.is_none_or(|text| text.contains(wrong.unwrap())), "{name}");
            // Whatever passes makes good bindings, whatever the cluster.
            assert_eq!(
                check_placement(&name).is_ok(),
                name.len() < 64 && binding(&name, "c", "0123abcd").is_ok(),
                "{name}"
            );
        }
        for (name, wrong) in [
            (long(50), None),
            (long(51), Some("has 51 characters")),
            ("dc1.east".to_owned(), Some("lower case letters, digits and '-' only")),
        ] {
            let found = check_member(&name).err();
            assert!(
                found
                    .as_ref()
                    .map_or(wrong.is_none(), |text| text.contains(wrong.unwrap_or("nothing"))),
                "{found:?}"
            );
            assert_eq!(
                check_member(&name).is_ok(),
                dns_label_errors(&member_namespace(&name)).is_empty(),
                "{name}"
            );
        }
        assert_eq!((check_override(&long(63)), check_envelope(&long(63))), (Ok(()), Ok(())));
        assert!(
            check_override(&long(253))
                .unwrap_err()
                .contains("has 253 characters, but its snapshots")
        );
        assert!(
            check_envelope(&long(64))
                .unwrap_err()
                .contains("but its Works carry it as a label, which may have 63")
        );
    }

    #[test]
    fn kubernetes_rules() {
        let long = "a".repeat(64);
        let part = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        let keys: &[(&str, &[&str])] = &[
            ("a", &[]),
            ("A_b.c-1", &[]),
            ("example.com/a", &[]),
            ("a b", &[part]),
            ("-a", &[part]),
            ("", &["name part must be non-empty", part]),
            ("/a", &["prefix part must be non-empty"]),
            (&long, &["name part must be no more than 63 bytes"]),
        ];
        for (key, errors) in keys {
            assert_eq!(qualified_name_errors(key), *errors, "{key:?}");
        }
        assert!(qualified_name_errors("A/b")[0].starts_with("prefix part a lowercase RFC 1123 subdomain must consist"));
        assert!(
            qualified_name_errors("a/b/c")[0]
                .ends_with("with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")
        );
        for (value, legal) in [
            ("", true),
            ("a", true),
            ("A.b_c-1", true),
            ("a/b", false),
            ("a-", false),
            (&long, false),
        ] {
            assert_eq!(label_value_errors(value).is_empty(), legal, "{value:?}");
        }
        for (name, label, subdomain) in [
            ("a", true, true),
            ("a-1", true, true),
            ("a.b", false, true),
            ("a..b", false, false),
            ("A", false, false),
            ("-a", false, false),
            ("", false, false),
            (long.as_str(), false, true),
        ] {
            assert_eq!(dns_label_errors(name).is_empty(), label, "{name:?}");
            assert_eq!(dns_subdomain_errors(name).is_empty(), subdomain, "{name:?}");
        }
    }
}
