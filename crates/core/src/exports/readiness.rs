//! Whether an exported Service has an endpoint that is ready.

use api::text::labels::SERVICE_NAME;
use serde_json::Value;

use super::ServiceView;

/// What decisions read of an EndpointSlice: no more, because a cluster has many of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceView {
    /// Name of the Service, in the slice's namespace.
    pub service: Box<str>,
    /// One of its endpoints is ready.
    pub is_ready: bool,
}

impl SliceView {
    /// Reads an EndpointSlice. `None` for one that belongs to no Service.
    pub fn from_value(value: &Value) -> Option<Self> {
        let labels = value.get("metadata")?.get("labels")?;
        let service = labels.get(SERVICE_NAME)?.as_str()?;
        let endpoints = value.get("endpoints").and_then(Value::as_array);
        // An endpoint without the condition counts as ready (discovery.k8s.io/v1).
        let is_ready = |endpoint: &Value| {
            let ready = endpoint
                .get("conditions")
                .and_then(|conditions| conditions.get("ready"));
            ready.and_then(Value::as_bool) != Some(false)
        };
        Some(Self {
            service: service.into(),
            is_ready: endpoints.is_some_and(|all| all.iter().any(is_ready)),
        })
    }
}

/// Whether a Service has an endpoint that is ready, given its slices. `None` where that matters to nobody, because the
/// Service is no public load balancer, and where it is not known, because nobody has to make slices for it.
pub fn readiness<'a>(service: &ServiceView, slices: impl IntoIterator<Item = &'a SliceView>) -> Option<bool> {
    if !service.is_public_load_balancer() {
        return None;
    }
    let mut found = None;
    for slice in slices {
        found = Some(found == Some(true) || slice.is_ready);
    }
    // The cluster makes slices for every Service with a selector.
    found.or(service.has_selector.then_some(false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(spec: Value, internal: bool) -> ServiceView {
        let annotations = json!({"service.beta.kubernetes.io/azure-load-balancer-internal": internal.to_string()});
        ServiceView::from_value(&json!({"metadata": {"name": "web", "annotations": annotations}, "spec": spec}))
    }

    fn slice(endpoints: Value) -> SliceView {
        let labels = json!({"kubernetes.io/service-name": "web"});
        SliceView::from_value(&json!({"metadata": {"labels": labels}, "endpoints": endpoints})).unwrap()
    }

    #[test]
    fn a_slice_is_ready_when_one_of_its_endpoints_is() {
        let ready = |value: Value| json!({"addresses": ["10.0.0.1"], "conditions": {"ready": value}});
        let table = [
            (json!(null), false),
            (json!([]), false),
            (json!([ready(json!(false))]), false),
            (json!([ready(json!(false)), ready(json!(true))]), true),
            (json!([ready(json!(null))]), true),
            (json!([{"addresses": ["10.0.0.1"]}]), true),
        ];
        for (endpoints, expected) in table {
            assert_eq!(slice(endpoints.clone()).is_ready, expected, "{endpoints}");
        }
        assert_eq!(
            SliceView::from_value(&json!({"metadata": {"labels": {}}, "endpoints": []})),
            None
        );
    }

    #[test]
    fn each_situation_of_a_service() {
        let yes = slice(json!([{"addresses": ["10.0.0.1"]}]));
        let no = slice(json!([]));
        let selected = service(json!({"type": "LoadBalancer", "selector": {"app": "web"}}), false);
        let by_hand = service(json!({"type": "LoadBalancer"}), false);
        let table: [(&ServiceView, &[&SliceView], Option<bool>); 7] = [
            (&selected, &[], Some(false)),
            (&selected, &[&no], Some(false)),
            (&selected, &[&yes, &no], Some(true)),
            (&selected, &[&no, &yes], Some(true)),
            (&by_hand, &[], None),
            (&by_hand, &[&no], Some(false)),
            (&by_hand, &[&yes], Some(true)),
        ];
        for (service, slices, expected) in table {
            assert_eq!(readiness(service, slices.iter().copied()), expected, "{slices:?}");
        }
        for other in [
            service(json!({"type": "LoadBalancer", "selector": {"app": "web"}}), true),
            service(json!({"type": "ClusterIP", "selector": {"app": "web"}}), false),
        ] {
            assert_eq!(readiness(&other, [&yes]), None);
        }
    }
}
