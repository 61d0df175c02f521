//! Cluster affinity: required terms filter, preferred terms score (hub-behaviour 4.9).

use std::cmp::Ordering;
use std::sync::Arc;

use api::placement::v1beta1::{
    ClusterSelectorTerm, PreferredClusterSelector, PropertySelectorRequirement, PropertySortOrder, PropertySorter,
};
use api::quantity::Quantity;
use api::selector;

use super::trace::{SortedBy, TermScore};
use crate::objects::Member;
use crate::problem::Problem;

/// A property of a member that is no quantity; it counts as absent, and an event reports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BadProperty {
    /// The member that reports it.
    pub member: String,
    /// Name of the property.
    pub property: String,
    /// What it reports.
    pub value: String,
}

/// Whether any of the required terms matches the member. No terms match every member.
pub(super) fn required(
    terms: &[ClusterSelectorTerm],
    member: &Member,
    bad: &mut Vec<BadProperty>,
) -> Result<bool, Problem> {
    let mut any = terms.is_empty();
    for term in terms {
        // Every term is evaluated, so that a policy that cannot be evaluated fails on every member alike.
        any |= term_matches(term, member, bad)?;
    }
    Ok(any)
}

fn term_matches(term: &ClusterSelectorTerm, member: &Member, bad: &mut Vec<BadProperty>) -> Result<bool, Problem> {
    let mut matches = labels_match(term, member)?;
    if let Some(properties) = &term.property_selector {
        for requirement in &properties.match_expressions {
            matches &= property_matches(requirement, member, bad)?;
        }
    }
    Ok(matches)
}

/// An absent label selector matches here.
fn labels_match(term: &ClusterSelectorTerm, member: &Member) -> Result<bool, Problem> {
    match &term.label_selector {
        None => Ok(true),
        some => selector::matches(some.as_ref(), &member.meta.labels)
            .map_err(|err| Problem::user(format!("A cluster selector of the policy is invalid: {err}."))),
    }
}

fn property_matches(
    requirement: &PropertySelectorRequirement,
    member: &Member,
    bad: &mut Vec<BadProperty>,
) -> Result<bool, Problem> {
    let name = &requirement.name;
    let [wanted] = requirement.values.as_slice() else {
        return Err(Problem::user(format!(
            "The requirement on property {name:?} must have exactly one value."
        )));
    };
    let wanted: Quantity = wanted.parse().map_err(|err| {
        Problem::user(format!(
            "The requirement on property {name:?} has the invalid value {wanted:?}: {err}."
        ))
    })?;
    let holds: fn(Ordering) -> bool = match requirement.operator.as_str() {
        "Eq" => Ordering::is_eq,
        "Ne" => Ordering::is_ne,
        "Gt" => Ordering::is_gt,
        "Ge" => Ordering::is_ge,
        "Lt" => Ordering::is_lt,
        "Le" => Ordering::is_le,
        other => {
            return Err(Problem::user(format!(
                "The requirement on property {name:?} has the unknown operator {other:?}."
            )));
        }
    };
    Ok(property(name, member, bad)?.is_some_and(|value| holds(value.cmp(&wanted))))
}

/// Prefix of properties that are read from the member's resource usage.
const RESOURCES: &str = "resources.kubernetes-fleet.io/";

/// What a member reports as a property; `Err` when the name stands for no property.
fn text<'m>(name: &str, member: &'m Member) -> Result<Option<&'m String>, Problem> {
    let Some(rest) = name.strip_prefix(RESOURCES) else {
        return Ok(member.properties.get(name));
    };
    let malformed = || Problem::user(format!("The property {name:?} names no capacity type and resource."));
    let (capacity, resource) = rest.split_once('-').ok_or_else(malformed)?;
    let table = match capacity {
        "total" => &member.capacity,
        "allocatable" => &member.allocatable,
        "available" => &member.available,
        _ => return Err(malformed()),
    };
    Ok(table.get(resource))
}

/// What a member reports as a property, for explanations.
pub(super) fn reported<'m>(name: &str, member: &'m Member) -> Option<&'m str> {
    text(name, member).ok().flatten().map(String::as_str)
}

/// Whether a requirement on a property holds, for explanations.
pub(super) fn property_holds(requirement: &PropertySelectorRequirement, member: &Member) -> bool {
    property_matches(requirement, member, &mut Vec::new()).unwrap_or_default()
}

/// The value of a property on a member; `None` when it is not available there.
fn property(name: &str, member: &Member, bad: &mut Vec<BadProperty>) -> Result<Option<Quantity>, Problem> {
    let Some(text) = text(name, member)? else {
        return Ok(None);
    };
    if let Ok(quantity) = text.parse() {
        return Ok(Some(quantity));
    }
    let found = BadProperty {
        member: member.meta.name.clone(),
        property: name.to_owned(),
        value: text.clone(),
    };
    if !bad.contains(&found) {
        bad.push(found);
    }
    Ok(None)
}

/// Preferred terms, with the spread of every sorted property over the fleet.
pub(super) struct Preferences<'a> {
    terms: Vec<(&'a PreferredClusterSelector, Option<Sorter<'a>>)>,
}

struct Sorter<'a> {
    sorter: &'a PropertySorter,
    range: Option<(f64, f64)>,
}

impl<'a> Preferences<'a> {
    /// Observes the smallest and largest value of every sorted property over all members.
    pub(super) fn new(
        terms: &'a [PreferredClusterSelector],
        members: &[Arc<Member>],
        bad: &mut Vec<BadProperty>,
    ) -> Result<Self, Problem> {
        let mut observed = Vec::with_capacity(terms.len());
        for term in terms {
            let Some(sorter) = &term.preference.property_sorter else {
                observed.push((term, None));
                continue;
            };
            let mut range: Option<(f64, f64)> = None;
            for member in members {
                if let Some(value) = property(&sorter.name, member, bad)? {
                    let value = value.approximate_f64();
                    range = Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
                }
            }
            observed.push((term, Some(Sorter { sorter, range })));
        }
        Ok(Self { terms: observed })
    }

    /// The affinity score of a member.
    pub(super) fn score(&self, member: &Member, bad: &mut Vec<BadProperty>) -> Result<i64, Problem> {
        let mut sum = 0;
        for (term, sorter) in &self.terms {
            if term.weight == 0 || !labels_match(&term.preference, member)? {
                continue;
            }
            sum += match sorter {
                None => i64::from(term.weight),
                Some(sorter) => sorter.score(term.weight, member, bad)?,
            };
        }
        Ok(sum)
    }

    /// What each term adds to the affinity score of a member, for explanations: terms that add nothing are left out.
    pub(super) fn contributions(&self, member: &Member) -> impl Iterator<Item = TermScore> {
        let terms = self.terms.iter().enumerate().map(|(number, (term, sorter))| {
            let matches = term.weight != 0 && labels_match(&term.preference, member).unwrap_or_default();
            let score = match sorter {
                _ if !matches => 0,
                None => i64::from(term.weight),
                Some(sorter) => sorter.score(term.weight, member, &mut Vec::new()).unwrap_or_default(),
            };
            TermScore {
                term: number,
                weight: term.weight,
                sorted_by: sorter.as_ref().map(|sorter| sorter.seen_on(member)),
                score,
            }
        });
        terms.filter(|term| term.score != 0)
    }
}

impl Sorter<'_> {
    fn seen_on(&self, member: &Member) -> SortedBy {
        let value = property(&self.sorter.name, member, &mut Vec::new());
        SortedBy {
            property: self.sorter.name.clone(),
            value: value.ok().flatten().map(|value| value.approximate_f64()),
            smallest: self.range.map(|(low, _)| low),
            largest: self.range.map(|(_, high)| high),
        }
    }

    fn score(&self, weight: i32, member: &Member, bad: &mut Vec<BadProperty>) -> Result<i64, Problem> {
        let (Some(value), Some((low, high))) = (property(&self.sorter.name, member, bad)?, self.range) else {
            return Ok(0);
        };
        if low == high {
            return Ok(0);
        }
        let share = (value.approximate_f64() - low) / (high - low);
        let share = match self.sorter.sort_order {
            PropertySortOrder::Descending => share,
            PropertySortOrder::Ascending => 1.0 - share,
        };
        // `round` rounds half away from zero, as the formula requires; the product lies within the weight's range.
        Ok((share * f64::from(weight)).round() as i64)
    }
}
