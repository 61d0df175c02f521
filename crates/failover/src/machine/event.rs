//! The events that a machine takes, and the actions that it returns.

use std::time::Duration;

use crate::machine::settings::{Health, Settings};
use crate::member::{FleetId, MemberId};
use crate::message::Message;
use crate::record::Record;
use crate::time::Time;

/// Something that has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The armed time has come.
    Tick,
    /// The object or what belongs to it changed.
    Settings(Box<Settings>),
    Health(Health),
    /// A message on an authenticated connection of its sender.
    Received(Box<Message>),
    /// An address did not answer, or refused.
    SeedFailed {
        address: String,
        reason: SeedFailure,
    },
    /// The record with this count of writes is stored.
    Stored {
        writes: u64,
    },
    /// The record could not be stored.
    StoreFailed,
    /// Every object of the payload's revision is applied.
    PayloadApplied {
        term: u64,
        payload: u64,
    },
    /// Nothing of the payload is left.
    PayloadRemoved,
    /// The applied payload is ready to serve, or is no longer.
    PayloadAvailable(bool),
    /// The hub's record of the callsign: created by us, or taken by another fleet.
    HubRecord {
        created: bool,
    },
    /// The fence hook's answer.
    FenceHook {
        term: u64,
        confirmed: bool,
    },
}

/// Why an address is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedFailure {
    Unreachable,
    /// It answers for no such callsign.
    CallsignMismatch,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Store the record, then report [`Event::Stored`].
    Persist(Box<Record>),
    Send {
        to: Address,
        message: Box<Message>,
    },
    /// Report [`Event::Tick`] at this time; replaces the last one.
    ArmTimer(Time),
    /// Apply this revision of the payload in this term, and keep it applied.
    ApplyPayload {
        term: u64,
        payload: u64,
    },
    /// Remove whatever the inventory lists and apply nothing; within the fence when one is given.
    RemovePayload {
        term: u64,
        within: Option<Duration>,
    },
    /// Write that the lease lasts this much longer, for the watchdog.
    PublishWindow {
        valid_for: Duration,
    },
    /// Create the hub's record of this fleet unless there is one, or only that of the fleet that all have left.
    ClaimHubRecord {
        fleet: FleetId,
        replaces: Option<FleetId>,
    },
    /// Ask the fence hook to confirm that the old leader does not run.
    CallFenceHook {
        term: u64,
        old: Option<MemberId>,
    },
    Notify(Notice),
    /// The member has left: the finalizer may go.
    Finish,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Member(MemberId),
    /// Whoever of the callsign answers there.
    Seed(String),
}

/// What becomes an event on the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Bootstrapped,
    Joined,
    Elected { term: u64 },
    Promoted { term: u64 },
    HandoverStarted { successor: Option<MemberId> },
    HandoverFailed,
    Released { term: u64 },
    LeaseLost { term: u64 },
    Demoted { term: u64 },
    ForcedPromotion { term: u64 },
    Left,
    LeftWithoutQuorum,
}
