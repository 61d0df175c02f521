//! API versions. What differs between those that are accepted does not concern the properties that are served.

use crate::error::ArmError;

/// Versions of the Traffic Manager API.
const TRAFFIC_MANAGER: [&str; 10] = [
    "2015-11-01",
    "2017-03-01",
    "2017-05-01",
    "2018-02-01",
    "2018-03-01",
    "2018-04-01",
    "2018-08-01",
    "2022-04-01-preview",
    "2022-04-01",
    "2024-04-01-preview",
];
/// The first and the last version of the network API that is accepted; it has one nearly every month.
const NETWORK: (&str, &str) = ("2015-06-15", "2026-12-31");

/// The API of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Profiles, endpoints and names.
    TrafficManager,
    /// Public IP addresses.
    Network,
}

/// Checks the query parameter `api-version`.
///
/// # Errors
/// 400 as ARM says it, when the version is missing or not served.
pub fn check(api: Api, version: Option<&str>) -> Result<(), ArmError> {
    let Some(version) = version.filter(|version| !version.is_empty()) else {
        let message = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(ArmError::new(400, "MissingApiVersionParameter", message));
    };
    let version_lower = version.to_ascii_lowercase();
    let (known, kind, supported) = match api {
        Api::TrafficManager => (
            TRAFFIC_MANAGER.contains(&version_lower.as_str()),
            super::PROFILES,
            TRAFFIC_MANAGER.join(", "),
        ),
        Api::Network => {
            let date = version_lower.strip_suffix("-preview").unwrap_or(&version_lower);
            let known = is_date(date) && (NETWORK.0..=NETWORK.1).contains(&date);
            (known, super::ADDRESSES, format!("{} to {}", NETWORK.0, NETWORK.1))
        }
    };
    if known {
        return Ok(());
    }
    let message = format!(
        "No registered resource provider found for location 'global' and API version '{version}' for type '{kind}'. The \
         supported api-versions are '{supported}'."
    );
    Err(ArmError::new(400, "NoRegisteredProviderFound", message))
}

/// Whether a text has the form of a date.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_clients_use_are_accepted_and_others_named() {
        let code = |api, version| check(api, version).err().map(|err| (err.status, err.code));
        for version in ["2022-04-01", "2018-08-01", "2022-04-01-PREVIEW"] {
            assert_eq!(code(Api::TrafficManager, Some(version)), None, "{version}");
        }
        for version in ["2023-05-01", "2018-12-01", "2024-10-01"] {
            assert_eq!(code(Api::Network, Some(version)), None, "{version}");
        }
        for version in [None, Some("")] {
            assert_eq!(code(Api::Network, version), Some((400, "MissingApiVersionParameter")));
        }
        for (api, version) in [
            (Api::TrafficManager, "2023-05-01"),
            (Api::Network, "2014-01-01"),
            (Api::Network, "20230501"),
            (Api::Network, "2023-05-01x"),
        ] {
            let err = check(api, Some(version)).unwrap_err();
            assert_eq!((err.status, err.code), (400, "NoRegisteredProviderFound"));
            assert!(err.message.contains(version), "{err}");
        }
    }
}
