//! Names of what a TrafficManagerProfile and its backends become in the traffic manager (networking 2.3).

/// Key of the tag that every profile carries; its value is [`profile_tag`]. A tag's name may not hold a `/`, hence the
/// dot.
pub const PROFILE_TAG: &str = "networking.fleet.azure.com.trafficManagerProfile";

/// Most characters of a relative DNS name: it is one DNS label.
pub const MAX_RELATIVE_DNS_NAME: usize = 63;

const PREFIX: &str = "fleet-";
const SEPARATOR: char = '#';

/// Name of the profile in the traffic manager.
pub fn profile(uid: &str) -> String {
    format!("{PREFIX}{uid}")
}

/// Value of the tag [`PROFILE_TAG`].
pub fn profile_tag(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// First label of a profile's domain name.
///
/// # Errors
/// A sentence for the user when the name has more characters than a DNS label may have.
pub fn relative_dns_name(namespace: &str, name: &str) -> Result<String, String> {
    let relative = format!("{namespace}-{name}");
    if relative.len() <= MAX_RELATIVE_DNS_NAME {
        return Ok(relative);
    }
    Err(format!(
        "the relative DNS name \"{relative}\" is made of the namespace and the name of the profile and has {} characters, but \
         a DNS label may have {MAX_RELATIVE_DNS_NAME}: make the profile anew under a shorter name",
        relative.len()
    ))
}

/// Name of the endpoint of a backend for one cluster.
pub fn endpoint(backend_uid: &str, service: &str, cluster: &str) -> String {
    format!("{PREFIX}{backend_uid}{SEPARATOR}{service}{SEPARATOR}{cluster}")
}

/// The parts of an endpoint's name, in lower case: the traffic manager may spell a name in any case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointName {
    /// Uid of the TrafficManagerBackend that owns the endpoint.
    pub backend_uid: String,
    /// The ServiceImport.
    pub service: String,
    /// The exporting cluster.
    pub cluster: String,
}

impl EndpointName {
    /// Reads a name that [`endpoint`] has made, in upper or lower case. `None` for endpoints of others.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let mut parts = name.strip_prefix(PREFIX)?.splitn(3, SEPARATOR);
        let mut next = || parts.next().map(str::to_owned);
        Some(Self {
            backend_uid: next()?,
            service: next()?,
            cluster: next()?,
        })
    }
}

/// Whether an endpoint belongs to a backend, whatever the case of its name: all that begins with `fleet-<uid>#` does.
pub fn is_owned(name: &str, backend_uid: &str) -> bool {
    let prefix = format!("{PREFIX}{backend_uid}{SEPARATOR}");
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(&prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_pinned() {
        assert_eq!(profile("0a-1"), "fleet-0a-1");
        assert_eq!(PROFILE_TAG, "networking.fleet.azure.com.trafficManagerProfile");
        assert_eq!(profile_tag("team-a", "nginx-profile"), "team-a/nginx-profile");
        assert_eq!(
            relative_dns_name("team-a", "nginx-profile").unwrap(),
            "team-a-nginx-profile"
        );
        assert_eq!(endpoint("0a-1", "nginx", "member-1"), "fleet-0a-1#nginx#member-1");
    }

    #[test]
    fn a_relative_dns_name_has_63_characters_at_most() {
        let name = |len: usize| relative_dns_name(&"n".repeat(len - 11), "0123456789");
        assert_eq!(name(63).unwrap().len(), 63);
        let error = name(64).unwrap_err();
        assert!(
            error.contains("has 64 characters") && error.contains("may have 63"),
            "{error}"
        );
    }

    #[test]
    fn ownership_knows_no_case_and_no_other_backends() {
        let table = [
            ("fleet-0a-1#nginx#member-1", true),
            ("FLEET-0A-1#NGINX#MEMBER-1", true),
            ("fleet-0a-1#", true),
            ("fleet-0a-1", false),
            ("fleet-0a-11#nginx#member-1", false),
            ("fleet-0a#nginx#member-1", false),
            ("mine", false),
            ("fleet-0a-ä#", false),
            ("", false),
        ];
        for (name, owned) in table {
            assert_eq!(is_owned(name, "0a-1"), owned, "{name}");
            assert_eq!(is_owned(name, "0A-1"), owned, "{name}");
        }
    }

    #[test]
    fn names_of_others_are_not_read() {
        for name in [
            "",
            "mine",
            "fleet-uid",
            "fleet-uid#service",
            "other-uid#service#cluster",
        ] {
            assert_eq!(EndpointName::parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_read_and_owned_in_any_case(
            uid in "[0-9a-f-]{36}",
            service in "[a-z0-9][a-z0-9-]{0,62}",
            cluster in "[a-z0-9][a-z0-9-]{0,49}",
        ) {
            let name = endpoint(&uid, &service, &cluster);
            let parts = EndpointName { backend_uid: uid.clone(), service, cluster };
            prop_assert!(name.len() <= 260);
            for name in [name.to_uppercase(), name] {
                prop_assert_eq!(EndpointName::parse(&name), Some(parts.clone()));
                prop_assert!(is_owned(&name, &uid));
                prop_assert!(!is_owned(&name, &uid[..35]));
            }
        }
    }
}
