//! What a request names: paths, queries and verbs in Kubernetes' terms.

use http::Method;
use std::collections::BTreeMap;

/// A request for a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// API group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Plural resource name.
    pub resource: String,
    /// Object name, or empty for the collection.
    pub name: String,
    /// Subresource, or empty.
    pub subresource: String,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// An API resource.
    Resource(Target),
    /// `/api`: versions of the core group.
    CoreVersions,
    /// `/apis`: list of groups.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` or `/apis/GROUP/VERSION`: list of resources.
    Resources(String, String),
    /// Anything else, by its path.
    Other(String),
}

/// Verbs of the API, as authorization sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// Create.
    Create,
    /// Replace.
    Update,
    /// Change by patch.
    Patch,
    /// Delete one object.
    Delete,
    /// Delete a collection.
    DeleteCollection,
}

impl Verb {
    /// The name that RBAC rules use.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }

    /// The verb of a request for a resource, or `None` if the method has no meaning there.
    pub fn of(method: &Method, target: &Target, watch: bool) -> Option<Verb> {
        let collection = target.name.is_empty();
        Some(match *method {
            Method::GET | Method::HEAD if watch => Verb::Watch,
            Method::GET | Method::HEAD if collection => Verb::List,
            Method::GET | Method::HEAD => Verb::Get,
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch,
            Method::DELETE if collection => Verb::DeleteCollection,
            Method::DELETE => Verb::Delete,
            _ => return None,
        })
    }
}

/// Finds the route of a path.
pub fn route(path: &str) -> Route {
    let parts: Vec<String> = path.split('/').filter(|p| !p.is_empty()).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["api"] => Route::CoreVersions,
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group((*group).to_owned()),
        ["api", version] => Route::Resources(String::new(), (*version).to_owned()),
        ["apis", group, version] => Route::Resources((*group).to_owned(), (*version).to_owned()),
        ["api", version, rest @ ..] => resource("", version, rest),
        ["apis", group, version, rest @ ..] => resource(group, version, rest),
        _ => Route::Other(path.to_owned()),
    }
}

fn resource(group: &str, version: &str, rest: &[&str]) -> Route {
    // `/watch/` paths are long deprecated and not served; everything else follows one grammar.
    let (namespace, rest) = match rest {
        // The namespace object itself, and its own subresources.
        ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, rest @ ..] => (*namespace, rest),
        _ => ("", rest),
    };
    let [resource, name_and_sub @ ..] = rest else {
        return Route::Other(String::new());
    };
    let (name, subresource) = match name_and_sub {
        [] => ("", ""),
        [name] => (*name, ""),
        [name, sub] => (*name, *sub),
        _ => return Route::Other(String::new()),
    };
    Route::Resource(Target {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: if *resource == "namespaces" {
            name.to_owned()
        } else {
            namespace.to_owned()
        },
        resource: (*resource).to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
    })
}

/// Query parameters; later ones of the same name are kept beside the first.
#[derive(Debug, Clone, Default)]
pub struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    /// Parses the text after `?`.
    pub fn parse(query: Option<&str>) -> Self {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in query.unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            map.entry(decode(key)).or_default().push(decode(value));
        }
        Query(map)
    }

    /// The first value; empty when absent.
    pub fn get(&self, key: &str) -> &str {
        self.0
            .get(key)
            .and_then(|v| v.first())
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// All values.
    pub fn all(&self, key: &str) -> &[String] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the parameter was given at all.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// A flag: given without value, or as `1` or `true`.
    pub fn flag(&self, key: &str) -> bool {
        self.has(key) && !matches!(self.get(key), "0" | "false" | "False" | "FALSE")
    }
}

/// Undoes percent encoding and `+`; what is not valid stays as it is.
fn decode(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                out.push(b' ');
                rest = tail;
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_their_routes() {
        let target = |group: &str, version: &str, namespace: &str, resource: &str, name: &str, sub: &str| {
            Route::Resource(Target {
                group: group.into(),
                version: version.into(),
                namespace: namespace.into(),
                resource: resource.into(),
                name: name.into(),
                subresource: sub.into(),
            })
        };
        let cases = [
            ("/api", Route::CoreVersions),
            ("/apis/", Route::Groups),
            ("/apis/apps", Route::Group("apps".into())),
            ("/api/v1", Route::Resources("".into(), "v1".into())),
            ("/healthz", Route::Other("/healthz".into())),
            ("/api/v1/namespaces", target("", "v1", "", "namespaces", "", "")),
            ("/api/v1/namespaces/x", target("", "v1", "x", "namespaces", "x", "")),
            (
                "/api/v1/namespaces/x/finalize",
                target("", "v1", "x", "namespaces", "x", "finalize"),
            ),
            ("/api/v1/namespaces/x/pods", target("", "v1", "x", "pods", "", "")),
            (
                "/api/v1/namespaces/x/pods/p/status",
                target("", "v1", "x", "pods", "p", "status"),
            ),
            (
                "/apis/apps/v1/deployments",
                target("apps", "v1", "", "deployments", "", ""),
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                target("rbac.authorization.k8s.io", "v1", "", "clusterroles", "system:node", ""),
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let q = Query::parse(Some(
            "labelSelector=a%3Db%2Cc+in+(d)&watch=1&dryRun=All&allowWatchBookmarks=false",
        ));
        assert_eq!(q.get("labelSelector"), "a=b,c in (d)");
        assert!(q.flag("watch") && !q.flag("allowWatchBookmarks") && !q.flag("missing"));
    }
}
