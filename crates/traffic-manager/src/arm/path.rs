//! Paths of requests. Fixed segments match without regard to case; names are percent-decoded and keep their spelling.

use percent_encoding::percent_decode_str;

use crate::model::{Group, ResourceId};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The profiles of a subscription or of a group in it.
    Profiles(Scope),
    /// A profile.
    Profile(ResourceId),
    /// An endpoint of a profile.
    Endpoint(EndpointId),
    /// The public IP addresses of a subscription or of a group in it.
    Addresses(Scope),
    /// A public IP address.
    Address(ResourceId),
    /// Asks whether a relative DNS name is free; with the subscription in the newer form of the question.
    NameCheck(Option<String>),
    /// Health that a hub agent knows.
    Hints,
    /// The description of this cloud.
    Metadata,
    /// Tokens for the clients of a tenant.
    Token(String),
    /// What OpenID clients ask for before they ask for a token.
    OpenId(String),
}

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A subscription.
    Subscription(String),
    /// A resource group.
    Group(Group),
}

/// An endpoint of a profile, as spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointId {
    /// The profile.
    pub profile: ResourceId,
    /// The type's segment.
    pub kind: String,
    /// The endpoint's own name.
    pub name: String,
}

impl Scope {
    /// The subscription, as spelled.
    pub fn subscription(&self) -> &str {
        match self {
            Self::Subscription(subscription) => subscription,
            Self::Group(group) => &group.subscription,
        }
    }

    /// The resource group, as spelled.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Subscription(_) => None,
            Self::Group(group) => Some(&group.group),
        }
    }
}

impl EndpointId {
    /// The endpoint that an ARM id names.
    pub fn parse(id: &str) -> Option<Self> {
        match Route::parse(id)? {
            Route::Endpoint(id) => Some(id),
            _ => None,
        }
    }
}

impl Route {
    /// What a path names; `None` when it names nothing that is served.
    pub fn parse(path: &str) -> Option<Self> {
        let mut segments = Vec::new();
        for raw in path.split('/').filter(|raw| !raw.is_empty()) {
            let text = percent_decode_str(raw).decode_utf8().ok()?;
            // A slash in a name would make another path of it.
            if text.contains('/') || text.chars().any(char::is_control) {
                return None;
            }
            segments.push(text.into_owned());
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let is = |text: &str, wanted: &str| text.eq_ignore_ascii_case(wanted);
        match segments.as_slice() {
            [s, subscription, rest @ ..] if is(s, "subscriptions") => Self::below_subscription(subscription, rest),
            [p, n, check]
                if is(p, "providers")
                    && is(n, "Microsoft.Network")
                    && is(check, "checkTrafficManagerNameAvailability") =>
            {
                Some(Self::NameCheck(None))
            }
            [m, e] if is(m, "metadata") && is(e, "endpoints") => Some(Self::Metadata),
            [f, v, h] if is(f, "fairway") && is(v, "v1") && is(h, "hints") => Some(Self::Hints),
            [tenant, o, v, t] if is(o, "oauth2") && is(v, "v2.0") && is(t, "token") => {
                Some(Self::Token((*tenant).to_owned()))
            }
            [tenant, v, w, c] if is(v, "v2.0") && is(w, ".well-known") && is(c, "openid-configuration") => {
                Some(Self::OpenId((*tenant).to_owned()))
            }
            _ => None,
        }
    }

    fn below_subscription(subscription: &str, rest: &[&str]) -> Option<Self> {
        let is = |text: &str, wanted: &str| text.eq_ignore_ascii_case(wanted);
        match rest {
            [g, group, p, n, rest @ ..]
                if is(g, "resourceGroups") && is(p, "providers") && is(n, "Microsoft.Network") =>
            {
                Self::below_group(subscription, group, rest)
            }
            [p, n, last] if is(p, "providers") && is(n, "Microsoft.Network") => {
                let scope = Scope::Subscription(subscription.to_owned());
                match *last {
                    kind if is(kind, super::PROFILES) => Some(Self::Profiles(scope)),
                    kind if is(kind, super::ADDRESSES) => Some(Self::Addresses(scope)),
                    check if is(check, "checkTrafficManagerNameAvailabilityV2") => {
                        Some(Self::NameCheck(Some(subscription.to_owned())))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn below_group(subscription: &str, group: &str, rest: &[&str]) -> Option<Self> {
        let profiles = |kind: &str| kind.eq_ignore_ascii_case(super::PROFILES);
        let addresses = |kind: &str| kind.eq_ignore_ascii_case(super::ADDRESSES);
        let scope = || {
            Scope::Group(Group {
                subscription: subscription.to_owned(),
                group: group.to_owned(),
            })
        };
        let resource = |name: &str| ResourceId {
            subscription: subscription.to_owned(),
            group: group.to_owned(),
            name: name.to_owned(),
        };
        match rest {
            [kind] if profiles(kind) => Some(Self::Profiles(scope())),
            [kind] if addresses(kind) => Some(Self::Addresses(scope())),
            [kind, name] if profiles(kind) => Some(Self::Profile(resource(name))),
            [kind, name] if addresses(kind) => Some(Self::Address(resource(name))),
            [kind, profile, endpoint_kind, name] if profiles(kind) => Some(Self::Endpoint(EndpointId {
                profile: resource(profile),
                kind: (*endpoint_kind).to_owned(),
                name: (*name).to_owned(),
            })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ResourceId {
        ResourceId {
            subscription: "Sub".to_owned(),
            group: "Rg".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn fixed_segments_match_in_any_case_and_names_keep_theirs() {
        let group = Scope::Group(Group {
            subscription: "Sub".to_owned(),
            group: "Rg".to_owned(),
        });
        let endpoint = EndpointId {
            profile: id("P"),
            kind: "azureendpoints".to_owned(),
            name: "fleet-1#Nginx#m".to_owned(),
        };
        let subscription = Scope::Subscription("Sub".to_owned());
        let base = "/subscriptions/Sub/resourceGroups/Rg/providers/Microsoft.Network";
        for (path, wanted) in [
            (
                format!("{base}/trafficmanagerprofiles"),
                Some(Route::Profiles(group.clone())),
            ),
            (
                format!(
                    "{}/P",
                    format!("{base}/TRAFFICMANAGERPROFILES")
                        .to_uppercase()
                        .replace("/SUB/", "/Sub/")
                        .replace("/RG/", "/Rg/")
                ),
                Some(Route::Profile(id("P"))),
            ),
            (
                format!("{base}/trafficManagerProfiles/P/"),
                Some(Route::Profile(id("P"))),
            ),
            (
                format!("{base}/trafficManagerProfiles/P/azureendpoints/fleet-1%23Nginx%23m"),
                Some(Route::Endpoint(endpoint)),
            ),
            (format!("{base}/publicIPAddresses"), Some(Route::Addresses(group))),
            (
                format!("{base}/publicIPAddresses/a%20b"),
                Some(Route::Address(id("a b"))),
            ),
            (format!("{base}/publicIPAddresses/a%2Fb"), None),
            (format!("{base}/publicIPAddresses/a%00"), None),
            (format!("{base}/publicIPAddresses/%FF"), None),
            (format!("{base}/trafficManagerProfiles/P/azureEndpoints"), None),
            (format!("{base}/loadBalancers/x"), None),
            (
                "/subscriptions/Sub/providers/Microsoft.Network/trafficManagerProfiles".to_owned(),
                Some(Route::Profiles(subscription.clone())),
            ),
            (
                "/subscriptions/Sub/providers/Microsoft.Network/publicIPAddresses".to_owned(),
                Some(Route::Addresses(subscription)),
            ),
            (
                "/providers/Microsoft.Network/checkTrafficManagerNameAvailability".to_owned(),
                Some(Route::NameCheck(None)),
            ),
            (
                "/subscriptions/Sub/providers/Microsoft.Network/checktrafficmanagernameavailabilityv2".to_owned(),
                Some(Route::NameCheck(Some("Sub".to_owned()))),
            ),
            ("/metadata/endpoints".to_owned(), Some(Route::Metadata)),
            (
                "/Tenant/oauth2/v2.0/token".to_owned(),
                Some(Route::Token("Tenant".to_owned())),
            ),
            (
                "/Tenant/v2.0/.well-known/openid-configuration".to_owned(),
                Some(Route::OpenId("Tenant".to_owned())),
            ),
            ("/fairway/v1/hints".to_owned(), Some(Route::Hints)),
            ("/".to_owned(), None),
            ("/metadata".to_owned(), None),
        ] {
            assert_eq!(Route::parse(&path), wanted, "{path}");
        }
    }
}
