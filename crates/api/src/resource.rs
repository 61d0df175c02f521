//! Names of APIs and objects, and the request paths that follow from them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One served API: what is needed to address its objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// API version.
    pub version: Cow<'static, str>,
    /// Kind of its objects.
    pub kind: Cow<'static, str>,
    /// Name in request paths.
    pub plural: Cow<'static, str>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// Namespace and name of an object within one API.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace; `None` for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl Resource {
    /// A cluster-scoped API known at compile time.
    pub const fn cluster(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self::fixed(group, version, kind, plural, false)
    }

    /// A namespaced API known at compile time.
    pub const fn namespaced(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self::fixed(group, version, kind, plural, true)
    }

    const fn fixed(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
        namespaced: bool,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            kind: Cow::Borrowed(kind),
            plural: Cow::Borrowed(plural),
            namespaced,
        }
    }

    /// `group/version`, or the bare version for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, as kubectl and metrics name it; the bare plural for the core group.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Path of the collection: of one namespace, or (with `None`) of the whole cluster.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        match namespace {
            Some(namespace) if self.namespaced => {
                format!("{root}/{}/namespaces/{namespace}/{}", self.api_version(), self.plural)
            }
            _ => format!("{root}/{}/{}", self.api_version(), self.plural),
        }
    }

    /// Path of one object, or of a subresource of it.
    pub fn object(&self, key: &ObjectKey, subresource: Option<&str>) -> String {
        let mut path = self.collection(key.namespace.as_deref());
        path.push('/');
        push_name(&mut path, &key.name);
        if let Some(subresource) = subresource {
            path.push('/');
            path.push_str(subresource);
        }
        path
    }
}

/// Adds a name to a path. Names of roles may hold characters that end the path in a URL.
fn push_name(path: &mut String, name: &str) {
    for byte in name.bytes() {
        if byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'?' | b'#' | b'%' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
            )
        {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api_version(), self.kind)
    }
}

impl ObjectKey {
    /// Names an object; an empty namespace counts as none.
    pub fn new(namespace: Option<&str>, name: &str) -> Self {
        Self {
            namespace: namespace.filter(|n| !n.is_empty()).map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// Names a cluster-scoped object.
    pub fn cluster(name: &str) -> Self {
        Self::new(None, name)
    }

    /// Names an object in a namespace.
    pub fn namespaced(namespace: &str, name: &str) -> Self {
        Self::new(Some(namespace), name)
    }

    /// The key of an object as it is stored.
    pub fn of(object: &serde_json::Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(serde_json::Value::as_str);
        Self::new(text("/metadata/namespace"), text("/metadata/name").unwrap_or_default())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_scope_and_subresource() {
        let pods = Resource::namespaced("", "v1", "Pod", "pods");
        let works = Resource::namespaced("placement.kubernetes-fleet.io", "v1beta1", "Work", "works");
        let nodes = Resource::cluster("", "v1", "Node", "nodes");
        assert_eq!(pods.collection(None), "/api/v1/pods");
        assert_eq!(
            works.object(&ObjectKey::namespaced("a", "b"), Some("status")),
            "/apis/placement.kubernetes-fleet.io/v1beta1/namespaces/a/works/b/status"
        );
        assert_eq!(nodes.object(&ObjectKey::cluster("n"), None), "/api/v1/nodes/n");
        assert_eq!(
            nodes.object(&ObjectKey::cluster("system:a b?c#d"), None),
            "/api/v1/nodes/system:a%20b%3Fc%23d"
        );
    }
}
