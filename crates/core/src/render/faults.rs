//! Why some Works of a binding cannot be made. Each stops by itself; the others are not affected.

use super::RenderResult;
use crate::problem::Problem;

/// Problems named in one condition at most.
const MAX_NAMED: usize = 3;

/// What went wrong with single Works of a binding.
#[derive(Debug, Default)]
pub(super) struct Faults {
    overrides: Vec<Problem>,
    works: Vec<Problem>,
}

impl Faults {
    /// Adds an override that cannot be applied.
    pub fn not_overridden(&mut self, problem: Problem) {
        add(&mut self.overrides, problem);
    }

    /// Adds a Work that cannot be made or written.
    pub fn not_synchronized(&mut self, problem: Problem) {
        add(&mut self.works, problem);
    }

    /// What the binding's status says: a failed override before a failed Work; `None` when nothing went wrong.
    pub fn into_result(self) -> Option<RenderResult> {
        let class = self
            .overrides
            .iter()
            .chain(&self.works)
            .map(|problem| problem.class)
            .max()?;
        let say = |problems: Vec<Problem>| Problem {
            class,
            message: sentences(&problems),
        };
        Some(if self.overrides.is_empty() {
            RenderResult::NotSynchronized(say(self.works))
        } else {
            RenderResult::NotOverridden(say(self.overrides))
        })
    }
}

fn add(problems: &mut Vec<Problem>, problem: Problem) {
    if !problems.contains(&problem) {
        problems.push(problem);
    }
}

fn sentences(problems: &[Problem]) -> String {
    let mut named: Vec<String> = problems
        .iter()
        .take(MAX_NAMED)
        .map(|problem| problem.message.clone())
        .collect();
    if let Some(more) = problems.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        named.push(format!("There are {more} more problems of this kind."));
    }
    named.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_come_first_and_the_gravest_class_decides() {
        assert_eq!(Faults::default().into_result(), None);
        let mut faults = Faults::default();
        for number in 0..5 {
            faults.not_synchronized(Problem::user(format!("Work {number} is bad.")));
        }
        faults.not_synchronized(Problem::user("Work 0 is bad."));
        faults.not_synchronized(Problem::expected("Work 5 is not gone yet."));
        let message = "Work 0 is bad. Work 1 is bad. Work 2 is bad. There are 3 more problems of this kind.";
        assert_eq!(
            faults.into_result(),
            Some(RenderResult::NotSynchronized(Problem::expected(message)))
        );

        let mut faults = Faults::default();
        faults.not_synchronized(Problem::user("A work is bad."));
        faults.not_overridden(Problem::user("An override is bad."));
        assert_eq!(
            faults.into_result(),
            Some(RenderResult::NotOverridden(Problem::user("An override is bad.")))
        );
    }
}
