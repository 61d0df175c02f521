//! Public traffic: TrafficManagerProfiles and TrafficManagerBackends on the hub, and the profiles and endpoints that
//! they become in Azure Traffic Manager, or in a traffic manager with the same API (networking 6 and 7).
//!
//! One planner works for a profile and all its backends. It is resumable: [`plan`] looks at what is known and plans the
//! writes and the calls that can be made now. The shell executes the writes, then the calls, records each answer in
//! [`Observed`] and plans again. A plan without calls and writes is the end. While calls of a profile are on their way,
//! `in_flight` is set and no further ones are planned, so that a profile never sees two writers.

pub mod arm;
mod backend;
mod batch;
mod collecting;
mod endpoints;
mod exporters;
mod held;
mod hinted;
mod hints;
mod observed;
mod pass;
mod priorities;
mod profile;
mod silence;
mod time;
mod trace;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::kinds;
use api::text::events::traffic as events;
use jiff::Timestamp;
use serde::Serialize;

use crate::effects;
use crate::objects::{TrafficBackend, TrafficProfile};
use crate::trace::Recorder;

pub use batch::Batch;
pub use collecting::{Collected, Collecting, Lately};
pub use exporters::{Export, Exporter, Service};
pub use hinted::{Cause, Hint};
pub use observed::{Failed, Observed, Reading};
pub use silence::Silence;
pub use trace::Trace;

/// Everything that is known about one profile. The profile itself may be missing: its backends say so.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// Namespace of the profile and of its backends.
    pub namespace: String,
    /// Name of the profile.
    pub name: String,
    /// The profile.
    pub profile: Option<Arc<TrafficProfile>>,
    /// The backends that name the profile.
    pub backends: Vec<Arc<TrafficBackend>>,
    /// The services of the namespace that backends name and that exist.
    pub services: BTreeMap<String, Service>,
    /// Other profiles of the hub whose namespace and name make the same domain name.
    pub same_dns_name: Vec<Arc<TrafficProfile>>,
    /// What is known of the profile in the traffic manager.
    pub observed: Arc<Observed>,
    /// Calls are on their way whose answers are not recorded yet.
    pub in_flight: bool,
    /// Resource group of profiles that name none.
    pub default_group: Option<String>,
    /// What holds endpoints back while exports change.
    pub collected: Collected,
    /// Members without a session that have not said that they end theirs.
    pub silent: BTreeMap<String, Silence>,
    /// The traffic manager takes hints about endpoints.
    pub takes_hints: bool,
    /// Hints are on their way whose answers are not recorded yet.
    pub hints_in_flight: bool,
}

/// What is to be done for one profile.
pub type Plan = effects::Plan<Facts>;

/// What the shell does besides the writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Calls to make once all steps are done, side by side. The next plan follows as soon as all are answered. None is
    /// made when a step fails.
    pub calls: Vec<arm::Call>,
    /// While calls are on their way: the writes of endpoints that would be planned if all were answered. They replace those
    /// that were not sent yet (see [`Batch::revise`]).
    pub revised: Vec<arm::Call>,
    /// Names of the endpoints that are missing or differ from what is wanted, whether they are written now or not.
    pub differing: Vec<String>,
    /// Hints to send once all steps are done, in one request beside the calls. The next plan follows as soon as they are
    /// answered.
    pub hints: Vec<Hint>,
    /// Series to set to the present time (networking 13.6).
    pub reported: Vec<Series>,
    /// Objects whose series are dropped.
    pub dropped: Vec<Measured>,
}

/// A kind with a series of its statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MeasuredKind {
    /// `fleet_networking_traffic_manager_profile_status_last_timestamp_seconds`.
    Profile,
    /// `fleet_networking_traffic_manager_backend_status_last_timestamp_seconds`.
    Backend,
}

/// An object with series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Its kind.
    pub kind: MeasuredKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The labels of one series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Whose it is.
    pub object: Measured,
    /// Generation of the object.
    pub generation: i64,
    /// Type of the condition.
    pub condition: String,
    /// Its status.
    pub status: String,
    /// Its reason.
    pub reason: String,
}

/// Plans the next pass over one profile and its backends.
///
/// Feeding the outcome of its writes and calls back in ends in a plan without any, until something changes or the
/// profile is due to be read again.
pub fn plan(slice: &Slice, now: Timestamp) -> Plan {
    run(slice, now, Recorder::off())
}

/// Plans as [`plan`] does and explains it.
pub fn explain(slice: &Slice, now: Timestamp) -> (Plan, Trace) {
    let mut trace = Trace::default();
    let plan = run(slice, now, Recorder::on(&mut trace));
    (plan, trace)
}

/// The profile first, then its backends, which go by how far it is; hints last, which depend on neither.
fn run(slice: &Slice, now: Timestamp, trace: Recorder<'_, Trace>) -> Plan {
    let mut pass = pass::Pass::new(slice, now, trace);
    let stage = profile::run(&mut pass);
    backend::run(&mut pass, &stage);
    hints::run(&mut pass, &stage);
    pass.finish()
}

/// The component that an event of a plan comes from (networking 13.7).
pub fn component(event: &effects::Event) -> &'static str {
    if event.about.resource == kinds::TRAFFIC_MANAGER_BACKEND {
        events::BACKEND_CONTROLLER
    } else {
        events::PROFILE_CONTROLLER
    }
}
