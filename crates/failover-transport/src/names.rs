//! How callsign and member are written in certificates and in the server name of a handshake.

use failover::member::MemberId;
use ring::digest;

use crate::keys::CallsignId;

const CALLSIGN: &str = "urn:kvmc:callsign:";
const MEMBER: &str = "urn:kvmc:member:";
const DOMAIN: &str = "callsign.invalid";
/// UID, namespace and name with separators are at most 354 characters long.
const LONGEST_MEMBER: usize = 400;

/// The URI names of a certificate: callsign and member.
pub fn uris(callsign: CallsignId, member: &MemberId) -> [String; 2] {
    [format!("{CALLSIGN}{callsign}"), format!("{MEMBER}{member}")]
}

/// What the URI names of a certificate say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The callsign that it is for.
    pub callsign: CallsignId,
    /// The member that it is for.
    pub member: MemberId,
}

impl Named {
    /// Reads the names of a certificate. It has to name exactly one callsign and one member; URIs that mean something
    /// to others are left alone.
    pub fn read<'a>(uris: impl IntoIterator<Item = &'a str>) -> Result<Self, &'static str> {
        let (mut callsign, mut member) = (None, None);
        for uri in uris {
            if let Some(text) = uri.strip_prefix(CALLSIGN) {
                let id = CallsignId::parse(text).ok_or("its URI of the callsign is not 32 hexadecimal digits")?;
                if callsign.replace(id).is_some() {
                    return Err("it names more than one callsign");
                }
            } else if let Some(text) = uri.strip_prefix(MEMBER) {
                let id =
                    member_id(text).ok_or("its URI of the member is not a cluster's UID, a namespace and a name")?;
                if member.replace(id).is_some() {
                    return Err("it names more than one member");
                }
            }
        }
        Ok(Self {
            callsign: callsign.ok_or("it has no URI name urn:kvmc:callsign:<callsign id>")?,
            member: member.ok_or("it has no URI name urn:kvmc:member:<member id>")?,
        })
    }
}

/// Reads a member's identity: three parts that are not empty, in the characters that Kubernetes permits.
pub fn member_id(text: &str) -> Option<MemberId> {
    let permitted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let mut parts = text.split('/');
    let part = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && part.chars().all(permitted));
    let whole = part(parts.next()) && part(parts.next()) && part(parts.next()) && parts.next().is_none();
    (whole && text.len() <= LONGEST_MEMBER).then(|| MemberId::from(text))
}

/// The server name of a handshake: which callsign, and which of its members at that listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName {
    /// The callsign.
    pub callsign: CallsignId,
    /// A label that stands for the member; none: any member of the callsign.
    pub target: Option<String>,
}

impl ServerName {
    /// The name by which `target`, or any member of the callsign, is called.
    pub fn of(callsign: CallsignId, target: Option<&MemberId>) -> Self {
        Self {
            callsign,
            target: target.map(label),
        }
    }

    /// Reads what a client sent.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix(DOMAIN)?.strip_suffix('.')?;
        match name.split_once('.') {
            // A label has the form of a callsign's id.
            Some((target, callsign)) => Some(Self {
                callsign: CallsignId::parse(callsign)?,
                target: Some(CallsignId::parse(target)?.to_string()),
            }),
            None => Some(Self {
                callsign: CallsignId::parse(name)?,
                target: None,
            }),
        }
    }

    /// Whether this calls the member.
    pub fn calls(&self, member: &MemberId) -> bool {
        self.target.as_ref().is_none_or(|target| *target == label(member))
    }
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{target}.{}.{DOMAIN}", self.callsign),
            None => write!(f, "{}.{DOMAIN}", self.callsign),
        }
    }
}

/// 16 bytes of the hash of a member's identity: an identity is too long for a label, and has slashes.
fn label(member: &MemberId) -> String {
    let hash = digest::digest(&digest::SHA256, member.as_str().as_bytes());
    hash.as_ref()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00ff10a9c3d4e5f60718293a4b5c6d7e";
    const MEMBER_ID: &str = "7d0c7e4a-6f1e-4b0f-8f5d-0d9c1a2b3c4d/default/newyork";

    fn id() -> CallsignId {
        CallsignId::parse(ID).unwrap()
    }

    #[test]
    fn certificates_name_one_callsign_and_one_member() {
        let member = MemberId::from(MEMBER_ID);
        let own = uris(id(), &member);
        assert_eq!(own[0], format!("urn:kvmc:callsign:{ID}"));
        assert_eq!(own[1], format!("urn:kvmc:member:{MEMBER_ID}"));
        let [callsign, member_uri] = [own[0].as_str(), own[1].as_str()];
        let named = Named { callsign: id(), member };
        assert_eq!(Named::read([callsign, member_uri]), Ok(named.clone()));
        assert_eq!(Named::read([member_uri, "spiffe://cluster/agent", callsign]), Ok(named));
        for wrong in [
            vec![],
            vec![callsign],
            vec![member_uri],
            vec![callsign, member_uri, member_uri],
            vec![callsign, callsign, member_uri],
            vec!["urn:kvmc:callsign:federation", member_uri],
            vec![callsign, "urn:kvmc:member:newyork"],
            vec![callsign, "urn:kvmc:member:a//b"],
            vec![callsign, "urn:kvmc:member:a/b/c/d"],
            vec![callsign, "urn:kvmc:member:a/b/c\n"],
            vec![callsign, "URN:kvmc:member:a/b/c"],
        ] {
            assert!(Named::read(wrong.clone()).is_err(), "{wrong:?}");
        }
        assert_eq!(member_id(&format!("{}/b/c", "a".repeat(LONGEST_MEMBER))), None);
    }

    #[test]
    fn a_server_name_calls_any_member_of_a_callsign_or_one_of_them() {
        let (newyork, sheffield) = (MemberId::from(MEMBER_ID), MemberId::from("u/default/sheffield"));
        let any = ServerName::of(id(), None);
        assert_eq!(any.to_string(), format!("{ID}.callsign.invalid"));
        assert_eq!(ServerName::parse(&any.to_string()), Some(any.clone()));
        assert!(any.calls(&newyork) && any.calls(&sheffield));
        let one = ServerName::of(id(), Some(&newyork));
        assert_eq!(ServerName::parse(&one.to_string()), Some(one.clone()));
        assert!(one.calls(&newyork) && !one.calls(&sheffield));
        for wrong in [
            "",
            "callsign.invalid",
            ".callsign.invalid",
            "federation.callsign.invalid",
            &format!("{ID}callsign.invalid"),
            &format!("{ID}.callsign.example"),
            &format!("x.{ID}.callsign.invalid"),
            &format!("{ID}.{ID}.{ID}.callsign.invalid"),
        ] {
            assert_eq!(ServerName::parse(wrong), None, "{wrong}");
        }
    }
}
