//! How the server describes itself as a cloud, so that clients need to know its address alone. Pure.

use serde_json::{Value, json};

/// Names under which clients may look for it: those of the clouds that cloud configs name.
const NAMES: [&str; 7] = [
    "AzureCloud",
    "AzurePublicCloud",
    "AzureChinaCloud",
    "AzureUSGovernment",
    "AzureUSGovernmentCloud",
    "AzureGovernmentCloud",
    "AzureStackCloud",
];

/// The answer of `/metadata/endpoints`: under every name, `base` is the resource manager, the login endpoint and the
/// audience.
pub(super) fn clouds(base: &str) -> Value {
    let cloud = |name: &&str| {
        json!({
            "name": name,
            "resourceManager": format!("{base}/"),
            "authentication": {
                "loginEndpoint": format!("{base}/"),
                "audiences": [base],
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "suffixes": {},
        })
    };
    NAMES.iter().map(cloud).collect()
}

/// The answer of a tenant's OpenID configuration.
pub(super) fn open_id(base: &str, tenant: &str) -> Value {
    json!({
        "issuer": format!("{base}/{tenant}/v2.0"),
        "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
    })
}
