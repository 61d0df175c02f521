//! The same contract against the traffic manager that anyone can run.

use std::sync::Arc;

use azure::Url;
use traffic_manager::faults::{CLIENT, Fault, Options, Rule, SECRET, Server, TENANT};

use super::contract::{full_life, refusals};
use super::{Target, scratch};

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
