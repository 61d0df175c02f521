//! Counts requests from an API server's own metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;

const DEADLINE: Duration = Duration::from_secs(30);
/// Verbs that change something.
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// One kind of request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Verb as the API server counts it, such as `POST`, `LIST` or `WATCH`.
    pub verb: String,
    /// Resource with its subresource, such as `works/status`.
    pub resource: String,
}

/// Requests since the server's start, or between two looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(pub BTreeMap<Request, u64>);

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)
    }
}

impl Requests {
    /// Reads the counts of a server.
    pub async fn of(client: &Client) -> Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = tokio::time::timeout(DEADLINE, client.request_text(request))
            .await
            .context("no metrics in time")?;
        Ok(Self::parse(&text.context("the API server gives no metrics")?))
    }

    fn parse(text: &str) -> Self {
        let mut counts: BTreeMap<Request, u64> = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
            let label = |name: &str| {
                let start = line.find(&format!("{name}=\""))? + name.len() + 2;
                line.get(start..)?.split('"').next()
            };
            let (Some(verb), Some(resource)) = (label("verb"), label("resource")) else {
                continue;
            };
            let Some(value) = line.rsplit(' ').next().and_then(|text| text.parse::<f64>().ok()) else {
                continue;
            };
            let resource = match label("subresource").unwrap_or_default() {
                "" => resource.to_owned(),
                sub => format!("{resource}/{sub}"),
            };
            // Counters are whole numbers far below 2^53.
            *counts
                .entry(Request {
                    verb: verb.to_owned(),
                    resource,
                })
                .or_default() += value as u64;
        }
        Self(counts)
    }

    /// What was added since an earlier look.
    pub fn since(&self, before: &Self) -> Self {
        let grown = self.0.iter().map(|(request, count)| {
            (
                request.clone(),
                count - before.0.get(request).copied().unwrap_or_default().min(*count),
            )
        });
        Self(grown.filter(|(_, count)| *count > 0).collect())
    }

    /// Writes only, those of leases and heartbeats left out when `but` names their resources.
    pub fn writes(&self, but: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(request, _)| {
            WRITES.contains(&request.verb.as_str()) && !but.contains(&request.resource.as_str())
        });
        Self(kept.map(|(request, count)| (request.clone(), *count)).collect())
    }

    /// Number of requests of a verb, whatever the resource.
    pub fn of_verb(&self, verb: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(request, _)| request.verb == verb)
                .map(|(r, c)| (r.clone(), *c))
                .collect(),
        )
    }

    /// All requests together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_compared() {
        let line = |code: &str, value: u32| {
            format!(
                "apiserver_request_total{{code=\"{code}\",group=\"g\",resource=\"works\",subresource=\"status\",verb=\"PATCH\"}} {value}\n"
            )
        };
        let before = Requests::parse(&line("200", 3));
        let after = Requests::parse(&(line("200", 5) + &line("409", 1) + "other{} 7\n"));
        let grown = after.since(&before);
        assert_eq!(grown.total(), 3);
        assert_eq!(
            grown.0.keys().map(ToString::to_string).collect::<Vec<_>>(),
            ["PATCH works/status"]
        );
        assert_eq!(grown.writes(&["works/status"]).total(), 0);
        assert_eq!(grown.of_verb("LIST").total(), 0);
    }
}
