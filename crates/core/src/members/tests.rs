//! Tables of join and leave, pass by pass. A small store plays the API server.

use super::*;
use api::kinds;

const NOW: &str = "2026-11-21T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn settings() -> Settings {
    Settings {
        expected_agents: expected_agents(false),
        force_delete_wait: Duration::from_secs(15 * 60),
    }
}

fn member() -> Value {
    json!({
        "apiVersion": "cluster.kubernetes-fleet.io/v1beta1", "kind": "MemberCluster",
        "metadata": {"name": "m1", "uid": "u1", "resourceVersion": "7", "generation": 3, "labels": {"env": "prod"}},
        "spec": {
            "identity": {"kind": "ServiceAccount", "name": "m1-agent", "namespace": "fleet-system", "apiGroup": ""},
            "heartbeatPeriodSeconds": 15,
        },
    })
}

/// The objects of one member; executes plans as an API server would.
#[derive(Clone)]
struct World {
    member: Value,
    namespace: Option<Value>,
    role: Option<Value>,
    role_binding: Option<Value>,
    internal: Option<Value>,
    works: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self {
            member: member(),
            namespace: None,
            role: None,
            role_binding: None,
            internal: None,
            works: Vec::new(),
        }
    }

    fn joined() -> Self {
        let mut world = Self::new();
        world.pass();
        world.agent("True");
        world.pass();
        world
    }

    fn plan_at(&self, now: Timestamp) -> Plan {
        let seen = Seen {
            member: &self.member,
            namespace: self.namespace.as_ref(),
            role: self.role.as_ref(),
            role_binding: self.role_binding.as_ref(),
            internal: self.internal.as_ref(),
            held_works: &self.works,
        };
        plan(&seen, &settings(), now)
    }

    fn pass(&mut self) -> Plan {
        let plan = self.plan_at(now());
        for write in plan.steps.iter().flatten() {
            self.execute(write);
        }
        plan
    }

    fn execute(&mut self, write: &Write) {
        let place = match &*write.target().resource.kind {
            "Work" => {
                self.works.retain(|name| *name != write.target().name);
                return;
            }
            "Namespace" => &mut self.namespace,
            "Role" => &mut self.role,
            "RoleBinding" => &mut self.role_binding,
            "InternalMemberCluster" => &mut self.internal,
            "MemberCluster" => {
                let Write::MergePatch { body, .. } = write else {
                    panic!("{write:?}")
                };
                merge_into(&mut self.member, body);
                return;
            }
            other => panic!("{other:?} is none of a member's objects"),
        };
        match write {
            Write::Create { object, .. } => assert!(place.replace(object.clone()).is_none(), "exists: {object}"),
            Write::MergePatch { body, .. } => merge_into(place.as_mut().unwrap(), body),
            Write::Delete { target, .. } if target.resource == kinds::NAMESPACE => {
                merge_into(
                    place.as_mut().unwrap(),
                    &json!({"metadata": {"deletionTimestamp": NOW}}),
                );
            }
            Write::ReplaceStatus { .. } => panic!("{write:?}"),
            Write::Delete { .. } => *place = None,
        }
    }

    fn agent(&mut self, joined: &str) {
        let status = json!({
            "agentStatus": [{
                "type": "MemberAgent",
                "conditions": [{"type": "Joined", "status": joined, "reason": "R", "message": "", "lastTransitionTime": NOW, "observedGeneration": 1}],
                "lastReceivedHeartbeat": NOW,
            }],
            "resourceUsage": {"capacity": {"cpu": "4"}},
            "properties": {"p": {"value": "1", "observationTime": NOW}},
            "conditions": [{"type": "NamespaceCollectionSucceeded", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": "2026-11-21T11:00:00Z", "observedGeneration": 1}],
        });
        merge_into(self.internal.as_mut().unwrap(), &json!({"status": status}));
    }

    fn delete_member(&mut self) {
        merge_into(&mut self.member, &json!({"metadata": {"deletionTimestamp": NOW}}));
    }

    fn condition(&self, kind: &str) -> Option<(&str, &str)> {
        let list = self.member.pointer("/status/conditions")?.as_array()?;
        let found = list.iter().find(|c| c["type"] == kind)?;
        assert_eq!(found["observedGeneration"], 3);
        Some((found["status"].as_str()?, found["reason"].as_str()?))
    }
}

fn merge_into(object: &mut Value, patch: &Value) {
    *object = merge::merge_patch(object, patch);
}

fn kinds(plan: &Plan) -> Vec<Vec<String>> {
    let word = |write: &Write| {
        let verb = match write {
            Write::Create { .. } => "create",
            Write::MergePatch { status: true, .. } => "status",
            Write::MergePatch { .. } => "patch",
            Write::ReplaceStatus { .. } => "replace status",
            Write::Delete { .. } => "delete",
        };
        format!("{verb} {}", write.target().resource.kind)
    };
    plan.steps.iter().map(|step| step.iter().map(word).collect()).collect()
}

fn reasons(plan: &Plan) -> Vec<&'static str> {
    plan.events.iter().map(|event| event.reason).collect()
}

#[test]
fn a_new_member_gets_everything_in_one_pass() {
    let mut world = World::new();
    let plan = world.pass();
    assert_eq!(
        kinds(&plan),
        [
            vec!["patch MemberCluster"],
            vec!["create Namespace"],
            vec!["create Role"],
            vec!["create RoleBinding", "create InternalMemberCluster"],
            vec!["status MemberCluster"],
        ]
    );
    assert_eq!(
        reasons(&plan),
        [
            "NamespaceCreated",
            "RoleCreated",
            "RoleBindingCreated",
            "InternalMemberClusterCreated",
            "MemberClusterReadyToJoin"
        ]
    );
    assert_eq!(
        world.member["metadata"]["finalizers"],
        json!(["kubernetes-fleet.io/membercluster-finalizer"])
    );
    assert_eq!(
        world.member["metadata"]["labels"],
        json!({"env": "prod", "kubernetes-fleet.io/member-name": "m1"})
    );
    assert_eq!(
        world.condition("ReadyToJoin"),
        Some(("True", "MemberClusterReadyToJoin"))
    );
    assert_eq!(world.condition("Joined"), None);
    let owner = json!([{"apiVersion": "cluster.kubernetes-fleet.io/v1beta1", "kind": "MemberCluster", "name": "m1", "uid": "u1", "controller": true}]);
    let namespace = world.namespace.clone().unwrap();
    assert_eq!(namespace["metadata"]["name"], "fleet-member-m1");
    assert_eq!(
        namespace["metadata"]["labels"],
        json!({"kubernetes-fleet.io/is-fleet-resource": "true"})
    );
    for object in [&world.namespace, &world.role, &world.role_binding, &world.internal] {
        assert_eq!(object.as_ref().unwrap()["metadata"]["ownerReferences"], owner);
    }
    let binding = world.role_binding.clone().unwrap();
    assert_eq!(binding["metadata"]["name"], "fleet-rolebinding-m1");
    assert_eq!(
        binding["roleRef"],
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "fleet-role-m1"})
    );
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "m1-agent", "namespace": "fleet-system"}])
    );
    assert_eq!(
        world.internal.clone().unwrap()["spec"],
        json!({"state": "Join", "heartbeatPeriodSeconds": 15})
    );
}

#[test]
fn the_member_joins_once_its_agent_says_so_and_then_all_is_quiet() {
    let mut world = World::new();
    world.pass();
    let waiting = world.pass();
    assert_eq!(
        (kinds(&waiting), reasons(&waiting)),
        (
            vec![vec!["status MemberCluster".to_owned()]],
            vec!["MemberClusterJoinStateUnknown"]
        )
    );
    assert!(waiting.events[0].warning);
    assert_eq!(
        world.condition("Joined"),
        Some(("Unknown", "MemberClusterJoinStateUnknown"))
    );

    world.agent("True");
    let plan = world.pass();
    assert_eq!(reasons(&plan), ["MemberClusterJoined"]);
    assert_eq!(plan.facts, [Counter::Join]);
    assert_eq!(world.condition("Joined"), Some(("True", "MemberClusterJoined")));
    assert_eq!(
        world.condition("NamespaceCollectionSucceeded"),
        Some(("True", "Succeeded"))
    );
    let status = &world.member["status"];
    assert_eq!(status["resourceUsage"], json!({"capacity": {"cpu": "4"}}));
    assert_eq!(status["properties"]["p"]["value"], "1");
    assert_eq!(status["agentStatus"][0]["conditions"][0]["observedGeneration"], 3);

    assert_eq!(world.pass(), Plan::default(), "nothing is left to do");

    // A heartbeat costs one write; a usage that went away is taken out.
    merge_into(
        world.internal.as_mut().unwrap(),
        &json!({"status": {"resourceUsage": null, "agentStatus": null}}),
    );
    let plan = world.pass();
    assert_eq!(kinds(&plan), [vec!["status MemberCluster"]]);
    assert!(world.member["status"].get("resourceUsage").is_none());
    assert_eq!(
        world.member["status"]["agentStatus"][0]["type"], "MemberAgent",
        "an empty list keeps the old one"
    );
    assert_eq!(world.condition("Joined"), Some(("True", "MemberClusterJoined")));
}

#[test]
fn joined_by_what_the_agents_say() {
    let agent = |kind: &str, joined: Option<&str>| {
        let conditions = joined
            .map(|status| json!([{"type": "Joined", "status": status}]))
            .unwrap_or(json!([]));
        json!({"type": kind, "conditions": conditions})
    };
    let (one, two, three) = ("MemberAgent", "MultiClusterServiceAgent", "ServiceExportImportAgent");
    let all = |a, b, c| vec![agent(one, a), agent(two, b), agent(three, c)];
    let (yes, no) = (Some("True"), Some("False"));
    let cases = [
        (vec![agent(one, yes)], true, "Unknown"),
        (all(yes, yes, yes), true, "True"),
        (all(no, no, no), true, "False"),
        (all(yes, no, yes), true, "Unknown"),
        (all(yes, None, yes), true, "Unknown"),
        (all(yes, Some("Unknown"), yes), true, "Unknown"),
        (
            vec![agent(one, yes), agent("Other", yes), agent("Other", yes)],
            true,
            "Unknown",
        ),
        (vec![agent(one, yes), agent("Other", no)], false, "True"),
        (vec![agent("Other", yes)], false, "Unknown"),
        (vec![agent(one, no)], false, "False"),
    ];
    for (agents, networking, wanted) in cases {
        let mut draft = status::Draft::of(&member(), now());
        draft.copy_from(&json!({"status": {"agentStatus": agents}}));
        let joined = draft.joined(&expected_agents(networking));
        assert_eq!(format!("{joined:?}"), wanted, "{agents:?}");
    }
}

#[test]
fn what_was_changed_by_hand_is_set_right() {
    let joined = World::joined();
    let change = |change: &dyn Fn(&mut World)| {
        let mut world = joined.clone();
        change(&mut world);
        let plan = world.pass();
        assert_eq!(world.plan_at(now()), Plan::default(), "the repair holds");
        (kinds(&plan).concat().join(", "), reasons(&plan).join(", "))
    };
    let words = |a: &str, b: &str| (a.to_owned(), b.to_owned());

    let repaired = change(&|w| w.namespace.as_mut().unwrap()["metadata"]["labels"] = json!({}));
    assert_eq!(repaired, words("patch Namespace", "NamespacePatched"));
    let repaired = change(&|w| w.role.as_mut().unwrap()["rules"] = json!([]));
    assert_eq!(repaired, words("patch Role", "RoleUpdated"));
    let repaired = change(&|w| w.role_binding.as_mut().unwrap()["subjects"] = json!(null));
    assert_eq!(repaired, words("patch RoleBinding", "RoleBindingUpdated"));
    let repaired = change(&|w| w.role_binding.as_mut().unwrap()["roleRef"]["name"] = json!("admin"));
    assert_eq!(
        repaired,
        words("delete RoleBinding, create RoleBinding", "RoleBindingUpdated")
    );
    let repaired = change(&|w| w.member["spec"]["heartbeatPeriodSeconds"] = json!(30));
    assert_eq!(
        repaired,
        words("patch InternalMemberCluster", "InternalMemberClusterSpecUpdated")
    );
    let repaired = change(&|w| w.member["metadata"]["labels"]["kubernetes-fleet.io/member-name"] = json!("x"));
    assert_eq!(repaired, words("patch MemberCluster", ""));
    let repaired = change(&|w| w.member["spec"]["identity"] = json!({"kind": "User", "name": "joe"}));
    assert_eq!(repaired, words("patch RoleBinding", "RoleBindingUpdated"));
}

#[test]
fn an_agent_that_left_by_itself_does_not_make_the_status_flap() {
    let mut world = World::joined();
    world.agent("False");
    let plan = world.pass();
    assert_eq!(plan.facts, [Counter::Leave]);
    assert_eq!(
        (reasons(&plan), plan.events[0].note.as_str()),
        (vec!["MemberClusterJoined"], "member cluster left")
    );
    assert_eq!(
        world.condition("ReadyToJoin"),
        Some(("False", "MemberClusterNotReadyToJoin"))
    );
    assert_eq!(world.condition("Joined"), Some(("False", "MemberClusterLeft")));
    assert_eq!(world.pass(), Plan::default());
}

#[test]
fn a_member_leaves_step_by_step_and_its_works_are_let_go() {
    let mut world = World::joined();
    world.works = vec!["a-work".to_owned(), "b-work".to_owned()];
    world.delete_member();

    let first = world.pass();
    assert_eq!(kinds(&first), [vec!["patch InternalMemberCluster"]]);
    assert_eq!(
        world.internal.as_ref().unwrap()["spec"],
        json!({"state": "Leave", "heartbeatPeriodSeconds": 15})
    );
    assert_eq!(first.requeue, Some(Duration::from_secs(900)));
    let waiting = world.pass();
    assert_eq!(
        (kinds(&waiting).len(), waiting.requeue),
        (0, Some(Duration::from_secs(900)))
    );

    world.agent("False");
    let left = world.pass();
    assert_eq!(
        kinds(&left),
        [
            vec!["patch Work", "patch Work"],
            vec!["delete Namespace"],
            vec!["status MemberCluster"]
        ]
    );
    assert_eq!(left.facts, [Counter::Leave]);
    assert_eq!(world.condition("Joined"), Some(("False", "MemberClusterLeft")));
    assert!(world.works.is_empty());

    let going = world.pass();
    assert_eq!((kinds(&going).len(), going.requeue), (0, Some(Duration::from_secs(1))));
    assert_eq!(going.problems, []);
    world.works = vec!["late".to_owned()];
    assert_eq!(kinds(&world.plan_at(now())), [vec!["patch Work"]]);
    world.works.clear();
    let late = world.plan_at(now() + Duration::from_secs(16 * 60));
    assert_eq!(late.problems.first().map(|p| p.class.label()), Some("unexpected"));

    world.namespace = None;
    merge_into(
        &mut world.member,
        &json!({"metadata": {"finalizers": ["other", "kubernetes-fleet.io/membercluster-finalizer"]}}),
    );
    let last = world.pass();
    assert_eq!(kinds(&last), [vec!["patch MemberCluster"]]);
    assert_eq!(world.member["metadata"]["finalizers"], json!(["other"]));
    assert_eq!(world.pass(), Plan::default());
}

#[test]
fn a_silent_member_is_let_go_after_the_wait() {
    let mut world = World::joined();
    world.delete_member();
    world.pass();
    let before = world.plan_at(now() + Duration::from_secs(899));
    assert_eq!(
        (kinds(&before).len(), before.requeue),
        (0, Some(Duration::from_secs(1)))
    );
    let after = world.plan_at(now() + Duration::from_secs(900));
    assert_eq!(kinds(&after), [vec!["delete Namespace"]]);
}

#[test]
fn a_member_without_internal_record_is_collected_at_once() {
    let mut world = World::joined();
    world.internal = None;
    world.delete_member();
    assert_eq!(kinds(&world.pass()), [vec!["delete Namespace"]]);
}

#[test]
fn a_namespace_that_still_goes_away_is_waited_for() {
    let mut world = World::joined();
    merge_into(
        world.namespace.as_mut().unwrap(),
        &json!({"metadata": {"deletionTimestamp": NOW}}),
    );
    let plan = world.pass();
    assert_eq!((kinds(&plan).len(), plan.requeue), (0, Some(Duration::from_secs(5))));
}

#[test]
fn a_member_whose_name_does_not_fit_says_so_and_gets_nothing() {
    for (name, limit) in [
        ("m".repeat(51), "may have 50"),
        ("dc1.east".to_owned(), "lower case letters, digits and '-' only"),
    ] {
        let mut world = World::new();
        world.member["metadata"]["name"] = json!(name);
        let plan = world.pass();
        assert_eq!(kinds(&plan).concat().len(), 1, "only its status: {plan:?}");
        assert_eq!(
            world.condition("ReadyToJoin"),
            Some(("False", "MemberClusterNotReadyToJoin"))
        );
        let message = world.member["status"]["conditions"][0]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains(limit), "{message}");
        assert_eq!(reasons(&plan), ["InvalidName"]);
        assert!(plan.events[0].warning);
        let again = world.pass();
        assert_eq!((kinds(&again).len(), reasons(&again).len()), (0, 0), "reported once");
        world.delete_member();
        assert_eq!(world.pass().steps, Vec::<Vec<Write>>::new(), "nothing holds it");
    }
}

#[test]
fn a_property_of_a_wrong_type_is_left_out_alone() {
    let mut world = World::joined();
    let internal = world.internal.as_mut().unwrap();
    let time = "2026-11-21T12:00:00Z";
    internal["status"]["properties"] = json!({
        "good": {"value": "3", "observationTime": time}, "bad": {"value": 3, "observationTime": time},
    });
    internal["status"]["resourceUsage"] = json!({"capacity": {"cpu": "4"}, "observationTime": time});
    let plan = world.pass();
    let status = &world.member["status"];
    assert_eq!(
        status["properties"],
        json!({"good": {"value": "3", "observationTime": time}})
    );
    assert_eq!(status["resourceUsage"]["capacity"]["cpu"], "4");
    let [standing] = plan.standing.as_slice() else {
        panic!("{:?}", plan.standing)
    };
    assert_eq!(
        (standing.event.reason, standing.generation),
        ("InvalidClusterProperty", 3)
    );
    assert!(standing.event.note.contains("\"bad\""), "{}", standing.event.note);
    // A member that another agent has written so is read all the same.
    world.member["status"]["properties"]["bad"] = json!({"value": 3});
    let read = crate::objects::Member::from_value(world.member).unwrap();
    assert_eq!(read.properties.keys().collect::<Vec<_>>(), ["good"]);
}
