//! An in-memory Kubernetes API server: in process under a client, or over HTTPS with a kubeconfig.
//!
//! It follows the semantics of the real API server as far as Fairway's agents, tests, demo and `kubectl` reach, but it is
//! not the judge of behaviour: where the two differ, the real one is right.
//!
//! Begin with [`ApiServer::builder`]. `client()` gives a `kube::Client` in process, `serve()` an HTTPS endpoint with
//! kubeconfigs, `faults()` a switchboard of faults for tests, `metrics()` the counts of requests.
//!
//! It must never reach out: it calls no webhook, runs no pod, writes no file.

mod admission;
mod authn;
mod bootstrap;
mod call;
mod clock;
mod controllers;
mod crds;
mod decode;
mod defaults;
mod discovery;
mod dispatch;
mod engine;
mod events;
mod faults;
mod gc;
mod ids;
mod metrics;
mod namespaces;
mod object;
mod openapi;
mod pki;
mod pods;
mod prepare;
mod present;
mod protobuf;
mod rbac;
mod registry;
mod reply;
mod reviews;
mod routes;
mod selector;
mod serve;
mod server;
mod services;
mod status;
mod storage;
mod tables;
mod tokens;
mod typed;
mod validate;
mod verbs;
mod watch;

pub use call::User;
pub use clock::Clock;
pub use faults::{Action, FaultId, Faults, Matcher};
pub use metrics::{Labels as RequestLabels, Metrics};
pub use pki::{Authority, Credential};
pub use reply::Body;
pub use routes::{Target, Verb};
pub use serve::Serving;
pub use server::{ApiServer, Builder, Identity, InProcess};
pub use status::ApiError;
pub use storage::{Backup, Limits};
