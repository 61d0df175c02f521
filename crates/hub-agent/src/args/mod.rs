//! The command line of the hub agent (hub-behaviour 11.2). All mistakes are reported together.

mod flags;
mod sections;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use fairway_core::placement::Settings;
use kit::flags::{ParseError, Values};

pub use sections::{
    Admission, Controllers, Election, Features, HubConnection, MemberRules, Process, QueueLimits, Selection, Webhooks,
};

/// Everything that the command line says, one part per concern.
#[derive(Debug, Clone)]
pub struct Config {
    /// How to reach the hub's API server.
    pub hub: HubConnection,
    /// Leader election.
    pub election: Election,
    /// Probes, metrics, logging.
    pub process: Process,
    /// Which groups of APIs are on.
    pub features: Features,
    /// Which resources may be selected.
    pub selection: Selection,
    /// Sizes and speeds of queues.
    pub queues: QueueLimits,
    /// Rules about members.
    pub members: MemberRules,
    /// Webhooks and their certificates.
    pub webhooks: Webhooks,
    /// What admission forbids.
    pub admission: Admission,
    /// Which controllers run.
    pub controllers: Controllers,
    /// How the members' sessions are served; `None` when they are not.
    pub link: Option<crate::link::Config>,
    /// Whether type, weight and public address of exports are recorded, and TrafficManagerProfiles are worked on.
    pub traffic_manager: bool,
    /// File that says which traffic manager to use.
    pub cloud_config: PathBuf,
    /// What the planner decides by.
    pub planner: Settings,
    /// Flags that request something and have no effect.
    pub without_effect: Vec<&'static str>,
}

impl Config {
    /// Reads arguments (without the program's name).
    ///
    /// # Errors
    /// When help is requested or anything is wrong; all mistakes at once.
    pub fn parse<I: IntoIterator<Item = String>>(arguments: I) -> Result<Self, ParseError> {
        let values = flags::set().parse(arguments)?;
        Self::from_values(values).map_err(ParseError::Invalid)
    }

    fn from_values(mut values: Values) -> Result<Self, Vec<String>> {
        let v = &mut values;
        let hub = HubConnection::read(v);
        let election = Election::read(v);
        let process = Process::read(v);
        let features = Features::read(v);
        let selection = Selection::read(v);
        let queues = QueueLimits::read(v);
        let members = MemberRules::read(v);
        let webhooks = Webhooks::read(v);
        let admission = Admission::read(v);
        let controllers = Controllers::read(v);
        let link = sections::link(v);
        let traffic_manager = v.switch("enable-traffic-manager-feature");
        let cloud_config = PathBuf::from(v.text("cloud-config"));
        v.require(
            !traffic_manager || !cloud_config.as_os_str().is_empty(),
            "The flag --cloud-config must not be empty while --enable-traffic-manager-feature is true.",
        );
        let planner = sections::planner(v, &selection, &controllers, admission.workloads_on_hub);
        v.require(
            !webhooks.use_cert_manager || admission.workloads_on_hub,
            "The flag --use-cert-manager needs --enable-workload.",
        );
        let config = Self {
            without_effect: v.without_effect(),
            hub,
            election,
            process,
            features,
            selection,
            queues,
            members,
            webhooks,
            admission,
            controllers,
            link,
            traffic_manager,
            cloud_config,
            planner,
        };
        values.finish(config)
    }
}
