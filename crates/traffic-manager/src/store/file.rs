//! The file of the store.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _};
use redb::{StorageError, TableDefinition, TableError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Batch, Opened, Source, StoreError};
use crate::model::{Profile, PublicAddress};
use crate::state::{Change, State};

const PROFILES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("profiles");
const ADDRESSES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("addresses");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Keys of the table of facts about the store itself.
const FORMAT: &str = "format";
const RECOVERING: &str = "recovering";
/// Form of the records.
const CURRENT_FORMAT: u64 = 1;
/// Name of the file in its directory.
const NAME: &str = "state.redb";
/// The content is in memory anyway; this is for the pages of one transaction.
const CACHE: usize = 8 << 20;

/// An open store.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

/// The file is there and cannot be read.
struct Damage(String);

impl Store {
    /// Opens the store in a directory, or makes one, which recovers if `new_recovers`. A damaged one is set aside.
    ///
    /// # Errors
    /// When the directory cannot be used, another process uses the store, or a newer version wrote it.
    pub fn open(directory: &Path, new_recovers: bool) -> Result<Opened, StoreError> {
        std::fs::create_dir_all(directory).map_err(|err| unusable(directory, &err))?;
        let path = directory.join(NAME);
        if !path.exists() {
            let store = create(directory, &path, new_recovers)?;
            return Ok(opened(store, State::default(), new_recovers, Source::New));
        }
        let damage = match open(&path)? {
            Ok(database) => match read(&path, &database)? {
                Ok((state, recovering)) => return Ok(opened(Self { database }, state, recovering, Source::File)),
                Err(damage) => damage,
            },
            Err(damage) => damage,
        };
        let set_aside = set_aside(&path)?;
        let store = create(directory, &path, true)?;
        let cause = damage.0;
        Ok(opened(
            store,
            State::default(),
            true,
            Source::Damaged { set_aside, cause },
        ))
    }

    /// Stores a batch as a whole. It is durable once this returns.
    ///
    /// # Errors
    /// When the disk does not take it; nothing of the batch is stored then.
    pub fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let records = records(&batch.changes)?;
        let transaction = self.database.begin_write().map_err(failed)?;
        {
            let mut profiles = transaction.open_table(PROFILES).map_err(failed)?;
            let mut addresses = transaction.open_table(ADDRESSES).map_err(failed)?;
            for ((kind, key), record) in &records {
                let table = match kind {
                    Kind::Profile => &mut profiles,
                    Kind::Address => &mut addresses,
                };
                match record {
                    Some(bytes) => table.insert(key.as_str(), bytes.as_slice()).map_err(failed)?,
                    None => table.remove(key.as_str()).map_err(failed)?,
                };
            }
            if batch.recovered {
                let mut meta = transaction.open_table(META).map_err(failed)?;
                meta.insert(RECOVERING, 0).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }
}

fn opened(store: Store, state: State, recovering: bool, source: Source) -> Opened {
    Opened {
        store,
        state,
        recovering,
        source,
    }
}

/// Opens a file that exists. Damage is not an error.
fn open(path: &Path) -> Result<Result<Database, Damage>, StoreError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    match builder.open(path) {
        Ok(database) => Ok(Ok(database)),
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(DatabaseError::Storage(StorageError::Io(err))) if !is_about_content(&err) => Err(unusable(path, &err)),
        Err(err) => Ok(Err(Damage(err.to_string()))),
    }
}

/// Whether an error is about what a file holds, not about the way to it.
fn is_about_content(err: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        err.kind(),
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::InvalidInput
    )
}

/// Makes an empty store under another name first, so that a file of the right name is always whole.
fn create(directory: &Path, path: &Path, recovering: bool) -> Result<Store, StoreError> {
    let unusable = |cause: &dyn Display| unusable(path, cause);
    let fresh = directory.join(format!("{NAME}.new"));
    if fresh.exists() {
        std::fs::remove_file(&fresh).map_err(|err| unusable(&err))?;
    }
    let database = Builder::new()
        .set_cache_size(CACHE)
        .create(&fresh)
        .map_err(|err| unusable(&err))?;
    let set_up = || -> Result<(), StoreError> {
        let transaction = database.begin_write().map_err(failed)?;
        {
            transaction.open_table(PROFILES).map_err(failed)?;
            transaction.open_table(ADDRESSES).map_err(failed)?;
            let mut meta = transaction.open_table(META).map_err(failed)?;
            meta.insert(FORMAT, CURRENT_FORMAT).map_err(failed)?;
            meta.insert(RECOVERING, u64::from(recovering)).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    };
    set_up()?;
    // The name may change while the file is open; the directory must hold it before anything is answered.
    std::fs::rename(&fresh, path).map_err(|err| unusable(&err))?;
    sync(directory).map_err(|err| unusable(&err))?;
    Ok(Store { database })
}

fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Renames a damaged file to the first free name of its kind.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let free = (1_u32..).map(|number| path.with_file_name(format!("{NAME}.damaged-{number}")));
    let target = free.into_iter().find(|name| !name.exists());
    let target = target.ok_or_else(|| unusable(path, &"there is no free name to set it aside"))?;
    std::fs::rename(path, &target).map_err(|err| unusable(path, &err))?;
    Ok(target)
}

/// What the file holds and whether it was recovering. Damage is not an error.
fn read(path: &Path, database: &Database) -> Result<Result<(State, bool), Damage>, StoreError> {
    let transaction = match database.begin_read() {
        Ok(transaction) => transaction,
        Err(err) => return Ok(Err(Damage(err.to_string()))),
    };
    let meta = match meta(&transaction) {
        Ok(meta) => meta,
        Err(damage) => return Ok(Err(damage)),
    };
    let format = meta.get(FORMAT).copied().unwrap_or_default();
    if format > CURRENT_FORMAT {
        let path = path.to_owned();
        return Err(StoreError::Newer { path, format });
    }
    let recovering = meta.get(RECOVERING).is_some_and(|value| *value != 0);
    Ok(records_of(&transaction).map(|state| (state, recovering)))
}

fn meta(transaction: &ReadTransaction) -> Result<BTreeMap<String, u64>, Damage> {
    let table = transaction.open_table(META).map_err(Damage::of::<TableError>)?;
    let mut meta = BTreeMap::new();
    for entry in table.iter().map_err(Damage::of)? {
        let (key, value) = entry.map_err(Damage::of)?;
        meta.insert(key.value().to_owned(), value.value());
    }
    Ok(meta)
}

fn records_of(transaction: &ReadTransaction) -> Result<State, Damage> {
    let mut state = State::default();
    let mut keys = Vec::new();
    each(transaction, PROFILES, |key, profile: Profile| {
        keys.push((key, profile.id.key().to_string()));
        state.apply(Change::PutProfile(Arc::new(profile)));
    })?;
    each(transaction, ADDRESSES, |key, address: PublicAddress| {
        keys.push((key, address.id.key().to_string()));
        state.apply(Change::PutAddress(Arc::new(address)));
    })?;
    match keys.into_iter().find(|(stored, own)| stored != own) {
        Some((stored, own)) => Err(Damage(format!("the record {stored} is about {own}"))),
        None => Ok(state),
    }
}

fn each<T: DeserializeOwned>(
    transaction: &ReadTransaction,
    table: TableDefinition<'_, &str, &[u8]>,
    mut take: impl FnMut(String, T),
) -> Result<(), Damage> {
    let table = transaction.open_table(table).map_err(Damage::of::<TableError>)?;
    for entry in table.iter().map_err(Damage::of)? {
        let (key, value) = entry.map_err(Damage::of)?;
        let key = key.value().to_owned();
        let record = serde_json::from_slice(value.value());
        let record = record.map_err(|err| Damage(format!("the record {key} cannot be read: {err}")))?;
        take(key, record);
    }
    Ok(())
}

impl Damage {
    fn of<E: Display>(cause: E) -> Self {
        Self(cause.to_string())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Profile,
    Address,
}

/// What is stored under a key; none where it is gone.
type Record = Option<Vec<u8>>;

/// The last record of each key.
fn records(changes: &[Change]) -> Result<BTreeMap<(Kind, String), Record>, StoreError> {
    let mut last = BTreeMap::new();
    for change in changes {
        let (key, change) = match change {
            Change::PutProfile(profile) => ((Kind::Profile, profile.id.key()), Some(change)),
            Change::DeleteProfile(key) => ((Kind::Profile, key.clone()), None),
            Change::PutAddress(address) => ((Kind::Address, address.id.key()), Some(change)),
            Change::DeleteAddress(key) => ((Kind::Address, key.clone()), None),
        };
        last.insert(key, change);
    }
    let mut records = BTreeMap::new();
    for ((kind, key), change) in last {
        let record = match change {
            Some(Change::PutProfile(profile)) => Some(bytes(profile)?),
            Some(Change::PutAddress(address)) => Some(bytes(address)?),
            _ => None,
        };
        records.insert((kind, key.to_string()), record);
    }
    Ok(records)
}

fn bytes<T: Serialize>(record: &Arc<T>) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(record.as_ref()).map_err(failed)
}

fn failed(cause: impl Display) -> StoreError {
    StoreError::Write {
        cause: cause.to_string(),
    }
}

fn unusable(path: &Path, cause: &(impl Display + ?Sized)) -> StoreError {
    StoreError::Unusable {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}
