//! What a server may do wrong, and what the client makes of it.

use std::time::{Duration, Instant};

use azure::{Azure, Class, CloudConfig, Environment, Error, Options, ProfileRef};

use super::fake::{Fake, Fault, error};
use super::{AGENT, client, config, connect};

fn at(group: &str) -> ProfileRef {
    ProfileRef {
        resource_group: group.into(),
        name: "p".into(),
    }
}

/// A read of a profile after the fault.
async fn faulty(fake: &Fake, azure: &Azure, fault: Fault) -> Error {
    fake.fail_next(fault);
    azure.traffic_manager().profile(&at("rg")).await.unwrap_err()
}

fn answer(status: u16, body: &str) -> Fault {
    Fault::Answer(status, Vec::new(), body.to_owned())
}

#[tokio::test]
async fn every_status_has_its_class_and_a_stable_text() {
    let fake = Fake::start().await;
    let azure = client(&fake).await;
    let busy = "Another operation is in progress. CorrelationId: 11-22-33";
    for (status, body, class, summary) in [
        (400, error("BadRequest", "No."), Class::Refused, "400 BadRequest: No."),
        (403, error("X", ""), Class::Forbidden, "403 X"),
        (
            404,
            error("ResourceGroupNotFound", "Gone."),
            Class::NotFound,
            "404 ResourceGroupNotFound: Gone.",
        ),
        (408, String::new(), Class::Refused, "408"),
        (
            409,
            error("Conflict", busy),
            Class::Conflict,
            "409 Conflict: Another operation is in progress.",
        ),
        (429, String::new(), Class::Throttled, "429"),
        (
            500,
            error("InternalServerError", "x"),
            Class::Server,
            "500 InternalServerError: x",
        ),
        (502, "<html>bad gateway</html>".to_owned(), Class::Server, "502"),
        (302, String::new(), Class::Server, "302"),
        (599, "{}".to_owned(), Class::Server, "599"),
    ] {
        let calls = fake.counts().0;
        let failure = faulty(&fake, &azure, answer(status, &body)).await;
        assert_eq!((failure.class(), failure.summary().as_str()), (class, summary));
        assert_eq!(fake.counts().0, calls + 1, "{status}: no call is repeated by itself");
    }
    let moved = Fault::Answer(307, vec![("location", format!("{}elsewhere", fake.url))], String::new());
    assert_eq!(
        faulty(&fake, &azure, moved).await.class(),
        Class::Server,
        "redirections are not followed"
    );
}

#[tokio::test]
async fn answers_that_cannot_be_read_are_no_answers() {
    let fake = Fake::start().await;
    let azure = client(&fake).await;
    for body in ["", "[]", "{", "<html></html>"] {
        let failure = faulty(&fake, &azure, answer(200, body)).await;
        assert_eq!((failure.class(), failure.status()), (Class::NoAnswer, None), "{body:?}");
    }
    let endless = faulty(&fake, &azure, Fault::Endless).await;
    assert!(endless.message().contains("more than 8388608 bytes"), "{endless}");
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_deadline() {
    let fake = Fake::start().await;
    let config = CloudConfig::parse(&config(&fake.url).to_string(), &Environment::default()).unwrap();
    let mut options = Options::new(AGENT);
    options.deadline = Duration::from_secs(2);
    let azure = Azure::connect(&config, &options).await.unwrap();
    let begun = Instant::now();
    let silent = faulty(&fake, &azure, Fault::Silence(Duration::from_secs(60))).await;
    assert_eq!(
        (silent.class(), silent.message()),
        (Class::NoAnswer, "no answer within 2s")
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_refused_token_is_replaced_for_the_next_call() {
    let fake = Fake::start().await;
    let azure = client(&fake).await;
    let manager = azure.traffic_manager();
    assert_eq!(manager.profile(&at("rg")).await.unwrap_err().class(), Class::NotFound);
    fake.revoke();
    let refused = manager.profile(&at("rg")).await.unwrap_err();
    assert_eq!((refused.class(), refused.status()), (Class::Refused, Some(401)));
    assert_eq!(manager.profile(&at("rg")).await.unwrap_err().class(), Class::NotFound);
    assert_eq!(fake.counts(), (3, 2));
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let fake = Fake::start().await;
    let manager = client(&fake).await.traffic_manager();
    let failure = manager.delete_profile(&at("forbidden")).await.unwrap_err();
    assert_eq!(
        failure.missing_action(),
        Some("Microsoft.Network/trafficManagerProfiles/read")
    );
}

#[tokio::test]
async fn a_wrong_secret_is_told_without_being_shown() {
    let fake = Fake::start().await;
    let mut wrong = config(&fake.url);
    wrong["aadClientSecret"] = "hush-wrong".into();
    let azure = connect(&wrong).await;
    let failure = azure.traffic_manager().profile(&at("rg")).await.unwrap_err();
    assert_eq!(failure.class(), Class::Credentials);
    assert_eq!(
        failure.summary(),
        "no token could be had: 401 invalid_client: AADSTS7000215: Invalid client secret provided"
    );
    assert!(!format!("{failure:?} {azure:?}").contains("hush"));
    assert_eq!(fake.counts().0, 0, "nothing is asked without a token");
}

#[tokio::test]
async fn names_that_would_change_the_path_are_not_sent() {
    let fake = Fake::start().await;
    let manager = client(&fake).await.traffic_manager();
    for name in ["", ".", "..", "a/b", "a%23b", "a\\b", "a\nb", &"x".repeat(261)] {
        let odd = ProfileRef {
            resource_group: "rg".into(),
            name: name.into(),
        };
        assert_eq!(
            manager.profile(&odd).await.unwrap_err().class(),
            Class::Refused,
            "{name:?}"
        );
        assert_eq!(
            manager.delete_endpoint(&at("rg"), name).await.unwrap_err().class(),
            Class::Refused
        );
    }
    assert_eq!(fake.counts().0, 0);
}
