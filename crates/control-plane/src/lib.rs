//! Control planes for agents, tests and demo, of two kinds behind one interface.
//!
//! [`ControlPlane`] is one cluster's API server, [`Fleet`] several; both hand back kubeconfigs and clients. The real
//! kind runs etcd, kube-apiserver and kube-controller-manager as child processes, the embedded kind our API server in
//! memory. Nothing of either may outlive the process that started it, however that process ends, and no control plane
//! may listen beyond loopback.

mod binaries;
pub mod crds;
pub mod daemon;
mod embedded;
mod files;
mod fleet;
mod identity;
pub mod kubeconfig;
pub mod pki;
mod plane;
mod ports;
pub mod process;
pub mod progress;
mod readiness;
mod real;

pub use binaries::{Binaries, ETCD_VERSION, KUBERNETES_VERSION, find as find_binaries};
pub use embedded::{EmbeddedHost, serve_until_ended};
pub use files::RunFolder;
pub use fleet::Fleet;
pub use identity::{TOKEN_LIFETIME, TokenFile};
pub use plane::{Backup, ControlPlane, Kind, Options};
pub use ports::{free as free_ports, loopback_network};
pub use readiness::ready;
pub use workloads;
