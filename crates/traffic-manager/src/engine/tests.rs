use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::*;
use crate::health::EndpointStatus;
use crate::model::ResourceId;

/// A store that can fail, and what it was given.
#[derive(Clone, Default)]
struct Disk {
    fails: Arc<AtomicBool>,
    batches: Arc<AtomicUsize>,
}

/// The changes that were shown, and the profiles of each state.
#[derive(Clone, Default)]
struct Log {
    changes: Arc<Mutex<Vec<EndpointStatus>>>,
    shown: Arc<Mutex<Vec<(usize, bool)>>>,
}

impl View for Log {
    fn changed(&self, transition: &Transition) {
        self.changes.lock().push(transition.to);
    }

    fn show(&self, state: &State, recovering: bool) {
        self.shown.lock().push((state.profiles().count(), recovering));
    }
}

fn start(disk: &Disk, recovery: Recovery) -> (Handle, Log) {
    let (fails, batches) = (Arc::clone(&disk.fails), Arc::clone(&disk.batches));
    let (writer, _closed) = Writer::over(move |_| {
        batches.fetch_add(1, Ordering::Relaxed);
        let failure = StoreError::Write {
            cause: "the disk is full".to_owned(),
        };
        if fails.load(Ordering::Relaxed) {
            Err(failure)
        } else {
            Ok(())
        }
    })
    .unwrap();
    let settings = Settings {
        origin: "tm.example.com".to_owned(),
        reserved: Default::default(),
        max_profiles: 1000,
        max_endpoints: 200,
        page: 10,
    };
    let log = Log::default();
    let clock = Clock::paused_at("2026-11-30T12:00:00Z".parse().unwrap());
    let (engine, handle) = new(settings, clock, State::default(), recovery, writer, log.clone());
    tokio::spawn(engine.run());
    (handle, log)
}

fn id(name: &str) -> ResourceId {
    ResourceId {
        subscription: "s".to_owned(),
        group: "g".to_owned(),
        name: name.to_owned(),
    }
}

fn put(name: &str) -> Operation {
    let target = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/m/providers/Microsoft.Network/\
                  publicIPAddresses/ip-192-0-2-1";
    let body: Map<String, Value> = json!({"location": "global", "properties": {
        "trafficRoutingMethod": "Weighted",
        "dnsConfig": {"relativeName": name},
        "monitorConfig": {"protocol": "TCP", "port": 80},
        "endpoints": [{"name": "e", "type": "AzureEndpoints", "properties": {"targetResourceId": target}}],
    }})
    .as_object()
    .unwrap()
    .clone();
    Operation::PutProfile(id(name), body)
}

#[tokio::test]
async fn what_is_not_stored_has_not_happened() {
    let disk = Disk::default();
    let (handle, log) = start(&disk, Recovery::new(false));
    assert_eq!(handle.write(put("a")).await.unwrap().status, 201);
    disk.fails.store(true, Ordering::Relaxed);
    let failure = handle.write(put("b")).await.unwrap_err();
    assert_eq!((failure.status, failure.retry_after), (503, Some(1)));
    assert!(failure.message.contains("the disk is full"), "{failure}");
    assert!(handle.state().profile(&id("b").key()).is_none());
    assert!(handle.ready().unwrap_err().contains("the disk is full"));
    assert_eq!(log.changes.lock().len(), 1, "no event of what has not happened");
    assert!(handle.read(Operation::GetProfile(id("a"))).is_ok(), "reads go on");

    disk.fails.store(false, Ordering::Relaxed);
    assert_eq!(handle.write(put("b")).await.unwrap().status, 201);
    assert!(handle.ready().is_ok());
}

#[tokio::test]
async fn writes_at_once_share_transactions_and_each_is_answered() {
    let disk = Disk::default();
    let (handle, _) = start(&disk, Recovery::new(false));
    let writes = (0..100).map(|number| {
        let handle = handle.clone();
        async move { handle.write(put(&format!("p{number}"))).await }
    });
    let answers = futures::future::join_all(writes).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 201))
    );
    assert_eq!(handle.state().profiles().count(), 100);
    let batches = disk.batches.load(Ordering::Relaxed);
    assert!(batches < 20, "{batches}");
    handle.write(put("p1")).await.unwrap();
    assert_eq!(
        disk.batches.load(Ordering::Relaxed),
        batches,
        "a write without a change is not stored"
    );
}

#[tokio::test(start_paused = true)]
async fn hints_end_although_nobody_asks() {
    let (handle, log) = start(&Disk::default(), Recovery::new(false));
    handle.write(put("a")).await.unwrap();
    let endpoint =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/trafficManagerProfiles/a/azureEndpoints/e";
    let hint = json!({"hints": [{"endpoint": endpoint, "state": "Degraded", "expiresInSeconds": 30}]});
    handle
        .write(Operation::Hint(serde_json::from_value(hint).unwrap()))
        .await
        .unwrap();
    let start = Instant::now();
    let mut changes = handle.changes();
    changes.borrow_and_update();
    changes.changed().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 30);
    use EndpointStatus::{CheckingEndpoint, Degraded};
    assert_eq!(*log.changes.lock(), [CheckingEndpoint, Degraded, CheckingEndpoint]);
}

#[tokio::test(start_paused = true)]
async fn a_recovery_ends_when_writes_do_and_is_stored() {
    let disk = Disk::default();
    let (handle, log) = start(&disk, Recovery::settling_after(true, Duration::from_secs(30)));
    assert!(handle.ready().is_err());
    handle.write(put("a")).await.unwrap();
    let mut changes = handle.changes();
    changes.borrow_and_update();
    // The end cannot be stored at first.
    disk.fails.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert!(handle.recovery().is_on());
    disk.fails.store(false, Ordering::Relaxed);
    changes.changed().await.unwrap();
    assert!(handle.ready().is_ok() && !handle.recovery().is_on());
    assert_eq!(*log.shown.lock(), [(1, true), (1, false)]);
}
