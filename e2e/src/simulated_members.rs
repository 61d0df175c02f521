//! Many members in one process, each with the real exports' side of a member agent over a [`Bare`] API server.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kit::clock::Clock;
use kit::events;
use kit::writer::Writer;
use member_agent::link::{self, Cloud, CloudConfigFile, Departure, Identity, Metrics, Parts, Traffic, Way};
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agents::Link;
use crate::bare::Bare;

/// Time for a write on a member.
const DEADLINE: Duration = Duration::from_secs(30);

/// The members.
#[derive(Default)]
pub struct SimulatedMembers {
    members: Vec<SimulatedMember>,
}

/// One of them.
pub struct SimulatedMember {
    /// Its name.
    pub name: String,
    /// Its API server.
    pub bare: Bare,
    /// What its agent counts.
    pub metrics: Metrics,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl SimulatedMember {
    /// A member with so many exports whose names are its own, reporting in some way.
    pub fn start(name: &str, exports: usize, way: Way) -> Result<Self> {
        let bare = Bare::new((0..exports).map(|number| format!("{name}-{number}")));
        Self::start_with(name, bare, way, Traffic::Off)
    }

    /// A member that also reports for traffic; its load balancers belong to no cloud.
    pub fn with_traffic(name: &str, bare: Bare, way: Way) -> Result<Self> {
        let none = CloudConfigFile {
            path: PathBuf::new(),
            is_given: false,
        };
        Self::start_with(name, bare, way, Traffic::On(Cloud::new(none)))
    }

    fn start_with(name: &str, bare: Bare, way: Way, traffic: Traffic) -> Result<Self> {
        let metrics = Metrics::register(&Registry::new())?;
        let (client, stop) = (bare.client(), CancellationToken::new());
        let (recorder, writer) = events::channel(Writer::new(client.clone(), DEADLINE), Clock::System);
        let (counted, ended) = (metrics.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let departure = Departure::new();
            let parts = Parts {
                member: client,
                departure,
                recorder,
                metrics: counted,
                clock: Clock::System,
                traffic,
            };
            let session = link::run(way, parts, ended.clone());
            tokio::join!(session, writer.run(ended));
        });
        Ok(Self {
            name: name.to_owned(),
            bare,
            metrics,
            stop,
            task,
        })
    }

    /// Name of one of its exports.
    pub fn export(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }
}

impl SimulatedMembers {
    /// Adds a member with so many exports that reports over a session under the token of a file.
    ///
    /// # Errors
    /// When its figures cannot be set up.
    pub fn add(&mut self, link: &Link, name: &str, token: &Path, exports: usize) -> Result<()> {
        self.take(SimulatedMember::start(name, exports, Self::session(link, name, token))?);
        Ok(())
    }

    /// Reports over a session under the token of a file.
    pub fn session(link: &Link, name: &str, token: &Path) -> Way {
        let config = link::Config::new(
            format!("https://{}", link.address),
            link.authority.clone(),
            Identity::TokenFile(token.to_owned()),
            name.to_owned(),
        );
        config.into()
    }

    /// Adds a member.
    pub fn take(&mut self, one: SimulatedMember) {
        self.members.push(one);
    }

    /// The members, in the order in which they were added.
    pub fn members(&self) -> &[SimulatedMember] {
        &self.members
    }

    /// Waits until every member shows so many exports as accepted by the hub.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn until_accepted(&self, exports: usize, within: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let behind = self
                .members
                .iter()
                .filter(|one| one.bare.accepted().len() < exports)
                .count();
            if behind == 0 {
                return Ok(());
            }
            if began.elapsed() > within {
                bail!("{behind} members have exports that the hub has not accepted within {within:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends all of them.
    pub async fn end(self) {
        for one in &self.members {
            one.stop.cancel();
        }
        for one in self.members {
            // A member that panicked has said so.
            let _ = one.task.await;
        }
    }
}
