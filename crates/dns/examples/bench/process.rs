//! Processor time of processes, from `/proc`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Failure;

/// Processor time of a process and of those that it has started and that still run, so far. It is exact: the system
/// counts it in nanoseconds. Threads that have ended do not count.
pub fn processor_time(pid: u32) -> Result<Duration, Failure> {
    let mut total = Duration::ZERO;
    for pid in family(pid)? {
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            // The first number is the time on a processor, in nanoseconds.
            let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
            total += Duration::from_nanos(stat.split_whitespace().next().unwrap_or_default().parse()?);
        }
    }
    Ok(total)
}

/// A process and those below it.
fn family(pid: u32) -> Result<Vec<u32>, Failure> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // A process may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{child}/stat")) else {
            continue;
        };
        // Behind the program's name in parentheses: the state, then the parent.
        let parent = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1);
        if let Some(parent) = parent.and_then(|parent| parent.parse().ok()) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        found.extend(children.remove(parent).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}
