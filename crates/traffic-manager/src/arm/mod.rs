//! The language of Azure Resource Manager: paths, API versions, bodies that arrive and bodies that are answered. Pure.

pub mod address_body;
pub mod body;
pub mod checks;
pub mod endpoint_body;
pub mod path;
pub mod profile_body;
pub mod render;
pub mod version;

#[cfg(test)]
mod tests;

/// Resource type of profiles.
pub const PROFILES: &str = "trafficManagerProfiles";
/// Resource type of public IP addresses.
pub const ADDRESSES: &str = "publicIPAddresses";
