//! Logging: one subscriber per process, set up here and nowhere else.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// Sets logging up. `verbosity` is the level of the flag `v`; the variable `RUST_LOG` takes precedence.
///
/// A repeated call changes nothing.
pub fn init(format: Format, verbosity: u8) {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::new(text),
        _ => EnvFilter::new(filter(verbosity)),
    };
    let json = match format {
        Format::Auto => !std::io::stderr().is_terminal(),
        Format::Text => false,
        Format::Json => true,
    };
    // The only error is that a subscriber is set up already, as in tests.
    let _ = if json {
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
        filtered(filter).with(layer.with_writer(std::io::stderr)).try_init()
    } else {
        let layer = tracing_subscriber::fmt::layer();
        filtered(filter).with(layer.with_writer(std::io::stderr)).try_init()
    };
}

/// What the filter lets pass, without what may hold credentials.
fn filtered(filter: EnvFilter) -> impl Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync {
    tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(|metadata| !may_hold_credentials(metadata)))
}

/// Azure's SDK logs requests with their headers. No directive brings that back, however specific it is.
fn may_hold_credentials(metadata: &Metadata<'_>) -> bool {
    let sdk = ["azure_core", "azure_identity", "azure_mgmt_"];
    *metadata.level() > Level::INFO && sdk.iter().any(|crate_name| metadata.target().starts_with(crate_name))
}

/// Deployments of KubeFleet run with `v=5`, which must stay affordable: details start above that.
fn filter(verbosity: u8) -> &'static str {
    match verbosity {
        0..=5 => "info,kube=warn,hyper=warn,h2=warn,rustls=warn,tower=warn,tonic=warn",
        6..=7 => "debug,kube=info,hyper=info,h2=info,rustls=info,tower=info,tonic=info",
        8.. => "trace,h2=debug,hyper=debug,rustls=debug",
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_directive_shows_what_the_sdk_of_azure_logs() {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter =
            EnvFilter::new("trace,azure_core=trace,azure_core::policies::transport=trace,azure_identity=debug");
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        tracing::subscriber::with_default(filtered(filter).with(layer), || {
            tracing::debug!(target: "azure_core::policies::transport", "hush-1");
            tracing::trace!(target: "azure_core", "hush-2");
            tracing::debug!(target: "azure_identity::federated_credentials_flow", "hush-3");
            tracing::trace!(target: "azure_mgmt_trafficmanager", "hush-4");
            tracing::info!(target: "azure_core", "an information");
            tracing::trace!(target: "azure::transport", "a detail of ours");
        });
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        assert!(
            text.contains("an information") && text.contains("a detail of ours"),
            "{text}"
        );
        assert!(!text.contains("hush"), "{text}");
    }
}
