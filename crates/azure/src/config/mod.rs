//! The cloud config: which cloud, which subscription, who the agent is there, and how fast it may call (networking 12.1).

mod cloud;
mod discover;
mod keys;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use azure_core::Url;

pub use cloud::{Cloud, Endpoints};
pub use discover::{MAX_ANSWER, environment_file, metadata};
use keys::Keys;

use crate::limit::Limits;
use crate::secret::Secret;

/// Where the cloud config is looked for when no flag says so.
pub const DEFAULT_PATH: &str = "/etc/kubernetes/provider/azure.json";

/// What the file and the environment say, checked.
#[derive(Debug, Clone)]
pub struct CloudConfig {
    /// Name of the cloud as it was given; may be empty when a resource manager is named.
    pub cloud_name: String,
    /// Tenant of the identity; empty for a managed identity.
    pub tenant_id: String,
    /// Subscription of the cluster.
    pub subscription_id: String,
    /// Resource group of the cluster.
    pub resource_group: String,
    /// Region of the cluster.
    pub location: String,
    /// Virtual network of the cluster; may be empty.
    pub vnet_name: String,
    /// Resource group of the virtual network.
    pub vnet_resource_group: String,
    /// Who the agent is.
    pub identity: Identity,
    /// Base URL of a resource manager that describes its cloud itself.
    pub resource_manager: Option<Url>,
    /// File with authorities (PEM) that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// File with addresses that override those of the cloud.
    pub environment_file: Option<PathBuf>,
    /// How fast calls may be made; `None` means that nothing limits them.
    pub limits: Option<Limits>,
    /// What is accepted and has no effect, as sentences for the log.
    pub warnings: Vec<String>,
}

/// Who the agent is, and how it proves that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A workload identity: a token of the cluster in a file that is renewed by others.
    Federated {
        /// Its client id.
        client_id: String,
        /// The file.
        token_file: PathBuf,
    },
    /// The identity of the machine.
    SystemAssigned,
    /// An identity that the machine may use, by its client id.
    UserAssignedClient(String),
    /// An identity that the machine may use, by its ARM id.
    UserAssignedResource(String),
    /// An application with a secret.
    ClientSecret {
        /// Its client id.
        client_id: String,
        /// Its secret.
        secret: Secret,
    },
    /// An application with a certificate.
    Certificate {
        /// Its client id.
        client_id: String,
        /// File with the certificate chain and the key.
        file: PathBuf,
        /// Password of the file; may be empty.
        password: Secret,
    },
}

/// The environment variables that count.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `AZURE_TENANT_ID`
    pub tenant_id: Option<String>,
    /// `AZURE_CLIENT_ID`
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`
    pub client_secret: Option<Secret>,
    /// `AZURE_FEDERATED_TOKEN_FILE`
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_ENVIRONMENT_FILEPATH`
    pub environment_file: Option<PathBuf>,
}

/// What is wrong with a cloud config. No text of the file is repeated but names of clouds (networking 12.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("The file {} cannot be read: {cause}. Check the path and its mount.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// A file is larger than any such file is.
    #[error("The cloud config has more than {limit} bytes, which no cloud config has. Check the path.")]
    TooLarge {
        /// Largest size in bytes.
        limit: usize,
    },
    /// The text is neither JSON nor YAML.
    #[error("The cloud config is not valid {format}: there is a mistake in line {line}, column {column}.")]
    Syntax {
        /// As what it was read.
        format: &'static str,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// The file holds nothing.
    #[error("The cloud config is empty.")]
    Empty,
    /// The file holds something without keys.
    #[error("The cloud config must be a mapping of keys to values.")]
    NoMapping,
    /// A value is of a wrong type.
    #[error("The key {key} of the cloud config must be {wanted}.")]
    Type {
        /// The key.
        key: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// A key is missing.
    #[error("The key {key} of the cloud config must not be empty.")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// The name of the cloud is not known.
    #[error(
        "The cloud {name:?} is not known. Use AzurePublicCloud, AzureChinaCloud or AzureUSGovernmentCloud, or name the \
         resource manager by the key resourceManagerEndpoint."
    )]
    UnknownCloud {
        /// The name.
        name: String,
    },
    /// An address is not usable.
    #[error("The address {key} {cause}.")]
    Address {
        /// Where it is given.
        key: &'static str,
        /// What is wrong.
        cause: &'static str,
    },
    /// The keys do not say who the agent is.
    #[error("The cloud config does not say who the agent is: {0}.")]
    Identity(&'static str),
    /// A credential cannot be used.
    #[error("{0}")]
    Credential(String),
    /// The description of a cloud cannot be used.
    #[error("The addresses of the cloud cannot be learned from {from}: {cause}.")]
    Discovery {
        /// A file or an address.
        from: String,
        /// What is wrong.
        cause: String,
    },
    /// The HTTP client cannot be built.
    #[error("The HTTP client for Azure cannot be built: {0}.")]
    Client(String),
}

impl Environment {
    /// That of the process. Empty variables count as absent.
    pub fn of_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|text: &String| !text.trim().is_empty());
        let path = |name| {
            std::env::var_os(name)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        Self {
            tenant_id: text("AZURE_TENANT_ID"),
            client_id: text("AZURE_CLIENT_ID"),
            client_secret: text("AZURE_CLIENT_SECRET").map(Secret::new),
            federated_token_file: path("AZURE_FEDERATED_TOKEN_FILE"),
            environment_file: path("AZURE_ENVIRONMENT_FILEPATH"),
        }
    }
}

impl CloudConfig {
    /// Reads the file and the environment of the process.
    ///
    /// # Errors
    /// When the file cannot be read, or is not usable as [`Self::parse`] says.
    pub async fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|err| ConfigError::Unreadable {
                path: path.to_owned(),
                cause: err.to_string(),
            })?;
        Self::parse(&text, &Environment::of_process())
    }

    /// Reads JSON or YAML and checks it in the contract's order. Then the environment overrides what the file says.
    ///
    /// # Errors
    /// When the text is neither, a key has a wrong type or is missing, or nothing says who the agent is.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let keys = Keys::parse(text)?;
        let named = |key| match keys.text(key)? {
            text if text.is_empty() => Err(ConfigError::Missing { key }),
            text => Ok(text),
        };
        let resource_manager = match keys.text("resourceManagerEndpoint")? {
            text if text.is_empty() => None,
            text => Some(cloud::base_url("resourceManagerEndpoint", &text)?),
        };
        // A resource manager describes its cloud, and so does a file: a name only chooses among several.
        let needs_name = resource_manager.is_none();
        let cloud_name = if needs_name {
            named("cloud")?
        } else {
            keys.text("cloud")?
        };
        let may_be_unknown = !needs_name || environment.environment_file.is_some();
        if Cloud::by_name(&cloud_name).is_none() && !may_be_unknown {
            let name = cloud_name.chars().take(64).collect();
            return Err(ConfigError::UnknownCloud { name });
        }
        let location = named("location")?;
        let subscription_id = path_part("subscriptionId", named("subscriptionId")?)?;
        let resource_group = path_part("resourceGroup", named("resourceGroup")?)?;
        let vnet_resource_group = match keys.text("vnetResourceGroup")? {
            text if text.is_empty() => resource_group.clone(),
            text => text,
        };
        let mut warnings = unsupported(&keys);
        let (tenant_id, identity) = identity(&keys, environment, &mut warnings)?;
        let ca_file = keys.raw_text("resourceManagerCAFile")?;
        Ok(Self {
            cloud_name,
            tenant_id,
            subscription_id,
            resource_group,
            location,
            vnet_name: keys.text("vnetName")?,
            vnet_resource_group,
            identity,
            resource_manager,
            ca_file: (!ca_file.is_empty()).then(|| PathBuf::from(ca_file)),
            environment_file: environment.environment_file.clone(),
            limits: limits(&keys)?,
            warnings,
        })
    }
}

/// Names that go into paths of requests must not change them.
fn path_part(key: &'static str, text: String) -> Result<String, ConfigError> {
    if text.contains(['/', '%', '?', '#', '\\']) || matches!(text.as_str(), "." | "..") {
        return Err(ConfigError::Type {
            key,
            wanted: "a name without any of / % ? # \\",
        });
    }
    Ok(text)
}

fn unsupported(keys: &Keys) -> Vec<String> {
    let mut warnings = Vec::new();
    for key in ["networkResourceTenantID", "auxiliaryTokenProvider"] {
        if keys.has(key) {
            warnings.push(format!(
                "The key {key} of the cloud config has no effect: resources of another tenant are not supported."
            ));
        }
    }
    warnings
}

/// Federated credentials win, then a managed identity, a secret and a certificate.
fn identity(
    keys: &Keys,
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Result<(String, Identity), ConfigError> {
    let managed = keys.switch("useManagedIdentityExtension")?;
    let assigned = keys.text("userAssignedIdentityID")?;
    let (tenant, client) = (keys.text("tenantId")?, keys.text("aadClientId")?);
    let secret = keys.raw_text("aadClientSecret")?;
    let certificate = keys.raw_text("aadClientCertPath")?;
    let password = keys.raw_text("aadClientCertPassword")?;
    let token_file = Some(keys.raw_text("aadFederatedTokenFile")?)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let federated = keys.switch("useFederatedWorkloadIdentityExtension")? || environment.federated_token_file.is_some();

    // The file is checked first; what the environment says does not mend it, but for federated credentials, which need
    // nothing of the file (networking 12.1).
    let has_client = !client.is_empty() && (!secret.is_empty() || !certificate.is_empty());
    if !managed && !federated {
        if !has_client {
            return Err(ConfigError::Identity(if assigned.is_empty() {
                "set aadClientId with aadClientSecret or aadClientCertPath, or useManagedIdentityExtension, or \
                 useFederatedWorkloadIdentityExtension"
            } else {
                "userAssignedIdentityID needs useManagedIdentityExtension"
            }));
        }
        if !assigned.is_empty() {
            warnings.push(
                "The key userAssignedIdentityID of the cloud config has no effect, because useManagedIdentityExtension \
                 is not true; aadClientId is used."
                    .to_owned(),
            );
        }
    }
    let tenant = environment.tenant_id.clone().unwrap_or(tenant).trim().to_owned();
    let client = environment.client_id.clone().unwrap_or(client).trim().to_owned();
    let secret = environment.client_secret.clone().unwrap_or(Secret::new(secret));
    let token_file = environment.federated_token_file.clone().or(token_file);

    if !federated && managed {
        let identity = match assigned {
            id if id.is_empty() => Identity::SystemAssigned,
            id if id.to_ascii_lowercase().contains("/subscriptions/") => Identity::UserAssignedResource(id),
            id => Identity::UserAssignedClient(id),
        };
        return Ok((tenant, identity));
    }
    if tenant.is_empty() {
        return Err(ConfigError::Identity("tenantId is empty, and so is AZURE_TENANT_ID"));
    }
    if tenant.contains(['/', '%', '?', '#', '\\']) {
        return Err(ConfigError::Identity("tenantId holds a character that no tenant has"));
    }
    if client.is_empty() {
        return Err(ConfigError::Identity("aadClientId is empty, and so is AZURE_CLIENT_ID"));
    }
    let identity = if federated {
        let token_file = token_file.ok_or(ConfigError::Identity(
            "useFederatedWorkloadIdentityExtension needs aadFederatedTokenFile or AZURE_FEDERATED_TOKEN_FILE",
        ))?;
        Identity::Federated {
            client_id: client,
            token_file,
        }
    } else if !secret.expose().is_empty() {
        Identity::ClientSecret {
            client_id: client,
            secret,
        }
    } else {
        Identity::Certificate {
            client_id: client,
            file: PathBuf::from(certificate),
            password: Secret::new(password),
        }
    };
    Ok((tenant, identity))
}

/// The default unless the file names a rate; then none, unless the file asks for it (networking 12.1 sets the default).
fn limits(keys: &Keys) -> Result<Option<Limits>, ConfigError> {
    const ON: &str = "cloudProviderRateLimit";
    const RATES: [&str; 4] = [
        "cloudProviderRateLimitQPS",
        "cloudProviderRateLimitBucket",
        "cloudProviderRateLimitQPSWrite",
        "cloudProviderRateLimitBucketWrite",
    ];
    let mut rates = [None; 4];
    for (rate, key) in rates.iter_mut().zip(RATES) {
        *rate = keys.number(key)?;
    }
    let on = keys.switch(ON)?;
    if !on && (keys.has(ON) || RATES.iter().any(|key| keys.has(key))) {
        return Ok(None);
    }
    Ok(Some(Limits::of(rates)))
}
