//! Public IP addresses: pages, and one call for all who ask within ten seconds (networking 9.3).

use azure::{Class, PublicIp};
use serde_json::{Value, json};

use super::fake::Fake;
use super::{client, config, connect};

fn address(number: usize) -> Value {
    json!({"id": format!("/pip/{number}"), "properties": {"ipAddress": format!("203.0.113.{number}"),
        "dnsSettings": {"domainNameLabel": format!("label-{number}")}}})
}

#[tokio::test]
async fn all_pages_are_listed_once_for_all_who_ask() {
    let fake = Fake::start().await;
    fake.set_pages("MC_rg", vec![vec![address(1), address(2)], vec![], vec![address(3)]]);
    let addresses = client(&fake).await.public_ip_addresses();
    let lists = futures::future::join_all(["mc_RG", "MC_rg", "mc_rg"].map(|group| addresses.list(group))).await;
    for list in &lists {
        let list = list.as_ref().unwrap();
        let third = PublicIp {
            id: "/pip/3".into(),
            address: Some("203.0.113.3".into()),
            dns_label: Some("label-3".into()),
        };
        assert_eq!((list.len(), &list[2]), (3, &third));
    }
    assert_eq!(fake.counts().0, 3, "one call for each page");
    addresses.list("mc_rg").await.unwrap();
    assert_eq!(fake.counts().0, 3);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    tokio::time::resume();
    fake.set_pages("MC_rg", vec![vec![]]);
    assert!(addresses.list("mc_rg").await.unwrap().is_empty());
    assert_eq!(fake.counts().0, 4);
}

#[tokio::test]
async fn lists_that_cannot_be_had_are_errors_and_not_kept() {
    let fake = Fake::start().await;
    let addresses = client(&fake).await.public_ip_addresses();
    let class = async |group: &str| addresses.list(group).await.unwrap_err().class();
    assert_eq!(class("nowhere").await, Class::NotFound);
    assert_eq!(class("forbidden").await, Class::Forbidden);
    for odd in ["", "..", "a/b", "a%2fb", "a\\b"] {
        assert_eq!(class(odd).await, Class::Refused, "{odd:?}");
    }
    assert_eq!(fake.counts().0, 2, "odd names are not sent");
    fake.set_pages("nowhere", vec![vec![address(1)]]);
    assert_eq!(addresses.list("nowhere").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let fake = Fake::start().await;
    fake.set_pages("endless", vec![vec![]; 500]);
    let mut unlimited = config(&fake.url);
    unlimited["cloudProviderRateLimit"] = json!(false);
    let addresses = connect(&unlimited).await.public_ip_addresses();
    let endless = addresses.list("endless").await.unwrap_err();
    assert!(endless.message().contains("more than 200 pages"), "{endless}");
}
