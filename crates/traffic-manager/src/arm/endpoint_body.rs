//! The body of an endpoint, alone or in a profile's list.

use serde::Deserialize;

use super::ADDRESSES;
use super::checks::{self, missing};
use crate::error::ArmError;
use crate::model::{Endpoint, EndpointKind, Header, Health, ResourceId, Target};

/// An endpoint as it arrives. What only the server sets is left out, and what nobody knows is ignored, as ARM does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointBody {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    properties: Option<Properties>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    target_resource_id: Option<String>,
    target: Option<String>,
    endpoint_status: Option<String>,
    weight: Option<i64>,
    priority: Option<i64>,
    endpoint_location: Option<String>,
    custom_headers: Option<Vec<Header>>,
    always_serve: Option<String>,
}

/// Reads the last segment of an endpoint's type, such as `AzureEndpoints`.
///
/// # Errors
/// 400 for types that are not served, with what to use instead.
pub fn kind(segment: &str) -> Result<EndpointKind, ArmError> {
    match segment.to_ascii_lowercase().as_str() {
        "azureendpoints" => Ok(EndpointKind::Azure),
        "externalendpoints" => Ok(EndpointKind::External),
        "nestedendpoints" => Err(ArmError::bad_request(
            "Nested endpoints are not supported by this traffic manager: list the endpoints of the nested profile in this \
             one.",
        )),
        _ => Err(ArmError::bad_request(format!(
            "The endpoint type '{segment}' is not valid: use AzureEndpoints or ExternalEndpoints."
        ))),
    }
}

impl EndpointBody {
    /// The endpoint that this body asks for under that type and name. A priority of 0 means: not given.
    ///
    /// # Errors
    /// 400 that says which property is missing or wrong.
    pub fn read(self, kind: EndpointKind, name: &str) -> Result<Endpoint, ArmError> {
        checks::name(name)?;
        if let Some(given) = &self.name
            && !given.eq_ignore_ascii_case(name)
        {
            return Err(ArmError::bad_request(format!(
                "The name '{given}' in the body is not the name '{name}' of the endpoint."
            )));
        }
        if let Some(given) = &self.kind
            && self::kind(last_segment(given))? != kind
        {
            return Err(ArmError::bad_request(format!(
                "The type '{given}' in the body is not the type of the endpoint."
            )));
        }
        let properties = self.properties.ok_or_else(|| missing("properties"))?;
        let priority = properties.priority.unwrap_or(0);
        Ok(Endpoint {
            kind,
            name: name.to_owned(),
            target: target(kind, properties.target_resource_id, properties.target)?,
            enabled: checks::enabled("properties.endpointStatus", properties.endpoint_status.as_deref(), true)?,
            weight: checks::bounded("properties.weight", properties.weight.unwrap_or(1), 1, 1000)?,
            priority: match priority {
                0 => 0,
                given => checks::bounded("properties.priority", given, 1, 1000)?,
            },
            location: properties.endpoint_location.filter(|location| !location.is_empty()),
            headers: checks::headers(properties.custom_headers.unwrap_or_default())?,
            always_serve: checks::enabled("properties.alwaysServe", properties.always_serve.as_deref(), false)?,
            health: Health::Checking,
            problem: None,
            hint: None,
        })
    }

    /// The endpoint that this entry of a profile's list asks for; its type and name are in the body.
    ///
    /// # Errors
    /// As [`EndpointBody::read`], and when the type or name is missing.
    pub(super) fn read_listed(self) -> Result<Endpoint, ArmError> {
        let name = self.name.clone().ok_or_else(|| missing("properties.endpoints.name"))?;
        let given = self.kind.clone().ok_or_else(|| missing("properties.endpoints.type"))?;
        let kind = kind(last_segment(&given))?;
        self.read(kind, &name)
    }
}

fn last_segment(kind: &str) -> &str {
    kind.rsplit('/').next().unwrap_or(kind)
}

fn target(kind: EndpointKind, id: Option<String>, target: Option<String>) -> Result<Target, ArmError> {
    match kind {
        EndpointKind::Azure => {
            let id = id
                .filter(|id| !id.is_empty())
                .ok_or_else(|| missing("properties.targetResourceId"))?;
            let parsed = ResourceId::parse(&id, ADDRESSES).ok_or_else(|| {
                ArmError::bad_request(format!(
                    "The target resource '{id}' is not supported by this traffic manager: it must be a public IP address, \
                     /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Network/publicIPAddresses/<name>."
                ))
            })?;
            Ok(Target::Resource { id: parsed })
        }
        EndpointKind::External => {
            let target = target
                .filter(|target| !target.is_empty())
                .ok_or_else(|| missing("properties.target"))?;
            if target.parse::<std::net::IpAddr>().is_err() && !checks::is_host(&target) {
                return Err(ArmError::bad_request(format!(
                    "The target '{target}' is neither a host name nor an IP address."
                )));
            }
            Ok(Target::External { target })
        }
    }
}
