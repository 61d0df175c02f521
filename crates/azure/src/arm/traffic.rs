//! Profiles and their endpoints.

use std::fmt;

use async_trait::async_trait;
use azure_core::Method;

use super::{Arm, body_of, call, deleted, segment, unreadable};
use crate::error::Error;
use crate::model::{Endpoint, Profile, ProfileRef};
use crate::port::{TrafficManager, Turn};

/// Of what is written; the generated client has the same.
const API_VERSION: &str = "2022-04-01";

/// Of the endpoints that are written, as part of a path. An answer may spell it otherwise, and a deletion with another
/// spelling succeeds without an effect.
const PATH_TYPE: &str = "AzureEndpoints";

#[async_trait]
impl TrafficManager for Arm {
    async fn profile(&self, profile: &ProfileRef) -> Result<Profile, Error> {
        let what = format!("read {}", Shown(profile));
        let (group, name) = names(profile, &what)?;
        let sent = self
            .generated
            .profiles_client()
            .get(group, name, &self.subscription)
            .send();
        let body = body_of(sent.await, &what).await?;
        Profile::read(&body).map_err(|cause| unreadable(&what, &cause))
    }

    async fn put_profile(&self, profile: &ProfileRef, body: &Profile) -> Result<Profile, Error> {
        let what = format!("write {}", Shown(profile));
        let (group, name) = names(profile, &what)?;
        let url = self.url(&path(group, name), API_VERSION);
        let json = azure_core::to_json(body.json()).map_err(|err| unreadable(&what, &err.to_string()))?;
        let answer = call(&self.pipeline, Method::Put, url, Some(json), &what).await?;
        Profile::read(&answer).map_err(|cause| unreadable(&what, &cause))
    }

    async fn delete_profile(&self, profile: &ProfileRef) -> Result<(), Error> {
        let what = format!("delete {}", Shown(profile));
        let (group, name) = names(profile, &what)?;
        let client = self.generated.profiles_client();
        let sent = client.delete(group, name, &self.subscription).send().await;
        deleted(body_of(sent, &what).await)
    }

    async fn turn(&self) -> Result<Turn, Error> {
        let taken = self.gate.turn(&self.subscription).await;
        taken
            .map(|()| Turn::taken())
            .map_err(|failure| Error::of("write an endpoint", failure))
    }

    async fn put_endpoint(
        &self,
        _turn: Turn,
        profile: &ProfileRef,
        endpoint: &str,
        body: &Endpoint,
    ) -> Result<Endpoint, Error> {
        let what = format!("write the endpoint {endpoint:?} of {}", Shown(profile));
        let (group, name) = names(profile, &what)?;
        let own = segment(endpoint, "endpoint", &what)?;
        let url = self.url(&format!("{}/{PATH_TYPE}/{own}", path(group, name)), API_VERSION);
        let json = azure_core::to_json(body.json()).map_err(|err| unreadable(&what, &err.to_string()))?;
        let answer = call(&self.pipeline_in_turn, Method::Put, url, Some(json), &what).await?;
        Endpoint::read(&answer).map_err(|cause| unreadable(&what, &cause))
    }

    async fn delete_endpoint(&self, profile: &ProfileRef, endpoint: &str) -> Result<(), Error> {
        let what = format!("delete the endpoint {endpoint:?} of {}", Shown(profile));
        let (group, name) = names(profile, &what)?;
        let own = segment(endpoint, "endpoint", &what)?;
        let client = self.generated.endpoints_client();
        let sent = client.delete(group, name, PATH_TYPE, own, &self.subscription).send();
        deleted(body_of(sent.await, &what).await)
    }
}

fn names<'a>(profile: &'a ProfileRef, what: &str) -> Result<(&'a str, &'a str), Error> {
    Ok((
        segment(&profile.resource_group, "resource group", what)?,
        segment(&profile.name, "profile", what)?,
    ))
}

fn path(group: &str, profile: &str) -> String {
    format!("/resourceGroups/{group}/providers/Microsoft.Network/trafficmanagerprofiles/{profile}")
}

struct Shown<'a>(&'a ProfileRef);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProfileRef { resource_group, name } = self.0;
        write!(f, "the profile {name:?} under {resource_group:?}")
    }
}
