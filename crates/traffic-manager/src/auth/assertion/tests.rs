use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::faults::{AUDIENCE, ISSUER, Issuer, SUBJECT};

const NOW: i64 = 1_796_040_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn data(name: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn entry(keys_file: PathBuf) -> Entry {
    Entry {
        issuer: ISSUER.to_owned(),
        subject: SUBJECT.to_owned(),
        audience: AUDIENCE.to_owned(),
        keys_file,
    }
}

/// An identity whose keys are those of the issuer.
fn of(issuer: &Issuer, name: &str) -> Federated {
    let file = std::env::temp_dir().join(format!("fairway-assertion-{}-{name}", std::process::id()));
    std::fs::write(&file, issuer.keys().to_string()).unwrap();
    let federated = Federated::read(entry(file.clone())).unwrap();
    std::fs::remove_file(file).unwrap();
    federated
}

/// The token of a service account as an API server signs it, by another implementation of RS256.
#[test]
fn the_token_of_a_cluster_is_taken_for_its_time() {
    let federated = Federated::read(entry(data("issuer-keys.json"))).unwrap();
    let assertion = std::fs::read_to_string(data("assertion.jwt")).unwrap();
    assert_eq!(federated.verify(&assertion, now()), Ok(()));
    let at = |seconds| Timestamp::from_second(NOW + seconds).unwrap();
    assert_eq!(federated.verify(&assertion, at(3600)), Err("its time is over"));
    assert_eq!(federated.verify(&assertion, at(-3660)), Ok(()), "clocks may differ");
    assert_eq!(federated.verify(&assertion, at(-3661)), Err("its time has not come"));
    for at in [0, 40, 200, assertion.len() - 3] {
        let mut changed = assertion.clone().into_bytes();
        changed[at] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        assert!(federated.verify(&changed, now()).is_err(), "{at}");
    }
}

#[test]
fn every_claim_counts() {
    let issuer = Issuer::new().unwrap();
    let federated = of(&issuer, "claims");
    let header = json!({"alg": "ES256", "kid": "1"});
    let good = json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": NOW + 1});
    let verify = |header: &Value, claims: &Value| federated.verify(&issuer.sign(header, claims).unwrap(), now());
    assert_eq!(verify(&header, &good), Ok(()));
    assert_eq!(
        verify(&json!({"alg": "ES256"}), &good),
        Ok(()),
        "without the name of its key"
    );
    for (name, value, cause) in [
        ("iss", json!("https://other.example"), "it is of another issuer"),
        (
            "sub",
            json!("system:serviceaccount:default:hub-agent-sa"),
            "it is of another subject",
        ),
        ("aud", json!(["other"]), "it is for another audience"),
        ("aud", json!([]), "it is for another audience"),
        ("exp", json!(NOW), "its time is over"),
        ("nbf", json!(NOW + 61), "its time has not come"),
        ("exp", Value::Null, "its claims cannot be read"),
        ("aud", Value::Null, "its claims cannot be read"),
        ("sub", json!(7), "its claims cannot be read"),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        assert_eq!(verify(&header, &claims), Err(cause), "{claims}");
    }
}

#[test]
fn who_has_not_the_issuers_key_cannot_make_one() {
    let (issuer, other) = (Issuer::new().unwrap(), Issuer::new().unwrap());
    let federated = of(&issuer, "forged");
    let unsigned = Err("none of the issuer's keys has signed it");
    let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": NOW + 60});
    let forged = other.sign(&json!({"alg": "ES256", "kid": "1"}), &claims).unwrap();
    assert_eq!(federated.verify(&forged, now()), unsigned);
    for algorithm in ["none", "HS256", "RS256", "es256", ""] {
        let assertion = issuer.sign(&json!({"alg": algorithm, "kid": "1"}), &claims).unwrap();
        assert_eq!(federated.verify(&assertion, now()), unsigned, "{algorithm}");
    }
    let elsewhere = issuer.sign(&json!({"alg": "ES256", "kid": "2"}), &claims).unwrap();
    assert_eq!(
        federated.verify(&elsewhere, now()),
        unsigned,
        "signed with a key of another name"
    );
    let (signed, _) = forged.rsplit_once('.').unwrap();
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b.c".into(),
        format!("{signed}."),
        signed.to_owned(),
    ] {
        assert!(federated.verify(&text, now()).is_err(), "{text}");
    }
    assert_eq!(federated.verify(&"a".repeat(LONGEST + 1), now()), Err("it is too long"));
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let file = std::env::temp_dir().join(format!("fairway-assertion-{}-keys", std::process::id()));
    for (text, cause) in [
        ("{", "no set of keys"),
        (r#"{"keys": []}"#, "no RSA key"),
        (
            r#"{"keys": [{"kty": "oct", "k": "AAAA"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}"#,
            "no RSA key",
        ),
        (r#"{"keys": [{"kty": "RSA", "n": "!", "e": "AQAB"}]}"#, "no RSA key"),
    ] {
        std::fs::write(&file, text).unwrap();
        let problem = Federated::read(entry(file.clone())).err().unwrap();
        assert!(
            problem.contains(cause) && problem.contains("fairway-assertion"),
            "{problem}"
        );
    }
    std::fs::remove_file(&file).unwrap();
    let gone = Federated::read(entry(file)).err().unwrap();
    assert!(gone.contains("cannot be used"), "{gone}");
    let nobody = Entry {
        subject: String::new(),
        ..entry(data("issuer-keys.json"))
    };
    assert!(Federated::read(nobody).err().unwrap().contains("no subject"));
}
