//! The fleet's own kinds and identities on the server: its definitions are served, and a member stays in its namespace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers may fail loudly"
)]

use apiserver::ApiServer;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use std::path::Path;

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

async fn install_definitions(client: &kube::Client) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let value: Value = serde_yaml::from_str(&text).unwrap();
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        api.patch(&name, &PatchParams::apply("install").force(), &Patch::Apply(&value))
            .await
            .unwrap();
        let conditions = api.get_status(&name).await.unwrap().status.unwrap().conditions.unwrap();
        assert!(
            conditions
                .iter()
                .any(|c| c.type_ == "Established" && c.status == "True"),
            "{name}"
        );
        count += 1;
    }
    count
}

#[tokio::test]
async fn every_definition_of_the_fleet_is_served() {
    let client = ApiServer::builder().build().unwrap().client();
    assert!(install_definitions(&client).await > 20);
    let gvk = GroupVersionKind::gvk("placement.kubernetes-fleet.io", "v1beta1", "ClusterResourcePlacement");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&gvk));
    let placement = |kind: &str| {
        json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterResourcePlacement", "metadata": {"name": "p"},
            "spec": {"resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "n"}], "policy": {"placementType": kind}}})
    };
    let made = api
        .create(&PostParams::default(), &object(placement("PickAll")))
        .await
        .unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    let status = Patch::Merge(json!({"status": {"conditions": []}}));
    let reported = api.patch_status("p", &PatchParams::default(), &status).await.unwrap();
    assert_eq!(reported.metadata.generation, Some(1));
    let mut bad = placement("PickEverything");
    bad["metadata"]["name"] = "q".into();
    let error = api
        .create(&PostParams::default(), &object(bad))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("spec.policy.placementType: Unsupported value: \"PickEverything\""),
        "{error}"
    );
    let other = GroupVersionKind::gvk("placement.kubernetes-fleet.io", "v1", "ClusterResourcePlacement");
    let other: Api<DynamicObject> = Api::all_with(client, &ApiResource::from_gvk(&other));
    let found = other.list(&ListParams::default()).await.unwrap();
    assert_eq!(
        found.items[0].types.as_ref().unwrap().api_version,
        "placement.kubernetes-fleet.io/v1"
    );
}

#[tokio::test]
async fn a_member_stays_in_its_namespace() {
    let server = ApiServer::builder().build().unwrap();
    let admin = server.client();
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    for name in ["fleet-member-one", "fleet-member-two"] {
        namespaces
            .create(&PostParams::default(), &object(json!({"metadata": {"name": name}})))
            .await
            .unwrap();
    }
    let own = "fleet-member-one";
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), own);
    accounts
        .create(&PostParams::default(), &object(json!({"metadata": {"name": "agent"}})))
        .await
        .unwrap();
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "create"]}]);
    let roles: Api<Role> = Api::namespaced(admin.clone(), own);
    roles
        .create(
            &PostParams::default(),
            &object(json!({"metadata": {"name": "agent"}, "rules": rules})),
        )
        .await
        .unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(admin.clone(), own);
    let binding = json!({"metadata": {"name": "agent"}, "roleRef": {"kind": "Role", "name": "agent", "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": [{"kind": "ServiceAccount", "name": "agent", "namespace": own}]});
    bindings.create(&PostParams::default(), &object(binding)).await.unwrap();

    let token = server.issue_token(own, "agent", 3600);
    let member = server.client_with_token(&token);
    let forbidden = |error: kube::Error| matches!(&error, kube::Error::Api(s) if s.code == 403);
    assert!(
        Api::<ConfigMap>::namespaced(member.clone(), own)
            .list(&ListParams::default())
            .await
            .is_ok()
    );
    for namespace in ["fleet-member-two", "default"] {
        let api: Api<ConfigMap> = Api::namespaced(member.clone(), namespace);
        assert!(forbidden(api.list(&ListParams::default()).await.unwrap_err()));
        assert!(forbidden(api.get("kube-root-ca.crt").await.unwrap_err()));
    }
    assert!(forbidden(
        Api::<ConfigMap>::all(member.clone())
            .list(&ListParams::default())
            .await
            .unwrap_err()
    ));
    // It cannot grant itself more either.
    let more = json!({"metadata": {"name": "more"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    assert!(forbidden(
        Api::<Role>::namespaced(member.clone(), own)
            .create(&PostParams::default(), &object(more))
            .await
            .unwrap_err()
    ));

    let reviews: Api<TokenReview> = Api::all(admin.clone());
    let review = |token: &str| object::<TokenReview>(json!({"metadata": {}, "spec": {"token": token}}));
    let status = reviews
        .create(&PostParams::default(), &review(&token))
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(
        status.user.unwrap().username.as_deref(),
        Some("system:serviceaccount:fleet-member-one:agent")
    );
    let forged = format!("{}x", token);
    assert_ne!(
        reviews
            .create(&PostParams::default(), &review(&forged))
            .await
            .unwrap()
            .status
            .unwrap()
            .authenticated,
        Some(true)
    );
    // A token dies with its account.
    accounts.delete("agent", &Default::default()).await.unwrap();
    let status = reviews
        .create(&PostParams::default(), &review(&token))
        .await
        .unwrap()
        .status
        .unwrap();
    assert_ne!(status.authenticated, Some(true));
}
