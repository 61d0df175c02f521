//! Rules that can be left out on purpose, so that the simulation shows that it notices.
//!
//! Only the crate's own tests switch this on (feature `defects`); in agents no rule can be left out.

/// One rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Votes are granted although the voter is bound to another leader.
    VoteDespitePromise,
    /// A winner does not wait for the last leader's cluster.
    NoFenceWait,
    /// A winner that fails during its wait passes on only its own fence.
    DebtNotInherited,
    /// Messages leave before the record is stored.
    SendBeforeStored,
    /// A winner applies the payload before a majority has acknowledged a renewal of its term.
    PromotedUnrenewed,
    /// A restarted voter supports others at once.
    NoQuarantine,
    /// A lease lasts as long at the leader as at the voters.
    NoLeaseMargin,
    /// A lease is counted from the answer.
    LeaseFromAnswer,
    /// The end of the lease does not stop writes of the payload.
    NoWriteGate,
    /// A change of the voters counts as committed at once.
    CommitAtOnce,
    /// The majority is that of the voters that were seen lately.
    QuorumOfReachable,
    /// A leader that lost its lease leads on when renewals are acknowledged again.
    DemotingCancellable,
    /// A winner that waits releases when it gives up.
    ReleaseFromFenceWait,
}

/// The rule that is left out, if any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defects(#[cfg(feature = "defects")] pub Option<Defect>);

impl Defects {
    /// Whether the rule is left out.
    #[cfg(feature = "defects")]
    pub fn has(self, defect: Defect) -> bool {
        self.0 == Some(defect)
    }

    /// No rule is left out.
    #[cfg(not(feature = "defects"))]
    pub const fn has(self, _: Defect) -> bool {
        false
    }
}
