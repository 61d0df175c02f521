//! One export through everything that users do to it.

use std::time::Duration;

use serde_json::json;

use crate::world::{EXPORTS, FINALIZER, FINE, Member, PENDING, SERVICES, WEIGHT, World, equal, eventually, list};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_recorded_through_every_change() {
    let mut world = World::new().await;
    world.start();
    let mut member = world.member("m1").await;
    member.start();
    let weigh = |text: &str| json!({"metadata": {"annotations": {WEIGHT: text}}});

    member.export("web").await;
    member.shows("web", "False/ServiceNotFound -").await;
    member.service("web", 80).await;
    member.shows("web", FINE).await;
    world.converged(&member).await;
    let ports = json!({"spec": {"ports": [{"name": "web", "port": 81, "targetPort": 8081}]}});
    member.patch(&SERVICES, "web", ports).await;
    world.converged(&member).await;
    assert_eq!(world.records("m1").await["app/web"].1[0]["port"], 81);

    // Each version of the Service counts once: as it was made, and with other ports.
    let counted = |member: &Member| {
        let metrics = member.metrics.as_ref().unwrap();
        metrics.exported.with_label_values(&["m1"]).get_sample_count()
    };
    eventually("both exports are counted", || async { equal(counted(&member), 2) }).await;

    member.patch(&EXPORTS, "web", weigh("5")).await;
    world.converged(&member).await;
    member.patch(&EXPORTS, "web", weigh("heavy")).await;
    member
        .shows(
            "web",
            "False/ServiceExportInvalidWeightAnnotation False/NoConflictFound",
        )
        .await;
    assert_eq!(world.records("m1").await["app/web"].2, 5, "the export stays as it is");
    // A member that starts now has never known a valid weight: the record stays all the same.
    member.stop().await;
    member.start();
    eventually("the session is open", || async { equal(member.connected(), true) }).await;
    member.exported_service("probe", 1).await;
    member.shows("probe", FINE).await;
    assert_eq!(world.records("m1").await["app/web"].2, 5);
    assert_eq!(counted(&member), 1, "what was judged before is not counted again");
    member.patch(&EXPORTS, "web", weigh("0")).await;
    member.shows("web", PENDING).await;
    world.converged(&member).await;
    assert!(!world.records("m1").await.contains_key("app/web"));
    member.patch(&EXPORTS, "web", weigh("7")).await;
    member.shows("web", FINE).await;
    world.converged(&member).await;

    // Another Service under the same name is another export.
    let before = world.records("m1").await["app/web"].0.clone();
    member.delete(&SERVICES, "web").await;
    member.service("web", 82).await;
    world.converged(&member).await;
    assert_ne!(world.records("m1").await["app/web"].0, before);
    member.shows("web", FINE).await;
    member.delete(&SERVICES, "web").await;
    eventually("the record goes with its Service", || async {
        equal(world.records("m1").await.contains_key("app/web"), false)
    })
    .await;
    member.shows("web", "False/ServiceNotFound False/NoConflictFound").await;
    member.service("web", 83).await;
    world.converged(&member).await;
    member.shows("web", FINE).await;

    // The export goes only after the hub has acknowledged: while the hub is away, the finalizer holds it.
    world.stop().await;
    member.delete(&EXPORTS, "web").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let held = member.get_export("web").await.expect("the finalizer holds the export");
    assert_eq!(held["metadata"]["finalizers"], json!([FINALIZER]));
    world.start();
    eventually("the export goes", || async {
        equal(member.conditions("web").await.as_str(), "gone")
    })
    .await;
    assert_eq!(world.records("m1").await, member.exported().await);
    member.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_exports_with_one_plain_name_keep_a_record_each() {
    let mut world = World::new().await;
    world.start();
    let mut client = world.raw("m1").await;
    client.report("a-b", "c", 80);
    client.report("a", "b-c", 81);
    client.settle().await;
    let names = || async {
        let all = list(&world.user, &crate::world::RECORDS, "fleet-member-m1").await;
        let mut names: Vec<String> = all
            .iter()
            .map(|record| {
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                let plain = text(&record["metadata"]["name"]).len() == "a-b-c".len();
                format!(
                    "{} {plain}",
                    text(&record["spec"]["serviceReference"]["namespacedName"])
                )
            })
            .collect();
        names.sort();
        names
    };
    // Both were sent at once; the first to be written has the plain name.
    assert_eq!(
        names().await,
        ["a-b/c true", "a/b-c false"].map(str::to_owned).to_vec(),
        "in order of their numbers"
    );
    client.report("a", "b-c", 82);
    client.settle().await;
    client.withdraw("a-b", "c");
    client.settle().await;
    assert_eq!(names().await, ["a/b-c false"], "a record keeps its name");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_exports_at_once_arrive_through_a_small_window_and_then_nothing_moves() {
    const MANY: usize = 150;
    let mut world = World::new().await;
    world.config.window = 8;
    world.start();
    let mut member = world.member("m1").await;
    member.start();
    eventually("the session is open", || async { equal(member.connected(), true) }).await;
    for number in 0..MANY {
        member.exported_service(&format!("s{number}"), 80).await;
        let ports = json!({"spec": {"ports": [{"name": "web", "port": 90, "targetPort": 8080}]}});
        member.patch(&SERVICES, &format!("s{number}"), ports).await;
    }
    world.converged(&member).await;
    for number in [0, MANY / 2, MANY - 1] {
        member.shows(&format!("s{number}"), FINE).await;
    }
    eventually("every verdict is shown", || async {
        let all = list(&member.user, &EXPORTS, "app").await;
        let shown = |export: &&serde_json::Value| {
            let conditions = export["status"]["conditions"].as_array();
            conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Conflict" && c["status"] == "False"))
        };
        equal(all.iter().filter(shown).count(), MANY)
    })
    .await;
    // Two writes per export is the least: the record and its status. Coalescing keeps it near that.
    let written = world.writes();
    assert!(written <= 4 * MANY as u64, "{written} writes for {MANY} exports");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (hub, own) = (world.writes(), member.server.resource_version());
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(
        (world.writes(), member.server.resource_version()),
        (hub, own),
        "nothing is written"
    );
    assert!(member.connected());
    member.stop().await;
    world.stop().await;
}
