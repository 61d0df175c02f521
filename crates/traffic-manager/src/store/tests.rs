use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::model::{Monitor, Profile, Protocol, PublicAddress, ResourceId, Routing};
use crate::state::Change;

/// A directory of its own for each test, gone afterwards.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fairway-store-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.redb")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn profile(name: &str, ttl: u32) -> Change {
    Change::PutProfile(Arc::new(Profile {
        id: id(name),
        tags: [("a".to_owned(), "b".to_owned())].into(),
        enabled: true,
        routing: Routing::Weighted,
        relative_name: name.to_owned(),
        ttl,
        monitor: Monitor {
            protocol: Protocol::Tcp,
            port: 80,
            path: None,
            interval: 30,
            timeout: 10,
            tolerated_failures: 3,
            headers: Vec::new(),
            expected: Vec::new(),
        },
        endpoints: Vec::new(),
        traffic_view: None,
        max_return: None,
        record_types: Vec::new(),
    }))
}

fn address(name: &str) -> Change {
    Change::PutAddress(Arc::new(PublicAddress {
        id: id(name),
        location: "eastus".to_owned(),
        tags: Default::default(),
        ip: None,
        label: None,
        fqdn: None,
        allocation: "Static".to_owned(),
        sku: None,
        tier: None,
        idle_timeout: None,
        is_ipv6: false,
        zones: Vec::new(),
    }))
}

fn id(name: &str) -> ResourceId {
    ResourceId {
        subscription: "S".to_owned(),
        group: "G".to_owned(),
        name: name.to_owned(),
    }
}

fn batch(changes: Vec<Change>) -> Batch {
    Batch {
        changes,
        recovered: false,
    }
}

fn open(directory: &Path) -> Opened {
    Store::open(directory, false).unwrap()
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let directory = Directory::new("restart");
    let opened = open(&directory.0);
    assert_eq!((opened.source.clone(), opened.recovering), (Source::New, false));
    let mut expected = State::default();
    let steps = [
        vec![profile("A", 1), profile("b", 1), address("x")],
        vec![
            profile("a", 2),
            Change::DeleteProfile(id("B").key()),
            profile("c", 1),
            Change::DeleteProfile(id("c").key()),
        ],
        vec![Change::DeleteAddress(id("x").key()), address("y")],
    ];
    for step in steps {
        opened.store.write(&batch(step.clone())).unwrap();
        step.into_iter().for_each(|change| expected.apply(change));
    }
    drop(opened);
    let opened = open(&directory.0);
    assert_eq!((opened.source, opened.recovering), (Source::File, false));
    assert_eq!(opened.state, expected);
    assert_eq!(
        (opened.state.profiles().count(), opened.state.addresses().count()),
        (1, 1)
    );
}

#[test]
fn a_damaged_file_is_set_aside_and_the_recovery_outlives_restarts() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("garbage", |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x5a)),
        ("head", |bytes| bytes[..64].fill(0)),
        ("half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("short", |bytes| bytes.truncate(100)),
        ("empty", Vec::clear),
    ];
    for (name, damage) in damages {
        let directory = Directory::new(name);
        let opened = open(&directory.0);
        opened.store.write(&batch(vec![profile("a", 1)])).unwrap();
        drop(opened);
        let mut bytes = fs::read(directory.file()).unwrap();
        damage(&mut bytes);
        fs::write(directory.file(), &bytes).unwrap();

        let opened = open(&directory.0);
        let Source::Damaged { set_aside, cause } = &opened.source else {
            panic!("{name}: {:?}", opened.source);
        };
        assert!(!cause.is_empty());
        assert_eq!(fs::read(set_aside).unwrap(), bytes, "{name}: nothing of it is lost");
        assert_eq!((opened.recovering, opened.state.clone()), (true, State::default()));
        opened.store.write(&batch(vec![profile("b", 1)])).unwrap();
        drop(opened);
        let opened = open(&directory.0);
        assert_eq!((&opened.source, opened.recovering), (&Source::File, true), "{name}");
        opened
            .store
            .write(&Batch {
                changes: Vec::new(),
                recovered: true,
            })
            .unwrap();
        drop(opened);
        assert!(!open(&directory.0).recovering, "{name}");
    }
}

/// Whatever byte of the file is another one, what is read is either everything or nothing.
#[test]
fn no_damaged_byte_goes_unnoticed_where_it_matters() {
    let directory = Directory::new("bytes");
    let opened = open(&directory.0);
    let changes: Vec<Change> = (0..20).map(|number| profile(&format!("p{number}"), number)).collect();
    opened.store.write(&batch(changes)).unwrap();
    drop(opened);
    let state = open(&directory.0).state;
    let bytes = fs::read(directory.file()).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let at = used.iter().copied().step_by((used.len() / 60).max(1));
    let mut damaged = 0;
    for at in at {
        let mut other = bytes.clone();
        other[at] ^= 0xff;
        fs::write(directory.file(), &other).unwrap();
        let opened = open(&directory.0);
        match opened.source {
            Source::File => assert_eq!(opened.state, state, "byte {at}"),
            Source::Damaged { set_aside, .. } => {
                damaged += 1;
                fs::remove_file(set_aside).unwrap();
            }
            Source::New => panic!("byte {at}"),
        }
    }
    assert!(damaged > 0, "no byte mattered");
}

#[test]
fn a_file_that_is_in_use_or_newer_is_left_alone() {
    let directory = Directory::new("use");
    let opened = open(&directory.0);
    assert!(matches!(
        Store::open(&directory.0, false),
        Err(StoreError::InUse { .. })
    ));
    drop(opened);
    let database = redb::Database::open(directory.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(
        Store::open(&directory.0, false),
        Err(StoreError::Newer { format: 2, .. })
    ));
    assert!(directory.file().exists());
    let blocked = directory.0.join("file");
    fs::write(&blocked, "x").unwrap();
    assert!(matches!(
        Store::open(&blocked.join("below"), false),
        Err(StoreError::Unusable { .. })
    ));
}

#[test]
fn a_new_store_of_an_instance_that_joins_others_waits() {
    let directory = Directory::new("joins");
    assert!(Store::open(&directory.0, true).unwrap().recovering);
    assert!(open(&directory.0).recovering, "also after a restart");
}

#[tokio::test]
async fn the_writer_stores_in_order_and_says_when_it_cannot() {
    let directory = Directory::new("writer");
    let (writer, closed) = Writer::start(open(&directory.0).store).unwrap();
    for ttl in 0..10 {
        writer.write(batch(vec![profile("a", ttl)])).await.unwrap();
    }
    drop(writer);
    closed.wait().await;
    assert_eq!(open(&directory.0).state.profile(&id("a").key()).unwrap().ttl, 9);
    let (writer, _) = Writer::over(|_| panic!("a bug of the store")).unwrap();
    let failure = writer.write(batch(Vec::new())).await.unwrap_err();
    assert!(failure.to_string().contains("has ended"), "{failure}");
}
