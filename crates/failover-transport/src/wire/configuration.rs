//! Configurations.

use failover::configuration::{Availability, Configuration, Role, Version, Voter};

use super::pb;
use super::values::{Checked as _, Malformed, address, duration_to_wire, fleet, lease, member, required, term};

/// A status lists 64 members; more voters are no fleet that anybody runs.
const MOST_VOTERS: usize = 64;

pub(super) fn version_to_wire(version: Version) -> pb::Version {
    pb::Version {
        term: version.term,
        number: version.number,
    }
}

pub(super) fn version_from_wire(field: &'static str, version: Option<pb::Version>) -> Result<Version, Malformed> {
    let version = required(field, version)?;
    Ok(Version {
        term: term(field, version.term)?,
        number: version.number,
    })
}

pub(super) fn to_wire(configuration: &Configuration) -> pb::Configuration {
    let availability = match configuration.availability {
        Availability::Consistent => pb::Availability::Consistent,
        Availability::PreferAvailability => pb::Availability::PreferAvailability,
    };
    pb::Configuration {
        fleet_id: configuration.fleet.as_str().to_owned(),
        version: Some(version_to_wire(configuration.version)),
        voters: configuration.voters.iter().map(voter_to_wire).collect(),
        holder_id: configuration.holder.as_ref().map(|holder| holder.as_str().to_owned()),
        availability: availability.into(),
        lease: Some(duration_to_wire(configuration.lease)),
    }
}

pub(super) fn from_wire(
    field: &'static str,
    configuration: Option<pb::Configuration>,
) -> Result<Configuration, Malformed> {
    checked(field, required(field, configuration)?)
}

pub(super) fn checked(field: &'static str, configuration: pb::Configuration) -> Result<Configuration, Malformed> {
    let availability = match pb::Availability::try_from(configuration.availability) {
        Ok(pb::Availability::Consistent) => Availability::Consistent,
        Ok(pb::Availability::PreferAvailability) => Availability::PreferAvailability,
        Ok(pb::Availability::Unspecified) | Err(_) => {
            return Err(Malformed::new("configuration.availability", "is not one that is known"));
        }
    };
    if configuration.voters.len() > MOST_VOTERS {
        return Err(Malformed::new(
            "configuration.voters",
            format_args!("are more than {MOST_VOTERS}"),
        ));
    }
    let voters: Vec<Voter> = configuration
        .voters
        .into_iter()
        .map(voter_from_wire)
        .collect::<Result<_, _>>()?;
    if !voters.is_sorted_by(|a, b| a.id < b.id) {
        return Err(Malformed::new(
            "configuration.voters",
            "are not in the order of their identities, each once",
        ));
    }
    Ok(Configuration {
        fleet: fleet("configuration.fleet_id", configuration.fleet_id)?,
        version: version_from_wire(field, configuration.version)?,
        voters,
        holder: configuration.holder_id.checked("configuration.holder_id", member)?,
        availability,
        lease: lease("configuration.lease", configuration.lease)?,
    })
}

fn voter_to_wire(voter: &Voter) -> pb::Voter {
    let role = match voter.role {
        Role::Candidate => pb::Role::Candidate,
        Role::VoterOnly => pb::Role::VoterOnly,
        Role::HubWitness => pb::Role::HubWitness,
    };
    pb::Voter {
        id: voter.id.as_str().to_owned(),
        rank: voter.rank,
        address: voter.address.clone(),
        role: role.into(),
    }
}

fn voter_from_wire(voter: pb::Voter) -> Result<Voter, Malformed> {
    let role = match pb::Role::try_from(voter.role) {
        Ok(pb::Role::Candidate) => Role::Candidate,
        Ok(pb::Role::VoterOnly) => Role::VoterOnly,
        Ok(pb::Role::HubWitness) => Role::HubWitness,
        Ok(pb::Role::Unspecified) | Err(_) => {
            return Err(Malformed::new("configuration.voters.role", "is not one that is known"));
        }
    };
    Ok(Voter {
        id: member("configuration.voters.id", voter.id)?,
        rank: voter.rank,
        address: voter.address.checked("configuration.voters.address", address)?,
        role,
    })
}
