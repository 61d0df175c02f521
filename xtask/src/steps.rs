//! Progress of a command: which step runs, how long each took, and the total.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A row of steps with their times. The first failing step ends the command.
#[derive(Debug)]
pub struct Steps {
    title: &'static str,
    begun: Instant,
    done: Vec<(String, Duration)>,
    /// What could not be run, and why.
    left_out: Vec<String>,
}

impl Steps {
    /// Begins a row of steps.
    pub fn new(title: &'static str) -> Self {
        Self {
            title,
            begun: Instant::now(),
            done: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Runs one step and prints when it begins and ends.
    pub fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("==> {name}");
        let begun = Instant::now();
        let result = step().with_context(|| format!("step \"{name}\" after {}", seconds(begun.elapsed())));
        if result.is_ok() {
            eprintln!("    {name}: done in {}", seconds(begun.elapsed()));
            self.done.push((name.to_owned(), begun.elapsed()));
        }
        result
    }

    /// Notes what is not run, for the closing summary.
    pub fn leave_out(&mut self, lines: Vec<String>) {
        self.left_out.extend(lines);
    }

    /// Prints the time of every step, the total, and what was not run.
    pub fn finish(self) {
        let width = self.done.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        eprintln!("\n{}:", self.title);
        for (name, time) in &self.done {
            eprintln!("  {name:<width$}  {:>8}", seconds(*time));
        }
        eprintln!("  {:<width$}  {:>8}", "total", seconds(self.begun.elapsed()));
        for line in &self.left_out {
            eprintln!("  not run: {line}");
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
