//! Certificates are accepted by chain, names and dates, and by nothing else.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use failover::member::MemberId;
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};

use super::chain::Role;
use super::hub::Request;
use super::*;
use crate::keys::CallsignKeys;

const DAY: Duration = Duration::from_hours(24);
/// Far from the time at which tests run: nothing here may read the clock.
const NOW: Duration = Duration::from_hours(24 * 365 * 70);

fn keys() -> &'static CallsignKeys {
    static KEYS: OnceLock<CallsignKeys> = OnceLock::new();
    KEYS.get_or_init(|| CallsignKeys::derive("federation").unwrap())
}

fn other_keys() -> &'static CallsignKeys {
    static KEYS: OnceLock<CallsignKeys> = OnceLock::new();
    KEYS.get_or_init(|| CallsignKeys::derive("confederation").unwrap())
}

fn newyork() -> MemberId {
    MemberId::new("7d0c7e4a-6f1e-4b0f-8f5d-0d9c1a2b3c4d", "default", "newyork")
}

fn unix(time: Duration) -> UnixTime {
    UnixTime::since_unix_epoch(time)
}

fn system(time: Duration) -> SystemTime {
    UNIX_EPOCH + time
}

/// A certificate authority as a user has one.
struct UserAuthority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl UserAuthority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = leaf::common_name(name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn authority(&self) -> Authority {
        Authority::new(Source::Provided, std::slice::from_ref(&self.certificate)).unwrap()
    }

    fn sign(&self, params: &CertificateParams) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], key)
    }

    /// A member's certificate that is valid from a day before `from` for `validity` after it.
    fn member(&self, from: Duration, validity: Duration) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        self.sign(&leaf::params(keys().id(), &newyork(), system(from), validity).unwrap())
    }
}

fn check_at(authorities: &[Authority], chain: &[CertificateDer<'_>], now: Duration) -> Result<Peer, Refusal> {
    let (head, rest) = chain.split_first().unwrap();
    let [server, client] =
        [Role::Server, Role::Client].map(|role| check(authorities, keys().id(), (head, rest), role, unix(now)));
    assert_eq!(server, client);
    server
}

#[test]
fn derived_certificates_are_accepted_by_who_knows_the_callsign_whatever_the_clock_says() {
    // Two processes derive the same authority at different times.
    let authorities = [derived::authority(keys(), system(NOW + 300 * DAY)).unwrap()];
    let identity = derived::identity(keys(), &newyork(), system(NOW)).unwrap();
    for now in [NOW, NOW - 365 * DAY, NOW + 365 * DAY, NOW + 20 * 365 * DAY] {
        let peer = check_at(&authorities, &identity.key().cert, now).unwrap();
        assert_eq!(
            (peer.member, peer.source, peer.expired),
            (newyork(), Source::Derived, None)
        );
    }
    let others = [derived::authority(other_keys(), system(NOW)).unwrap()];
    assert_eq!(
        check_at(&others, &identity.key().cert, NOW),
        Err(Refusal::UnknownAuthority)
    );
}

#[test]
fn provided_certificates_are_accepted_until_a_week_after_they_expired() {
    let user = UserAuthority::new("user");
    let (chain, _) = user.member(NOW, 30 * DAY);
    let authorities = [user.authority()];
    let at = |now| check_at(&authorities, &chain, now).map(|peer| peer.expired);
    assert_eq!(at(NOW), Ok(None));
    assert_eq!(at(NOW - DAY), Ok(None), "clocks may differ by a day");
    assert_eq!(at(NOW - DAY - DAY / 2), Err(Refusal::NotYetValid(DAY / 2)));
    assert_eq!(at(NOW + 30 * DAY), Ok(None));
    assert_eq!(at(NOW + 37 * DAY), Ok(Some(7 * DAY)));
    let late = 7 * DAY + Duration::from_secs(1);
    assert_eq!(at(NOW + 30 * DAY + late), Err(Refusal::Expired(late)));
}

#[test]
fn an_expired_intermediate_counts_as_the_certificate_does() {
    let root = UserAuthority::new("root");
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = leaf::common_name("intermediate");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    leaf::dates(&mut params, system(NOW), 10 * DAY);
    let intermediate = params.signed_by(&key, &root.issuer).unwrap().der().clone();
    let below = UserAuthority {
        certificate: intermediate.clone(),
        issuer: Issuer::new(params, key),
    };
    let (mut chain, _) = below.member(NOW, 30 * DAY);
    assert_eq!(
        check_at(&[root.authority()], &chain, NOW),
        Err(Refusal::UnknownAuthority),
        "without its intermediate"
    );
    chain.push(intermediate);
    let at = |now| check_at(&[root.authority()], &chain, now).map(|peer| peer.expired);
    assert_eq!(at(NOW), Ok(None));
    assert_eq!(at(NOW + 15 * DAY), Ok(Some(5 * DAY)));
    assert_eq!(at(NOW + 18 * DAY), Err(Refusal::Expired(8 * DAY)));
}

#[test]
fn names_have_to_be_this_callsign_and_one_member() {
    let user = UserAuthority::new("user");
    let authorities = [user.authority()];
    let other = leaf::params(other_keys().id(), &newyork(), system(NOW), DAY).unwrap();
    assert_eq!(
        check_at(&authorities, &user.sign(&other).0, NOW),
        Err(Refusal::OtherCallsign)
    );
    let mut nameless = leaf::params(keys().id(), &newyork(), system(NOW), DAY).unwrap();
    nameless.subject_alt_names.pop();
    assert!(matches!(
        check_at(&authorities, &user.sign(&nameless).0, NOW),
        Err(Refusal::Names(_))
    ));
    assert!(matches!(
        check_at(&authorities, &[CertificateDer::from(b"garbage".to_vec())], NOW),
        Err(Refusal::Unreadable(_))
    ));
}

#[test]
fn several_authorities_are_accepted_during_a_rotation() {
    let (old, new) = (UserAuthority::new("old"), UserAuthority::new("new"));
    let both = Authority::new(Source::Provided, &[old.certificate.clone(), new.certificate.clone()]).unwrap();
    let authorities = [both, derived::authority(keys(), system(NOW)).unwrap()];
    for user in [&old, &new] {
        let peer = check_at(&authorities, &user.member(NOW, DAY).0, NOW).unwrap();
        assert_eq!(peer.source, Source::Provided);
    }
    let identity = derived::identity(keys(), &newyork(), system(NOW)).unwrap();
    assert_eq!(
        check_at(&authorities, &identity.key().cert, NOW).unwrap().source,
        Source::Derived
    );
}

#[test]
fn credentials_show_the_best_certificate_that_the_other_side_accepts() {
    let user = UserAuthority::new("user");
    let (chain, key) = user.member(NOW, DAY);
    let provided = Identity::new(Source::Provided, chain, key).unwrap();
    let derived_identity = derived::identity(keys(), &newyork(), system(NOW)).unwrap();
    let derived_authority = derived::authority(keys(), system(NOW)).unwrap();
    let authorities = vec![derived_authority.clone(), user.authority()];
    let identities = vec![derived_identity, provided];
    let credentials = Credentials::new(keys().id(), newyork(), identities, authorities, unix(NOW)).unwrap();
    assert_eq!(credentials.source(), Source::Provided);
    let names = |authority: &Authority| {
        authority
            .subjects()
            .map(|name| name.as_ref().to_vec())
            .collect::<Vec<_>>()
    };
    let shown = |accepted: &[Vec<u8>]| {
        let accepted: Vec<&[u8]> = accepted.iter().map(Vec::as_slice).collect();
        credentials.identity_for(&accepted).unwrap().source()
    };
    assert_eq!(shown(&names(&derived_authority)), Source::Derived);
    assert_eq!(shown(&names(&user.authority())), Source::Provided);
    assert_eq!(
        shown(&[names(&derived_authority), names(&user.authority())].concat()),
        Source::Provided
    );
    assert_eq!(shown(&[]), Source::Provided);
}

#[test]
fn key_material_that_peers_would_refuse_is_refused_at_once() {
    let (user, stranger) = (UserAuthority::new("user"), UserAuthority::new("stranger"));
    let pem = |der: &CertificateDer<'_>| pem("CERTIFICATE", der);
    let (chain, key) = user.member(NOW, DAY);
    let (_, other_key) = user.member(NOW, DAY);
    let (ca, crt) = (pem(&user.certificate), pem(&chain[0]));
    let (key, other_key) = (
        self::pem("PRIVATE KEY", key.secret_der()),
        self::pem("PRIVATE KEY", other_key.secret_der()),
    );
    let read = |ca: &str, crt: &str, key: &str| {
        provided::read(Source::Provided, ca.as_bytes(), crt.as_bytes(), key.as_bytes())
    };
    let put = |ca: &str, member: MemberId, now| {
        let (identity, authority) = read(ca, &crt, &key).unwrap();
        Credentials::new(keys().id(), member, vec![identity], vec![authority], unix(now))
    };
    let credentials = put(&ca, newyork(), NOW).unwrap();
    assert_eq!(credentials.expired(unix(NOW)).unwrap(), None);
    assert_eq!(credentials.expired(unix(NOW + 3 * DAY)).unwrap(), Some(2 * DAY));
    assert!(credentials.expired(unix(NOW + 9 * DAY)).is_err());
    assert!(put(&ca, newyork(), NOW + 3 * DAY).is_ok(), "it is accepted for a week");
    assert!(matches!(
        put(&ca, newyork(), NOW + 9 * DAY),
        Err(CertificateError::Refused(Refusal::Expired(_)))
    ));
    assert!(matches!(
        put(&pem(&stranger.certificate), newyork(), NOW),
        Err(CertificateError::Refused(Refusal::UnknownAuthority))
    ));
    assert!(matches!(
        put(&ca, MemberId::new("u", "default", "sheffield"), NOW),
        Err(CertificateError::OtherMember { .. })
    ));
    assert!(matches!(read(&ca, &crt, &other_key), Err(CertificateError::OtherKey)));
    assert!(matches!(read("", &crt, &key), Err(CertificateError::Empty("ca.crt"))));
    assert!(matches!(read(&ca, &key, &key), Err(CertificateError::Empty("tls.crt"))));
    assert!(matches!(
        read(&ca, &crt, &crt),
        Err(CertificateError::Unreadable { part: "tls.key", .. })
    ));
    assert!(matches!(
        Credentials::new(keys().id(), newyork(), vec![], vec![user.authority()], unix(NOW)),
        Err(CertificateError::Nothing)
    ));
}

fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write;
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for three in der.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63] as char;
            text.push(if place <= three.len() { digit } else { '=' });
        }
        text.push('\n');
    }
    writeln!(text, "-----END {label}-----").unwrap();
    text
}

#[test]
fn the_hub_issues_what_other_members_accept() {
    let (request, key) = Request::new(keys(), &newyork()).unwrap();
    let (hub, certificate, ca_key) = HubAuthority::create(keys().id(), system(NOW)).unwrap();
    let cluster = newyork().cluster().to_owned();
    let first = hub.issue(keys().id(), &cluster, &request, None, system(NOW)).unwrap();
    assert_eq!(first.member, newyork());
    assert_eq!(first.expires, system(NOW + 30 * DAY));
    // Another replica of the hub, after the fingerprint was pinned; a month later.
    let hub = HubAuthority::load(&certificate, &ca_key).unwrap();
    let again = hub.issue(
        keys().id(),
        &cluster,
        &request,
        Some(&first.fingerprint),
        system(NOW + 29 * DAY),
    );
    let (identity, authority) = provided::read(
        Source::HubIssued,
        first.authority.as_bytes(),
        again.unwrap().certificate.as_bytes(),
        key.as_bytes(),
    )
    .unwrap();
    let now = unix(NOW + 58 * DAY);
    let credentials = Credentials::new(keys().id(), newyork(), vec![identity], vec![authority], now).unwrap();
    assert_eq!(
        (credentials.source(), credentials.expired(now).unwrap()),
        (Source::HubIssued, None)
    );
}

#[test]
fn the_hub_refuses_who_does_not_know_the_callsign() {
    let (hub, _, ca_key) = HubAuthority::create(keys().id(), system(NOW)).unwrap();
    let cluster = newyork().cluster().to_owned();
    let (request, _) = Request::new(keys(), &newyork()).unwrap();
    let (stranger, _) = Request::new(other_keys(), &newyork()).unwrap();
    let pin = request.fingerprint();
    let issue = |request: &Request, cluster: &str, pinned: Option<&str>| {
        hub.issue(keys().id(), cluster, request, pinned, system(NOW))
    };
    assert!(issue(&request, &cluster, Some(&pin)).is_ok());
    assert!(matches!(
        issue(&stranger, &cluster, Some(&pin)),
        Err(RequestError::OtherProof)
    ));
    assert!(matches!(
        issue(&stranger, &cluster, None),
        Err(RequestError::OtherCallsign)
    ));
    assert!(matches!(
        issue(&request, "another cluster", Some(&pin)),
        Err(RequestError::OtherCluster { .. })
    ));
    // The proof of one request does not fit another one.
    let (another, _) = Request::new(keys(), &newyork()).unwrap();
    let stolen = Request {
        csr: another.csr,
        ..request.clone()
    };
    assert!(matches!(
        issue(&stolen, &cluster, Some(&pin)),
        Err(RequestError::NotProven)
    ));
    let (_, other_certificate, _) = HubAuthority::create(keys().id(), system(NOW)).unwrap();
    assert!(matches!(
        HubAuthority::load(&other_certificate, &ca_key),
        Err(CertificateError::OtherKey)
    ));
}
