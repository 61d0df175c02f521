//! Where a cloud's resource manager and its login service are.

use azure_core::Url;

use super::ConfigError;

/// A cloud that is known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// The public cloud.
    Public,
    /// The cloud in China.
    China,
    /// The cloud of the government of the United States.
    UsGovernment,
}

/// The addresses of a cloud, and whom tokens are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Base URL of the resource manager.
    pub resource_manager: Url,
    /// Base URL of the login service.
    pub login: Url,
    /// For whom tokens of the resource manager are issued.
    pub audience: String,
}

impl Cloud {
    /// Reads a name in any case; `None` for one that is not known. The READMEs of charts call the cloud of the government
    /// of the United States `AzureGovernmentCloud`, which counts too (networking 12.1).
    pub fn by_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "azurepubliccloud" | "azurecloud" => Some(Self::Public),
            "azurechinacloud" => Some(Self::China),
            "azureusgovernment" | "azureusgovernmentcloud" | "azuregovernmentcloud" => Some(Self::UsGovernment),
            _ => None,
        }
    }

    /// Its addresses.
    ///
    /// # Errors
    /// Never for the clouds that there are; addresses are parsed where they are used.
    pub fn endpoints(self) -> Result<Endpoints, ConfigError> {
        let (manager, login) = match self {
            Self::Public => ("https://management.azure.com", "https://login.microsoftonline.com"),
            Self::China => ("https://management.chinacloudapi.cn", "https://login.chinacloudapi.cn"),
            Self::UsGovernment => (
                "https://management.usgovcloudapi.net",
                "https://login.microsoftonline.us",
            ),
        };
        Ok(Endpoints {
            resource_manager: base_url("resourceManagerEndpoint", manager)?,
            login: base_url("activeDirectoryEndpoint", login)?,
            audience: manager.to_owned(),
        })
    }
}

impl Endpoints {
    /// The scope to ask tokens for.
    pub fn scope(&self) -> String {
        format!("{}/.default", self.audience)
    }
}

/// Parses a base URL. Paths of requests replace that of a base, so it must have none. The error does not repeat the URL,
/// which may hold a password.
pub(super) fn base_url(key: &'static str, text: &str) -> Result<Url, ConfigError> {
    let wrong = |cause| ConfigError::Address { key, cause };
    let url = Url::parse(text.trim()).map_err(|_| wrong("is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("is no http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user name or password"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has more than a scheme, a host and a port"));
    }
    Ok(url)
}
