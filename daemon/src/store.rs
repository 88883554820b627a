//! The facts store: what was derived from a file's content, in one SQLite database shared by all
//! workspaces, branches, worktrees and clones of the user.
//!
//! Values are compressed and carry a checksum; a damaged row counts as absent and is derived anew. The
//! database is in WAL mode, so other processes read while one writes, and a kill loses at most the last
//! batch. Losing the whole file costs time, never answers.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fovea_indexer::writer::{FactsKey, FactsStore};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

/// Raised when the layout of the table changes; another layout is dropped, not migrated.
const FORMAT: i32 = 1;

/// A value larger than this is not stored; no file under the size cap derives so much.
const MAX_VALUE_BYTES: usize = 64 << 20;

/// Values removed in one transaction.
const COLLECT_BATCH: usize = 2_000;

/// How long one process waits for another's batch.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The shared database.
pub struct SqliteFacts {
    path: PathBuf,
    /// `None` where nothing can be written.
    writer: Option<Mutex<Connection>>,
    /// The file cannot change: its journal, which we cannot open without writing, does not count.
    is_immutable: bool,
    /// Connections for reading, one for each thread that reads at the same time.
    readers: Mutex<Vec<Connection>>,
    /// Rows read that were last used on an earlier day.
    used: Mutex<Vec<i64>>,
    problem: Mutex<Option<String>>,
    n_damaged: AtomicU64,
    n_asked: AtomicU64,
    n_found: AtomicU64,
}

/// How much was last used on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayOfUse {
    /// Days since 1970.
    pub day: i64,
    pub n_values: u64,
    pub n_bytes: u64,
}

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "facts store `{path}` cannot be opened: {source}; check free space and permissions, or set FOVEA_DATA_DIR"
    )]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("damaged facts store `{path}` cannot be removed: {source}; remove it by hand")]
    Remove { path: PathBuf, source: io::Error },
}

impl SqliteFacts {
    /// Opens or creates the database. One that is damaged or of another layout is replaced.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // A process that met a damaged page leaves this mark for the next start.
        let is_suspect = fs::remove_file(suspect_mark(path)).is_ok();
        let writer = match open_writer(path, is_suspect) {
            Ok(connection) => connection,
            Err(err) if is_damage(&err) => {
                tracing::warn!(%err, path = %path.display(), "replaced the damaged facts store");
                remove(path)
                    .map_err(|source| StoreError::Remove { path: path.to_owned(), source })?;
                open_writer(path, false)
                    .map_err(|source| StoreError::Open { path: path.to_owned(), source })?
            }
            Err(source) => return Err(StoreError::Open { path: path.to_owned(), source }),
        };
        Ok(Self::new(path, Some(writer), false))
    }

    /// Opens what is there, for reading alone: on a read-only disk, or in a folder of somebody else.
    ///
    /// # Errors
    /// [`StoreError::Open`] if there is none, or one of another layout.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let check = |is_immutable| -> rusqlite::Result<Connection> {
            let connection = open_reader(path, is_immutable)?;
            let format: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if format != FORMAT {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
                let message = format!("it has layout {format}, this build reads {FORMAT}");
                return Err(rusqlite::Error::SqliteFailure(code, Some(message)));
            }
            Ok(connection)
        };
        let opened = check(false).map(|connection| (connection, false));
        let opened = opened.or_else(|_| check(true).map(|connection| (connection, true)));
        let (reader, is_immutable) =
            opened.map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        let this = Self::new(path, None, is_immutable);
        lock(&this.readers).push(reader);
        Ok(this)
    }

    fn new(path: &Path, writer: Option<Connection>, is_immutable: bool) -> Self {
        Self {
            path: path.to_owned(),
            writer: writer.map(Mutex::new),
            is_immutable,
            readers: Mutex::default(),
            used: Mutex::default(),
            problem: Mutex::default(),
            n_damaged: AtomicU64::new(0),
            n_asked: AtomicU64::new(0),
            n_found: AtomicU64::new(0),
        }
    }

    /// Values asked for since the start, and how many of them were there.
    #[must_use]
    pub fn hits(&self) -> (u64, u64) {
        (self.n_asked.load(Ordering::Relaxed), self.n_found.load(Ordering::Relaxed))
    }

    /// Why the last batch was not stored (disk full ...), for `status`.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// Rows whose checksum did not fit, since the start.
    #[must_use]
    pub fn n_damaged(&self) -> u64 {
        self.n_damaged.load(Ordering::Relaxed)
    }

    /// Bytes of the stored values.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.use_by_day().iter().map(|day| day.n_bytes).sum()
    }

    /// What was last used when, oldest day first.
    #[must_use]
    pub fn use_by_day(&self) -> Vec<DayOfUse> {
        let select =
            "SELECT day, COUNT(*), SUM(LENGTH(value)) FROM facts GROUP BY day ORDER BY day";
        self.note_used();
        let days = self.with_reader(|connection| {
            let mut statement = connection.prepare(select)?;
            let days = statement.query_map([], |row| {
                let (n_values, n_bytes) =
                    (row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64);
                Ok(DayOfUse { day: row.get(0)?, n_values, n_bytes })
            })?;
            days.collect()
        });
        days.unwrap_or_default()
    }

    /// Removes what was last used before `oldest_day`, and then what was used longest ago until at most
    /// `max_bytes` are left; returns how many values went. The file shrinks by what they took.
    ///
    /// # Errors
    /// What SQLite says; what was removed by then stays removed.
    pub fn collect(&self, oldest_day: i64, max_bytes: u64) -> Result<u64, rusqlite::Error> {
        self.note_used();
        let Some(writer) = &self.writer else { return Ok(0) };
        let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let doomed: Vec<i64> = {
            let connection = lock(writer);
            let mut statement = connection.prepare(
                "SELECT id FROM (
                     SELECT id, day, SUM(LENGTH(value)) OVER (ORDER BY day DESC, id DESC) AS kept
                     FROM facts)
                 WHERE day < ?1 OR kept > ?2",
            )?;
            let ids = statement.query_map(params![oldest_day, max_bytes], |row| row.get(0))?;
            ids.collect::<Result<_, _>>()?
        };
        // A few at a time: workspaces that index meanwhile wait no longer than for one such batch.
        for ids in doomed.chunks(COLLECT_BATCH) {
            let mut connection = lock(writer);
            let transaction = connection.transaction()?;
            {
                // One that was used since the list was made has another day now, and may go as well:
                // it is derived again.
                let mut delete = transaction.prepare_cached("DELETE FROM facts WHERE id = ?1")?;
                for id in ids {
                    delete.execute([id])?;
                }
            }
            transaction.commit()?;
        }
        if !doomed.is_empty() {
            let connection = lock(writer);
            let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
            // Each step frees one page.
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            drop(rows);
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(doomed.len() as u64)
    }

    fn note_used(&self) {
        let used = std::mem::take(&mut *lock(&self.used));
        let Some(writer) = self.writer.as_ref().filter(|_| !used.is_empty()) else { return };
        let mut connection = lock(writer);
        let noted = connection.transaction().and_then(|transaction| {
            {
                let mut update =
                    transaction.prepare_cached("UPDATE facts SET day = ?1 WHERE id = ?2")?;
                for id in used {
                    update.execute(params![today(), id])?;
                }
            }
            transaction.commit()
        });
        if let Err(err) = noted {
            tracing::debug!(%err, "the last use of facts is not noted");
        }
    }

    fn read(&self, connection: &Connection, key: &FactsKey) -> rusqlite::Result<Option<Vec<u8>>> {
        let digest = key.digest().0;
        let mut select = connection
            .prepare_cached("SELECT id, day, checksum, value FROM facts WHERE key = ?1")?;
        self.n_asked.fetch_add(1, Ordering::Relaxed);
        let row = select
            .query_row([&digest[..]], |row| {
                let checksum: Vec<u8> = row.get(2)?;
                let value: Vec<u8> = row.get(3)?;
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, checksum, value))
            })
            .optional()?;
        let Some((id, day, checksum, value)) = row else { return Ok(None) };
        let Some(bytes) = unpack(&digest, &checksum, &value) else {
            self.n_damaged.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        };
        self.n_found.fetch_add(1, Ordering::Relaxed);
        if day != today() && self.writer.is_some() {
            lock(&self.used).push(id);
        }
        Ok(Some(bytes))
    }

    fn with_reader<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        let idle = lock(&self.readers).pop();
        let connection = match idle.map_or_else(|| open_reader(&self.path, self.is_immutable), Ok) {
            Ok(connection) => connection,
            Err(err) => {
                tracing::debug!(%err, "facts store cannot be read");
                return None;
            }
        };
        let answer = read(&connection);
        match answer {
            Ok(answer) => {
                lock(&self.readers).push(connection);
                Some(answer)
            }
            Err(err) => {
                self.note_damage(&err);
                None
            }
        }
    }

    fn note_damage(&self, err: &rusqlite::Error) {
        if is_damage(err) {
            self.n_damaged.fetch_add(1, Ordering::Relaxed);
            if let Err(err) = fs::write(suspect_mark(&self.path), "") {
                tracing::debug!(%err, "no mark for the damaged facts store");
            }
        }
        tracing::warn!(%err, "facts store");
    }

    fn write(&self, batch: &[(FactsKey, Vec<u8>)]) -> rusqlite::Result<()> {
        // What cannot be kept is derived again by the next process.
        let Some(writer) = &self.writer else { return Ok(()) };
        let mut connection = lock(writer);
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO facts (key, day, checksum, value) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE SET
                     day = excluded.day, checksum = excluded.checksum, value = excluded.value",
            )?;
            for (key, bytes) in batch.iter().filter(|(_, bytes)| bytes.len() <= MAX_VALUE_BYTES) {
                let digest = key.digest().0;
                let value = lz4_flex::compress_prepend_size(bytes);
                let checksum = checksum(&digest, &value);
                insert.execute(params![&digest[..], today(), &checksum[..], value])?;
            }
        }
        transaction.commit()
    }
}

impl FactsStore for SqliteFacts {
    fn get(&self, key: &FactsKey) -> Option<Vec<u8>> {
        self.with_reader(|connection| self.read(connection, key)).flatten()
    }

    fn get_many(&self, keys: &[FactsKey]) -> Vec<Option<Vec<u8>>> {
        self.with_reader(|connection| {
            // One read transaction: one look at the WAL instead of one a row.
            let transaction = connection.unchecked_transaction()?;
            let rows = keys.iter().map(|key| self.read(&transaction, key)).collect();
            transaction.finish()?;
            rows
        })
        .unwrap_or_else(|| vec![None; keys.len()])
    }

    fn forget(&self, keys: &[FactsKey]) {
        let Some(writer) = &self.writer else { return };
        let forget = || -> rusqlite::Result<()> {
            let mut connection = lock(writer);
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            {
                let mut delete = transaction.prepare_cached("DELETE FROM facts WHERE key = ?1")?;
                for key in keys {
                    delete.execute([&key.digest().0[..]])?;
                }
            }
            transaction.commit()?;
            // The deleted bytes are overwritten in the database; their last copy is in the log.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        if let Err(err) = forget() {
            self.note_damage(&err);
        }
    }

    fn put(&self, batch: Vec<(FactsKey, Vec<u8>)>) {
        self.note_used();
        match self.write(&batch) {
            Ok(()) => *lock(&self.problem) = None,
            Err(err) => {
                self.note_damage(&err);
                let path = self.path.display();
                *lock(&self.problem) = Some(format!(
                    "facts store `{path}` cannot be written ({err}); search works, the next start parses again"
                ));
            }
        }
    }
}

fn open_writer(path: &Path, is_suspect: bool) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if is_suspect {
        let verdict: String = connection.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
        if verdict != "ok" {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)));
        }
    }
    connection.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         PRAGMA journal_size_limit = 16777216; PRAGMA secure_delete = ON;",
    )?;
    // Two processes may create the table at once: the transaction makes one of them wait.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let format: i32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if format != FORMAT {
        transaction.execute_batch(&format!(
            "DROP TABLE IF EXISTS facts;
             CREATE TABLE facts (
                 id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, day INTEGER NOT NULL,
                 checksum BLOB NOT NULL, value BLOB NOT NULL);
             PRAGMA user_version = {FORMAT};"
        ))?;
    }
    transaction.commit()?;
    Ok(connection)
}

fn open_reader(path: &Path, is_immutable: bool) -> rusqlite::Result<Connection> {
    use rusqlite::OpenFlags;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if is_immutable {
        // An address, in which these characters have a meaning.
        let path = path.to_string_lossy();
        let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn is_damage(err: &rusqlite::Error) -> bool {
    matches!(err.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn suspect_mark(path: &Path) -> PathBuf {
    path.with_extension("suspect")
}

fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
    }
    Ok(())
}

/// Of key and value together, so that a value under another key is noticed too.
fn checksum(digest: &[u8; 32], value: &[u8]) -> [u8; 16] {
    let hash = blake3::Hasher::new().update(digest).update(value).finalize();
    hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes")
}

fn unpack(digest: &[u8; 32], stored: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    if checksum(digest, value) != stored {
        return None;
    }
    let (n_bytes, _) = lz4_flex::block::uncompressed_size(value).ok()?;
    (n_bytes <= MAX_VALUE_BYTES).then(|| lz4_flex::decompress_size_prepended(value).ok())?
}

/// Days since 1970, as uses are dated.
#[must_use]
pub fn today() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs() / 86_400) as i64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use fovea_indexer::{ContentHash, Language, writer::FactsKind};

    use super::*;

    fn key(text: &str) -> FactsKey {
        let kind = FactsKind::Facts(Language::Rust);
        FactsKey { content: ContentHash::of(text.as_bytes()), version: 1, kind }
    }

    fn store() -> (tempfile::TempDir, SqliteFacts) {
        let temp = tempfile::tempdir().expect("temporary folder");
        let store = SqliteFacts::open(&temp.path().join("facts.sqlite")).expect("opens");
        (temp, store)
    }

    fn sql(store: &SqliteFacts, text: &str) {
        let writer = store.writer.as_ref().expect("not read-only");
        lock(writer).execute(text, []).expect("executes");
    }

    fn noise(seed: u32) -> Vec<u8> {
        (0..1_000u32)
            .map(|i| blake3::hash(&(seed * 1_000 + i).to_le_bytes()).as_bytes()[0])
            .collect()
    }

    #[test]
    fn what_was_put_comes_back_after_a_reopen() {
        let (temp, store) = store();
        store.put(vec![(key("a"), b"facts of a".to_vec()), (key("b"), Vec::new())]);
        drop(store);
        let store = SqliteFacts::open(&temp.path().join("facts.sqlite")).expect("opens");
        let answers = store.get_many(&[key("a"), key("b"), key("c")]);
        assert_eq!(answers, [Some(b"facts of a".to_vec()), Some(Vec::new()), None]);
    }

    #[test]
    fn a_damaged_row_counts_as_absent_and_is_written_again() {
        let (_temp, store) = store();
        store.put(vec![(key("a"), b"facts of a".to_vec())]);
        sql(&store, "UPDATE facts SET value = x'00112233'");
        assert_eq!(store.get(&key("a")), None);
        assert_eq!(store.n_damaged(), 1);
        store.put(vec![(key("a"), b"facts of a".to_vec())]);
        assert_eq!(store.get(&key("a")), Some(b"facts of a".to_vec()));
    }

    #[test]
    fn a_file_that_is_no_database_is_replaced() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let path = temp.path().join("facts.sqlite");
        fs::write(&path, vec![b'x'; 5_000]).expect("written");
        let store = SqliteFacts::open(&path).expect("replaced");
        store.put(vec![(key("a"), vec![1])]);
        assert_eq!(store.get(&key("a")), Some(vec![1]));
    }

    #[test]
    fn pages_damaged_while_running_are_replaced_at_the_next_start() {
        let (temp, store) = store();
        let path = temp.path().join("facts.sqlite");
        store.put((0..200).map(|i| (key(&i.to_string()), vec![i as u8; 900])).collect());
        drop(store);
        let mut bytes = fs::read(&path).expect("there");
        let n_bytes = bytes.len();
        bytes[4096..n_bytes].fill(0xA5);
        fs::write(&path, bytes).expect("written");
        let store = SqliteFacts::open(&path).expect("the first page is whole");
        assert!((0..200).all(|i| store.get(&key(&i.to_string())).is_none()));
        drop(store);
        let store = SqliteFacts::open(&path).expect("replaced");
        store.put(vec![(key("a"), vec![1])]);
        assert_eq!(store.get(&key("a")), Some(vec![1]));
    }

    #[test]
    fn collection_keeps_the_newest_within_the_limit() {
        let (_temp, store) = store();
        for seed in 0..10 {
            store.put(vec![(key(&seed.to_string()), noise(seed))]);
        }
        assert_eq!(store.collect(0, 3_500).expect("collects"), 7);
        assert!(store.get(&key("9")).is_some() && store.get(&key("6")).is_none());
        assert!(store.n_bytes() <= 3_500);
    }

    #[test]
    fn collection_removes_what_was_long_not_used_and_the_file_shrinks() {
        let (temp, store) = store();
        store.put((0..2_000).map(|seed| (key(&seed.to_string()), noise(seed))).collect());
        let days_ago = today() - 40;
        sql(&store, &format!("UPDATE facts SET day = {days_ago}"));
        assert!(store.get(&key("7")).is_some(), "used today");
        let file = temp.path().join("facts.sqlite");
        sql(&store, "DELETE FROM facts WHERE id = 1");
        lock(store.writer.as_ref().expect("writes"))
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .expect("checkpoints");
        let before = fs::metadata(&file).expect("there").len();
        assert_eq!(store.use_by_day().len(), 2);
        assert_eq!(store.collect(today() - 30, u64::MAX).expect("collects"), 1_998);
        assert!(store.get(&key("7")).is_some() && store.get(&key("8")).is_none());
        let after = fs::metadata(&file).expect("there").len();
        assert!(after * 20 < before, "{before} bytes before, {after} after");
    }

    #[test]
    fn a_read_only_store_answers_and_keeps_nothing() {
        let (temp, store) = store();
        store.put(vec![(key("a"), b"facts of a".to_vec())]);
        drop(store);
        let path = temp.path().join("facts.sqlite");
        let store = SqliteFacts::open_read_only(&path).expect("opens");
        assert_eq!(store.get(&key("a")), Some(b"facts of a".to_vec()));
        store.put(vec![(key("b"), vec![1])]);
        assert_eq!((store.get(&key("b")), store.problem()), (None, None));
        assert_eq!(store.collect(i64::MAX, 0).expect("collects"), 0);
        assert!(SqliteFacts::open_read_only(&temp.path().join("other.sqlite")).is_err());
    }
}
