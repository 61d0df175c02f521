//! Request counts, in memory for tests and as Prometheus text under the real server's names.

use crate::routes::{Target, Verb};
use crate::storage::Store;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a request is counted by.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    /// `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `DELETECOLLECTION`.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural resource name; empty for other paths.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// `resource`, `namespace`, `cluster`, or empty.
    pub scope: &'static str,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// HTTP status code.
    pub code: u16,
}

impl Labels {
    /// The labels of a request for a resource; the code is filled in later.
    pub fn of(target: &Target, verb: Verb, content_type: &str, dry_run: bool) -> Self {
        let name = match verb {
            Verb::Get => "GET",
            Verb::List => "LIST",
            Verb::Watch => "WATCH",
            Verb::Create => "POST",
            Verb::Update => "PUT",
            Verb::Patch if content_type == crate::verbs::patch::APPLY => "APPLY",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
            Verb::DeleteCollection => "DELETECOLLECTION",
        };
        let scope = match (target.name.is_empty(), target.namespace.is_empty()) {
            (false, _) => "resource",
            (true, false) => "namespace",
            (true, true) => "cluster",
        };
        Labels {
            verb: name.to_owned(),
            group: target.group.clone(),
            version: target.version.clone(),
            resource: target.resource.clone(),
            subresource: target.subresource.clone(),
            scope,
            dry_run,
            code: 0,
        }
    }

    /// Whether the request changes something.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "POST" | "PUT" | "PATCH" | "APPLY" | "DELETE" | "DELETECOLLECTION"
        )
    }
}

/// Counts of requests by labels and user agent.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<BTreeMap<(Labels, String), u64>>);

impl Metrics {
    /// Counts a request. Watches are counted when they begin.
    pub fn count(&self, labels: Labels, agent: &str) {
        let agent = agent.split([' ', '/']).next().unwrap_or_default().to_owned();
        *self.0.lock().entry((labels, agent)).or_default() += 1;
    }

    /// All counts by labels and user agent (its part before the version).
    pub fn counts(&self) -> Vec<(Labels, String, u64)> {
        self.0
            .lock()
            .iter()
            .map(|((labels, agent), n)| (labels.clone(), agent.clone(), *n))
            .collect()
    }

    /// Number of requests whose labels and user agent satisfy `wanted`.
    pub fn total(&self, wanted: impl Fn(&Labels, &str) -> bool) -> u64 {
        self.0
            .lock()
            .iter()
            .filter(|((labels, agent), _)| wanted(labels, agent))
            .map(|(_, n)| n)
            .sum()
    }

    /// Forgets all counts.
    pub fn reset(&self) {
        self.0.lock().clear();
    }

    /// The exposition text.
    pub fn text(&self, store: &Store) -> String {
        let mut by_labels: BTreeMap<Labels, u64> = BTreeMap::new();
        let counts = self.counts();
        for (labels, _, n) in &counts {
            *by_labels.entry(labels.clone()).or_default() += n;
        }
        let mut out = String::from(
            "# HELP apiserver_request_total Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.\n# TYPE apiserver_request_total counter\n",
        );
        for (labels, n) in &by_labels {
            // Writing into a String cannot fail.
            let _ = writeln!(out, "apiserver_request_total{{{}}} {n}", label_text(labels));
        }
        out.push_str("# HELP apiserver_request_by_agent_total Requests by user agent and labels of apiserver_request_total.\n# TYPE apiserver_request_by_agent_total counter\n");
        for (labels, agent, n) in &counts {
            let text = label_text(labels);
            let _ = writeln!(
                out,
                "apiserver_request_by_agent_total{{agent=\"{}\",{text}}} {n}",
                escape(agent)
            );
        }
        out.push_str("# HELP apiserver_storage_objects Number of stored objects by resource.\n# TYPE apiserver_storage_objects gauge\n");
        for (table, n) in store.counts() {
            let _ = writeln!(out, "apiserver_storage_objects{{resource=\"{table}\"}} {n}");
        }
        out
    }
}

fn label_text(labels: &Labels) -> String {
    format!(
        "code=\"{}\",component=\"apiserver\",dry_run=\"{}\",group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
        labels.code,
        if labels.dry_run { "All" } else { "" },
        escape(&labels.group),
        escape(&labels.resource),
        labels.scope,
        escape(&labels.subresource),
        escape(&labels.verb),
        escape(&labels.version),
    )
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
