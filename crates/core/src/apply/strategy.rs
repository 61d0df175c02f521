//! The apply strategy of a Work with its defaults (member-behaviour 4.4).

use serde_json::Value;

/// How changes reach the member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ApplyType {
    /// Three-way merge against the manifest that was applied last.
    ClientSide,
    /// The member's API server merges; `force` takes fields from other managers.
    ServerSide {
        /// Whether conflicts are overridden.
        force: bool,
    },
    /// Compare and report, apply nothing.
    ReportDiff,
    /// A word this agent does not know; every manifest fails with it.
    Unknown(String),
}

/// Which fields a comparison covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The fields that the manifest sets.
    Partial,
    /// All fields.
    Full,
    /// A word this agent does not know; comparisons fail with it.
    Unknown,
}

/// What to do with an object that exists and is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// Take it.
    Always,
    /// Take it when it already looks as wanted.
    IfNoDiff,
    /// Leave it.
    Never,
}

/// The strategy of one Work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategy {
    /// How changes reach the member.
    pub apply: ApplyType,
    /// Which fields a comparison covers.
    pub comparison: Comparison,
    /// Whether an object that drifted is left alone.
    pub only_if_not_drifted: bool,
    /// What to do with objects that are not ours.
    pub take_over: TakeOver,
    /// Whether objects may have other owners beside us.
    pub allow_co_ownership: bool,
}

impl Strategy {
    /// Reads `spec.applyStrategy`; what is absent has its default.
    pub fn decode(value: Option<&Value>) -> Self {
        let text = |path: &str| {
            value
                .and_then(|v| v.pointer(path))
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let flag = |path: &str| {
            value
                .and_then(|v| v.pointer(path))
                .and_then(Value::as_bool)
                .unwrap_or_default()
        };
        Self {
            apply: match text("/type") {
                "" | "ClientSideApply" => ApplyType::ClientSide,
                "ServerSideApply" => ApplyType::ServerSide {
                    force: flag("/serverSideApplyConfig/force"),
                },
                "ReportDiff" => ApplyType::ReportDiff,
                other => ApplyType::Unknown(other.to_owned()),
            },
            comparison: match text("/comparisonOption") {
                "" | "PartialComparison" => Comparison::Partial,
                "FullComparison" => Comparison::Full,
                _ => Comparison::Unknown,
            },
            only_if_not_drifted: text("/whenToApply") == "IfNotDrifted",
            take_over: match text("/whenToTakeOver") {
                "IfNoDiff" => TakeOver::IfNoDiff,
                "Never" => TakeOver::Never,
                _ => TakeOver::Always,
            },
            allow_co_ownership: flag("/allowCoOwnership"),
        }
    }

    /// Whether nothing is to be applied.
    pub fn only_reports(&self) -> bool {
        self.apply == ApplyType::ReportDiff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_and_words() {
        let defaults = Strategy::decode(None);
        assert_eq!(
            defaults,
            Strategy {
                apply: ApplyType::ClientSide,
                comparison: Comparison::Partial,
                only_if_not_drifted: false,
                take_over: TakeOver::Always,
                allow_co_ownership: false,
            }
        );
        assert_eq!(
            Strategy::decode(Some(&json!({"serverSideApplyConfig": {"force": true}}))),
            defaults
        );
        let all = json!({"type": "ServerSideApply", "serverSideApplyConfig": {"force": true}, "comparisonOption": "FullComparison",
            "whenToApply": "IfNotDrifted", "whenToTakeOver": "IfNoDiff", "allowCoOwnership": true});
        let all = Strategy::decode(Some(&all));
        assert_eq!(all.apply, ApplyType::ServerSide { force: true });
        assert_eq!((all.comparison, all.take_over), (Comparison::Full, TakeOver::IfNoDiff));
        assert!(all.only_if_not_drifted && all.allow_co_ownership);
        assert!(Strategy::decode(Some(&json!({"type": "ReportDiff"}))).only_reports());
        assert_eq!(
            Strategy::decode(Some(&json!({"type": "Odd"}))).apply,
            ApplyType::Unknown("Odd".into())
        );
    }
}
