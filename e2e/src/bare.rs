//! The API server of a member that has nothing but Services and their exports, small enough to run a thousand of them in
//! one process. It answers what the exports' side of a member agent asks, and nothing else.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

type Answer = Response<StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// Where the exports lie.
pub const NAMESPACE: &str = "app";
/// Annotation of an export.
const WEIGHT: &str = "networking.fleet.azure.com/weight";

/// The API server; clones are the same one.
#[derive(Clone)]
pub struct Bare {
    state: Arc<Mutex<State>>,
}

struct State {
    version: u64,
    exports: Vec<Value>,
    services: Vec<Value>,
    /// Of the Services of load balancers.
    slices: Vec<Value>,
    watches: Vec<(Kind, mpsc::UnboundedSender<Value>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Export,
    Service,
    Slice,
}

impl Bare {
    /// A member with exported Services of these names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut state = State {
            version: 1,
            exports: Vec::new(),
            services: Vec::new(),
            slices: Vec::new(),
            watches: Vec::new(),
        };
        for name in names {
            let metadata = |uid: &str| {
                json!({"namespace": NAMESPACE, "name": name, "uid": format!("{uid}-{name}"), "resourceVersion": "1",
                    "generation": 1})
            };
            state.exports.push(json!({
                "apiVersion": "networking.fleet.azure.com/v1beta1", "kind": "ServiceExport", "metadata": metadata("e"),
            }));
            state.services.push(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata("s"),
                "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]},
            }));
        }
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// A member whose exported Services of these names have load balancers with addresses of their own, and a ready Pod each.
    /// `number` is that of the member, below 65536.
    pub fn with_load_balancers(names: impl IntoIterator<Item = String>, number: usize) -> Self {
        let this = Self::new(names);
        {
            let mut state = this.state.lock();
            let State { services, slices, .. } = &mut *state;
            let [.., high, low] = number.to_be_bytes();
            for (at, service) in services.iter_mut().enumerate() {
                let name = text(service, "/metadata/name");
                let label = json!({"service.beta.kubernetes.io/azure-dns-label-name": format!("{name}-{number}")});
                service["metadata"]["annotations"] = label;
                service["spec"]["type"] = json!("LoadBalancer");
                let address = format!("127.{}.{high}.{low}", 10 + at);
                service["status"] = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
                slices.push(json!({
                    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                    "metadata": {"namespace": NAMESPACE, "name": name, "uid": format!("l-{name}"), "resourceVersion": "1",
                        "labels": {"kubernetes.io/service-name": name}},
                    "endpoints": [{"addresses": ["10.0.1.1"], "conditions": {"ready": true}}],
                    "ports": [{"port": 8080}],
                }));
            }
        }
        this
    }

    /// Changes the weight of an export.
    pub fn set_weight(&self, name: &str, weight: u64) {
        let change = json!({"metadata": {"annotations": {WEIGHT: weight.to_string()}}});
        self.state.lock().change(Kind::Export, name, &change);
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        let bare = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let bare = bare.clone();
            async move { Ok::<_, Infallible>(bare.answer(request).await) }
        });
        Client::new(service, NAMESPACE)
    }

    /// Changes the port of a Service.
    pub fn set_port(&self, name: &str, port: u16) {
        let change = json!({"spec": {"ports": [{"port": port, "protocol": "TCP", "targetPort": 8080}]}});
        self.state.lock().change(Kind::Service, name, &change);
    }

    /// Names of the exports that users see to be without conflict.
    pub fn accepted(&self) -> Vec<String> {
        let state = self.state.lock();
        let is_accepted = |export: &&Value| {
            let conditions = export.pointer("/status/conditions").and_then(Value::as_array);
            let mut all = conditions.into_iter().flatten();
            all.any(|one| one["type"] == "Conflict" && one["status"] == "False")
        };
        let accepted = state.exports.iter().filter(is_accepted);
        accepted.map(|export| text(export, "/metadata/name")).collect()
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        let kind = match path.split('/').find_map(|part| match part {
            "serviceexports" => Some(Kind::Export),
            "services" => Some(Kind::Service),
            "endpointslices" => Some(Kind::Slice),
            _ => None,
        }) {
            Some(kind) => kind,
            // Events, which are not read here.
            None => return whole(StatusCode::CREATED, &body_of(body).await),
        };
        match parts.method {
            Method::GET if query.contains("watch=true") || query.contains("watch=1") => self.watch(kind),
            Method::GET => self.state.lock().list(kind),
            Method::PATCH => {
                let name = path
                    .split('/')
                    .skip_while(|part| *part != "serviceexports" && *part != "services")
                    .nth(1)
                    .unwrap_or_default();
                let patch = body_of(body).await;
                let changed = self.state.lock().change(kind, name, &patch);
                match changed {
                    Some(object) => whole(StatusCode::OK, &object),
                    None => whole(StatusCode::NOT_FOUND, &json!({"kind": "Status", "code": 404})),
                }
            }
            _ => whole(StatusCode::METHOD_NOT_ALLOWED, &json!({"kind": "Status", "code": 405})),
        }
    }

    fn watch(&self, kind: Kind) -> Answer {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state.lock().watches.push((kind, sender));
        let lines = stream::unfold(receiver, |mut receiver| async move {
            let event: Value = receiver.recv().await?;
            Some((Ok(Frame::data(Bytes::from(format!("{event}\n")))), receiver))
        });
        Response::new(StreamBody::new(lines.boxed()))
    }
}

impl State {
    fn of(&mut self, kind: Kind) -> &mut Vec<Value> {
        match kind {
            Kind::Export => &mut self.exports,
            Kind::Service => &mut self.services,
            Kind::Slice => &mut self.slices,
        }
    }

    fn list(&mut self, kind: Kind) -> Answer {
        let (version, items) = (self.version.to_string(), self.of(kind).clone());
        let list =
            json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items});
        whole(StatusCode::OK, &list)
    }

    /// Merges a patch into an object and sends the change to the watches.
    fn change(&mut self, kind: Kind, name: &str, patch: &Value) -> Option<Value> {
        self.version += 1;
        let version = self.version.to_string();
        let object = self
            .of(kind)
            .iter_mut()
            .find(|object| text(object, "/metadata/name") == name)?;
        json_patch::merge(object, patch);
        object["metadata"]["resourceVersion"] = version.into();
        let object = object.clone();
        let event = json!({"type": "MODIFIED", "object": object});
        self.watches
            .retain(|(watched, watch)| *watched != kind || watch.send(event.clone()).is_ok());
        Some(object)
    }
}

async fn body_of(body: Body) -> Value {
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn whole(status: StatusCode, value: &Value) -> Answer {
    let frame = Ok(Frame::data(Bytes::from(value.to_string())));
    let mut answer = Response::new(StreamBody::new(stream::once(async { frame }).boxed()));
    *answer.status_mut() = status;
    answer
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
