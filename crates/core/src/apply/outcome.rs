//! What became of one manifest in one pass.

use std::time::Duration;

use api::placement::v1beta1::PatchDetail;
use api::text::reasons::manifest as reasons;
use serde_json::Value;

use super::availability::Availability;
use super::history::WriteHistory;
use super::owners::Owner;
use super::print::Print;
use crate::meta;

/// How the processing of a manifest ended (member-behaviour 4.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResultType {
    /// The object is as the manifest wants it.
    Applied,
    /// Applied, but the check for drifts afterwards failed.
    AppliedWithFailedDriftDetection,
    /// The manifest cannot be decoded, or its kind is not served.
    DecodingErred,
    /// The manifest has no name.
    FoundGenerateName,
    /// An earlier manifest means the same object.
    Duplicated,
    /// Reading the live object failed.
    FailedToFindObject,
    /// An existing object could not be taken over.
    FailedToTakeOver,
    /// An existing object must not be taken over.
    NotTakenOver,
    /// Looking for drifts before applying failed.
    FailedToRunDriftDetection,
    /// The object drifted and must not be touched then.
    FoundDrifts,
    /// As before, found by a full comparison because the member refuses the manifest.
    FoundDriftsInDegradedMode,
    /// The member refused the change.
    ManifestApplyFailed,
    /// Compared: no difference.
    NoDiffFound,
    /// Compared: differences.
    FoundDiff,
    /// Compared in full, because the member refuses the manifest: differences.
    FoundDiffInDegradedMode,
    /// Comparing failed.
    FailedToReportDiff,
}

impl ResultType {
    /// The reason of the manifest condition.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Applied => reasons::APPLIED,
            Self::AppliedWithFailedDriftDetection => reasons::APPLIED_WITH_FAILED_DRIFT_DETECTION,
            Self::DecodingErred => reasons::DECODING_ERRED,
            Self::FoundGenerateName => reasons::FOUND_GENERATE_NAME,
            Self::Duplicated => reasons::DUPLICATED,
            Self::FailedToFindObject => reasons::FAILED_TO_FIND_OBJ_IN_MEMBER_CLUSTER,
            Self::FailedToTakeOver => reasons::FAILED_TO_TAKE_OVER,
            Self::NotTakenOver => reasons::NOT_TAKEN_OVER,
            Self::FailedToRunDriftDetection => reasons::FAILED_TO_RUN_DRIFT_DETECTION,
            Self::FoundDrifts => reasons::FOUND_DRIFTS,
            Self::FoundDriftsInDegradedMode => reasons::FOUND_DRIFTS_IN_DEGRADED_MODE,
            Self::ManifestApplyFailed => reasons::MANIFEST_APPLY_FAILED,
            Self::NoDiffFound => reasons::NO_DIFF_FOUND,
            Self::FoundDiff => reasons::FOUND_DIFF,
            Self::FoundDiffInDegradedMode => reasons::FOUND_DIFF_IN_DEGRADED_MODE,
            Self::FailedToReportDiff => reasons::FAILED_TO_REPORT_DIFF,
        }
    }

    /// Whether the object now is as the manifest wants it.
    pub fn is_applied(self) -> bool {
        matches!(self, Self::Applied | Self::AppliedWithFailedDriftDetection)
    }

    /// Whether the result only exists where differences are reported and nothing is applied.
    pub fn is_diff_report(self) -> bool {
        matches!(
            self,
            Self::NoDiffFound | Self::FoundDiff | Self::FoundDiffInDegradedMode | Self::FailedToReportDiff
        )
    }
}

/// What later steps need of the object on the member.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Live {
    /// Identity of this incarnation.
    pub uid: String,
    /// Generation, 0 for kinds without one.
    pub generation: i64,
    /// Version of the whole object.
    pub resource_version: String,
    /// Whether our AppliedWork is among its owners.
    pub owned: bool,
    /// Fingerprint, to distinguish changes of status from changes of content.
    pub print: Print,
    /// The part of its status that is reported back, when the Work requests it.
    pub status: Option<Value>,
}

/// The end of one manifest's pass.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestResult {
    /// How it ended.
    pub result: ResultType,
    /// The reason in words, for all but the good ends.
    pub error: String,
    /// Drifts found, at most [`super::details::MAX_DETAILS`].
    pub drifts: Vec<PatchDetail>,
    /// Differences found, at most as many.
    pub diffs: Vec<PatchDetail>,
    /// The object, when it exists.
    pub live: Option<Live>,
    /// Whether it does its job.
    pub availability: Availability,
    /// Our writes to the object so far, for the next pass.
    pub history: Box<WriteHistory>,
    /// When another pass is due because of that history.
    pub look_again: Option<Duration>,
    /// Whether the object could not be created because its namespace does not exist.
    pub lacks_namespace: bool,
}

impl ManifestResult {
    /// An end without object and findings.
    pub fn new(result: ResultType, error: impl Into<String>) -> Self {
        Self {
            result,
            error: error.into(),
            drifts: Vec::new(),
            diffs: Vec::new(),
            live: None,
            availability: Availability::Skipped,
            history: Box::default(),
            look_again: None,
            lacks_namespace: false,
        }
    }
}

impl Live {
    /// What later steps need of an object; its status only where it is reported back.
    pub fn of(object: &Value, owner: &Owner, mirror: bool) -> Self {
        let text = |path: &str| meta::text(object, path).to_owned();
        Self {
            uid: text("/metadata/uid"),
            generation: object
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            resource_version: text("/metadata/resourceVersion"),
            owned: owner.owns(object),
            print: Print::of(object),
            status: object.get("status").filter(|_| mirror).cloned(),
        }
    }
}
