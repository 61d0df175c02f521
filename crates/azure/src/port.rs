//! What the agents need of Azure. Everything behind it may be replaced, by tests too.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;
use crate::model::{Endpoint, EndpointHint, Profile, ProfileRef, PublicIp};

/// Profiles of a traffic manager and their endpoints.
///
/// Each method is one HTTP call with a deadline, without repetition: repetition belongs to whoever knows what the call was
/// for. Azure has no preconditions for these calls, so writes of one profile must not overlap (networking 6.2).
#[async_trait]
pub trait TrafficManager: Send + Sync + fmt::Debug {
    /// A profile and its endpoints.
    ///
    /// # Errors
    /// [`Class::NotFound`](crate::Class::NotFound) when it does not exist, and other classes.
    async fn profile(&self, profile: &ProfileRef) -> Result<Profile, Error>;

    /// Creates or replaces a profile; the endpoints in `body` replace those that it has. Answers what Azure stored.
    ///
    /// # Errors
    /// By class.
    async fn put_profile(&self, profile: &ProfileRef, body: &Profile) -> Result<Profile, Error>;

    /// Deletes a profile and its endpoints. One that does not exist is deleted already.
    ///
    /// # Errors
    /// By class, never [`Class::NotFound`](crate::Class::NotFound).
    async fn delete_profile(&self, profile: &ProfileRef) -> Result<(), Error>;

    /// Waits until an endpoint may be written, so that what is written can be decided when it is about to be sent.
    ///
    /// # Errors
    /// At once while Azure wants no writes.
    async fn turn(&self) -> Result<Turn, Error>;

    /// Creates or replaces an endpoint of the type `AzureEndpoints` by its name. Answers what Azure stored.
    ///
    /// # Errors
    /// By class.
    async fn put_endpoint(
        &self,
        turn: Turn,
        profile: &ProfileRef,
        name: &str,
        body: &Endpoint,
    ) -> Result<Endpoint, Error>;

    /// Deletes an endpoint of the type `AzureEndpoints`, by the name as Azure spells it. One that does not exist is deleted already.
    ///
    /// # Errors
    /// By class, never [`Class::NotFound`](crate::Class::NotFound).
    async fn delete_endpoint(&self, profile: &ProfileRef, name: &str) -> Result<(), Error>;
}

/// The right to write one endpoint now (networking 12.1).
#[derive(Debug)]
pub struct Turn(());

impl Turn {
    /// The turn of a call that has waited, or that nothing limits.
    pub fn taken() -> Self {
        Self(())
    }
}

/// Hints about endpoints, which Fairway's own traffic manager takes and Azure does not.
#[async_trait]
pub trait EndpointHints: Send + Sync + fmt::Debug {
    /// Sends hints, at most 1000. Answers for each why it was refused, or nothing when it was applied.
    ///
    /// # Errors
    /// [`Class::NotFound`](crate::Class::NotFound) or status 400 when the server takes no hints, and other classes.
    async fn hint(&self, hints: &[EndpointHint]) -> Result<Vec<Option<String>>, Error>;
}

/// Public IP addresses of the subscription.
#[async_trait]
pub trait PublicIpAddresses: Send + Sync + fmt::Debug {
    /// All addresses of a resource group. A list younger than 10 seconds is answered again without a call, and callers at
    /// the same time share one (networking 9.3).
    ///
    /// # Errors
    /// By class.
    async fn list(&self, resource_group: &str) -> Result<Arc<[PublicIp]>, Error>;
}
