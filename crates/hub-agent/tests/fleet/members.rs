//! Members that join, leave and come back.

use apiserver::{Action, Matcher};
use kit::{ObjectKey, Resource};
use serde_json::json;

use crate::world::{BINDING, MEMBER, NAMESPACE, PLACEMENT, WORK, World, is_available};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_gets_what_it_needs_and_takes_it_along() {
    let mut world = World::new().await;
    world.start(&[]);
    world.join(&["m1", "m2"]).await;
    world.application("app").await;
    let (placements, works) = (world.follow(PLACEMENT), world.follow(WORK));
    let (members, namespaces) = (world.follow(MEMBER), world.follow(NAMESPACE));
    let bindings = world.follow(BINDING);
    world.place("crp", "app").await;
    let crp = ObjectKey::cluster("crp");
    placements.until(&crp, "available", is_available).await;

    let roles = Resource::namespaced("rbac.authorization.k8s.io", "v1", "Role", "roles");
    let role = ObjectKey::namespaced("fleet-member-m1", "fleet-role-m1");
    let found = world.user.get(&roles, &role).await.unwrap();
    assert_eq!(found["metadata"]["ownerReferences"][0]["name"], "m1");
    // What somebody breaks is set right.
    let bindings_of_roles = Resource::namespaced("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings");
    let seen = world.follow(bindings_of_roles.clone());
    let key = ObjectKey::namespaced("fleet-member-m1", "fleet-rolebinding-m1");
    world.patch(&bindings_of_roles, &key, json!({"subjects": []})).await;
    seen.until(&key, "repaired", |b| b["subjects"][0]["name"] == "m1-agent")
        .await;

    world.delete(&MEMBER, &ObjectKey::cluster("m2")).await;
    members.until_all("one fewer", |all| all.len() == 1).await;
    namespaces
        .until_all("without m2", |all| {
            all.iter().all(|ns| ns["metadata"]["name"] != "fleet-member-m2")
        })
        .await;
    bindings.until_all("one", |all| all.len() == 1).await;
    works.until_all("one", |all| all.len() == 1).await;
    placements.until(&crp, "available on m1", is_available).await;

    world.join(&["m2"]).await;
    works.until_all("two again", |all| all.len() == 2).await;
    placements
        .until(&crp, "available on both", |p| {
            is_available(p)
                && p["status"]["placementStatuses"]
                    .as_array()
                    .is_some_and(|all| all.len() == 2)
        })
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_member_leaves_by_force() {
    let mut world = World::new().await;
    world.start(&["--force-delete-wait-time=1m"]);
    world.join(&["m1"]).await;
    let members = world.follow(MEMBER);
    let reports = Matcher::resource("internalmemberclusters").subresource("status");
    world.server.faults().add(reports, Action::HangUp);
    world.delete(&MEMBER, &ObjectKey::cluster("m1")).await;
    tokio::time::sleep(std::time::Duration::from_secs(50)).await;
    let member = members
        .get(&ObjectKey::cluster("m1"))
        .expect("it waits for the member's answer");
    assert!(member["metadata"]["deletionTimestamp"].is_string());
    members.until_all("gone", <[_]>::is_empty).await;
    world.stop().await;
}
