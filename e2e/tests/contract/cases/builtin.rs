//! Kinds that the server knows itself.

use crate::cx::{Cx, cases, same, text};
use crate::fixtures::{config_map, deployment};
use anyhow::{Result, ensure};
use serde_json::json;

cases!("builtin":
    secrets_take_plain_text, immutable_data_cannot_change, services_get_an_address, cluster_addresses_cannot_change,
    headless_services_have_none, deployments_get_defaults, selectors_cannot_change, selectors_must_match_the_template,
    pods_are_mostly_fixed, events_are_stored, leases_are_stored, namespaces_have_their_label, namespaces_come_with_an_account,
    unknown_fields_of_built_in_kinds_are_dropped, wrong_types_of_built_in_fields_are_refused, jobs_get_a_selector,
    service_ports_must_be_unique, nodes_are_of_the_cluster, roles_are_stored, priority_of_data_forms,
);

async fn secrets_take_plain_text(cx: Cx) -> Result<()> {
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"k": "text"}, "data": {"o": "b2xk", "w": "aGVsbG8g\nd29ybGQ=\n"}});
    let object = cx.post(&cx.core("secrets"), body).await?.ok()?;
    same(
        &object,
        "/data",
        json!({"k": "dGV4dA==", "o": "b2xk", "w": "aGVsbG8gd29ybGQ="}),
    )?;
    same(&object, "/type", json!("Opaque"))?;
    ensure!(object.get("stringData").is_none(), "{object}");
    Ok(())
}

async fn immutable_data_cannot_change(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({"k": "1"}));
    body["immutable"] = json!(true);
    cx.post(&cx.core("configmaps"), body).await?.ok()?;
    let path = format!("{}/a", cx.core("configmaps"));
    let answer = cx
        .merge(&path, json!({"data": {"k": "2"}}))
        .await?
        .refused(422, "Invalid")?;
    answer.saying(r#"ConfigMap "a" is invalid: data: Forbidden: field is immutable when `immutable` is set"#)?;
    cx.merge(&path, json!({"metadata": {"labels": {"a": "b"}}}))
        .await?
        .ok()
        .map(drop)
}

fn service(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}})
}

async fn services_get_an_address(cx: Cx) -> Result<()> {
    let object = cx.post(&cx.core("services"), service("a")).await?.ok()?;
    let address = text(&object, "/spec/clusterIP")?;
    ensure!(address.parse::<std::net::IpAddr>().is_ok(), "{address}");
    same(&object, "/spec/clusterIPs", json!([address]))?;
    same(&object, "/spec/type", json!("ClusterIP"))?;
    same(&object, "/spec/sessionAffinity", json!("None"))?;
    same(
        &object,
        "/spec/ports",
        json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]),
    )?;
    let other = cx.post(&cx.core("services"), service("b")).await?.ok()?;
    ensure!(
        other["spec"]["clusterIP"] != object["spec"]["clusterIP"],
        "addresses differ"
    );
    Ok(())
}

async fn cluster_addresses_cannot_change(cx: Cx) -> Result<()> {
    let mut object = cx.post(&cx.core("services"), service("a")).await?.ok()?;
    let path = format!("{}/a", cx.core("services"));
    let address = object["spec"]["clusterIP"].clone();
    // Replacing without an address keeps it.
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    let replaced = cx.put(&path, &object).await?.ok()?;
    same(&replaced, "/spec/clusterIP", address)?;
    let answer = cx
        .merge(
            &path,
            json!({"spec": {"clusterIP": "10.254.254.254", "clusterIPs": ["10.254.254.254"]}}),
        )
        .await?
        .refused(422, "Invalid")?;
    answer
        .mentioning("spec.clusterIPs[0]: Invalid value: [\"10.254.254.254\"]: may not change once set")
        .map(drop)
}

async fn headless_services_have_none(cx: Cx) -> Result<()> {
    let mut body = service("a");
    body["spec"]["clusterIP"] = json!("None");
    let object = cx.post(&cx.core("services"), body).await?.ok()?;
    same(&object, "/spec/clusterIP", json!("None"))?;
    same(&object, "/spec/clusterIPs", json!(["None"]))
}

async fn deployments_get_defaults(cx: Cx) -> Result<()> {
    let object = cx.post(&cx.apps("deployments"), deployment("a")).await?.ok()?;
    same(&object, "/spec/replicas", json!(1))?;
    same(
        &object,
        "/spec/strategy",
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}),
    )?;
    same(&object, "/spec/revisionHistoryLimit", json!(10))?;
    same(&object, "/spec/progressDeadlineSeconds", json!(600))?;
    same(&object, "/spec/template/spec/restartPolicy", json!("Always"))?;
    same(&object, "/spec/template/spec/dnsPolicy", json!("ClusterFirst"))?;
    same(&object, "/spec/template/spec/schedulerName", json!("default-scheduler"))?;
    same(&object, "/spec/template/spec/securityContext", json!({}))?;
    same(&object, "/spec/template/spec/terminationGracePeriodSeconds", json!(30))?;
    same(
        &object,
        "/spec/template/spec/containers/0/imagePullPolicy",
        json!("IfNotPresent"),
    )?;
    same(&object, "/spec/template/spec/containers/0/resources", json!({}))?;
    same(
        &object,
        "/spec/template/spec/containers/0/terminationMessagePath",
        json!("/dev/termination-log"),
    )
}

async fn selectors_cannot_change(cx: Cx) -> Result<()> {
    cx.post(&cx.apps("deployments"), deployment("a")).await?.ok()?;
    let patch =
        json!({"spec": {"selector": {"matchLabels": {"x": "y"}}, "template": {"metadata": {"labels": {"x": "y"}}}}});
    let answer = cx
        .merge(&format!("{}/a", cx.apps("deployments")), patch)
        .await?
        .refused(422, "Invalid")?;
    answer
        .mentioning("spec.selector: Invalid value: ")?
        .mentioning("field is immutable")
        .map(drop)
}

async fn selectors_must_match_the_template(cx: Cx) -> Result<()> {
    let mut body = deployment("a");
    body["spec"]["template"]["metadata"]["labels"] = json!({"app": "other"});
    let answer = cx.post(&cx.apps("deployments"), body).await?.refused(422, "Invalid")?;
    answer
        .mentioning("`selector` does not match template `labels`")?
        .blaming(&["spec.template.metadata.labels"])
        .map(drop)
}

async fn pods_are_mostly_fixed(cx: Cx) -> Result<()> {
    // Its service account exists a moment after its namespace.
    cx.until(
        &format!("{}/default", cx.core("serviceaccounts")),
        "had its account",
        |answer| answer.code == 200,
    )
    .await?;
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "app", "image": "i:1"}]}});
    let object = cx.post(&cx.core("pods"), body).await?.ok()?;
    same(&object, "/status/phase", json!("Pending"))?;
    same(&object, "/spec/serviceAccountName", json!("default"))?;
    let path = format!("{}/a", cx.core("pods"));
    cx.strategic(
        &path,
        json!({"spec": {"containers": [{"name": "app", "image": "i:2"}]}}),
    )
    .await?
    .ok()?;
    let answer = cx
        .merge(&path, json!({"spec": {"hostNetwork": true}}))
        .await?
        .refused(422, "Invalid")?;
    answer
        .mentioning("pod updates may not change fields other than")
        .map(drop)
}

async fn events_are_stored(cx: Cx) -> Result<()> {
    let body = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "e-"}, "type": "Normal", "reason": "Tested", "message": "It is.",
        "involvedObject": {"kind": "Namespace", "name": cx.namespace, "namespace": cx.namespace}, "source": {"component": "contract"}});
    let object = cx.post(&cx.core("events"), body).await?.ok()?;
    let query = format!("fieldSelector=involvedObject.name={},reason=Tested", cx.namespace);
    let list = cx.get(&format!("{}?{query}", cx.core("events"))).await?.ok()?;
    same(&list, "/items/0/metadata/name", object["metadata"]["name"].clone())?;
    let path = format!(
        "/apis/events.k8s.io/v1/namespaces/{}/events/{}",
        cx.namespace,
        text(&object, "/metadata/name")?
    );
    let new = cx.get(&path).await?.ok()?;
    same(&new, "/note", json!("It is."))?;
    same(&new, "/regarding/name", json!(cx.namespace))
}

async fn leases_are_stored(cx: Cx) -> Result<()> {
    let collection = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", cx.namespace);
    let body = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-01-02T03:04:05.123456Z"}});
    let object = cx.post(&collection, body).await?.ok()?;
    same(&object, "/spec/renewTime", json!("2026-01-02T03:04:05.123456Z"))?;
    let mut stale = object.clone();
    cx.merge(&format!("{collection}/a"), json!({"spec": {"holderIdentity": "you"}}))
        .await?
        .ok()?;
    stale["spec"]["holderIdentity"] = json!("me again");
    cx.put(&format!("{collection}/a"), &stale)
        .await?
        .refused(409, "Conflict")
        .map(drop)
}

async fn namespaces_have_their_label(cx: Cx) -> Result<()> {
    let object = cx.get(&format!("/api/v1/namespaces/{}", cx.namespace)).await?.ok()?;
    same(
        &object,
        "/metadata/labels/kubernetes.io~1metadata.name",
        json!(cx.namespace),
    )?;
    same(&object, "/spec/finalizers", json!(["kubernetes"]))?;
    same(&object, "/status/phase", json!("Active"))
}

async fn namespaces_come_with_an_account(cx: Cx) -> Result<()> {
    cx.until(
        &format!("{}/default", cx.core("serviceaccounts")),
        "had its account",
        |answer| answer.code == 200,
    )
    .await?;
    let answer = cx
        .until(
            &format!("{}/kube-root-ca.crt", cx.core("configmaps")),
            "had its root certificate",
            |answer| answer.code == 200,
        )
        .await?;
    ensure!(
        text(&answer.body, "/data/ca.crt")?.contains("BEGIN CERTIFICATE"),
        "{}",
        answer.body
    );
    Ok(())
}

async fn unknown_fields_of_built_in_kinds_are_dropped(cx: Cx) -> Result<()> {
    let mut body = deployment("a");
    body["spec"]["nope"] = json!(1);
    body["spec"]["template"]["spec"]["containers"][0]["nope"] = json!(1);
    let object = cx.post(&cx.apps("deployments"), body).await?.ok()?;
    ensure!(
        object["spec"].get("nope").is_none()
            && object["spec"]["template"]["spec"]["containers"][0]
                .get("nope")
                .is_none(),
        "{object}"
    );
    Ok(())
}

async fn wrong_types_of_built_in_fields_are_refused(cx: Cx) -> Result<()> {
    let mut body = deployment("a");
    body["spec"]["replicas"] = json!("many");
    cx.post(&cx.apps("deployments"), body)
        .await?
        .refused(400, "BadRequest")?
        .mentioning("replicas")?;
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": 1}});
    cx.post(&cx.core("configmaps"), body)
        .await?
        .refused(400, "BadRequest")
        .map(drop)
}

async fn jobs_get_a_selector(cx: Cx) -> Result<()> {
    let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
    let object = cx
        .post(&format!("/apis/batch/v1/namespaces/{}/jobs", cx.namespace), body)
        .await?
        .ok()?;
    let uid = text(&object, "/metadata/uid")?;
    same(
        &object,
        "/spec/selector/matchLabels",
        json!({"batch.kubernetes.io/controller-uid": uid}),
    )?;
    same(
        &object,
        "/spec/template/metadata/labels/batch.kubernetes.io~1job-name",
        json!("a"),
    )?;
    same(&object, "/spec/completions", json!(1))?;
    same(&object, "/spec/backoffLimit", json!(6))
}

async fn service_ports_must_be_unique(cx: Cx) -> Result<()> {
    let mut body = service("a");
    body["spec"]["ports"] = json!([{"name": "a", "port": 80}, {"name": "b", "port": 80}]);
    cx.post(&cx.core("services"), body)
        .await?
        .refused(422, "Invalid")?
        .blaming(&["spec.ports[1]"])
        .map(drop)
}

async fn nodes_are_of_the_cluster(cx: Cx) -> Result<()> {
    let node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": cx.unique}, "spec": {"unschedulable": true}});
    let object = cx.post("/api/v1/nodes", node).await?.ok()?;
    ensure!(object["metadata"].get("namespace").is_none(), "{object}");
    cx.delete(&format!("/api/v1/nodes/{}", cx.unique)).await?.ok()?;
    cx.get(&format!("/api/v1/nodes/{}", cx.unique))
        .await?
        .refused(404, "NotFound")
        .map(drop)
}

async fn roles_are_stored(cx: Cx) -> Result<()> {
    let collection = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles", cx.namespace);
    let body = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "a"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let object = cx.post(&collection, body).await?.ok()?;
    same(&object, "/rules/0/verbs", json!(["get"]))?;
    cx.merge(&format!("{collection}/a"), json!({"rules": []}))
        .await?
        .ok()
        .map(drop)
}

async fn priority_of_data_forms(cx: Cx) -> Result<()> {
    let mut body = config_map("a", json!({"k": "1"}));
    body["binaryData"] = json!({"k": "AAE="});
    let answer = cx.post(&cx.core("configmaps"), body).await?;
    answer
        .refused(422, "Invalid")?
        .mentioning("duplicate of key present in binaryData")
        .map(drop)
}
