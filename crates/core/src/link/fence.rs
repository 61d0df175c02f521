//! Which process may hold the session of a cluster: a newer agent fences off the one before (networking 16.5).

/// What a process says of itself when it opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Lease transitions of the agent's own lease: a new leader always has a higher epoch.
    pub epoch: u64,
    /// Random id of the process.
    pub instance: String,
    /// The hub incarnation that it knew before, empty when none.
    pub hub_incarnation: String,
}

/// The answer to a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A newer agent of this cluster has had the session: this one must go.
    Superseded,
    /// The process of the session before comes back to the hub that it knows: each topic may continue.
    Returning,
    /// Another process, or one that knows another hub: each topic starts with a full sync.
    New,
}

/// The process that holds the session of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    epoch: u64,
    instance: String,
}

impl Fence {
    /// A process opens a session with the hub of this incarnation. Unless it is superseded, the session is
    /// its own from now on; of two with the same epoch the newer connection counts.
    pub fn admit(&mut self, greeting: &Greeting, incarnation: &str) -> Admission {
        if greeting.epoch < self.epoch {
            return Admission::Superseded;
        }
        let same = greeting.epoch == self.epoch && greeting.instance == self.instance;
        self.epoch = greeting.epoch;
        self.instance.clone_from(&greeting.instance);
        if same && greeting.hub_incarnation == incarnation {
            Admission::Returning
        } else {
            Admission::New
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_epoch_is_superseded_and_only_the_same_process_of_the_same_hub_returns() {
        let mut fence = Fence::default();
        let mut admit = |epoch, instance: &str, incarnation: &str| {
            let greeting = Greeting {
                epoch,
                instance: instance.into(),
                hub_incarnation: incarnation.into(),
            };
            fence.admit(&greeting, "h1")
        };
        assert_eq!(admit(3, "x", ""), Admission::New);
        assert_eq!(admit(3, "x", "h1"), Admission::Returning);
        assert_eq!(admit(2, "old", "h1"), Admission::Superseded);
        assert_eq!(admit(3, "x", "h0"), Admission::New, "it knows another hub");
        assert_eq!(admit(3, "y", "h1"), Admission::New, "another process of the same epoch");
        assert_eq!(admit(4, "z", "h1"), Admission::New, "a newer leader");
        assert_eq!(admit(3, "y", "h1"), Admission::Superseded);
    }
}
