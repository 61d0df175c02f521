//! The same contract against the traffic manager that anyone can run.

use std::sync::Arc;

use azure::{Azure, Class, CloudConfig, Environment, ProfileRef, Url};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use traffic_manager::faults::{CLIENT, Fault, Options, Rule, SECRET, Server, TENANT, WORKLOAD};

use super::contract::{full_life, refusals};
use super::{AGENT, Target, config, scratch};

async fn start(name: &str) -> (Server, Target, std::path::PathBuf) {
    let directory = scratch(name);
    let server = Server::start(&directory, Options::default()).await.unwrap();
    let faults = server.faults.clone();
    let target = Target {
        base: Url::parse(&server.url).unwrap(),
        identity: [TENANT, CLIENT, SECRET],
        refuse_next: Arc::new(move |status, seconds| {
            let fault = Fault::Refuse(status, "TooManyRequests", seconds);
            faults.add(Rule::new(fault).path("/subscriptions/").times(1));
        }),
    };
    (server, target, directory)
}

#[tokio::test]
async fn the_traffic_manager_serves_a_full_life() {
    let (server, target, directory) = start("life").await;
    full_life(&target).await;
    server.stop().await;
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn the_traffic_manager_refuses_what_azure_refuses() {
    let (server, target, directory) = start("refusals").await;
    refusals(&target).await;
    server.stop().await;
    std::fs::remove_dir_all(directory).unwrap();
}

/// A token of a service account that is good for an hour.
fn assertion(server: &Server) -> String {
    let expires = jiff::Timestamp::now().as_second() + 3600;
    server.issuer.assertion(expires).unwrap()
}

/// As an agent with a workload identity: over TLS of a private authority, with the token that the kubelet keeps in a file.
#[tokio::test]
async fn a_workload_identity_is_taken_over_tls_and_its_token_is_read_anew() {
    let directory = scratch("workload");
    std::fs::create_dir_all(&directory).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let files = kit::tls::Files {
        cert: directory.join("tls.crt"),
        key: directory.join("tls.key"),
        client_ca: None,
    };
    std::fs::write(&files.cert, leaf.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    std::fs::write(directory.join("ca.crt"), authority.pem()).unwrap();
    kit::install_crypto();
    let options = Options {
        tls: Some(files),
        ..Options::default()
    };
    let server = Server::start(&directory, options).await.unwrap();

    let mut bare = config(&Url::parse(&format!("https://localhost:{}", server.arm.port())).unwrap());
    for key in ["tenantId", "aadClientId", "aadClientSecret"] {
        bare.as_object_mut().unwrap().remove(key);
    }
    bare["resourceManagerCAFile"] = json!(directory.join("ca.crt"));
    let file = directory.join("token");
    std::fs::write(&file, "no.token.here").unwrap();
    let environment = Environment {
        tenant_id: Some(TENANT.to_owned()),
        client_id: Some(WORKLOAD.to_owned()),
        federated_token_file: Some(file.clone()),
        ..Environment::default()
    };
    let config = CloudConfig::parse(&bare.to_string(), &environment).unwrap();
    let azure = Azure::connect(&config, &azure::Options::new(AGENT)).await.unwrap();
    let manager = azure.traffic_manager();
    let at = ProfileRef {
        resource_group: "rg".into(),
        name: "p".into(),
    };
    let refused = manager.profile(&at).await.unwrap_err();
    assert_eq!(refused.class(), Class::Credentials, "{refused}");
    assert!(
        refused.to_string().contains("AADSTS700024") && !refused.to_string().contains("no.token.here"),
        "{refused}"
    );

    std::fs::write(&file, assertion(&server)).unwrap();
    for _ in 0..2 {
        let missing = manager.profile(&at).await.unwrap_err();
        assert_eq!(missing.class(), Class::NotFound, "{missing}");
    }
    let logins = |server: &Server| {
        let seen = server.faults.take_seen();
        seen.iter()
            .filter(|request| request.path.ends_with("/oauth2/v2.0/token"))
            .count()
    };
    assert_eq!(logins(&server), 2, "one that was refused, and one for both calls");

    // A token that the server does not take any more is replaced, by what is in the file then.
    std::fs::write(&file, assertion(&server)).unwrap();
    let expired = Fault::Refuse(401, "ExpiredAuthenticationToken", None);
    server.faults.add(Rule::new(expired).path("/subscriptions/").times(1));
    assert!(manager.profile(&at).await.is_err());
    let missing = manager.profile(&at).await.unwrap_err();
    assert_eq!((missing.class(), logins(&server)), (Class::NotFound, 1), "{missing}");
    server.stop().await;
    std::fs::remove_dir_all(directory).unwrap();
}
