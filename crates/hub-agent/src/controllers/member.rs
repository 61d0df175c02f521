//! MemberClusters: what a member needs on the hub, and what it reports (hub-behaviour 1).

use std::sync::Arc;

use fairway_core::members::{self, Counter, Plan, Seen, Settings};
use jiff::Timestamp;
use kit::controller::{Controller, Executed, Series};

use crate::metrics::{HubMetrics, controllers};
use crate::store::{GatheredMember, Store};

/// Works on members.
pub struct MemberController {
    /// What is known.
    pub store: Arc<Store>,
    /// Switches.
    pub settings: Settings,
    /// Counts.
    pub metrics: Arc<HubMetrics>,
}

impl Controller for MemberController {
    type Key = String;
    type Slice = GatheredMember;
    type Facts = Vec<Counter>;

    const NAME: &'static str = "MemberCluster";
    const COMPONENT: &'static str = "mcv1beta1";

    fn series(&self, _name: &String) -> Vec<Series> {
        vec![self.metrics.series(controllers::MEMBER)]
    }

    fn gather(&self, name: &String, _now: Timestamp) -> Option<GatheredMember> {
        self.store.gather_member(name)
    }

    fn plan(&self, _name: &String, found: GatheredMember, now: Timestamp) -> Plan {
        let seen = Seen {
            member: &found.member.value,
            namespace: found.namespace.as_deref(),
            role: found.role.as_deref(),
            role_binding: found.role_binding.as_deref(),
            internal: found.internal.as_deref(),
            held_works: &found.held_works,
        };
        members::plan(&seen, &self.settings, now)
    }

    fn executed(&self, _name: &String, done: &Executed<'_, Vec<Counter>>) {
        let counters = done.plan.facts.iter().filter(|_| done.steps_done);
        counters.for_each(|counter| match counter {
            Counter::Join => self.metrics.joined(),
            Counter::Leave => self.metrics.left(),
        });
    }
}
