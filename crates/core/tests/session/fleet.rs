//! A member with its agents, and the hub they report to.

use std::collections::BTreeMap;

use fairway_core::link::NackCode;
use fairway_core::link::fence::{Admission, Greeting};
use fairway_core::link::outbox::{Outbox, Refused, Resume};
use fairway_core::services::{
    ExportKey, ExportReport, Exports, PublicIp, ServicePort, ServiceRef, WithdrawReason, Withdrawal,
};

use crate::hub::{Down, Fate, Hub, Stream, Up, is_bad};

/// Changes that an agent may have unacknowledged.
const WINDOW: usize = 3;

/// A process of the member agent.
struct Agent {
    number: u32,
    epoch: u64,
    incarnation: String,
    outbox: Outbox<Exports>,
    connected: bool,
    /// A full sync is yet to come on the present stream.
    sync_due: bool,
    syncs: u32,
}

pub struct Fleet {
    pub hub: Hub,
    /// What the member exports.
    pub truth: BTreeMap<ExportKey, ExportReport>,
    /// The agent that leads, and the one before when it has not noticed yet that it does not.
    leader: Agent,
    stale: Option<Agent>,
    incarnation: u32,
    agents: u32,
}

pub fn key(number: u8) -> ExportKey {
    ExportKey {
        namespace: "app".to_owned(),
        name: format!("e{number}"),
    }
}

/// An export in some version; version 0 is one that the hub refuses.
pub fn export(version: u8) -> ExportReport {
    let port = ServicePort {
        name: String::new(),
        protocol: "TCP".to_owned(),
        app_protocol: None,
        port: i32::from(version),
        target_port: None,
    };
    ExportReport {
        service: ServiceRef::default(),
        exported_since: None,
        ports: if version == 0 { Vec::new() } else { vec![port] },
        service_type: "ClusterIP".to_owned(),
        weight: None,
        internal_load_balancer: false,
        public_ip: PublicIp::default(),
        is_ready: None,
        endpoint: fairway_core::services::EndpointSettings::default(),
    }
}

fn withdrawal() -> Withdrawal {
    Withdrawal {
        service_uid: String::new(),
        reason: WithdrawReason::ExportDeleted,
    }
}

impl Agent {
    fn new(number: u32, epoch: u64, truth: &BTreeMap<ExportKey, ExportReport>) -> Self {
        let mut outbox = Outbox::new();
        for (key, report) in truth {
            outbox.set(key.clone(), report.clone());
        }
        Self {
            number,
            epoch,
            incarnation: String::new(),
            outbox,
            connected: false,
            sync_due: false,
            syncs: 0,
        }
    }

    fn sync_id(&mut self) -> String {
        self.syncs += 1;
        format!("{}-{}", self.number, self.syncs)
    }
}

impl Fleet {
    pub fn new() -> Self {
        let truth = BTreeMap::new();
        Self {
            hub: Hub::default(),
            leader: Agent::new(1, 1, &truth),
            stale: None,
            truth,
            incarnation: 1,
            agents: 1,
        }
    }

    fn agent(&mut self, stale: bool) -> Option<&mut Agent> {
        if stale {
            self.stale.as_mut()
        } else {
            Some(&mut self.leader)
        }
    }

    pub fn set(&mut self, key: ExportKey, report: ExportReport) {
        self.truth.insert(key.clone(), report.clone());
        self.leader.outbox.set(key, report);
    }

    pub fn unset(&mut self, key: &ExportKey) {
        if self.truth.remove(key).is_some() {
            self.leader.outbox.remove(key.clone(), withdrawal());
        }
    }

    pub fn connect(&mut self, stale: bool) {
        let incarnation = format!("hub-{}", self.incarnation);
        let agent = if stale {
            self.stale.as_mut()
        } else {
            Some(&mut self.leader)
        };
        let Some(agent) = agent.filter(|agent| !agent.connected) else {
            return;
        };
        let greeting = Greeting {
            epoch: agent.epoch,
            instance: agent.number.to_string(),
            hub_incarnation: agent.incarnation.clone(),
        };
        let admission = self.hub.fence.admit(&greeting, &incarnation);
        if admission == Admission::Superseded {
            return;
        }
        let returning = admission == Admission::Returning;
        let resume = match self.hub.inbox.connected(returning, agent.outbox.last_acked()) {
            Some(next_seq) => Resume::Continue { next_seq },
            None if !agent.incarnation.is_empty() && agent.incarnation != incarnation => Resume::ChangesFirst,
            None => Resume::FullSync {
                sync_id: agent.sync_id(),
            },
        };
        agent.incarnation = incarnation;
        agent.connected = true;
        agent.sync_due = resume == Resume::ChangesFirst;
        agent.outbox.connected(resume, WINDOW);
        let number = agent.number;
        // The newest stream is the session; what the one before writes lands before anything of this one.
        self.hub.close();
        self.hub.stream = Some(Stream::new(number));
        self.notice(!stale);
    }

    /// An agent whose stream the hub has closed notices that.
    fn notice(&mut self, stale: bool) {
        let holder = self.hub.stream.as_ref().map(|stream| stream.agent);
        if let Some(agent) = self.agent(stale)
            && agent.connected
            && holder != Some(agent.number)
        {
            agent.connected = false;
            agent.outbox.disconnected();
        }
    }

    /// The member's end of a stream breaks. What was sent may still arrive; what was answered is lost.
    pub fn cut(&mut self, stale: bool) {
        let Some(agent) = self.agent(stale).filter(|agent| agent.connected) else {
            return;
        };
        agent.connected = false;
        agent.outbox.disconnected();
        let number = agent.number;
        if let Some(stream) = self.hub.stream.as_mut().filter(|stream| stream.agent == number) {
            stream.down.clear();
        }
    }

    pub fn send(&mut self, stale: bool) {
        let agent = if stale {
            self.stale.as_mut()
        } else {
            Some(&mut self.leader)
        };
        let Some(agent) = agent.filter(|agent| agent.connected) else {
            return;
        };
        let stream = self.hub.stream.as_mut().filter(|stream| stream.agent == agent.number);
        if let (Some(stream), Some(message)) = (stream, agent.outbox.pop()) {
            let exported = agent.outbox.desired().keys().cloned().collect();
            stream.up.push_back(Up { message, exported });
        }
    }

    /// An agent that was let in by a new hub reports everything again.
    pub fn sync(&mut self, stale: bool) {
        if let Some(agent) = self.agent(stale)
            && agent.connected
            && std::mem::take(&mut agent.sync_due)
        {
            let id = agent.sync_id();
            agent.outbox.start_sync(id);
        }
    }

    /// An agent receives the hub's next answer.
    pub fn receive(&mut self, stale: bool) {
        let agent = if stale {
            self.stale.as_mut()
        } else {
            Some(&mut self.leader)
        };
        let Some(agent) = agent.filter(|agent| agent.connected) else {
            return;
        };
        let stream = self.hub.stream.as_mut().filter(|stream| stream.agent == agent.number);
        match stream.and_then(|stream| stream.down.pop_front()) {
            None => {}
            Some(Down::Ack(seq)) => {
                agent.outbox.ack(seq);
                if !stale {
                    self.acknowledged_is_recorded();
                }
            }
            Some(Down::Nack(seq, code)) => {
                let refused = agent.outbox.nack(seq, code);
                assert!(code != NackCode::Unavailable || refused != Refused::Final);
            }
            // The one that is asked for is yet to come.
            Some(Down::Resync) if agent.sync_due => {}
            Some(Down::Resync) => {
                let id = agent.sync_id();
                agent.outbox.start_sync(id);
            }
        }
    }

    /// Every acknowledged report is in the API server.
    fn acknowledged_is_recorded(&self) {
        let open = self.leader.outbox.open();
        for (key, report) in self.leader.outbox.desired() {
            if open.contains(key) || is_bad(report) || self.hub.tampered.contains(key) {
                continue;
            }
            let recorded = self.hub.records.get(key).map(|record| &record.report);
            assert_eq!(recorded, Some(report), "{key} is acknowledged and not recorded");
        }
    }

    pub fn release(&mut self) {
        self.leader.outbox.release();
    }

    /// The hub agent ends, and another process of it starts.
    pub fn restart_hub(&mut self) {
        self.hub.close();
        self.hub.forget();
        self.incarnation += 1;
        // The epoch is learned anew from whoever comes first, so an outdated agent is let in again for a moment; it is
        // left out here.
        self.stale = None;
        self.notice(false);
    }

    /// The member's agent ends, and another process starts; under a new lease the one before may go on for a while.
    pub fn restart_member(&mut self, new_lease: bool) {
        if !new_lease {
            self.cut(false);
        }
        self.agents += 1;
        let epoch = self.leader.epoch + u64::from(new_lease);
        let next = Agent::new(self.agents, epoch, &self.truth);
        let before = std::mem::replace(&mut self.leader, next);
        self.stale = new_lease.then_some(before);
    }

    /// Everything works again: runs until nothing moves any more.
    pub fn settle(&mut self) {
        self.stale = None;
        for _ in 0..2000 {
            self.notice(false);
            self.connect(false);
            self.sync(false);
            self.send(false);
            self.hub.read();
            self.hub.finish(0, Fate::Done);
            self.receive(false);
            self.hub.ask();
            let Some(stream) = &self.hub.stream else { continue };
            if !stream.is_busy() && self.leader.outbox.open().is_empty() {
                // Nothing may be due beside changes either, like the end of a sync.
                self.send(false);
                if self.hub.stream.as_ref().is_some_and(|stream| stream.up.is_empty()) {
                    return;
                }
            }
            let due = self.hub.stream.as_ref().and_then(Stream::waits_until);
            self.hub.now = self.hub.now.max(due.unwrap_or_default());
            self.release();
        }
        panic!("the session does not come to rest");
    }
}
