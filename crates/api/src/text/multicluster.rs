//! Texts of MultiClusters and their payloads.

/// Finalizer of MultiClusters: until the payload is gone and the member has left its fleet.
pub const FINALIZER: &str = "kube-vip.io/finalizer";

/// Begins the field manager of payloads; see [`field_manager`](crate::multicluster::names::field_manager).
pub const FIELD_MANAGER_PREFIX: &str = "kube-vip-multicluster/";

/// Value of [`annotations::IMPLEMENTATION`] on our agents.
pub const IMPLEMENTATION: &str = "kvmc";

/// Labels of payload objects (multicluster-failover B.9).
pub mod labels {
    /// Name of the MultiCluster that an object of a payload belongs to; see [`label_value`](crate::multicluster::names::label_value).
    pub const NAME: &str = "kube-vip.io/multicluster";

    /// Its namespace.
    pub const NAMESPACE: &str = "kube-vip.io/multicluster-namespace";
}

/// Annotations (multicluster-failover B.2, B.3, B.9).
pub mod annotations {
    /// MultiCluster: a changed value requests a handover to this member.
    pub const PROMOTE: &str = "kube-vip.io/promote";

    /// MultiCluster: a changed value says that the previous leader is dead; this member takes over without a majority.
    pub const FORCE_PROMOTE: &str = "kube-vip.io/force-promote";

    /// MultiCluster: `true` means that this member does not lead.
    pub const PAUSE: &str = "kube-vip.io/pause";

    /// MultiCluster: identity of a member that is gone for good and no longer votes.
    pub const FORGET_MEMBER: &str = "kube-vip.io/forget-member";

    /// Payload object: the term in which it was last applied.
    pub const TERM: &str = "kube-vip.io/term";

    /// Payload object: identity of the member that applied it.
    pub const MEMBER_ID: &str = "kube-vip.io/member-id";

    /// Payload object: hash of the payload that it was applied from.
    pub const PAYLOAD_HASH: &str = "kube-vip.io/payload-hash";

    /// Payload object: `true` says that it existed before, so that it stays when the payload is removed.
    pub const SHARED: &str = "kube-vip.io/shared";

    /// Lease of a MultiCluster: what the member has to remember, as JSON.
    pub const ELECTION_STATE: &str = "kube-vip.io/election-state";

    /// Deployment of the agent: who made it.
    pub const IMPLEMENTATION: &str = "kube-vip.io/implementation";
}

/// Condition types (multicluster-failover B.13).
pub mod conditions {
    /// The member takes part in its fleet.
    pub const READY: &str = "Ready";

    /// It belongs to a fleet.
    pub const MEMBER_JOINED: &str = "MemberJoined";

    /// Connections between members are protected.
    pub const TRANSPORT_SECURE: &str = "TransportSecure";

    /// A leader can be elected.
    pub const QUORUM_AVAILABLE: &str = "QuorumAvailable";

    /// This member could lead.
    pub const ELIGIBLE: &str = "Eligible";

    /// This member leads.
    pub const LEADING: &str = "Leading";

    /// All objects of the payload are applied here.
    pub const PAYLOAD_APPLIED: &str = "PayloadApplied";

    /// They do their job.
    pub const PAYLOAD_AVAILABLE: &str = "PayloadAvailable";

    /// None of them is left here.
    pub const PAYLOAD_REMOVED: &str = "PayloadRemoved";

    /// All members have the same payload.
    pub const PAYLOAD_CONSISTENT: &str = "PayloadConsistent";

    /// The configured fence grace is long enough for the payload.
    pub const FENCE_GRACE_SUFFICIENT: &str = "FenceGraceSufficient";

    /// Another fleet has the same callsign. Abnormal when True.
    pub const FLEET_CONFLICT: &str = "FleetConflict";

    /// Two members may lead at once. Abnormal when True.
    pub const SPLIT_BRAIN_POSSIBLE: &str = "SplitBrainPossible";
}

/// Reasons of conditions (multicluster-failover B.13).
pub mod reasons {
    /// Ready: it takes part.
    pub const OPERATING: &str = "Operating";

    /// Ready: the spec cannot be used.
    pub const INVALID_SPEC: &str = "InvalidSpec";

    /// Ready: the listener cannot be opened.
    pub const LISTEN_FAILED: &str = "ListenFailed";

    /// Ready: it looks for its fleet.
    pub const JOINING: &str = "Joining";

    /// Ready: the fleet refuses it.
    pub const REJECTED: &str = "Rejected";

    /// Ready: others cannot call it.
    pub const ADDRESS_UNKNOWN: &str = "AddressUnknown";

    /// Ready: the object is being deleted.
    pub const LEAVING: &str = "Leaving";

    /// Ready: another controller acts on the same objects.
    pub const OTHER_CONTROLLER_RUNNING: &str = "OtherControllerRunning";

    /// MemberJoined: it votes.
    pub const VOTER: &str = "Voter";

    /// MemberJoined: it does not vote yet.
    pub const LEARNER: &str = "Learner";

    /// MemberJoined: no member answers.
    pub const NO_SEED_REACHABLE: &str = "NoSeedReachable";

    /// MemberJoined: members have another callsign.
    pub const CALLSIGN_MISMATCH: &str = "CallsignMismatch";

    /// MemberJoined: another fleet has the same callsign.
    pub const FLEET_CONFLICT: &str = "FleetConflict";

    /// TransportSecure: certificates of a Secret.
    pub const SECRET_PROVIDED: &str = "SecretProvided";

    /// TransportSecure: certificates of the hub.
    pub const HUB_ISSUED: &str = "HubIssued";

    /// TransportSecure: keys made from the callsign.
    pub const DERIVED_FROM_CALLSIGN: &str = "DerivedFromCallsign";

    /// TransportSecure: the callsign is too short.
    pub const WEAK_CALLSIGN: &str = "WeakCallsign";

    /// TransportSecure: a certificate has expired.
    pub const CERTIFICATE_EXPIRED: &str = "CertificateExpired";

    /// TransportSecure: connections are refused.
    pub const HANDSHAKE_FAILURES: &str = "HandshakeFailures";

    /// QuorumAvailable: most voters answer.
    pub const MAJORITY_REACHABLE: &str = "MajorityReachable";

    /// QuorumAvailable, Leading: the member is alone.
    pub const SOLO: &str = "Solo";

    /// QuorumAvailable: two voters have no majority without each other.
    pub const NO_MAJORITY_POSSIBLE: &str = "NoMajorityPossible";

    /// QuorumAvailable: most voters do not answer.
    pub const MAJORITY_LOST: &str = "MajorityLost";

    /// QuorumAvailable: the hub does not answer.
    pub const WITNESS_UNREACHABLE: &str = "WitnessUnreachable";

    /// Eligible: it could lead.
    pub const ELIGIBLE: &str = "Eligible";

    /// Eligible: its rank is 0 or below.
    pub const VOTER_ONLY_RANK: &str = "VoterOnlyRank";

    /// Eligible: its annotation says so.
    pub const PAUSED: &str = "Paused";

    /// Eligible: its API server does not answer.
    pub const API_UNHEALTHY: &str = "ApiUnhealthy";

    /// Eligible, PayloadApplied: the payload cannot be read.
    pub const INVALID_PAYLOAD: &str = "InvalidPayload";

    /// Eligible: the API server would refuse the payload.
    pub const DRY_RUN_FAILED: &str = "DryRunFailed";

    /// Eligible: a workload of the payload exists and is not ours.
    pub const FOREIGN_WORKLOAD: &str = "ForeignWorkload";

    /// Leading: by its lease.
    pub const LEASE_HELD: &str = "LeaseHeld";

    /// Leading: until it hands over.
    pub const PINNED: &str = "Pinned";

    /// Leading, PayloadRemoved: somebody forced it, or time is over.
    pub const FORCED: &str = "Forced";

    /// Leading: another member leads.
    pub const FOLLOWING: &str = "Following";

    /// Leading: it waits for the old leader's cluster.
    pub const FENCE_WAIT: &str = "FenceWait";

    /// Leading: it has lost the lease.
    pub const DEMOTING: &str = "Demoting";

    /// Leading: nobody leads.
    pub const NO_LEADER: &str = "NoLeader";

    /// PayloadApplied: everything is applied.
    pub const APPLIED: &str = "Applied";

    /// PayloadApplied, PayloadAvailable: this member does not lead.
    pub const NOT_LEADING: &str = "NotLeading";

    /// PayloadApplied: others own fields of the payload.
    pub const CONFLICT: &str = "Conflict";

    /// PayloadApplied: the API server refuses an object.
    pub const APPLY_FAILED: &str = "ApplyFailed";

    /// PayloadApplied: not everything is applied yet.
    pub const APPLYING: &str = "Applying";

    /// PayloadAvailable: everything does its job.
    pub const AVAILABLE: &str = "Available";

    /// PayloadAvailable: something does not.
    pub const NOT_AVAILABLE: &str = "NotAvailable";

    /// PayloadRemoved: nothing is left.
    pub const REMOVED: &str = "Removed";

    /// PayloadRemoved: nothing was ever applied.
    pub const NEVER_APPLIED: &str = "NeverApplied";

    /// PayloadRemoved: something is left.
    pub const REMOVING: &str = "Removing";

    /// PayloadRemoved: the API server refuses a deletion.
    pub const REMOVAL_FAILED: &str = "RemovalFailed";

    /// PayloadRemoved: this member leads.
    pub const LEADING: &str = "Leading";

    /// PayloadConsistent: all payloads are equal.
    pub const SAME: &str = "Same";

    /// FenceGraceSufficient: it is.
    pub const SUFFICIENT: &str = "Sufficient";

    /// PayloadConsistent: payloads differ.
    pub const HASH_MISMATCH: &str = "HashMismatch";

    /// FenceGraceSufficient: the payload's pods may take longer.
    pub const TOO_SHORT: &str = "TooShort";

    /// FleetConflict: it was seen.
    pub const OTHER_FLEET_SEEN: &str = "OtherFleetSeen";

    /// SplitBrainPossible: the fleet is configured so.
    pub const PREFER_AVAILABILITY: &str = "PreferAvailability";

    /// FleetConflict: no other fleet was seen.
    pub const NONE: &str = "None";

    /// SplitBrainPossible: a majority decides.
    pub const QUORUM: &str = "Quorum";
}

/// Reasons of events (multicluster-failover B.13).
pub mod events {
    /// The member founded a fleet.
    pub const BOOTSTRAPPED: &str = "Bootstrapped";

    /// It joined a fleet.
    pub const JOINED: &str = "Joined";

    /// It won an election.
    pub const ELECTED: &str = "Elected";

    /// The payload is applied here.
    pub const PROMOTED: &str = "Promoted";

    /// The payload is being moved to another member.
    pub const HANDOVER_STARTED: &str = "HandoverStarted";

    /// The payload is gone and another member may take over.
    pub const RELEASED: &str = "Released";

    /// The payload is gone after the lease was lost.
    pub const DEMOTED: &str = "Demoted";

    /// The member left the fleet.
    pub const LEFT: &str = "Left";

    /// Warning: a majority did not acknowledge the lease in time.
    pub const LEASE_LOST: &str = "LeaseLost";

    /// Warning: a handover was given up.
    pub const HANDOVER_FAILED: &str = "HandoverFailed";

    /// Warning: a member has another callsign.
    pub const CALLSIGN_MISMATCH: &str = "CallsignMismatch";

    /// Warning: a connection was refused.
    pub const PEER_REJECTED: &str = "PeerRejected";

    /// Warning: others own fields of the payload.
    pub const PAYLOAD_CONFLICT: &str = "PayloadConflict";

    /// Warning: the member took over without a majority.
    pub const FORCED_PROMOTION: &str = "ForcedPromotion";

    /// Warning: the member left without the fleet's agreement.
    pub const LEFT_WITHOUT_QUORUM: &str = "LeftWithoutQuorum";

    /// Warning: the watchdog removed the payload.
    pub const WATCHDOG_FIRED: &str = "WatchdogFired";

    /// Warning: a namespace or a definition of the payload stays, because it holds objects of others.
    pub const PAYLOAD_KEPT: &str = "PayloadKept";
}
