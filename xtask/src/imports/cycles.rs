//! Cycles among modules that lie side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use super::tree::{Path, Place};

/// Modules below one parent that use each other in a circle.
#[derive(Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The parent; empty for the crate's root.
    pub parent: Path,
    /// Each use that takes part, as `(user, used)`, with the places where it happens.
    pub uses: BTreeMap<(String, String), BTreeSet<Place>>,
}

/// The uses among the children of one parent.
type Uses = BTreeMap<(String, String), BTreeSet<Place>>;

/// How many places of one use are printed.
const SHOWN: usize = 4;

/// Finds every cycle. A use between two modules counts for the two that lie side by side above them.
pub fn find(uses: impl IntoIterator<Item = (Path, Path, Place)>) -> Vec<Cycle> {
    let mut levels: BTreeMap<Path, Uses> = BTreeMap::new();
    for (user, used, place) in uses {
        let shared = user.iter().zip(&used).take_while(|(a, b)| a == b).count();
        // One lies within the other: a parent and what is below it may use each other.
        let (Some(a), Some(b)) = (user.get(shared), used.get(shared)) else {
            continue;
        };
        let level = levels.entry(user[..shared].to_vec()).or_default();
        level.entry((a.clone(), b.clone())).or_default().insert(place);
    }
    levels
        .into_iter()
        .flat_map(|(parent, uses)| cycles(&parent, &uses))
        .collect()
}

fn cycles(parent: &Path, uses: &Uses) -> Vec<Cycle> {
    let names: BTreeSet<&String> = uses.keys().flat_map(|(a, b)| [a, b]).collect();
    let reached: BTreeMap<&String, BTreeSet<&String>> = names.iter().map(|name| (*name, reach(name, uses))).collect();
    let mut done = BTreeSet::new();
    let mut cycles = Vec::new();
    for name in &names {
        let circle: BTreeSet<&String> = reached[name]
            .iter()
            .filter(|other| reached[**other].contains(name))
            .copied()
            .collect();
        if circle.len() > 1 && done.insert(circle.clone()) {
            let within = uses
                .iter()
                .filter(|((a, b), _)| circle.contains(a) && circle.contains(b));
            cycles.push(Cycle {
                parent: parent.clone(),
                uses: within.map(|(pair, places)| (pair.clone(), places.clone())).collect(),
            });
        }
    }
    cycles
}

/// Every module that one uses, directly or through others.
fn reach<'a>(from: &'a String, uses: &'a Uses) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(user) = open.pop() {
        for (a, b) in uses.keys() {
            if a == user && reached.insert(b) {
                open.push(b);
            }
        }
    }
    reached
}

impl Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: BTreeSet<&str> = self.uses.keys().map(|(a, _)| a.as_str()).collect();
        let parent = if self.parent.is_empty() {
            "crate".to_owned()
        } else {
            self.parent.join("::")
        };
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        write!(f, "modules of {parent} use each other in a circle: {names}")?;
        for ((user, used), places) in &self.uses {
            write!(f, "\n    {user} uses {used}:")?;
            for (number, place) in places.iter().take(SHOWN).enumerate() {
                let comma = if number == 0 { "" } else { "," };
                write!(f, "{comma} {}:{}", place.file, place.line)?;
            }
            if places.len() > SHOWN {
                write!(f, ", and {} more", places.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}
