//! What the member agent's way of applying stands on: managed fields that clients rewrite, lists that are replaced, branches that
//! exclude each other, and values that come back in another spelling.

use crate::cx::{Cx, cases, owned, same};
use crate::fixtures::{config_map, deployment};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

cases!("values":
    own_fields_move_from_update_to_apply, own_fields_move_with_a_strategic_patch, moved_fields_need_the_current_version,
    a_filled_in_branch_is_refused_beside_another, a_branch_that_was_taken_over_goes_with_the_apply,
    fields_that_are_let_go_keep_their_value, replaced_lists_keep_elements_that_share_their_key,
    new_lists_keep_elements_that_share_their_key, quantities_come_back_in_one_form, empty_values_come_back_absent,
    secrets_come_back_encoded, volumes_have_one_source, handlers_are_one,
);

/// The managed fields with the entry of `manager` changed.
fn moved(object: &Value, manager: &str, operation: &str, change: impl Fn(&mut Value)) -> Value {
    let mut entries = object["metadata"]["managedFields"].clone();
    for entry in entries.as_array_mut().into_iter().flatten() {
        if entry["manager"] == manager {
            entry["operation"] = json!(operation);
            change(&mut entry["fieldsV1"]);
        }
    }
    json!({"metadata": {"managedFields": entries, "resourceVersion": object["metadata"]["resourceVersion"]}})
}

async fn own_fields_move_from_update_to_apply(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let list = format!("{}?fieldManager=one", cx.core("configmaps"));
    let object = cx
        .post(&list, config_map("a", json!({"keep": "1", "gone": "1"})))
        .await?
        .ok()?;
    let own = format!("{path}?fieldManager=one");
    let object = cx.merge(&own, moved(&object, "one", "Apply", |_| ())).await?.ok()?;
    ensure!(owned(&object, "one", "Update").is_null(), "{object}");
    ensure!(!owned(&object, "one", "Apply").is_null(), "{object}");
    let object = cx
        .apply(&path, "one", false, config_map("a", json!({"keep": "1", "new": "1"})))
        .await?
        .ok()?;
    same(&object, "/data", json!({"keep": "1", "new": "1"}))
}

async fn own_fields_move_with_a_strategic_patch(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let object = cx
        .apply(&path, "one", false, config_map("a", json!({"keep": "1", "gone": "1"})))
        .await?
        .ok()?;
    let mut patch = moved(&object, "one", "Update", |_| ());
    patch["data"] = json!({"gone": null, "new": "1"});
    let object = cx.strategic(&format!("{path}?fieldManager=one"), patch).await?.ok()?;
    same(&object, "/data", json!({"keep": "1", "new": "1"}))?;
    ensure!(owned(&object, "one", "Apply").is_null(), "{object}");
    let held = owned(&object, "one", "Update");
    ensure!(
        held["f:data"]["f:keep"].is_object() && held["f:data"]["f:new"].is_object(),
        "{held}"
    );
    ensure!(held["f:data"].get("f:gone").is_none(), "{held}");
    Ok(())
}

async fn moved_fields_need_the_current_version(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.core("configmaps"));
    let object = cx
        .apply(&path, "one", false, config_map("a", json!({"x": "1"})))
        .await?
        .ok()?;
    cx.merge(&path, json!({"data": {"y": "1"}})).await?.ok()?;
    cx.merge(&path, moved(&object, "one", "Update", |_| ()))
        .await?
        .refused(409, "Conflict")
        .map(drop)
}

fn with_spec(spec: Value) -> Value {
    let mut object = deployment("a");
    object["spec"]
        .as_object_mut()
        .into_iter()
        .for_each(|all| all.extend(spec.as_object().cloned().unwrap_or_default()));
    object
}

async fn a_filled_in_branch_is_refused_beside_another(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    cx.apply(&path, "one", false, deployment("a")).await?.ok()?;
    let recreate = with_spec(json!({"strategy": {"type": "Recreate"}}));
    let answer = cx.apply(&path, "one", false, recreate).await?.refused(422, "Invalid")?;
    answer
        .mentioning("may not be specified when strategy `type` is 'Recreate'")?
        .blaming(&["spec.strategy.rollingUpdate"])
        .map(drop)
}

async fn a_branch_that_was_taken_over_goes_with_the_apply(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    cx.apply(&path, "one", false, deployment("a")).await?.ok()?;
    // A controller may write in between.
    for _ in 0..5 {
        let object = cx.get(&path).await?.ok()?;
        let patch = moved(&object, "one", "Apply", |fields| {
            fields["f:spec"]["f:strategy"] = json!({"f:rollingUpdate": {}})
        });
        if cx.merge(&format!("{path}?fieldManager=one"), patch).await?.code == 200 {
            break;
        }
    }
    let recreate = with_spec(json!({"strategy": {"type": "Recreate"}}));
    let object = cx.apply(&path, "one", false, recreate).await?.ok()?;
    same(&object, "/spec/strategy", json!({"type": "Recreate"}))
}

async fn fields_that_are_let_go_keep_their_value(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    cx.apply(&path, "one", false, with_spec(json!({"replicas": 7})))
        .await?
        .ok()?;
    for _ in 0..5 {
        let object = cx.get(&path).await?.ok()?;
        let patch = moved(&object, "one", "Apply", |fields| {
            if let Some(spec) = fields["f:spec"].as_object_mut() {
                spec.remove("f:replicas");
            }
        });
        if cx.merge(&format!("{path}?fieldManager=one"), patch).await?.code == 200 {
            break;
        }
    }
    let mut without = deployment("a");
    if let Some(spec) = without["spec"].as_object_mut() {
        spec.remove("replicas");
    }
    let object = cx.apply(&path, "one", false, without).await?.ok()?;
    same(&object, "/spec/replicas", json!(7))
}

fn ports(list: Value) -> Value {
    let mut container = deployment("a")["spec"]["template"]["spec"]["containers"][0].clone();
    let name = container["name"].take();
    json!({"spec": {"template": {"spec": {"containers": [{"name": name, "ports": list}]}}}})
}

async fn replaced_lists_keep_elements_that_share_their_key(cx: Cx) -> Result<()> {
    let path = format!("{}/a", cx.apps("deployments"));
    cx.post(&cx.apps("deployments"), deployment("a")).await?.ok()?;
    let (tcp, udp) = (
        json!({"name": "tcp", "containerPort": 53, "protocol": "TCP"}),
        json!({"name": "udp", "containerPort": 53, "protocol": "UDP"}),
    );
    cx.strategic(&path, ports(json!([tcp]))).await?.ok()?;
    let object = cx
        .strategic(&path, ports(json!([{"$patch": "replace"}, tcp, udp])))
        .await?
        .ok()?;
    same(&object, "/spec/template/spec/containers/0/ports", json!([tcp, udp]))?;
    let object = cx
        .strategic(&path, ports(json!([{"$patch": "replace"}, udp, tcp])))
        .await?
        .ok()?;
    same(&object, "/spec/template/spec/containers/0/ports", json!([udp, tcp]))?;
    let object = cx.strategic(&path, ports(json!([{"$patch": "replace"}]))).await?.ok()?;
    same(&object, "/spec/template/spec/containers/0/ports", Value::Null)
}

async fn new_lists_keep_elements_that_share_their_key(cx: Cx) -> Result<()> {
    let spread = |when: &str| json!({"topologyKey": "zone", "whenUnsatisfiable": when, "maxSkew": 1, "labelSelector": {"matchLabels": {"a": "b"}}});
    let path = format!("{}/a", cx.apps("deployments"));
    cx.post(&cx.apps("deployments"), deployment("a")).await?.ok()?;
    let both = json!([spread("DoNotSchedule"), spread("ScheduleAnyway")]);
    let patch = json!({"spec": {"template": {"spec": {"topologySpreadConstraints": both}}}});
    let object = cx.strategic(&path, patch).await?.ok()?;
    same(&object, "/spec/template/spec/topologySpreadConstraints", both)
}

async fn quantities_come_back_in_one_form(cx: Cx) -> Result<()> {
    let mut object = deployment("a");
    object["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({
        "requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 1.5, "memory": 1_073_741_824}});
    let object = cx.post(&cx.apps("deployments"), object).await?.ok()?;
    same(
        &object,
        "/spec/template/spec/containers/0/resources",
        json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1073741824"}}),
    )
}

async fn empty_values_come_back_absent(cx: Cx) -> Result<()> {
    let mut object = deployment("a");
    let pod = &mut object["spec"]["template"]["spec"];
    pod["tolerations"] = Value::Null;
    pod["nodeSelector"] = json!({});
    pod["hostNetwork"] = json!(false);
    pod["hostname"] = json!("");
    pod["automountServiceAccountToken"] = json!(false);
    pod["containers"][0]["env"] = json!([]);
    pod["containers"][0]["stdin"] = json!(false);
    let object = cx.post(&cx.apps("deployments"), object).await?.ok()?;
    let pod = &object["spec"]["template"]["spec"];
    for path in [
        "/tolerations",
        "/nodeSelector",
        "/hostNetwork",
        "/hostname",
        "/containers/0/env",
        "/containers/0/stdin",
    ] {
        ensure!(pod.pointer(path).is_none(), "{path} came back in {pod}");
    }
    // A pointer knows false from nothing.
    same(pod, "/automountServiceAccountToken", json!(false))
}

async fn secrets_come_back_encoded(cx: Cx) -> Result<()> {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
        "stringData": {"plain": "x"}, "data": {"wrapped": "aGVsbG8g\nd29ybGQ=\n"}});
    let object = cx.post(&cx.core("secrets"), secret).await?.ok()?;
    same(
        &object,
        "/data",
        json!({"plain": "eA==", "wrapped": "aGVsbG8gd29ybGQ="}),
    )?;
    same(&object, "/stringData", Value::Null)
}

async fn volumes_have_one_source(cx: Cx) -> Result<()> {
    let volumes = |list: Value| json!({"spec": {"template": {"spec": {"volumes": list}}}});
    let path = format!("{}/a", cx.apps("deployments"));
    cx.post(&cx.apps("deployments"), deployment("a")).await?.ok()?;
    let object = cx.strategic(&path, volumes(json!([{"name": "v"}]))).await?.ok()?;
    same(
        &object,
        "/spec/template/spec/volumes",
        json!([{"name": "v", "emptyDir": {}}]),
    )?;
    let two = volumes(json!([{"name": "v", "configMap": {"name": "c"}}]));
    cx.strategic(&path, two)
        .await?
        .refused(422, "Invalid")?
        .mentioning("may not specify more than 1 volume type")?;
    let one = volumes(json!([{"name": "v", "configMap": {"name": "c"}, "emptyDir": null}]));
    let object = cx.strategic(&path, one).await?.ok()?;
    same(&object, "/spec/template/spec/volumes/0/emptyDir", Value::Null)
}

async fn handlers_are_one(cx: Cx) -> Result<()> {
    let mut object = deployment("a");
    object["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] =
        json!({"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}});
    let answer = cx
        .post(&cx.apps("deployments"), object)
        .await?
        .refused(422, "Invalid")?;
    answer.mentioning("may not specify more than 1 handler type").map(drop)
}
