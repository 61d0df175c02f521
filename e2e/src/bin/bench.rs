//! Benchmarks; `cargo xtask bench` builds the agents and starts it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use control_plane::Kind;
use e2e::bench::{self, Death, Plan};

/// Measures a fleet on this machine.
#[derive(Debug, Parser)]
struct Args {
    /// Kind of the control planes.
    #[arg(long, value_enum, default_value = "real", global = true)]
    control_plane: Plane,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Plane {
    /// In memory.
    Embedded,
    /// etcd, kube-apiserver and kube-controller-manager.
    Real,
}

#[derive(Debug, Subcommand)]
enum What {
    /// From the creation of a placement until it is Available on every member.
    FirstPlacement {
        /// Number of members.
        #[arg(long, default_value_t = 3)]
        members: usize,
        /// Placements one after the other.
        #[arg(long, default_value_t = 40)]
        one_by_one: usize,
        /// Placements at once.
        #[arg(long, default_value_t = 50)]
        at_once: usize,
    },
    /// Writes and processor time of a fleet at rest.
    Idle {
        /// Seconds of rest.
        #[arg(long, default_value_t = 120)]
        seconds: u64,
    },
    /// From the death of an endpoint behind a TrafficManagerProfile to the last DNS answer that names it.
    Failover {
        /// Deaths of each way.
        #[arg(long, default_value_t = 50)]
        kills: usize,
        /// The ways to die.
        #[arg(long, value_enum, value_delimiter = ',', default_value = "server,readiness,member")]
        deaths: Vec<Death>,
    },
    /// All exports of many members change at once: until records and endpoints of the traffic manager are right.
    TrafficExports {
        /// Number of members.
        #[arg(long, default_value_t = 100)]
        members: usize,
        /// Services that each of them exports.
        #[arg(long, default_value_t = 10)]
        services: usize,
    },
    /// Sessions of many members with one hub agent: memory, latency, and a restart.
    Link {
        /// Number of members.
        #[arg(long, default_value_t = 1000)]
        members: usize,
        /// Exports of each.
        #[arg(long, default_value_t = 20)]
        exports: usize,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    kit::install_crypto();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe benchmark failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let kind = match args.control_plane {
        Plane::Embedded => Kind::Embedded,
        Plane::Real => Kind::Real,
    };
    match args.what {
        What::FirstPlacement {
            members,
            one_by_one,
            at_once,
        } => {
            bench::first_placement(&Plan {
                kind,
                members,
                one_by_one,
                at_once,
            })
            .await
        }
        What::Idle { seconds } => bench::idle(kind, Duration::from_secs(seconds)).await,
        What::Failover { kills, deaths } => bench::failover(bench::Failover { kind, deaths, kills }).await,
        What::TrafficExports { members, services } => {
            bench::traffic_exports(bench::TrafficExports {
                kind,
                members,
                services,
            })
            .await
        }
        What::Link { members, exports } => bench::sessions(bench::Sessions { kind, members, exports }).await,
    }
}
