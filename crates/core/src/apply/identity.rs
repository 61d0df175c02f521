//! Manifests of a Work: which object each one is, and which of them cannot be processed (member-behaviour 4.5).

use std::collections::BTreeSet;

use api::placement::v1beta1::WorkResourceIdentifier;
use serde_json::Value;

use super::outcome::ResultType;

/// Begins the error of a manifest whose object could not be read.
pub(super) const NOT_FOUND_BECAUSE: &str =
    "failed to find the corresponding object for the manifest object in the member cluster";

/// Which object a manifest means; the same object in another version is another identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Identity {
    /// API group, empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Identity {
    /// The identity of a manifest; `None` when it has no kind.
    pub fn of_manifest(manifest: &Value) -> Option<Self> {
        let text = |path: &str| manifest.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let kind = text("/kind");
        let api_version = text("/apiVersion");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        (!kind.is_empty()).then(|| Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: text("/metadata/namespace").to_owned(),
            name: text("/metadata/name").to_owned(),
        })
    }

    /// The same without the version: an object is the same in every version of its API.
    pub fn of_any_version(self) -> Self {
        Self {
            version: String::new(),
            ..self
        }
    }

    /// The identity of a status entry; `None` when the manifest could not be decoded then.
    pub fn of(identifier: &WorkResourceIdentifier) -> Option<Self> {
        let identity = Self {
            group: identifier.group.clone(),
            version: identifier.version.clone(),
            kind: identifier.kind.clone(),
            namespace: identifier.namespace.clone(),
            name: identifier.name.clone(),
        };
        (!identity.group.is_empty() || !identity.version.is_empty()).then_some(identity)
    }
}

/// Where the member serves a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural name, as in URLs.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

/// Why a manifest is not processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Result that the status reports.
    pub result: ResultType,
    /// The reason in words.
    pub error: String,
}

/// One manifest of a Work on its way through a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Position in the Work, from 0.
    pub ordinal: usize,
    /// The manifest as the hub wrote it.
    pub manifest: Value,
    /// Which object it means; `None` when it cannot be decoded.
    pub identity: Option<Identity>,
    /// Where the member serves it, once found.
    pub resource: Option<Resource>,
    /// Why it is not processed.
    pub refusal: Option<Refusal>,
}

impl Record {
    /// Decodes one manifest. The resource is found later, by [`Record::found`] or [`Record::not_found`].
    pub fn decode(ordinal: usize, manifest: Value) -> Self {
        let identity = Identity::of_manifest(&manifest);
        if identity.is_none() {
            let refusal = Refusal {
                result: ResultType::DecodingErred,
                error: "failed to decode manifest: failed to unmarshal JSON: the object has no kind".to_owned(),
            };
            return Self {
                ordinal,
                manifest,
                identity: None,
                resource: None,
                refusal: Some(refusal),
            };
        }
        Self {
            ordinal,
            manifest,
            identity,
            resource: None,
            refusal: None,
        }
    }

    /// Notes where the member serves the kind, and clears an earlier failure to find it.
    pub fn found(&mut self, resource: Resource) {
        self.resource = Some(resource);
        self.refusal = None;
    }

    /// Notes that the member does not serve the kind.
    pub fn not_found(&mut self, why: &str) {
        let error =
            format!("failed to decode manifest: failed to find GVR from member cluster client REST mapping: {why}");
        self.refusal = Some(Refusal {
            result: ResultType::DecodingErred,
            error,
        });
    }

    /// Whether it is decoded but the member does not serve its kind (yet).
    pub fn is_unmapped(&self) -> bool {
        self.identity.is_some() && self.resource.is_none()
    }

    /// Whether the record was applied or compared under this very object.
    pub fn identifier(&self) -> WorkResourceIdentifier {
        let identity = self.identity.clone().unwrap_or_default();
        WorkResourceIdentifier {
            ordinal: i64::try_from(self.ordinal).unwrap_or(i64::MAX),
            group: identity.group,
            version: identity.version,
            kind: identity.kind,
            resource: self.resource.as_ref().map(|r| r.plural.clone()).unwrap_or_default(),
            namespace: identity.namespace,
            name: identity.name,
        }
    }
}

/// Refuses manifests without a name, and all but the first of those that mean the same object.
///
/// Run it again after further kinds were found: records refused for another reason are left alone.
pub fn refuse_nameless_and_duplicates(records: &mut [Record]) {
    let mut seen = BTreeSet::new();
    for record in records {
        let is_ours =
            |refusal: &Refusal| matches!(refusal.result, ResultType::Duplicated | ResultType::FailedToFindObject);
        if record.refusal.as_ref().is_some_and(|refusal| !is_ours(refusal)) {
            continue;
        }
        let Some(identity) = record.identity.clone() else {
            continue;
        };
        record.refusal = if identity.name.is_empty() && has_generate_name(&record.manifest) {
            let error = "objects with only generate name are not supported".to_owned();
            Some(Refusal {
                result: ResultType::FoundGenerateName,
                error,
            })
        } else if !seen.insert(identity.clone()) {
            let error = "a duplicate manifest has been found".to_owned();
            Some(Refusal {
                result: ResultType::Duplicated,
                error,
            })
        } else if identity.name.is_empty() {
            // A request without a name would be answered with a list of objects.
            let error = format!("{NOT_FOUND_BECAUSE}: error returned by the API server: name is required");
            Some(Refusal {
                result: ResultType::FailedToFindObject,
                error,
            })
        } else {
            None
        };
    }
}

fn has_generate_name(manifest: &Value) -> bool {
    manifest
        .pointer("/metadata/generateName")
        .and_then(Value::as_str)
        .is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config_map(metadata: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    }

    #[test]
    fn refusals_by_precedence() {
        let manifests = [
            json!("text"),
            json!({"apiVersion": "v1", "metadata": {"name": "a"}}),
            config_map(json!({"generateName": "a-"})),
            config_map(json!({"generateName": "a-", "name": "a"})),
            config_map(json!({"name": "a"})),
            config_map(json!({"name": "a", "namespace": "n"})),
            json!({"apiVersion": "x/v1", "kind": "Odd", "metadata": {"generateName": "a-"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap"}),
            config_map(json!({"name": ""})),
        ];
        let mut records: Vec<_> = manifests
            .into_iter()
            .enumerate()
            .map(|(n, m)| Record::decode(n, m))
            .collect();
        for record in &mut records {
            match record.identity.as_ref().map(|i| i.kind.as_str()) {
                Some("ConfigMap") => record.found(Resource {
                    group: String::new(),
                    version: "v1".into(),
                    kind: "ConfigMap".into(),
                    plural: "configmaps".into(),
                    namespaced: true,
                }),
                Some(_) => record.not_found("no match"),
                None => {}
            }
        }
        refuse_nameless_and_duplicates(&mut records);
        let got: Vec<_> = records.iter().map(|r| r.refusal.as_ref().map(|r| r.result)).collect();
        use ResultType::*;
        assert_eq!(
            got,
            [
                Some(DecodingErred),
                Some(DecodingErred),
                Some(FoundGenerateName),
                None,
                Some(Duplicated),
                None,
                Some(DecodingErred),
                Some(FailedToFindObject),
                Some(Duplicated)
            ]
        );
        let nameless = records[7].refusal.as_ref().map(|refusal| refusal.error.as_str());
        assert!(
            nameless.is_some_and(|error| error.ends_with("error returned by the API server: name is required")),
            "{nameless:?}"
        );
        let before = records.clone();
        refuse_nameless_and_duplicates(&mut records);
        assert_eq!(records, before, "a second look changes nothing");
        assert_eq!(records[6].identifier().resource, "");
        assert!(records[6].is_unmapped() && !records[0].is_unmapped());
    }
}
