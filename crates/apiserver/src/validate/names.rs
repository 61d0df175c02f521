//! What names, label keys and label values may look like, with the texts of the real server.

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const DOTS: &str = "must not contain dots";
const TOO_LONG_LABEL: &str = "must be no more than 63 characters";
const PATH_SEGMENT: &str = "may not be '.' or '..', and may not contain '/' or '%'";

/// Checks a name; gives the fault.
pub type Rule = fn(&str) -> Option<&'static str>;

/// The rule for names of a resource.
pub fn rule(table: &str) -> Rule {
    match table {
        "namespaces" => dns_label,
        "services" => service,
        t if t.ends_with(".rbac.authorization.k8s.io") => path_segment,
        _ => subdomain,
    }
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn subdomain(name: &str) -> Option<&'static str> {
    (!name.split('.').all(is_label)).then_some(SUBDOMAIN)
}

/// Fault of a DNS label.
pub fn dns_label(name: &str) -> Option<&'static str> {
    if name.contains('.') && subdomain(name).is_none() {
        Some(DOTS)
    } else if !is_label(name) {
        Some(LABEL)
    } else {
        (name.len() > 63).then_some(TOO_LONG_LABEL)
    }
}

fn service(name: &str) -> Option<&'static str> {
    if !is_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Some(SERVICE)
    } else {
        (name.len() > 63).then_some(TOO_LONG_LABEL)
    }
}

fn path_segment(name: &str) -> Option<&'static str> {
    (matches!(name, "." | "..") || name.contains(['/', '%'])).then_some(PATH_SEGMENT)
}

fn is_name_part(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars().all(inner) && edge(text.chars().next()) && edge(text.chars().next_back())
}

/// Fault of a label key, annotation key or finalizer.
pub fn qualified(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some("prefix part must be non-empty".into());
        }
        if let Some(detail) = subdomain(prefix) {
            return Some(format!("prefix part {detail}"));
        }
    }
    if name.is_empty() {
        return Some("name part must be non-empty".into());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 characters".into());
    }
    (!is_name_part(name)).then(|| QUALIFIED.to_owned())
}

/// Fault of a label value.
pub fn label_value(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(TOO_LONG_LABEL.into());
    }
    (!text.is_empty() && !is_name_part(text)).then(|| VALUE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_their_kind() {
        for (table, name, valid) in [
            ("configmaps", "a.b-c", true),
            ("configmaps", "A", false),
            ("configmaps", "a..b", false),
            ("namespaces", "a.b", false),
            ("services", "1a", false),
            ("services", "a1", true),
            ("clusterroles.rbac.authorization.k8s.io", "system:node", true),
            ("clusterroles.rbac.authorization.k8s.io", "a/b", false),
        ] {
            assert_eq!(rule(table)(name).is_none(), valid, "{table} {name}");
        }
        for (key, valid) in [
            ("a/b", true),
            ("Example.com/b", false),
            ("x_y.z", true),
            ("/b", false),
            ("a/", false),
            ("a b", false),
        ] {
            assert_eq!(qualified(key).is_none(), valid, "{key}");
        }
        assert!(label_value("").is_none() && label_value("-x").is_some());
    }
}
