//! The way of one manifest: read, take over, compare, apply, compare again (member-behaviour 4.9).
//!
//! A [`Pipeline`] is a state machine: the shell does what [`Next::Send`] says and hands in the answer, until it is done.
//! An object that was never seen before is created at once; only when that fails is it read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::availability::availability;
use super::comparable::manifest_hash;
use super::details::{differences, missing_object};
use super::history::{Permit, WriteHistory};
use super::identity::{NOT_FOUND_BECAUSE, Resource};
use super::outcome::{Live, ManifestResult, ResultType};
use super::owners::WorkClaim;
use super::owners::{self, Claim, Owner};
use super::ownership;
use super::patch::{self, Change};
use super::prepare::{self, annotation, prepare, sanitize};
use super::request::{Answer, Failure, FailureKind, Next, PatchFormat, Request};
use super::strategy::{ApplyType, Comparison, Strategy, TakeOver};
use api::placement::v1beta1::PatchDetail;
use api::text::annotations::SPEC_HASH;

/// What the manifests of one Work have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The AppliedWork that owns what is placed.
    pub owner: Owner,
    /// The Work's strategy.
    pub strategy: Strategy,
    /// Whether the status of objects is reported back.
    pub mirror: bool,
}

/// Where a pipeline waits for an answer.
#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Begin,
    CreatingUnseen,
    Reading,
    FindingWorks,
    ComparingForTakeOver(Vec<Value>),
    TakingOver,
    Reporting,
    ComparingBeforeApply,
    Creating,
    Patching { body: Value, carries_over: bool },
    CarryingOver { body: Value, force: bool },
    Applying { body: Value, force: bool },
}

/// How often an object is read again because somebody wrote while our fields were carried over.
const MOST_READS: u32 = 4;

/// The state machine of one manifest.
#[derive(Debug)]
pub struct Pipeline<'a> {
    terms: &'a Terms,
    manifest: &'a Value,
    resource: &'a Resource,
    hash: String,
    stage: Stage,
    live: Option<Value>,
    /// Why creating an unseen object failed.
    not_created: Option<Failure>,
    /// How often taking the object over met a write of somebody else.
    take_over_conflicts: u32,
    history: WriteHistory,
    now: Timestamp,
    reads: u32,
}

/// Takeovers that are tried again after a write of somebody else came in between.
const TAKE_OVER_CONFLICTS: u32 = 3;

/// A comparison's end: what differs, and whether it had to be a full one.
struct Compared {
    details: Vec<PatchDetail>,
    degraded: bool,
}

const DEGRADED: &str = " in degraded mode (full comparison is performed instead of partial comparison, as the manifest \
     object is considered to be invalid by the member cluster API server)";

impl<'a> Pipeline<'a> {
    /// A pipeline for a manifest whose kind the member serves. `history` is what the last pass knew of our writes.
    pub fn new(
        terms: &'a Terms,
        manifest: &'a Value,
        resource: &'a Resource,
        mut history: WriteHistory,
        now: Timestamp,
    ) -> Self {
        let hash = manifest_hash(manifest);
        history.concerns(&(&hash, &terms.strategy.apply));
        Self {
            terms,
            manifest,
            resource,
            hash,
            stage: Stage::Begin,
            live: None,
            not_created: None,
            take_over_conflicts: 0,
            history,
            now,
            reads: 0,
        }
    }

    /// The first step. `unseen` says that the object most likely does not exist yet.
    pub fn start(&mut self, unseen: bool) -> Next {
        if unseen && self.terms.strategy.apply == ApplyType::ClientSide {
            let prepared = prepare(self.manifest, &self.hash, &self.terms.owner, true);
            let allowed = self.terms.strategy.allow_co_ownership;
            let valid = owners::validate(self.manifest, None, &self.terms.owner, allowed).is_ok();
            if valid && !prepared.too_large_to_remember {
                return self.send(Stage::CreatingUnseen, Request::Create(prepared.body));
            }
        }
        self.read()
    }

    /// The step after an answer.
    pub fn answer(&mut self, answer: Answer) -> Next {
        let stage = std::mem::replace(&mut self.stage, Stage::Begin);
        match (stage, answer) {
            (Stage::CreatingUnseen | Stage::Creating, Answer::Object(live)) => self.applied(live),
            (Stage::Patching { body, .. } | Stage::Applying { body, .. }, Answer::Object(live)) => {
                self.history.wrote(&body, self.live.as_ref(), &live, self.now);
                self.applied(live)
            }
            (Stage::CreatingUnseen, Answer::Failed(failure)) => {
                self.not_created = (failure.kind != FailureKind::AlreadyExists).then_some(failure);
                self.read()
            }
            (Stage::Reading, Answer::Object(live)) => self.found(live),
            (Stage::Reading, Answer::Failed(failure)) if failure.kind == FailureKind::NotFound => self.absent(),
            (Stage::Reading, Answer::Failed(failure)) => self.fail(
                ResultType::FailedToFindObject,
                format!("{NOT_FOUND_BECAUSE}: {}", by_server(&failure)),
            ),
            (Stage::FindingWorks, Answer::Works(claims)) => self.claim(&claims),
            (Stage::FindingWorks, Answer::Failed(failure)) => self.not_taken_over(&format!(
                "failed to remove left-behind AppliedWork owner references: {}",
                failure.message
            )),
            (Stage::ComparingForTakeOver(references), answer) => match self.compared(answer) {
                Ok(compared) => self.take_over_if_same(references, compared),
                Err(why) => self.not_taken_over(&diff_failure(&why)),
            },
            (Stage::TakingOver, Answer::Object(live)) => {
                self.live = Some(live);
                self.taken_over()
            }
            (Stage::TakingOver, Answer::Failed(failure))
                if failure.kind == FailureKind::Conflict && self.take_over_conflicts < TAKE_OVER_CONFLICTS =>
            {
                self.take_over_conflicts += 1;
                self.send(Stage::Reading, Request::Read)
            }
            (Stage::TakingOver, Answer::Failed(failure)) => {
                self.not_taken_over(&format!("failed to take over the object: {}", by_server(&failure)))
            }
            (Stage::Reporting, answer) => {
                let compared = self.compared(answer);
                self.report(compared)
            }
            (Stage::ComparingBeforeApply, answer) => {
                let compared = self.compared(answer);
                self.apply_unless_drifted(compared)
            }
            (Stage::Creating, Answer::Failed(failure)) => self.not_created(&failure),
            (Stage::Patching { carries_over, .. }, Answer::Failed(failure)) => {
                let may_try_again = carries_over && !self.terms.strategy.only_if_not_drifted;
                if may_try_again && failure.kind == FailureKind::Conflict && self.reads < MOST_READS {
                    return self.read();
                }
                self.not_applied(&format!("failed to patch the manifest object: {}", by_server(&failure)))
            }
            (Stage::CarryingOver { body, force }, Answer::Object(live)) => {
                self.live = Some(live);
                self.apply_body(body, force)
            }
            (Stage::CarryingOver { .. }, Answer::Failed(failure))
                if failure.kind == FailureKind::Conflict && self.reads < MOST_READS =>
            {
                self.read()
            }
            (Stage::CarryingOver { .. }, Answer::Failed(failure)) => self.not_applied(&format!(
                "failed to carry over the fields that were applied before: {}",
                by_server(&failure)
            )),
            (Stage::Applying { body, force }, Answer::Failed(failure)) => self.apply_refused(body, force, &failure),
            (stage, answer) => self.fail(
                ResultType::ManifestApplyFailed,
                format!("the answer {answer:?} does not belong to the step {stage:?}"),
            ),
        }
    }

    fn found(&mut self, live: Value) -> Next {
        let others = owners::other_works(&live, &self.terms.owner);
        self.live = Some(live);
        if others.is_empty() {
            self.claim(&BTreeMap::new())
        } else {
            self.send(Stage::FindingWorks, Request::Works(others))
        }
    }

    fn absent(&mut self) -> Next {
        if self.terms.strategy.only_reports() {
            let mut outcome = ManifestResult::new(ResultType::FoundDiff, "");
            outcome.diffs = vec![missing_object()];
            return Next::Done(outcome);
        }
        if let Some(failure) = self.not_created.take() {
            return self.not_created(&failure);
        }
        self.apply()
    }

    fn claim(&mut self, works: &BTreeMap<String, WorkClaim>) -> Next {
        let Some(live) = &self.live else { return self.absent() };
        let strategy = &self.terms.strategy;
        if let Some(references) = owners::handed_over(live, &self.terms.owner, works) {
            return self.take(references);
        }
        if self.terms.owner.owns(live) || strategy.take_over == TakeOver::Never {
            return self.taken_over();
        }
        match owners::claim(live, &self.terms.owner, strategy.allow_co_ownership, |name| {
            works.contains_key(name)
        }) {
            Claim::Taken(why) => self.not_taken_over(why),
            Claim::Free(references) if strategy.take_over == TakeOver::IfNoDiff => match strategy.comparison {
                Comparison::Partial => self.send(
                    Stage::ComparingForTakeOver(references),
                    Request::DryRun(sanitize(self.manifest)),
                ),
                _ => match self.compared_in_full() {
                    Ok(compared) => self.take_over_if_same(references, compared),
                    Err(why) => self.not_taken_over(&diff_failure(&why)),
                },
            },
            Claim::Free(references) => self.take(references),
        }
    }

    fn take_over_if_same(&mut self, references: Vec<Value>, compared: Compared) -> Next {
        if compared.details.is_empty() {
            return self.take(references);
        }
        let degraded = if compared.degraded { DEGRADED } else { "" };
        let mut outcome = self.outcome(
            ResultType::FailedToTakeOver,
            format!(
                "cannot take over object: configuration differences are found between the manifest object and the \
                 corresponding object in the member cluster{degraded}"
            ),
        );
        outcome.diffs = compared.details;
        Next::Done(outcome)
    }

    fn take(&mut self, references: Vec<Value>) -> Next {
        let Some(live) = &self.live else { return self.absent() };
        let ours = owners::with_references(live, references);
        self.send(Stage::TakingOver, Request::Replace(ours))
    }

    /// The live object is ours, or must stay somebody else's.
    fn taken_over(&mut self) -> Next {
        let Some(live) = &self.live else { return self.absent() };
        let strategy = &self.terms.strategy;
        if strategy.only_reports() {
            return if strategy.comparison == Comparison::Partial {
                self.send(Stage::Reporting, Request::DryRun(sanitize(self.manifest)))
            } else {
                let compared = self.compared_in_full();
                self.report(compared)
            };
        }
        if !self.terms.owner.owns(live) {
            return self.fail(
                ResultType::NotTakenOver,
                "no ownership of the object in the member cluster; takeover is needed".to_owned(),
            );
        }
        if strategy.only_if_not_drifted && annotation(live, SPEC_HASH) == Some(self.hash.as_str()) {
            return if strategy.comparison == Comparison::Partial {
                self.send(Stage::ComparingBeforeApply, Request::DryRun(sanitize(self.manifest)))
            } else {
                let compared = self.compared_in_full();
                self.apply_unless_drifted(compared)
            };
        }
        self.apply()
    }

    fn report(&mut self, compared: Result<Compared, String>) -> Next {
        let compared = match compared {
            Ok(compared) => compared,
            Err(why) => return self.fail(ResultType::FailedToReportDiff, diff_failure(&why)),
        };
        let result = match (compared.details.is_empty(), compared.degraded) {
            (true, _) => ResultType::NoDiffFound,
            (false, false) => ResultType::FoundDiff,
            (false, true) => ResultType::FoundDiffInDegradedMode,
        };
        let mut outcome = self.outcome(result, String::new());
        outcome.diffs = compared.details;
        Next::Done(outcome)
    }

    fn apply_unless_drifted(&mut self, compared: Result<Compared, String>) -> Next {
        let compared = match compared {
            Ok(compared) => compared,
            Err(why) => {
                return self.fail(
                    ResultType::FailedToRunDriftDetection,
                    format!(
                        "failed to calculate pre-apply drifts between the manifest and the object from the member \
                         cluster: {why}"
                    ),
                );
            }
        };
        if compared.details.is_empty() {
            return self.apply();
        }
        let (result, degraded) = if compared.degraded {
            (ResultType::FoundDriftsInDegradedMode, DEGRADED)
        } else {
            (ResultType::FoundDrifts, "")
        };
        let mut outcome = self.outcome(
            result,
            format!(
                "cannot apply manifest: drifts are found between the manifest and the object from the member \
                 cluster{degraded}"
            ),
        );
        outcome.drifts = compared.details;
        Next::Done(outcome)
    }

    fn apply(&mut self) -> Next {
        let Terms { owner, strategy, .. } = self.terms;
        let live = self.live.as_ref();
        if let Err(why) = owners::validate(self.manifest, live, owner, strategy.allow_co_ownership) {
            return self.not_applied(&format!("failed to validate owner references: {why}"));
        }
        let (client_side, force) = match &strategy.apply {
            ApplyType::ClientSide => (true, false),
            ApplyType::ServerSide { force } => (false, *force),
            ApplyType::ReportDiff => return self.not_applied("unexpected apply strategy ReportDiff is found"),
            ApplyType::Unknown(word) => {
                return self.not_applied(&format!("unexpected apply strategy {word} is found"));
            }
        };
        let prepared = prepare(self.manifest, &self.hash, owner, client_side);
        if !client_side || prepared.too_large_to_remember {
            return self.apply_on_server(prepared.body, force);
        }
        let Some(live) = live else {
            return self.send(Stage::Creating, Request::Create(prepared.body));
        };
        let body = if strategy.allow_co_ownership && !patch::merges_lists(&prepared.body) {
            prepare::keep_foreign_owners(&prepared.body, live, owner)
        } else {
            prepared.body
        };
        match patch::client_side(&body, live, strategy.only_if_not_drifted) {
            Ok(Change::Nothing) => self.applied_already(),
            Ok(Change::Patch {
                format,
                body: patch,
                carries_over,
            }) => {
                let request = Request::Patch { format, body: patch };
                self.write(
                    Stage::Patching {
                        body: body.clone(),
                        carries_over,
                    },
                    request,
                    &body,
                )
            }
            Err(why) => self.not_applied(&format!("failed to patch the manifest object: {why}")),
        }
    }

    fn apply_on_server(&mut self, body: Value, force: bool) -> Next {
        let patch = self
            .live
            .as_ref()
            .and_then(|live| ownership::before_server_side(&body, live));
        match patch {
            Some(patch) => {
                let request = Request::Patch {
                    format: PatchFormat::Merge,
                    body: patch,
                };
                self.send(Stage::CarryingOver { body, force }, request)
            }
            None => self.apply_body(body, force),
        }
    }

    fn apply_body(&mut self, body: Value, force: bool) -> Next {
        let stage = |force| Stage::Applying {
            body: body.clone(),
            force,
        };
        let Some(live) = &self.live else {
            return self.send(
                stage(force),
                Request::Apply {
                    body: body.clone(),
                    force,
                },
            );
        };
        if prepare::is_applied_already(&body, live) {
            return self.applied_already();
        }
        let mut sent = body.clone();
        patch::pin(&mut sent, live);
        if self.terms.strategy.only_if_not_drifted {
            patch::guard(&mut sent, live);
        }
        let force = force || prepare::only_we_manage(live);
        self.write(stage(force), Request::Apply { body: sent, force }, &body)
    }

    /// Sends a write of `body` over the live object, unless the writes before it say that it had better wait or never will do.
    fn write(&mut self, stage: Stage, request: Request, body: &Value) -> Next {
        let Some(live) = &self.live else {
            return self.send(stage, request);
        };
        match self.history.permit(body, live, self.now) {
            Permit::Write => self.send(stage, request),
            Permit::Refuse(why) => self.not_applied(&why),
            Permit::Wait(rest) => {
                let live = live.clone();
                let Next::Done(mut outcome) = self.applied(live) else {
                    return self.absent();
                };
                outcome.look_again = Some(rest);
                Next::Done(outcome)
            }
        }
    }

    /// A refusal that names only ourselves comes from fields that we wrote without apply: force is right then.
    fn apply_refused(&mut self, mut body: Value, force: bool, failure: &Failure) -> Next {
        let ours = failure.kind == FailureKind::Conflict && patch::conflicts_only_with_us(&failure.message);
        if force || !ours {
            let why = format!(
                "failed to apply the manifest object: an error is returned by the API server: {}",
                failure.message
            );
            return self.refused(&why, failure);
        }
        let stage = Stage::Applying {
            body: body.clone(),
            force: true,
        };
        if let Some(live) = &self.live {
            patch::pin(&mut body, live);
            if self.terms.strategy.only_if_not_drifted {
                patch::guard(&mut body, live);
            }
        }
        self.send(stage, Request::Apply { body, force: true })
    }

    fn applied_already(&mut self) -> Next {
        self.history.at_rest(self.now);
        match self.live.take() {
            Some(live) => self.applied(live),
            None => self.absent(),
        }
    }

    fn read(&mut self) -> Next {
        self.reads += 1;
        self.send(Stage::Reading, Request::Read)
    }

    fn applied(&mut self, live: Value) -> Next {
        let drifts = if self.terms.strategy.comparison == Comparison::Full {
            differences(self.manifest, &live)
        } else {
            Vec::new()
        };
        let Resource {
            group, version, plural, ..
        } = self.resource;
        let availability = availability(group, version, plural, &live);
        self.live = Some(live);
        let mut outcome = self.outcome(ResultType::Applied, String::new());
        outcome.drifts = drifts;
        outcome.availability = availability;
        Next::Done(outcome)
    }

    /// Reads the end of a partial comparison; an object that the server finds invalid is compared in full.
    fn compared(&self, answer: Answer) -> Result<Compared, String> {
        let live = self.live.as_ref().unwrap_or(&Value::Null);
        match answer {
            Answer::Object(wanted) => Ok(Compared {
                details: differences(&wanted, live),
                degraded: false,
            }),
            Answer::Failed(failure) if failure.kind == FailureKind::Invalid => Ok(Compared {
                details: differences(self.manifest, live),
                degraded: true,
            }),
            Answer::Failed(failure) => Err(format!(
                "failed to apply the manifest in dry-run mode: failed to apply the manifest object: an error is \
                 returned by the API server: {}",
                failure.message
            )),
            Answer::Works(_) => Err("the dry run was answered with names of Works".to_owned()),
        }
    }

    fn compared_in_full(&self) -> Result<Compared, String> {
        if self.terms.strategy.comparison != Comparison::Full {
            return Err("an invalid comparison option is specified".to_owned());
        }
        let live = self.live.as_ref().unwrap_or(&Value::Null);
        Ok(Compared {
            details: differences(self.manifest, live),
            degraded: false,
        })
    }

    fn send(&mut self, stage: Stage, request: Request) -> Next {
        self.stage = stage;
        Next::Send(request)
    }

    fn not_created(&self, failure: &Failure) -> Next {
        let why = format!("failed to create manifest object: {}", by_server(failure));
        self.refused(&why, failure)
    }

    /// The server's refusal of a write that could have created the object.
    fn refused(&self, why: &str, failure: &Failure) -> Next {
        let mut outcome = self.outcome(
            ResultType::ManifestApplyFailed,
            format!("failed to apply the manifest: {why}"),
        );
        outcome.lacks_namespace = failure.kind == FailureKind::NamespaceNotFound;
        Next::Done(outcome)
    }

    fn not_applied(&self, why: &str) -> Next {
        self.fail(
            ResultType::ManifestApplyFailed,
            format!("failed to apply the manifest: {why}"),
        )
    }

    fn not_taken_over(&self, why: &str) -> Next {
        self.fail(
            ResultType::FailedToTakeOver,
            format!("failed to take over a pre-existing object: {why}"),
        )
    }

    fn fail(&self, result: ResultType, error: String) -> Next {
        Next::Done(self.outcome(result, error))
    }

    fn outcome(&self, result: ResultType, error: String) -> ManifestResult {
        let mut outcome = ManifestResult::new(result, error);
        outcome.live = self
            .live
            .as_ref()
            .map(|live| Live::of(live, &self.terms.owner, self.terms.mirror));
        outcome.look_again = self.history.look_again(self.now);
        outcome.history = Box::new(self.history.clone());
        outcome
    }
}

fn by_server(failure: &Failure) -> String {
    format!("error returned by the API server: {}", failure.message)
}

fn diff_failure(why: &str) -> String {
    format!(
        "failed to calculate configuration diffs between the manifest object and the object from the member cluster: {why}"
    )
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod values_tests;
