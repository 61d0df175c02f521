//! The shape of a member's certificate.

use std::time::{Duration, SystemTime};

use failover::member::MemberId;
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType, SerialNumber,
};

use super::error::CertificateError;
use crate::keys::CallsignId;
use crate::names::uris;

/// By how much certificates begin earlier than they are made: clusters' wall clocks differ.
pub const BACK_DATED: Duration = Duration::from_hours(24);

/// A certificate for both roles in a handshake, with the names of callsign and member.
pub(super) fn params(
    callsign: CallsignId,
    member: &MemberId,
    now: SystemTime,
    validity: Duration,
) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("kvmc member");
    params.subject_alt_names = uris(callsign, member)
        .into_iter()
        .map(|uri| Ok(SanType::URI(Ia5String::try_from(uri)?)))
        .collect::<Result<_, rcgen::Error>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    dates(&mut params, now, validity);
    Ok(params)
}

/// Sets dates and a serial number that nobody can predict.
pub(super) fn dates(params: &mut CertificateParams, now: SystemTime, validity: Duration) {
    params.not_before = (now - BACK_DATED).into();
    params.not_after = (now + validity).into();
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
}

pub(super) fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}
