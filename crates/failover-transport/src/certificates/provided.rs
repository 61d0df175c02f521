//! Certificates as they lie in a Secret: `ca.crt`, `tls.crt`, `tls.key`.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::authority::{Authority, Source};
use super::credentials::Identity;
use super::error::CertificateError;

/// More than this is no certificate bundle; a Secret holds at most 1 MiB.
const LONGEST: usize = 1 << 20;

/// Reads a certificate with its key, and the authorities that are accepted beside it. `source` says whether a user or
/// the hub has provided them.
pub fn read(
    source: Source,
    ca_crt: &[u8],
    tls_crt: &[u8],
    tls_key: &[u8],
) -> Result<(Identity, Authority), CertificateError> {
    let authority = Authority::new(source, &certificates("ca.crt", ca_crt)?)?;
    let chain = certificates("tls.crt", tls_crt)?;
    let key = PrivateKeyDer::from_pem_slice(tls_key).map_err(|error| unreadable("tls.key", error))?;
    Ok((Identity::new(source, chain, key)?, authority))
}

fn certificates(part: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    if pem.len() > LONGEST {
        return Err(unreadable(part, format!("it is longer than {LONGEST} bytes")));
    }
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(part, error))?;
    match found.is_empty() {
        true => Err(CertificateError::Empty(part)),
        false => Ok(found),
    }
}

fn unreadable(part: &'static str, why: impl ToString) -> CertificateError {
    CertificateError::Unreadable {
        part,
        why: why.to_string(),
    }
}
