//! The members of this process: whom a server name calls.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use failover::member::MemberId;
use parking_lot::Mutex;

use crate::names::ServerName;
use crate::shared::Shared;

/// Which members listen at which address.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    listening: Mutex<BTreeMap<(SocketAddr, MemberId), Weak<Shared>>>,
}

impl Registry {
    pub fn add(&self, bind: SocketAddr, member: &Arc<Shared>) {
        let key = (bind, member.own.clone());
        self.listening.lock().insert(key, Arc::downgrade(member));
    }

    /// Whether nobody listens at the address any more.
    pub fn remove(&self, bind: SocketAddr, member: &Arc<Shared>) -> bool {
        let mut listening = self.listening.lock();
        let key = (bind, member.own.clone());
        if listening
            .get(&key)
            .is_some_and(|known| known.as_ptr() == Arc::as_ptr(member))
        {
            listening.remove(&key);
        }
        !listening.keys().any(|(address, _)| *address == bind)
    }

    /// The member at this address that a server name calls. Where the one that is meant is not here, another one of
    /// the callsign answers, so that the dialler finds out that it has the right callsign and the wrong address.
    pub fn called(&self, bind: SocketAddr, name: &ServerName) -> Option<Arc<Shared>> {
        let listening = self.listening.lock();
        let of_callsign: Vec<_> = listening
            .iter()
            .filter(|((address, _), _)| *address == bind)
            .filter_map(|(_, member)| member.upgrade())
            // What was returned by `listen` may be held longer than the endpoint.
            .filter(|member| !member.stop.is_cancelled())
            .filter(|member| member.local().credentials.callsign() == name.callsign)
            .collect();
        let meant = of_callsign.iter().find(|member| name.calls(&member.own));
        meant.or_else(|| of_callsign.first()).cloned()
    }

    /// Another member of this process with the same callsign.
    pub fn sibling(&self, of: &Shared) -> Option<MemberId> {
        let callsign = of.local().credentials.callsign();
        let listening = self.listening.lock();
        let mut others = listening.values().filter_map(Weak::upgrade);
        let sibling = others.find(|other| other.own != of.own && other.local().credentials.callsign() == callsign);
        sibling.map(|sibling| sibling.own.clone())
    }
}
