//! Logging: one subscriber per process, set up here and nowhere else.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
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
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // The only error is that a subscriber is set up already, as in tests.
    let _ = if json {
        registry.with(layer.json().flatten_event(true)).try_init()
    } else {
        registry.with(layer).try_init()
    };
}

/// Deployments of KubeFleet run with `v=5`, which must stay affordable: details start above that.
fn filter(verbosity: u8) -> &'static str {
    match verbosity {
        0..=5 => "info,kube=warn,hyper=warn,h2=warn,rustls=warn,tower=warn,tonic=warn",
        6..=7 => "debug,kube=info,hyper=info,h2=info,rustls=info,tower=info,tonic=info",
        8.. => "trace,h2=debug,hyper=debug,rustls=debug",
    }
}
