//! The matrix of member-behaviour 14.5 and the stops of 4.9, played against a member that holds one object.

use super::*;
use crate::apply::availability::Availability;
use crate::apply::outcome::ResultType::*;
use crate::apply::request::PatchFormat;
use serde_json::json;

/// A member with at most one object. It merges as an API server does and notes each request.
#[derive(Default)]
struct Member {
    live: Option<Value>,
    works: Vec<(&'static str, WorkClaim)>,
    requests: Vec<&'static str>,
    dry_run: Option<FailureKind>,
    refuse: Option<(&'static str, FailureKind, &'static str)>,
}

impl Member {
    fn with(live: Value) -> Self {
        Self {
            live: Some(live),
            ..Self::default()
        }
    }

    fn failed(kind: FailureKind, message: &str) -> Answer {
        Answer::Failed(Failure {
            kind,
            message: message.to_owned(),
        })
    }

    fn serve(&mut self, request: Request) -> Answer {
        let word = match &request {
            Request::Read => "read",
            Request::Works(_) => "works",
            Request::Replace(_) => "replace",
            Request::DryRun(_) => "dry-run",
            Request::Create(_) => "create",
            Request::Patch { .. } => "patch",
            Request::Apply { force: false, .. } => "apply",
            Request::Apply { force: true, .. } => "apply-force",
        };
        self.requests.push(word);
        if let Some((what, kind, message)) = self.refuse
            && what == word
        {
            return Self::failed(kind, message);
        }
        match request {
            Request::Works(names) => {
                let claim = |name: String| {
                    let found = self.works.iter().find(|(work, _)| *work == name);
                    found.map(|(_, claim)| (name, *claim))
                };
                Answer::Works(names.into_iter().filter_map(claim).collect())
            }
            Request::Read => self
                .live
                .clone()
                .map_or_else(|| Self::failed(FailureKind::NotFound, "gone"), Answer::Object),
            Request::DryRun(manifest) => match self.dry_run {
                Some(kind) => Self::failed(kind, "no dry run"),
                None => Answer::Object(merge::merge_patch(
                    self.live.as_ref().unwrap_or(&Value::Null),
                    &manifest,
                )),
            },
            Request::Create(_) if self.live.is_some() => Self::failed(FailureKind::AlreadyExists, "exists"),
            Request::Create(body) | Request::Replace(body) => self.store(body),
            Request::Patch {
                format: PatchFormat::Strategic,
                body,
            }
            | Request::Apply { body, .. } => {
                let live = self.live.clone().unwrap_or_else(|| json!({}));
                self.store(merge::strategic::apply("v1", "ConfigMap", &live, &body).unwrap())
            }
            Request::Patch {
                format: PatchFormat::Merge,
                ..
            } => panic!("a ConfigMap is a built-in kind"),
        }
    }

    fn store(&mut self, object: Value) -> Answer {
        self.live = Some(object.clone());
        Answer::Object(object)
    }

    fn run(&mut self, terms: &Terms, manifest: &Value, unseen: bool) -> ManifestResult {
        let resource = Resource {
            group: String::new(),
            version: "v1".into(),
            kind: "ConfigMap".into(),
            plural: "configmaps".into(),
            namespaced: true,
        };
        let mut pipeline = Pipeline::new(
            terms,
            manifest,
            &resource,
            WriteHistory::default(),
            Timestamp::UNIX_EPOCH,
        );
        let mut next = pipeline.start(unseen);
        loop {
            match next {
                Next::Done(outcome) => return outcome,
                Next::Send(request) => {
                    let answer = self.serve(request);
                    next = pipeline.answer(answer);
                }
            }
        }
    }

    fn owners(&self) -> Vec<String> {
        let live = self.live.clone().unwrap_or_default();
        owners::references(&live)
            .iter()
            .map(|r| owners::field(r, "uid").to_owned())
            .collect()
    }
}

fn manifest(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": {"k": value}})
}

fn live(value: &str, references: &[Value]) -> Value {
    let mut live = manifest(value);
    live["metadata"]["resourceVersion"] = json!("5");
    live["metadata"]["uid"] = json!("x");
    if !references.is_empty() {
        live["metadata"]["ownerReferences"] = json!(references);
    }
    live
}

fn terms(strategy: Value) -> Terms {
    Terms {
        owner: Owner {
            name: "w".into(),
            uid: "ours".into(),
        },
        strategy: Strategy::decode(Some(&strategy)),
        mirror: false,
    }
}

fn foreign() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "name": "f", "uid": "foreign"})
}

fn other_work() -> Value {
    Owner {
        name: "other".into(),
        uid: "theirs".into(),
    }
    .reference()
}

/// The reference of an AppliedWork whose Work is no longer on the hub.
fn vanished() -> Value {
    Owner {
        name: "gone".into(),
        uid: "gone".into(),
    }
    .reference()
}

#[test]
fn takeover_matrix_of_the_contract() {
    // whenToTakeOver, co-ownership, owners, same content, (apply result, ReportDiff result), owners afterwards
    type Row = (
        &'static str,
        bool,
        Vec<Value>,
        bool,
        (ResultType, ResultType),
        &'static str,
    );
    let rows: Vec<Row> = vec![
        ("Always", false, vec![], true, (Applied, NoDiffFound), "ours"),
        ("Always", false, vec![], false, (Applied, FoundDiff), "ours"),
        (
            "Always",
            false,
            vec![foreign()],
            true,
            (FailedToTakeOver, FailedToTakeOver),
            "foreign",
        ),
        (
            "IfNoDiff",
            false,
            vec![foreign()],
            true,
            (FailedToTakeOver, FailedToTakeOver),
            "foreign",
        ),
        (
            "Always",
            true,
            vec![foreign()],
            false,
            (Applied, FoundDiff),
            "foreign ours",
        ),
        (
            "Always",
            true,
            vec![other_work()],
            true,
            (FailedToTakeOver, FailedToTakeOver),
            "theirs",
        ),
        (
            "IfNoDiff",
            true,
            vec![other_work()],
            true,
            (FailedToTakeOver, FailedToTakeOver),
            "theirs",
        ),
        ("Always", false, vec![vanished()], false, (Applied, FoundDiff), "ours"),
        (
            "IfNoDiff",
            false,
            vec![vanished()],
            true,
            (Applied, NoDiffFound),
            "ours",
        ),
        (
            "IfNoDiff",
            false,
            vec![vanished()],
            false,
            (FailedToTakeOver, FailedToTakeOver),
            "gone",
        ),
        ("IfNoDiff", false, vec![], true, (Applied, NoDiffFound), "ours"),
        (
            "IfNoDiff",
            false,
            vec![],
            false,
            (FailedToTakeOver, FailedToTakeOver),
            "",
        ),
        (
            "IfNoDiff",
            true,
            vec![foreign()],
            true,
            (Applied, NoDiffFound),
            "foreign ours",
        ),
        (
            "IfNoDiff",
            true,
            vec![foreign()],
            false,
            (FailedToTakeOver, FailedToTakeOver),
            "foreign",
        ),
        (
            "Never",
            true,
            vec![foreign()],
            false,
            (NotTakenOver, FoundDiff),
            "foreign",
        ),
        ("Never", false, vec![], true, (NotTakenOver, NoDiffFound), ""),
    ];
    for (take_over, co, owners, same, (applied, reported), after) in rows {
        for (kind, wanted) in [
            ("ClientSideApply", applied),
            ("ServerSideApply", applied),
            ("ReportDiff", reported),
        ] {
            let label = format!("{take_over} {co} {owners:?} {same} {kind}");
            let mut member = Member::with(live(if same { "1" } else { "2" }, &owners));
            member.works = vec![("other", WorkClaim::Keeps)];
            let terms = terms(json!({"type": kind, "whenToTakeOver": take_over, "allowCoOwnership": co}));
            let outcome = member.run(&terms, &manifest("1"), false);
            assert_eq!(outcome.result, wanted, "{label}: {}", outcome.error);
            assert_eq!(member.owners().join(" "), after, "{label}");
            let shows_diff = wanted == FoundDiff || (take_over == "IfNoDiff" && !same && wanted == FailedToTakeOver);
            assert_eq!(!outcome.diffs.is_empty(), shows_diff, "{label}: {:?}", outcome.diffs);
        }
    }
}

#[test]
fn references_of_vanished_works_are_dropped_in_a_takeover() {
    let mut member = Member::with(live("1", &[other_work()]));
    let outcome = member.run(&terms(json!({})), &manifest("1"), false);
    assert_eq!(
        (outcome.result, member.owners().join(" ")),
        (Applied, "ours".to_owned())
    );
    assert_eq!(member.requests, ["read", "works", "replace", "patch"]);
}

#[test]
fn a_work_of_the_same_placement_hands_over_whatever_the_takeover_policy_says() {
    for take_over in ["Always", "IfNoDiff", "Never"] {
        for owners in [
            vec![other_work()],
            vec![other_work(), terms(json!({})).owner.reference()],
        ] {
            for (claim, wanted) in [(WorkClaim::Yields, "ours"), (WorkClaim::Keeps, "theirs")] {
                let mut member = Member::with(live("2", &owners));
                member.works = vec![("other", claim)];
                let outcome = member.run(&terms(json!({"whenToTakeOver": take_over})), &manifest("1"), false);
                let label = format!("{take_over} {owners:?} {claim:?}: {}", outcome.error);
                assert_eq!(outcome.result == Applied, claim == WorkClaim::Yields, "{label}");
                assert!(member.owners().join(" ").starts_with(wanted), "{label}");
            }
        }
    }
}

#[test]
fn a_missing_namespace_is_told_apart() {
    for kind in [FailureKind::NamespaceNotFound, FailureKind::NotFound] {
        for (apply, request) in [("ClientSideApply", "create"), ("ServerSideApply", "apply")] {
            let mut member = Member {
                refuse: Some((request, kind, "namespaces \"n\" not found")),
                ..Member::default()
            };
            let outcome = member.run(&terms(json!({"type": apply})), &manifest("1"), true);
            assert_eq!(outcome.result, ManifestApplyFailed);
            assert_eq!(
                outcome.lacks_namespace,
                kind == FailureKind::NamespaceNotFound,
                "{apply}"
            );
        }
    }
}

#[test]
fn a_takeover_that_meets_another_write_is_tried_again_a_few_times() {
    let mut member = Member::with(live("1", &[]));
    member.refuse = Some(("replace", FailureKind::Conflict, "the object has been modified"));
    let outcome = member.run(&terms(json!({})), &manifest("1"), false);
    assert_eq!(outcome.result, FailedToTakeOver);
    assert!(
        outcome.error.ends_with("the object has been modified"),
        "{}",
        outcome.error
    );
    assert_eq!(member.requests, ["read", "replace"].repeat(4));
}

#[test]
fn unseen_objects_are_created_with_one_request() {
    let mut member = Member::default();
    let outcome = member.run(&terms(json!({})), &manifest("1"), true);
    assert_eq!(
        (outcome.result, outcome.availability),
        (Applied, Availability::Available)
    );
    assert_eq!(member.requests, ["create"]);
    let again = member.run(&terms(json!({})), &manifest("1"), false);
    assert_eq!(
        (again.result, &member.requests[1..]),
        (Applied, &["read"][..]),
        "nothing changed, nothing sent"
    );
}

#[test]
fn an_unseen_object_that_exists_goes_the_long_way() {
    let mut member = Member::with(live("2", &[]));
    let outcome = member.run(&terms(json!({"whenToTakeOver": "IfNoDiff"})), &manifest("1"), true);
    assert_eq!(outcome.result, FailedToTakeOver);
    assert_eq!(member.requests, ["create", "read", "dry-run"]);
    let mut refusing = Member {
        refuse: Some(("create", FailureKind::Invalid, "bad")),
        ..Member::default()
    };
    let outcome = refusing.run(&terms(json!({})), &manifest("1"), true);
    assert_eq!(
        (outcome.result, outcome.error.as_str()),
        (
            ManifestApplyFailed,
            "failed to apply the manifest: failed to create manifest object: error returned by the API server: bad"
        )
    );
    assert_eq!(refusing.requests, ["create", "read"]);
}

/// A member that holds what was applied before, with a foreign change.
fn drifted(terms: &Terms, path: &str) -> Member {
    let mut member = Member::default();
    member.run(terms, &manifest("1"), false);
    let live = member.live.as_mut().unwrap();
    live["metadata"]["resourceVersion"] = json!("9");
    live["data"][path] = json!("drift");
    member.requests.clear();
    member
}

#[test]
fn drifts_stop_or_are_overwritten_or_only_told() {
    let always = terms(json!({}));
    let mut member = drifted(&always, "k");
    assert_eq!(member.run(&always, &manifest("1"), false).result, Applied);
    assert_eq!(
        member.live.as_ref().unwrap()["data"]["k"],
        "1",
        "a managed field is overwritten"
    );

    let careful = terms(json!({"whenToApply": "IfNotDrifted"}));
    let mut member = drifted(&careful, "k");
    let outcome = member.run(&careful, &manifest("1"), false);
    assert_eq!(
        (outcome.result, outcome.drifts[0].path.as_str()),
        (FoundDrifts, "/data/k")
    );
    assert_eq!(member.requests, ["read", "dry-run"]);
    assert_eq!(
        member.run(&careful, &manifest("2"), false).result,
        Applied,
        "a new manifest overwrites drift"
    );

    let mut member = drifted(&careful, "unmanaged");
    assert_eq!(
        member.run(&careful, &manifest("1"), false).result,
        Applied,
        "unmanaged fields are nobody's business"
    );
    member.dry_run = Some(FailureKind::Invalid);
    let outcome = member.run(&careful, &manifest("1"), false);
    assert_eq!(outcome.result, FoundDriftsInDegradedMode);
    assert!(
        outcome.error.ends_with("by the member cluster API server)"),
        "{}",
        outcome.error
    );
    member.dry_run = Some(FailureKind::Other);
    assert_eq!(
        member.run(&careful, &manifest("1"), false).result,
        FailedToRunDriftDetection
    );

    let strict = terms(json!({"whenToApply": "IfNotDrifted", "comparisonOption": "FullComparison"}));
    let mut member = drifted(&strict, "unmanaged");
    assert_eq!(member.run(&strict, &manifest("1"), false).result, FoundDrifts);

    let telling = terms(json!({"comparisonOption": "FullComparison"}));
    let mut member = drifted(&telling, "unmanaged");
    let outcome = member.run(&telling, &manifest("1"), false);
    assert_eq!((outcome.result, outcome.drifts.len()), (Applied, 1));
}

#[test]
fn optimistic_lock_only_where_drift_matters() {
    let careful = terms(json!({"whenToApply": "IfNotDrifted"}));
    let mut member = drifted(&careful, "unmanaged");
    member.refuse = Some(("patch", FailureKind::Conflict, "changed"));
    let outcome = member.run(&careful, &manifest("2"), false);
    assert_eq!(outcome.result, ManifestApplyFailed);
    assert!(
        outcome
            .error
            .contains("failed to patch the manifest object: error returned by the API server: changed")
    );
}

#[test]
fn large_objects_fall_back_to_server_side_apply_and_come_back() {
    let terms = terms(json!({}));
    let mut member = Member::default();
    let large = manifest(&"x".repeat(prepare::ANNOTATION_BUDGET));
    assert_eq!(member.run(&terms, &large, true).result, Applied);
    assert_eq!(member.requests, ["read", "apply"]);
    let remembered =
        |member: &Member| annotation(member.live.as_ref().unwrap(), api::text::annotations::LAST_APPLIED).map(str::len);
    assert_eq!(remembered(&member), Some(0));
    assert_eq!(member.run(&terms, &manifest("1"), false).result, Applied);
    assert!(remembered(&member).is_some_and(|length| length > 100));
}

#[test]
fn server_side_conflicts() {
    let server_side = terms(json!({"type": "ServerSideApply"}));
    let managed = |manager: &str| {
        let mut object = live("1", &[server_side.owner.reference()]);
        object["metadata"]["managedFields"] =
            json!([{"manager": manager, "operation": "Update"}, {"manager": "work-api-agent"}]);
        object
    };
    let mut member = Member::with(managed("kubectl"));
    member.refuse = Some(("apply", FailureKind::Conflict, "conflict with \"kubectl\": .data"));
    let outcome = member.run(&server_side, &manifest("2"), false);
    assert_eq!(
        (outcome.result, member.requests.as_slice()),
        (ManifestApplyFailed, &["read", "apply"][..])
    );
    let mut member = Member::with(managed("kubectl"));
    member.refuse = Some((
        "apply",
        FailureKind::Conflict,
        "conflict with \"work-api-agent\" using v1: .data",
    ));
    assert_eq!(member.run(&server_side, &manifest("2"), false).result, Applied);
    assert_eq!(
        member.requests,
        ["read", "apply", "apply-force"],
        "an Update entry of our own is no obstacle"
    );
    let mut member = Member::with(managed("before-first-apply"));
    member.run(&server_side, &manifest("2"), false);
    assert_eq!(
        member.requests,
        ["read", "apply-force"],
        "nobody else manages the object"
    );
    let forced = terms(json!({"type": "ServerSideApply", "serverSideApplyConfig": {"force": true}}));
    let mut member = Member::with(managed("kubectl"));
    member.run(&forced, &manifest("2"), false);
    assert_eq!(member.requests, ["read", "apply-force"]);
}

#[test]
fn other_ends() {
    let run = |strategy: Value, member: &mut Member| member.run(&terms(strategy), &manifest("1"), false);
    let mut broken = Member {
        refuse: Some(("read", FailureKind::Other, "down")),
        ..Member::default()
    };
    let outcome = run(json!({}), &mut broken);
    assert_eq!(outcome.result, FailedToFindObject);
    assert!(
        outcome
            .error
            .ends_with("in the member cluster: error returned by the API server: down")
    );
    let absent = run(json!({"type": "ReportDiff"}), &mut Member::default());
    assert_eq!(
        (absent.result, absent.diffs[0].value_in_hub.as_str()),
        (FoundDiff, "(the whole object)")
    );
    assert_eq!(absent.live, None);
    let unknown = run(json!({"type": "Odd"}), &mut Member::default());
    assert!(
        unknown.error.contains("unexpected apply strategy Odd is found"),
        "{}",
        unknown.error
    );
    let option = run(
        json!({"type": "ReportDiff", "comparisonOption": "Odd"}),
        &mut Member::with(live("1", &[])),
    );
    assert_eq!(option.result, FailedToReportDiff);
    assert!(
        option.error.ends_with("an invalid comparison option is specified"),
        "{}",
        option.error
    );
    let mut shared = Member::with(live(
        "1",
        &[
            Owner {
                name: "w".into(),
                uid: "ours".into(),
            }
            .reference(),
            foreign(),
        ],
    ));
    let co_owned = run(json!({}), &mut shared);
    assert_eq!(co_owned.result, ManifestApplyFailed);
    assert!(
        co_owned
            .error
            .contains("failed to validate owner references: object is co-owned"),
        "{}",
        co_owned.error
    );
}

#[test]
fn what_servers_write_is_not_sent_to_be_compared() {
    for strategy in [
        json!({"type": "ReportDiff"}),
        json!({"whenToApply": "IfNotDrifted"}),
        json!({"whenToTakeOver": "IfNoDiff"}),
    ] {
        let terms = terms(strategy);
        let mut raw = manifest("1");
        raw["metadata"]["resourceVersion"] = json!("77");
        raw["metadata"]["managedFields"] = json!([{"manager": "m"}]);
        let mut object = live("1", &[]);
        if terms.strategy.only_if_not_drifted {
            object["metadata"]["ownerReferences"] = json!([terms.owner.reference()]);
            object["metadata"]["annotations"] = json!({(SPEC_HASH): manifest_hash(&raw)});
        }
        let resource = Resource {
            group: String::new(),
            version: "v1".into(),
            kind: "ConfigMap".into(),
            plural: "configmaps".into(),
            namespaced: true,
        };
        let mut pipeline = Pipeline::new(&terms, &raw, &resource, WriteHistory::default(), Timestamp::UNIX_EPOCH);
        let mut next = pipeline.start(false);
        let sent = loop {
            next = match next {
                Next::Send(Request::Read | Request::Replace(_)) => pipeline.answer(Answer::Object(object.clone())),
                Next::Send(Request::DryRun(body)) => break body,
                other => panic!("a comparison was due, not {other:?}"),
            };
        };
        assert_eq!(sent, manifest("1"));
    }
}
