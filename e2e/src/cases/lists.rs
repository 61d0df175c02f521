//! Lists whose merge key is not unique.

use std::time::Duration;

use anyhow::Result;
use control_plane::workloads::FAILING_IMAGE;
use serde_json::{Value, json};

use super::{Case, DEPLOYMENT, SERVICE, check, stays};
use crate::world::World;

/// Longer than two periodic passes over a Work that is not available.
const SOME_PASSES: Duration = Duration::from_secs(15);

/// TCP and UDP on one port, in a Deployment that is never available, so that passes come every few seconds, and in a
/// Service.
pub(super) async fn ports(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-g2").await?;
    let tcp = json!({"name": "tcp", "containerPort": 53, "protocol": "TCP"});
    let udp = json!({"name": "udp", "containerPort": 53, "protocol": "UDP"});
    case.apply(DEPLOYMENT, "dns", deployment(&[&tcp])).await?;
    case.apply(SERVICE, "dns", service(&["TCP"])).await?;
    case.place(Value::Null).await?;
    case.has(&[("Applied", "True")]).await?;
    case.apply(DEPLOYMENT, "dns", deployment(&[&tcp, &udp])).await?;
    case.apply(SERVICE, "dns", service(&["TCP", "UDP"])).await?;
    case.on_member(SERVICE, "dns", |object| {
        let protocols = object.data["spec"]["ports"].as_array().map_or(0, Vec::len);
        check(object, protocols == 2, ())
    })
    .await?;
    let both = |object: &kube::api::DynamicObject| {
        let ports = &object.data["spec"]["template"]["spec"]["containers"][0]["ports"];
        check(
            object,
            *ports == json!([tcp, udp]) && object.metadata.generation == Some(2),
            (),
        )
    };
    case.on_member(DEPLOYMENT, "dns", both).await?;
    stays(case.member(DEPLOYMENT)?, "dns", SOME_PASSES, both).await?;
    case.has(&[("Applied", "True")]).await?;
    case.end().await
}

fn deployment(ports: &[&Value]) -> Value {
    let image = format!("{FAILING_IMAGE}/c:1");
    json!({"spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "dns"}},
        "template": {
            "metadata": {"labels": {"app": "dns"}},
            "spec": {"containers": [{"name": "c", "image": image, "ports": ports}]},
        },
    }})
}

fn service(protocols: &[&str]) -> Value {
    let ports: Vec<Value> = protocols
        .iter()
        .map(|protocol| json!({"name": protocol.to_lowercase(), "port": 53, "protocol": protocol}))
        .collect();
    json!({"spec": {"selector": {"app": "dns"}, "ports": ports}})
}
