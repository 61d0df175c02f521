//! A member for tests that keeps one object as an API server does: managed fields, some defaults, refusals of unions.

use super::*;
use merge::ssa::{self, FieldSet, SsaError, Writer};
use serde_json::json;

/// Changes an object on its way in, as an admission webhook does; its argument is the number of writes so far.
type Webhook = fn(&mut Value, u64);

#[derive(Default)]
pub struct Server {
    pub live: Option<Value>,
    /// The writes since they were last taken.
    pub writes: Vec<&'static str>,
    pub webhook: Option<Webhook>,
    pub version: u64,
    pub history: WriteHistory,
    pub now: Timestamp,
}

impl Server {
    /// One pass over the manifest.
    pub fn run(&mut self, strategy: &Value, manifest: &Value) -> ManifestResult {
        let terms = Terms {
            owner: Owner {
                name: "w".into(),
                uid: "ours".into(),
            },
            strategy: Strategy::decode(Some(strategy)),
            mirror: false,
        };
        let resource = Resource {
            group: String::new(),
            version: "v1".into(),
            kind: String::new(),
            plural: String::new(),
            namespaced: true,
        };
        let mut pipeline = Pipeline::new(&terms, manifest, &resource, self.history.clone(), self.now);
        let mut next = pipeline.start(self.live.is_none());
        loop {
            match next {
                Next::Done(outcome) => {
                    self.history = (*outcome.history).clone();
                    return outcome;
                }
                Next::Send(request) => next = pipeline.answer(self.serve(request)),
            }
        }
    }

    /// A write of somebody else.
    pub fn foreign(&mut self, manager: &str, subresource: &str, patch: &Value) {
        let new = merge::merge_patch(self.live.as_ref().unwrap(), patch);
        self.store(new, manager, subresource).unwrap();
    }

    /// Our entries among the managed fields.
    pub fn own_entries(&self) -> Vec<String> {
        let live = self.live.as_ref().unwrap();
        let entries = live["metadata"]["managedFields"].as_array().unwrap().iter();
        let own = entries.filter(|entry| entry["manager"] == "work-api-agent");
        own.map(|entry| entry["operation"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn at(&self, path: &str) -> Value {
        self.live
            .as_ref()
            .and_then(|live| live.pointer(path))
            .cloned()
            .unwrap_or_default()
    }

    fn serve(&mut self, request: Request) -> Answer {
        let word = match &request {
            Request::Read | Request::DryRun(_) | Request::Works(_) => "",
            Request::Replace(_) => "replace",
            Request::Create(_) => "create",
            Request::Patch { body, .. } if body.pointer("/metadata/managedFields").is_some() => "patch with fields",
            Request::Patch { .. } => "patch",
            Request::Apply { .. } => "apply",
        };
        if !word.is_empty() {
            self.writes.push(word);
        }
        let done = match request {
            Request::Works(_) => return Answer::Works(BTreeMap::new()),
            Request::Read => self.live.clone().ok_or((FailureKind::NotFound, "gone".to_owned())),
            Request::Create(_) if self.live.is_some() => Err((FailureKind::AlreadyExists, "exists".to_owned())),
            Request::Create(body) | Request::Replace(body) => self.store(body, "work-api-agent", ""),
            Request::Patch { format, body } => {
                let live = self.live.clone().unwrap();
                let (api_version, kind) = (owners::field(&live, "apiVersion"), owners::field(&live, "kind"));
                let new = match format {
                    PatchFormat::Merge => merge::merge_patch(&live, &body),
                    PatchFormat::Strategic => merge::strategic::apply(api_version, kind, &live, &body).unwrap(),
                };
                self.store(new, "work-api-agent", "")
            }
            Request::Apply { body, force } => self.apply(&body, force, true),
            Request::DryRun(body) => self.apply(&body, true, false),
        };
        match done {
            Ok(object) => Answer::Object(object),
            Err((kind, message)) => Answer::Failed(Failure { kind, message }),
        }
    }

    fn apply(&mut self, body: &Value, force: bool, keep: bool) -> Result<Value, (FailureKind, String)> {
        let reset = FieldSet::empty();
        let writer = self.writer("work-api-agent", owners::field(body, "apiVersion"), "", &reset);
        let time = writer.0;
        let writer = Writer { now: &time, ..writer.1 };
        let types = prepare::types_of(body);
        let mut new = match ssa::apply(self.live.as_ref(), body, types, &writer, force) {
            Ok(new) => new,
            Err(err @ SsaError::Conflicts(_)) => return Err((FailureKind::Conflict, err.to_string())),
            Err(err) => return Err((FailureKind::Other, err.to_string())),
        };
        admit(&mut new)?;
        if keep {
            return Ok(self.keep(new));
        }
        Ok(new)
    }

    fn writer<'a>(
        &self,
        manager: &'a str,
        api_version: &'a str,
        subresource: &'a str,
        reset: &'a FieldSet,
    ) -> (String, Writer<'a>) {
        let writer = Writer {
            manager,
            api_version,
            subresource,
            now: "",
            reset,
        };
        (
            format!(
                "2026-01-01T{:02}:{:02}:{:02}Z",
                self.version / 3600,
                self.version / 60 % 60,
                self.version % 60
            ),
            writer,
        )
    }

    fn store(&mut self, mut new: Value, manager: &str, subresource: &str) -> Result<Value, (FailureKind, String)> {
        let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
        if let Some(live) = &self.live
            && version(&new) != version(live)
        {
            return Err((FailureKind::Conflict, "the object has been modified".to_owned()));
        }
        if let Some(webhook) = self.webhook {
            webhook(&mut new, self.version);
        }
        admit(&mut new)?;
        let reset = FieldSet::empty();
        let api_version = owners::field(&new, "apiVersion").to_owned();
        let (time, writer) = self.writer(manager, &api_version, subresource, &reset);
        let writer = Writer { now: &time, ..writer };
        let new = ssa::update_managed_fields(self.live.as_ref(), &new, prepare::types_of(&new), &writer);
        Ok(self.keep(new))
    }

    fn keep(&mut self, mut new: Value) -> Value {
        if self.live.as_ref() != Some(&new) {
            self.version += 1;
            new["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.live = Some(new.clone());
        }
        new
    }
}

/// What the server adds, and what it refuses.
fn admit(object: &mut Value) -> Result<(), (FailureKind, String)> {
    let kind = owners::field(object, "kind").to_owned();
    let strategy = match kind.as_str() {
        "Deployment" => "strategy",
        "StatefulSet" => "updateStrategy",
        _ => return Ok(()),
    };
    let Some(spec) = object["spec"].as_object_mut() else {
        return Ok(());
    };
    spec.entry("replicas").or_insert_with(|| json!(1));
    let strategy = spec.entry(strategy).or_insert_with(|| json!({}));
    if strategy.get("type").is_none_or(Value::is_null) {
        strategy["type"] = json!("RollingUpdate");
    }
    if strategy["type"] == "RollingUpdate" && strategy.get("rollingUpdate").is_none() {
        strategy["rollingUpdate"] = json!({"partition": 0});
    }
    if strategy["type"] != "RollingUpdate" && strategy.get("rollingUpdate").is_some() {
        return Err((FailureKind::Invalid, "rollingUpdate may not be specified".to_owned()));
    }
    let containers = object
        .pointer_mut("/spec/template/spec/containers")
        .and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        for port in container
            .get_mut("ports")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            port.as_object_mut()
                .unwrap()
                .entry("protocol")
                .or_insert_with(|| json!("TCP"));
        }
    }
    Ok(())
}
