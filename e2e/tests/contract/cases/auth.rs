//! Who may do what.

use crate::cx::{Cx, cases, same, text};
use crate::fixtures::{config_map, widget};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

cases!("auth":
    tokens_are_made_and_reviewed, nonsense_tokens_are_refused, reviewed_nonsense_is_not_authenticated, accounts_have_no_rights,
    bindings_give_rights, rights_end_at_the_namespace, cluster_roles_in_a_namespace, cluster_bindings_reach_everywhere,
    resource_names_narrow_rights, subresources_need_their_own_right, rights_cannot_be_multiplied, reviews_answer_for_others,
    reviews_answer_for_oneself, audiences_are_kept_apart, deleted_accounts_lose_their_token, groups_have_rights, who_am_i,
    tokens_are_for_existing_accounts, forbidden_comes_before_not_found,
);

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Makes an account in the case's namespace and gives back a token of it.
async fn account(cx: &Cx, name: &str) -> Result<String> {
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    cx.post(&cx.core("serviceaccounts"), body).await?.ok()?;
    token(cx, name, json!({})).await
}

async fn token(cx: &Cx, name: &str, spec: Value) -> Result<String> {
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
    let answer = cx
        .post(&format!("{}/{name}/token", cx.core("serviceaccounts")), request)
        .await?
        .ok()?;
    text(&answer, "/status/token")
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

/// Binds rules to an account within the case's namespace.
async fn grant(cx: &Cx, account: &str, rules: Vec<Value>) -> Result<()> {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": account}, "rules": rules});
    cx.post(&format!("{RBAC}/namespaces/{}/roles", cx.namespace), role)
        .await?
        .ok()?;
    bind(cx, account, "Role", account).await
}

async fn bind(cx: &Cx, account: &str, kind: &str, role: &str) -> Result<()> {
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": cx.namespace}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}});
    cx.post(&format!("{RBAC}/namespaces/{}/rolebindings", cx.namespace), binding)
        .await?
        .ok()
        .map(drop)
}

async fn tokens_are_made_and_reviewed(cx: Cx) -> Result<()> {
    let token = account(&cx, "robot").await?;
    ensure!(token.split('.').count() == 3, "a token has three parts");
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
    let review = cx
        .post("/apis/authentication.k8s.io/v1/tokenreviews", review)
        .await?
        .ok()?;
    same(&review, "/status/authenticated", json!(true))?;
    same(
        &review,
        "/status/user/username",
        json!(format!("system:serviceaccount:{}:robot", cx.namespace)),
    )?;
    let groups = json!([
        "system:serviceaccounts",
        format!("system:serviceaccounts:{}", cx.namespace),
        "system:authenticated"
    ]);
    same(&review, "/status/user/groups", groups)
}

async fn nonsense_tokens_are_refused(cx: Cx) -> Result<()> {
    let stranger = cx.with_token("nonsense").await?;
    stranger
        .get(&cx.core("configmaps"))
        .await?
        .refused(401, "Unauthorized")?
        .saying("Unauthorized")
        .map(drop)
}

async fn reviewed_nonsense_is_not_authenticated(cx: Cx) -> Result<()> {
    let review =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "nonsense"}});
    let review = cx
        .post("/apis/authentication.k8s.io/v1/tokenreviews", review)
        .await?
        .ok()?;
    ensure!(review["status"]["authenticated"] != true, "{review}");
    Ok(())
}

async fn accounts_have_no_rights(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    let user = format!("system:serviceaccount:{}:robot", cx.namespace);
    let answer = robot.get(&cx.core("configmaps")).await?.refused(403, "Forbidden")?;
    let message = format!(
        r#"configmaps is forbidden: User "{user}" cannot list resource "configmaps" in API group "" in the namespace "{}""#,
        cx.namespace
    );
    answer.saying(&message)?;
    let answer = robot
        .post(&cx.widgets(), widget("a", json!({})))
        .await?
        .refused(403, "Forbidden")?;
    let message = format!(
        r#"widgets.contract.fairway.dev is forbidden: User "{user}" cannot create resource "widgets" in API group "contract.fairway.dev" in the namespace "{}""#,
        cx.namespace
    );
    answer.saying(&message)?;
    let answer = robot.get("/api/v1/nodes").await?.refused(403, "Forbidden")?;
    answer.saying(&format!(
        r#"nodes is forbidden: User "{user}" cannot list resource "nodes" in API group "" at the cluster scope"#
    ))?;
    robot.get("/apis").await?.ok().map(drop)
}

/// Tries until a right that was just given is in force: authorizers follow bindings by watching.
async fn until_allowed(cx: &Cx, path: &str) -> Result<Value> {
    cx.until(path, "was allowed", |answer| answer.code == 200).await?.ok()
}

async fn bindings_give_rights(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    grant(&cx, "robot", vec![rule("", "configmaps", &["list", "create"])]).await?;
    until_allowed(&robot, &cx.core("configmaps")).await?;
    robot
        .post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()?;
    robot
        .delete(&format!("{}/a", cx.core("configmaps")))
        .await?
        .refused(403, "Forbidden")
        .map(drop)
}

async fn rights_end_at_the_namespace(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    grant(
        &cx,
        "robot",
        vec![json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})],
    )
    .await?;
    until_allowed(&robot, &cx.core("secrets")).await?;
    robot
        .get("/api/v1/namespaces/default/secrets")
        .await?
        .refused(403, "Forbidden")?;
    robot.get("/api/v1/secrets").await?.refused(403, "Forbidden")?;
    robot
        .post("/api/v1/namespaces/default/configmaps", config_map("a", json!({})))
        .await?
        .refused(403, "Forbidden")
        .map(drop)
}

async fn cluster_roles_in_a_namespace(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    bind(&cx, "robot", "ClusterRole", "view").await?;
    until_allowed(&robot, &cx.core("configmaps")).await?;
    robot.get(&cx.core("secrets")).await?.refused(403, "Forbidden")?;
    robot
        .post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .refused(403, "Forbidden")
        .map(drop)
}

async fn cluster_bindings_reach_everywhere(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": cx.unique}, "rules": [rule("", "nodes", &["list"]), rule("", "configmaps", &["list"])]});
    cx.post(&format!("{RBAC}/clusterroles"), role).await?.ok()?;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": cx.unique},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": cx.namespace}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cx.unique}});
    cx.post(&format!("{RBAC}/clusterrolebindings"), binding).await?.ok()?;
    until_allowed(&robot, "/api/v1/nodes").await?;
    until_allowed(&robot, "/api/v1/namespaces/default/configmaps")
        .await
        .map(drop)
}

async fn resource_names_narrow_rights(cx: Cx) -> Result<()> {
    for name in ["mine", "other"] {
        cx.post(&cx.core("configmaps"), config_map(name, json!({})))
            .await?
            .ok()?;
    }
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    let narrow = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"], "resourceNames": ["mine"]});
    grant(&cx, "robot", vec![narrow]).await?;
    until_allowed(&robot, &format!("{}/mine", cx.core("configmaps"))).await?;
    robot
        .get(&format!("{}/other", cx.core("configmaps")))
        .await?
        .refused(403, "Forbidden")?;
    robot.get(&cx.core("configmaps")).await?.refused(403, "Forbidden")?;
    robot
        .get(&format!("{}?fieldSelector=metadata.name%3Dmine", cx.core("configmaps")))
        .await?
        .ok()
        .map(drop)
}

async fn subresources_need_their_own_right(cx: Cx) -> Result<()> {
    cx.post(&cx.widgets(), widget("a", json!({}))).await?.ok()?;
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    grant(
        &cx,
        "robot",
        vec![rule("contract.fairway.dev", "widgets", &["get", "patch"])],
    )
    .await?;
    let path = format!("{}/a", cx.widgets());
    until_allowed(&robot, &path).await?;
    robot.merge(&path, json!({"spec": {"replicas": 1}})).await?.ok()?;
    let answer = robot
        .merge(&format!("{path}/status"), json!({"status": {}}))
        .await?
        .refused(403, "Forbidden")?;
    answer
        .mentioning(r#"cannot patch resource "widgets/status" in API group "contract.fairway.dev""#)
        .map(drop)
}

async fn rights_cannot_be_multiplied(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    let rules = vec![
        rule("rbac.authorization.k8s.io", "roles", &["create", "list"]),
        rule("", "configmaps", &["get"]),
    ];
    grant(&cx, "robot", rules).await?;
    let roles = format!("{RBAC}/namespaces/{}/roles", cx.namespace);
    until_allowed(&robot, &roles).await?;
    let role = |name: &str, rules: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": [rules]});
    robot
        .post(&roles, role("same", rule("", "configmaps", &["get"])))
        .await?
        .ok()?;
    let answer = robot
        .post(&roles, role("more", rule("", "secrets", &["get"])))
        .await?
        .refused(403, "Forbidden")?;
    answer
        .mentioning("is attempting to grant RBAC permissions not currently held")
        .map(drop)
}

async fn reviews_answer_for_others(cx: Cx) -> Result<()> {
    account(&cx, "robot").await?;
    grant(&cx, "robot", vec![rule("", "configmaps", &["get"])]).await?;
    let user = format!("system:serviceaccount:{}:robot", cx.namespace);
    let review = |verb: &str| {
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": user,
            "resourceAttributes": {"namespace": cx.namespace, "verb": verb, "resource": "configmaps"}}})
    };
    let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    for _ in 0..100 {
        let answer = cx.post(reviews, review("get")).await?.ok()?;
        if answer["status"]["allowed"] == true {
            let answer = cx.post(reviews, review("delete")).await?.ok()?;
            return same(&answer, "/status/allowed", json!(false));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    anyhow::bail!("the right never came into force")
}

async fn reviews_answer_for_oneself(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {"namespace": cx.namespace, "verb": "get", "resource": "pods"}}});
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    same(
        &robot.post(reviews, review.clone()).await?.ok()?,
        "/status/allowed",
        json!(false),
    )?;
    same(&cx.post(reviews, review).await?.ok()?, "/status/allowed", json!(true))
}

async fn audiences_are_kept_apart(cx: Cx) -> Result<()> {
    account(&cx, "robot").await?;
    let foreign = token(&cx, "robot", json!({"audiences": ["fairway-hub"]})).await?;
    let stranger = cx.with_token(&foreign).await?;
    stranger.get("/apis").await?.refused(401, "Unauthorized")?;
    let review = |audiences: Value| json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": foreign, "audiences": audiences}});
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let answer = cx.post(reviews, review(json!(["fairway-hub"]))).await?.ok()?;
    same(&answer, "/status/authenticated", json!(true))?;
    same(&answer, "/status/audiences", json!(["fairway-hub"]))?;
    let answer = cx.post(reviews, review(json!(["other"]))).await?.ok()?;
    ensure!(answer["status"]["authenticated"] != true, "{answer}");
    Ok(())
}

async fn deleted_accounts_lose_their_token(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    robot.get("/apis").await?.ok()?;
    cx.delete(&format!("{}/robot", cx.core("serviceaccounts")))
        .await?
        .ok()?;
    robot
        .until("/apis", "was refused", |answer| answer.code == 401)
        .await
        .map(drop)
}

async fn groups_have_rights(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "all"},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": format!("system:serviceaccounts:{}", cx.namespace)}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}});
    cx.post(&format!("{RBAC}/namespaces/{}/rolebindings", cx.namespace), binding)
        .await?
        .ok()?;
    until_allowed(&robot, &cx.core("configmaps")).await?;
    robot
        .post(&cx.core("configmaps"), config_map("a", json!({})))
        .await?
        .ok()
        .map(drop)
}

async fn who_am_i(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = robot
        .post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
        .await?
        .ok()?;
    same(
        &answer,
        "/status/userInfo/username",
        json!(format!("system:serviceaccount:{}:robot", cx.namespace)),
    )
}

async fn tokens_are_for_existing_accounts(cx: Cx) -> Result<()> {
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let answer = cx
        .post(&format!("{}/nobody/token", cx.core("serviceaccounts")), request)
        .await?;
    answer
        .refused(404, "NotFound")?
        .saying(r#"serviceaccounts "nobody" not found"#)?;
    account(&cx, "robot").await?;
    let short =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 10}});
    let answer = cx
        .post(&format!("{}/robot/token", cx.core("serviceaccounts")), short)
        .await?
        .refused(422, "Invalid")?;
    answer
        .mentioning("may not specify a duration less than 10 minutes")
        .map(drop)
}

async fn forbidden_comes_before_not_found(cx: Cx) -> Result<()> {
    let robot = cx.with_token(&account(&cx, "robot").await?).await?;
    robot
        .get(&format!("{}/nothing", cx.core("configmaps")))
        .await?
        .refused(403, "Forbidden")
        .map(drop)
}
