//! From a request to the operation that it asks for, and what has to be checked before. Pure.

use http::Method;
use serde_json::{Map, Value};

use crate::arm::path::{EndpointId, Route, Scope};
use crate::arm::version::Api;
use crate::arm::{ADDRESSES, PROFILES};
use crate::auth::Access;
use crate::decide::Operation;
use crate::error::ArmError;
use crate::model::ResourceId;
use crate::throttle::Class;

/// What a request asks for, without its body.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) action: Action,
    /// A short name for metrics.
    pub(super) name: &'static str,
    pub(super) api: Api,
    /// The resource's type, as rights name it.
    pub(super) kind: &'static str,
    pub(super) access: Access,
    pub(super) class: Class,
    /// The subscription that is counted.
    pub(super) subscription: String,
}

/// What is done once the body is read.
#[derive(Debug)]
pub(super) enum Action {
    /// Nothing changes.
    Read(Operation),
    /// Something changes, without a body.
    Delete(Operation),
    /// The body says more.
    Body(BodyAction),
}

#[derive(Debug)]
pub(super) enum BodyAction {
    PutProfile(ResourceId),
    PatchProfile(ResourceId),
    PutEndpoint(EndpointId),
    PatchEndpoint(EndpointId),
    PutAddress(ResourceId),
    PatchAddress(ResourceId),
    CheckName,
}

impl BodyAction {
    /// The operation with its body.
    pub(super) fn with(self, body: Map<String, Value>) -> Operation {
        match self {
            Self::PutProfile(id) => Operation::PutProfile(id, body),
            Self::PatchProfile(id) => Operation::PatchProfile(id, body),
            Self::PutEndpoint(id) => Operation::PutEndpoint(id, body),
            Self::PatchEndpoint(id) => Operation::PatchEndpoint(id, body),
            Self::PutAddress(id) => Operation::PutAddress(id, body),
            Self::PatchAddress(id) => Operation::PatchAddress(id, body),
            Self::CheckName => Operation::CheckName(body),
        }
    }

    /// Whether the operation only asks.
    pub(super) fn only_asks(&self) -> bool {
        matches!(self, Self::CheckName)
    }
}

/// The query of a request, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) version: Option<String>,
    /// Position in a list.
    pub(super) after: Option<String>,
}

impl Query {
    pub(super) fn read(query: &str) -> Self {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.to_ascii_lowercase().as_str() {
                "api-version" => read.version = Some(value.into_owned()),
                "$skiptoken" => read.after = Some(value.into_owned()),
                _ => {}
            }
        }
        read
    }
}

/// What a method does to a route of ARM. `base` is the server's own address, `path` the one that was asked for.
///
/// # Errors
/// 405 for methods that are not served there.
pub(super) fn asked(method: &Method, route: Route, query: &Query, base: &str, path: &str) -> Result<Asked, ArmError> {
    use Action::{Body, Delete, Read};
    let not_allowed = || {
        let message = format!("The HTTP method '{method}' is not supported at scope '{path}'.");
        ArmError::new(405, "MethodNotAllowed", message)
    };
    let profile = |subscription: &str, name, action, access, class| Asked {
        action,
        name,
        api: Api::TrafficManager,
        kind: PROFILES,
        access,
        class,
        subscription: subscription.to_owned(),
    };
    let address = |subscription: &str, name, action, access, class| Asked {
        api: Api::Network,
        kind: ADDRESSES,
        ..profile(subscription, name, action, access, class)
    };
    let sub = |id: &ResourceId| id.subscription.clone();
    let asked = match (route, method.as_str()) {
        (Route::Profiles(scope), "GET") => {
            let subscription = scope.subscription().to_owned();
            let list = Read(Operation::ListProfiles(scope));
            profile(&subscription, "list_profiles", list, Access::Read, Class::ProfileRead)
        }
        (Route::Profile(id), "GET") => {
            let get = Read(Operation::GetProfile(id.clone()));
            profile(&sub(&id), "get_profile", get, Access::Read, Class::ProfileRead)
        }
        (Route::Profile(id), "PUT") => {
            let put = Body(BodyAction::PutProfile(id.clone()));
            profile(&sub(&id), "put_profile", put, Access::Write, Class::ProfileWrite)
        }
        (Route::Profile(id), "PATCH") => {
            let patch = Body(BodyAction::PatchProfile(id.clone()));
            profile(&sub(&id), "patch_profile", patch, Access::Write, Class::ProfileWrite)
        }
        (Route::Profile(id), "DELETE") => {
            let delete = Delete(Operation::DeleteProfile(id.clone()));
            profile(
                &sub(&id),
                "delete_profile",
                delete,
                Access::Delete,
                Class::ProfileDelete,
            )
        }
        (Route::Endpoint(id), "GET") => {
            let get = Read(Operation::GetEndpoint(id.clone()));
            profile(
                &sub(&id.profile),
                "get_endpoint",
                get,
                Access::Read,
                Class::EndpointRead,
            )
        }
        (Route::Endpoint(id), "PUT") => {
            let put = Body(BodyAction::PutEndpoint(id.clone()));
            profile(
                &sub(&id.profile),
                "put_endpoint",
                put,
                Access::Write,
                Class::EndpointWrite,
            )
        }
        (Route::Endpoint(id), "PATCH") => {
            let patch = Body(BodyAction::PatchEndpoint(id.clone()));
            profile(
                &sub(&id.profile),
                "patch_endpoint",
                patch,
                Access::Write,
                Class::EndpointWrite,
            )
        }
        (Route::Endpoint(id), "DELETE") => {
            let delete = Delete(Operation::DeleteEndpoint(id.clone()));
            profile(
                &sub(&id.profile),
                "delete_endpoint",
                delete,
                Access::Delete,
                Class::EndpointWrite,
            )
        }
        (Route::Addresses(scope), "GET") => {
            let subscription = scope.subscription().to_owned();
            let version: String =
                form_urlencoded::byte_serialize(query.version.as_deref().unwrap_or_default().as_bytes()).collect();
            let list = Read(Operation::ListAddresses {
                scope,
                after: query.after.clone(),
                link: format!("{base}{path}?api-version={version}"),
            });
            address(&subscription, "list_addresses", list, Access::Read, Class::AddressRead)
        }
        (Route::Address(id), "GET") => {
            let get = Read(Operation::GetAddress(id.clone()));
            address(&sub(&id), "get_address", get, Access::Read, Class::AddressRead)
        }
        (Route::Address(id), "PUT") => {
            let put = Body(BodyAction::PutAddress(id.clone()));
            address(&sub(&id), "put_address", put, Access::Write, Class::AddressWrite)
        }
        (Route::Address(id), "PATCH") => {
            let patch = Body(BodyAction::PatchAddress(id.clone()));
            address(&sub(&id), "patch_address", patch, Access::Write, Class::AddressWrite)
        }
        (Route::Address(id), "DELETE") => {
            let delete = Delete(Operation::DeleteAddress(id.clone()));
            address(&sub(&id), "delete_address", delete, Access::Delete, Class::AddressWrite)
        }
        (Route::NameCheck(subscription), "POST") => {
            let subscription = subscription.unwrap_or_default();
            let check = Body(BodyAction::CheckName);
            profile(&subscription, "check_name", check, Access::Read, Class::NameCheck)
        }
        _ => return Err(not_allowed()),
    };
    Ok(asked)
}

/// Whether a scope is one that rights are given for. Names are checked for the whole world.
pub(super) fn needs_right(route: &Route) -> bool {
    !matches!(route, Route::NameCheck(_))
}

/// The path of a route's scope in ARM's spelling, as rights are given for it.
pub(super) fn scope_path(route: &Route) -> String {
    let of_scope = |scope: &Scope| match scope.group() {
        None => format!("/subscriptions/{}", scope.subscription()),
        Some(group) => format!("/subscriptions/{}/resourceGroups/{group}", scope.subscription()),
    };
    match route {
        Route::Profiles(scope) | Route::Addresses(scope) => of_scope(scope),
        Route::Profile(id) => id.arm(PROFILES),
        Route::Endpoint(id) => id.profile.arm(PROFILES),
        Route::Address(id) => id.arm(ADDRESSES),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_in_any_case() {
        assert_eq!(
            Query::read("Api-Version=2022-04-01&%24skipToken=a%01b&x=y"),
            Query {
                version: Some("2022-04-01".to_owned()),
                after: Some("a\u{1}b".to_owned()),
            }
        );
        assert_eq!(Query::read(""), Query::default());
    }

    #[test]
    fn methods_that_are_not_served_are_refused() {
        let base = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network";
        for (path, methods) in [
            (format!("{base}/trafficManagerProfiles"), "GET"),
            (format!("{base}/trafficManagerProfiles/p"), "GET PUT PATCH DELETE"),
            (
                format!("{base}/trafficManagerProfiles/p/AzureEndpoints/e"),
                "GET PUT PATCH DELETE",
            ),
            (format!("{base}/publicIPAddresses"), "GET"),
            (format!("{base}/publicIPAddresses/a"), "GET PUT PATCH DELETE"),
            (
                "/providers/Microsoft.Network/checkTrafficManagerNameAvailability".to_owned(),
                "POST",
            ),
        ] {
            for method in ["GET", "PUT", "PATCH", "DELETE", "POST", "HEAD", "OPTIONS"] {
                let method: Method = method.parse().unwrap();
                let route = Route::parse(&path).unwrap();
                let served = asked(&method, route, &Query::default(), "https://h", &path);
                assert_eq!(served.is_ok(), methods.contains(method.as_str()), "{method} {path}");
                if let Err(err) = served {
                    assert_eq!((err.status, err.code), (405, "MethodNotAllowed"));
                }
            }
        }
    }
}
