//! The live view of a placement: which cluster waits for which condition, and for how long.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::follow;

/// Shows a placement while it is waited for: moving lines in a terminal, one line per change elsewhere.
pub struct View {
    placement: String,
    begun: Instant,
    terminal: Option<MultiProgress>,
    lines: BTreeMap<String, Line>,
}

struct Line {
    text: String,
    bar: Option<ProgressBar>,
}

impl View {
    /// A view of one placement, counting the time from now.
    pub fn new(placement: &str) -> Self {
        let terminal = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self {
            placement: placement.to_owned(),
            begun: Instant::now(),
            terminal,
            lines: BTreeMap::new(),
        }
    }

    /// Shows the placement's present status.
    pub fn update(&mut self, status: &Value) {
        let overall = progress(&follow::conditions(status));
        self.set("", overall);
        for cluster in status
            .pointer("/placementStatuses")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = cluster
                .get("clusterName")
                .and_then(Value::as_str)
                .unwrap_or("(no cluster yet)");
            self.set(name, progress(&follow::conditions(cluster)));
        }
    }

    /// Takes the moving lines away and returns the time since the start.
    pub fn finish(self) -> Duration {
        for line in self.lines.values() {
            if let Some(bar) = &line.bar {
                bar.abandon();
            }
        }
        self.begun.elapsed()
    }

    fn set(&mut self, cluster: &str, text: String) {
        if self.lines.get(cluster).is_some_and(|line| line.text == text) {
            return;
        }
        let subject = if cluster.is_empty() {
            self.placement.clone()
        } else {
            format!("  on {cluster}")
        };
        let shown = format!("{subject}: {text}");
        let known = self.lines.remove(cluster).and_then(|line| line.bar);
        let bar = self
            .terminal
            .as_ref()
            .map(|terminal| known.unwrap_or_else(|| terminal.add(spinner())));
        match &bar {
            Some(bar) => bar.set_message(shown),
            None => eprintln!("[{:6.2} s] {shown}", self.begun.elapsed().as_secs_f64()),
        }
        self.lines.insert(cluster.to_owned(), Line { text, bar });
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // The template is a constant of ours; should it ever be wrong, the plain style still shows the message.
    if let Ok(style) = ProgressStyle::with_template("[{elapsed:>4}] {spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// The last condition that holds and the first that does not, with its reason.
fn progress(conditions: &[(String, String, String, String)]) -> String {
    if conditions.is_empty() {
        return "waiting for the hub agent".to_owned();
    }
    match conditions.iter().find(|(_, status, _, _)| status != "True") {
        Some((kind, status, reason, _)) => format!("{kind}={status} ({reason})"),
        None => format!(
            "{} True",
            conditions.last().map(|(kind, ..)| kind.as_str()).unwrap_or_default()
        ),
    }
}
