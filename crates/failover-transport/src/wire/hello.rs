//! The first frame of a connection.

use std::ops::RangeInclusive;

use failover::configuration::Version;
use failover::member::{FleetId, MemberId};
use prost::Message as _;

use super::configuration::{version_from_wire, version_to_wire};
use super::pb;
use super::values::{Checked as _, Malformed, fleet, member};

/// The versions of the protocol that are spoken here.
pub const PROTOCOL: RangeInclusive<u32> = 1..=1;

const MOST_FEATURES: usize = 32;
const LONGEST_FEATURE: usize = 64;

/// Who is on one end of a connection, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The versions of the protocol that it speaks, the first and the last.
    pub protocol: (u32, u32),
    /// Its fleet, if it has one.
    pub fleet: Option<FleetId>,
    /// Its identity, which its certificate must name.
    pub member: MemberId,
    /// Who it wants to reach; none: any member of the callsign.
    pub target: Option<MemberId>,
    /// The version of its configuration.
    pub version: Version,
    /// What it can do beyond the protocol's version.
    pub features: Vec<String>,
}

impl Hello {
    /// Whether there is a version of the protocol that both ends speak.
    pub fn is_compatible(&self) -> bool {
        self.protocol.0 <= *PROTOCOL.end() && *PROTOCOL.start() <= self.protocol.1
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        pb::Hello {
            protocol_min: self.protocol.0,
            protocol_max: self.protocol.1,
            fleet_id: self.fleet.as_ref().map(|fleet| fleet.as_str().to_owned()),
            member_id: self.member.as_str().to_owned(),
            target_member_id: self.target.as_ref().map(|target| target.as_str().to_owned()),
            config_version: Some(version_to_wire(self.version)),
            features: self.features.clone(),
        }
        .encode_to_vec()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let hello = pb::Hello::decode(bytes).map_err(|error| Malformed::new("hello", error))?;
        if hello.protocol_min > hello.protocol_max || hello.protocol_max == 0 {
            return Err(Malformed::new("hello.protocol_max", "is below protocol_min or zero"));
        }
        let features = &hello.features;
        if features.len() > MOST_FEATURES || features.iter().any(|feature| feature.len() > LONGEST_FEATURE) {
            return Err(Malformed::new("hello.features", "are too many or too long"));
        }
        Ok(Self {
            protocol: (hello.protocol_min, hello.protocol_max),
            fleet: hello.fleet_id.checked("hello.fleet_id", fleet)?,
            member: member("hello.member_id", hello.member_id)?,
            target: hello.target_member_id.checked("hello.target_member_id", member)?,
            version: version_from_wire("hello.config_version", hello.config_version)?,
            features: hello.features,
        })
    }
}
