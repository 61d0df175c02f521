//! Fills in why clusters were refused or how they scored. Nothing here decides: it runs on request only.

use std::collections::BTreeSet;

use api::placement::v1beta1::ClusterSelectorTerm;
use api::selector::{self, LabelSelector, LabelSelectorRequirement};
use api::text::conditions::member;
use api::{ConditionStatus, condition};
use jiff::Timestamp;

use super::affinity;
use super::eligible::{MAX_AGE, eligible, member_agent};
use super::filter::{Filtered, Fleet, Scored};
use super::taints;
use super::topology::Spread;
use super::trace::{ClusterTrace, Comparison, Filter, FilterResult, Trace};
use super::{Input, terms::Terms};
use crate::objects::Member;
use crate::trace::{Bounded, Recorder};

/// Records the members that a batch picked, with the state on which it was picked.
pub(super) fn picked(fleet: &Fleet<'_>, picked: &[Scored], held: &BTreeSet<String>, trace: &mut Recorder<'_, Trace>) {
    trace.record(|trace| scores(fleet, picked, held, true, trace));
}

/// Records the members that were not picked: those that scored too low and those that a filter refused.
pub(super) fn left(
    input: &Input<'_>,
    fleet: &Fleet<'_>,
    (lower, filtered): (&[Scored], &[Filtered]),
    held: &BTreeSet<String>,
    trace: &mut Recorder<'_, Trace>,
) {
    trace.record(|trace| {
        scores(fleet, lower, held, false, trace);
        let spread = fleet.spread(held);
        for refused in filtered {
            let member = input.members.iter().find(|member| member.name() == refused.cluster);
            trace.clusters.push(ClusterTrace {
                cluster: refused.cluster.clone(),
                result: FilterResult::Refused {
                    filter: refused.filter,
                    reason: refused.reason.clone(),
                    compared: member
                        .map(|member| compared(input, refused.filter, member, &spread))
                        .unwrap_or_default(),
                },
            });
        }
    });
}

/// The refusal of a cluster that PickFixed names.
pub(super) fn refused_by_name(input: &Input<'_>, cluster: &str, reason: &str, member: Option<&Member>) -> ClusterTrace {
    let (filter, compared) = match member {
        Some(member) => (Filter::Eligibility, eligibility(member, input.now)),
        None => (Filter::Existence, Bounded::default()),
    };
    ClusterTrace {
        cluster: cluster.to_owned(),
        result: FilterResult::Refused {
            filter,
            reason: reason.to_owned(),
            compared,
        },
    }
}

/// A cluster that is taken without scores.
pub(super) fn taken_by_name(cluster: &str) -> ClusterTrace {
    ClusterTrace {
        cluster: cluster.to_owned(),
        result: FilterResult::Passed {
            affinity_score: 0,
            affinity: Bounded::default(),
            topology_score: 0,
            topology: Bounded::default(),
            obsolete: false,
            picked: true,
        },
    }
}

fn scores(fleet: &Fleet<'_>, scored: &[Scored], held: &BTreeSet<String>, picked: bool, trace: &mut Trace) {
    let spread = fleet.spread(held);
    for scored in scored {
        let member = fleet.member(&scored.cluster);
        let affinity = member.and_then(|member| Some(fleet.preferences()?.contributions(member).collect()));
        trace.clusters.push(ClusterTrace {
            cluster: scored.cluster.clone(),
            result: FilterResult::Passed {
                affinity_score: scored.affinity,
                affinity: affinity.unwrap_or_default(),
                topology_score: scored.topology,
                topology: member.map(|member| spread.parts(member)).unwrap_or_default(),
                obsolete: scored.obsolete > 0,
                picked,
            },
        });
    }
}

fn compared(input: &Input<'_>, filter: Filter, member: &Member, spread: &Spread<'_>) -> Bounded<Comparison> {
    match filter {
        Filter::ClusterAffinity => affinity(Terms::of(input.policy).required, member),
        Filter::Eligibility => eligibility(member, input.now),
        Filter::NamespaceAffinity => namespace(input, member),
        Filter::Taints => {
            let tolerations = input.policy.map_or(&[][..], |policy| &policy.tolerations);
            let compare = |taint: &api::cluster::v1beta1::Taint| Comparison {
                subject: format!("taint {}", taint.key),
                wanted: "no taint, or a toleration in the policy".to_owned(),
                found: Some(format!("{}={}:{}", taint.key, taint.value, taint.effect)),
                holds: taints::is_tolerated(taint, tolerations),
            };
            member.taints.iter().map(compare).collect()
        }
        Filter::TopologySpread => {
            let compare = |part: super::trace::SpreadScore| Comparison {
                subject: format!(
                    "skew over the domains of label {} with one more in {:?}",
                    part.key, part.domain
                ),
                wanted: format!("at most {}", part.max_skew),
                found: Some((part.skew + part.change).to_string()),
                holds: part.skew + part.change <= part.max_skew,
            };
            spread.parts(member).entries().iter().cloned().map(compare).collect()
        }
        Filter::Existence => Bounded::default(),
    }
}

fn affinity(terms: &[ClusterSelectorTerm], member: &Member) -> Bounded<Comparison> {
    let mut compared = Bounded::default();
    for (number, term) in terms.iter().enumerate() {
        for requirement in term.label_selector.iter().flat_map(requirements) {
            let alone = LabelSelector {
                match_expressions: vec![requirement.clone()],
                ..LabelSelector::default()
            };
            compared.push(Comparison {
                subject: format!("term {number}: label {}", requirement.key),
                wanted: wanted(&requirement.operator, &requirement.values),
                found: member.meta.labels.get(&requirement.key).cloned(),
                holds: selector::matches(Some(&alone), &member.meta.labels).unwrap_or_default(),
            });
        }
        for requirement in term.property_selector.iter().flat_map(|p| &p.match_expressions) {
            compared.push(Comparison {
                subject: format!("term {number}: property {}", requirement.name),
                wanted: wanted(requirement.operator.as_str(), &requirement.values),
                found: affinity::reported(&requirement.name, member).map(str::to_owned),
                holds: affinity::property_holds(requirement, member),
            });
        }
    }
    compared
}

/// The requirements of a selector in one form.
fn requirements(selector: &LabelSelector) -> Vec<LabelSelectorRequirement> {
    let equal = selector
        .match_labels
        .iter()
        .map(|(key, value)| LabelSelectorRequirement {
            key: key.clone(),
            operator: "In".to_owned(),
            values: vec![value.clone()],
        });
    equal.chain(selector.match_expressions.iter().cloned()).collect()
}

fn wanted(operator: &str, values: &[String]) -> String {
    if values.is_empty() {
        operator.to_owned()
    } else {
        format!("{operator} {}", values.join(", "))
    }
}

fn eligibility(subject: &Member, now: Timestamp) -> Bounded<Comparison> {
    let agent = member_agent(subject);
    let heartbeat = agent
        .and_then(|agent| agent.last_received_heartbeat.as_ref())
        .map(|time| time.0);
    let mut compared = Bounded::default();
    compared.push(Comparison {
        subject: "deletion of the MemberCluster".to_owned(),
        wanted: "not required".to_owned(),
        found: subject.meta.deleted.map(|time| time.to_string()),
        holds: !subject.meta.is_deleting(),
    });
    compared.push(Comparison {
        subject: "last heartbeat of the member agent".to_owned(),
        wanted: format!("at most {} s before {now}", MAX_AGE.as_secs()),
        found: heartbeat.map(|time| time.to_string()),
        holds: heartbeat.is_some_and(|time| !super::eligible::is_older(time, now)),
    });
    for (type_, wanted) in [
        (member::JOINED, "True".to_owned()),
        (
            member::HEALTHY,
            format!("True, or changed at most {} s before {now}", MAX_AGE.as_secs()),
        ),
    ] {
        let found = agent.and_then(|agent| condition::find(&agent.conditions, type_));
        let holds = found.is_some_and(|found| {
            found.status == ConditionStatus::True
                || (type_ == member::HEALTHY && !super::eligible::is_older(found.last_transition_time.0, now))
        });
        compared.push(Comparison {
            subject: format!("condition {type_} of the member agent"),
            wanted,
            found: found.map(|found| format!("{} since {}", found.status, found.last_transition_time.0)),
            holds,
        });
    }
    debug_assert_eq!(
        eligible(subject, now).is_ok(),
        compared.entries().iter().all(|comparison| comparison.holds)
    );
    compared
}

fn namespace(input: &Input<'_>, member: &Member) -> Bounded<Comparison> {
    let Some(namespace) = &input.key.namespace else {
        return Bounded::default();
    };
    let comparison = Comparison {
        subject: "namespaces of the cluster".to_owned(),
        wanted: format!("{namespace} among them"),
        found: member
            .namespaces
            .as_ref()
            .map(|known| format!("{} namespaces", known.len())),
        holds: member
            .namespaces
            .as_ref()
            .is_some_and(|known| known.contains(namespace)),
    };
    [comparison].into_iter().collect()
}
