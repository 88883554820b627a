//! The thread: takes events, looks at the disk when it is time, applies, publishes, commits. Between
//! events it sleeps; nothing is due when nothing happened.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use fovea_indexer::{
    ContentHash, IndexWriter, Snapshot,
    vector::SharedEmbedder,
    vfs::TextSource,
    writer::{FactsKey, FactsStore, IndexError, Storage},
};

use super::{
    Event, WorkspaceOptions,
    disk::{Dirty, GitLock},
    files::{Files, Outcome},
    purge::Purge,
    state::{Kept, Phase, Shared},
};
use crate::{
    budget, guard,
    walk::GIT_EXCLUDE,
    watch::{Notice, Watch, Watching},
};

/// A failed write is tried again after this long.
const RETRY: Duration = Duration::from_secs(10);
/// A cookie that is not seen by then was lost with other events.
const COOKIE_TIMEOUT: Duration = Duration::from_secs(1);
/// Every so many polls files with several names are read again, as if rules had changed.
const POLLS_WITH_RULES: u64 = 4;
/// After the last commit: writing is over for now, and its threads may go.
const REST_AFTER: Duration = Duration::from_secs(5);
/// Starts of the engine before a workspace is given up.
const MAX_STARTS: usize = 3;

/// Runs until told to stop. A panic (a bug) starts the engine anew from what is durable.
pub(super) fn run(
    shared: &Arc<Shared>,
    options: &WorkspaceOptions,
    events: &Sender<Event>,
    received: &Receiver<Event>,
) {
    for start in 1..=MAX_STARTS {
        let outcome = catch_unwind(AssertUnwindSafe(|| -> Result<(), IndexError> {
            let mut engine = Engine::open(shared, options, events)?;
            engine.run(received);
            Ok(())
        }));
        let problem = match outcome {
            Ok(Ok(())) => return shared.update(|state| state.phase = Phase::Stopped),
            Ok(Err(err)) => err.to_string(),
            Err(_) => {
                format!("a bug ended the engine ({start} of {MAX_STARTS} starts); see the log")
            }
        };
        tracing::error!(root = %shared.root.display(), problem, "engine");
        shared.update(|state| {
            state.problem = Some(problem);
            state.documents.restart();
        });
    }
    shared.update(|state| state.phase = Phase::Failed);
}

/// Facts from the store, unless everything is to be extracted anew.
pub(super) struct Facts {
    store: Arc<dyn FactsStore>,
    is_bypassed: AtomicBool,
}

impl FactsStore for Facts {
    fn get(&self, key: &FactsKey) -> Option<Vec<u8>> {
        if self.is_bypassed.load(Ordering::Relaxed) { None } else { self.store.get(key) }
    }

    fn get_many(&self, keys: &[FactsKey]) -> Vec<Option<Vec<u8>>> {
        if self.is_bypassed.load(Ordering::Relaxed) {
            return vec![None; keys.len()];
        }
        self.store.get_many(keys)
    }

    fn put(&self, batch: Vec<(FactsKey, Vec<u8>)>) {
        self.store.put(batch);
    }

    fn forget(&self, keys: &[FactsKey]) {
        self.store.forget(keys);
    }
}

pub(super) struct Engine<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) options: &'a WorkspaceOptions,
    pub(super) events: &'a Sender<Event>,
    pub(super) facts: Arc<Facts>,
    pub(super) writer: IndexWriter,
    pub(super) files: Files,
    pub(super) watch: Option<Watch>,
    /// Device and inode of the folder that is watched.
    pub(super) root: Option<(u64, u64)>,
    pub(super) git: GitLock,
    pub(super) dirty: Dirty,
    /// Syncs to answer once their cookie is seen, or the time is over.
    pub(super) cookies: Vec<(PathBuf, Instant, Sender<()>)>,
    /// When the index is to be made durable.
    pub(super) commit_due: Option<Instant>,
    /// When the oldest change was applied that is not durable.
    pub(super) uncommitted_since: Option<Instant>,
    pub(super) retry_due: Option<Instant>,
    rest_due: Option<Instant>,
    pub(super) poll_due: Option<Instant>,
    n_polls: u64,
    pub(super) purge: Purge,
    pub(super) has_buffers: bool,
    /// Set once it is known to work.
    pub(super) stronger: Option<SharedEmbedder>,
}

enum Next {
    Continue,
    Stop,
}

impl<'a> Engine<'a> {
    fn open(
        shared: &'a Arc<Shared>,
        options: &'a WorkspaceOptions,
        events: &'a Sender<Event>,
    ) -> Result<Self, IndexError> {
        let started = Instant::now();
        shared.update(|state| (state.phase, state.stage) = (Phase::Opening, "open"));
        let facts = Arc::new(Facts {
            store: Arc::clone(&options.facts),
            is_bypassed: AtomicBool::new(false),
        });
        let writer = open_writer(shared, options, &facts)?;
        if shared.lock().kept == Kept::OnDisk {
            crate::gc::note_use(&options.folder, &options.root);
        }
        let mut engine = Self {
            shared,
            options,
            events,
            facts,
            writer,
            files: Files::default(),
            watch: None,
            root: None,
            git: GitLock::new(&shared.root),
            dirty: Dirty::default(),
            cookies: Vec::new(),
            commit_due: None,
            uncommitted_since: None,
            retry_due: None,
            rest_due: None,
            poll_due: None,
            n_polls: 0,
            purge: Purge::new(&options.folder),
            has_buffers: true,
            stronger: None,
        };
        engine.purge.resume(&mut engine.writer);
        let snapshot = engine.writer.snapshot();
        let n_files = snapshot.files().count();
        if n_files > 0 {
            shared.publish(snapshot.clone());
        }
        engine.start(snapshot, started, n_files > 0);
        Ok(engine)
    }

    /// The first scan: what an earlier run indexed is only looked at.
    fn start(&mut self, snapshot: Snapshot, started: Instant, reopened: bool) {
        self.shared.update(|state| {
            (state.phase, state.stage) = (Phase::Scanning, "scan");
            (state.n_done, state.n_total) = (0, 0);
        });
        let is_indexed = |path: &str, hash: ContentHash| {
            snapshot.file(path).and_then(|file| snapshot.hash(file)) == Some(hash)
        };
        if let Some(known) = Files::load(&self.files_table(), &self.settings(), &is_indexed) {
            self.files.remember(known);
        }
        self.start_watch();
        let mut found = self.scan("", true, &Default::default());
        self.files.forget();
        // Indexed once and not met by the scan.
        let met: std::collections::HashSet<&str> =
            found.candidates.iter().map(|candidate| candidate.path.as_str()).collect();
        let indexed = snapshot.files().map(|file| snapshot.path(file));
        let gone =
            indexed.filter(|path| !found.is_incomplete && !met.contains(path) && !self.has(path));
        let gone: Vec<String> = gone.map(str::to_owned).collect();
        found.removed.extend(gone);
        let is_changed = self.apply_found(found);
        self.apply_buffers();
        if is_changed || !reopened {
            self.commit();
            self.save_files();
        }
        if self.shared.snapshot.load().is_none() {
            // An empty workspace answers too.
            self.shared.publish(self.writer.snapshot());
        }
        if is_changed {
            // Parsing took far more than what was kept of it.
            budget::give_back();
        }
        self.options.budget.note_growth();
        // Whoever waits for the end sees these figures.
        self.measure();
        self.rest_later();
        let elapsed = started.elapsed();
        let redacted = Arc::clone(self.files.redacted());
        self.shared.update(|state| {
            state.redacted = redacted;
            state.phase = Phase::Ready;
            state.stage = "ready";
            state.reopened = reopened;
            state.last_index_ms = Some(elapsed.as_millis() as u64);
        });
        self.update_pending();
        tracing::info!(
            root = %self.shared.root.display(),
            n_files = self.files.n_files(),
            reopened,
            ms = elapsed.as_millis() as u64,
            "workspace is ready"
        );
    }

    fn has(&self, path: &str) -> bool {
        self.files.get(path).is_some_and(|known| matches!(known.outcome, Outcome::Indexed(_)))
    }

    fn run(&mut self, received: &Receiver<Event>) {
        loop {
            let event = match self.next_due() {
                None => received.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => received.recv_deadline(due),
            };
            match event {
                Ok(event) => {
                    let mut next = self.take(event);
                    // A burst becomes one batch.
                    for event in received.try_iter() {
                        if let Next::Stop = self.take(event) {
                            next = Next::Stop;
                        }
                    }
                    if let Next::Stop = next {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.work();
        }
        // Nobody knows when the next process comes.
        if self.purge.due().is_some() {
            self.purge();
        }
        self.commit();
        self.save_files();
        if self.shared.lock().kept == Kept::OnDisk {
            crate::gc::note_use(&self.options.folder, &self.options.root);
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let cookie = self.cookies.iter().map(|(_, due, _)| *due).min();
        [
            self.dirty.due(self.quiet(), &self.git, now),
            self.commit_due,
            self.retry_due,
            self.rest_due,
            self.poll_due,
            self.purge.due(),
            cookie,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn quiet(&self) -> Duration {
        Duration::from_millis(self.shared.loaded.load().config.daemon.debounce_ms)
    }

    fn take(&mut self, event: Event) -> Next {
        match event {
            Event::Buffers => self.has_buffers = true,
            Event::Disk(Notice::Changed(paths)) => {
                paths.into_iter().for_each(|path| self.note(path))
            }
            Event::Disk(Notice::Lost) => {
                tracing::info!(root = %self.shared.root.display(), "events were lost, walking");
                self.dirty.rules = true;
                self.dirty.add_all(Instant::now());
                self.update_watching();
                self.shared.update(|state| state.is_rescan_due = true);
            }
            Event::Sync(done) => self.begin_sync(done),
            Event::Reindex(done) => {
                if let Err(err) = self.reindex() {
                    self.fail(&err);
                }
                drop(done);
            }
            Event::Upgrade(embedder, done) => {
                self.stronger = Some(embedder);
                let snapshot = self.writer.set_upgrade(self.stronger.clone());
                self.shared.publish(snapshot);
                drop(done);
            }
            Event::Vectors(vectors, done) => {
                let snapshot = self.writer.add_vectors(vectors);
                self.shared.publish(snapshot);
                drop(done);
            }
            Event::Stop => return Next::Stop,
        }
        Next::Continue
    }

    fn note(&mut self, path: PathBuf) {
        let now = Instant::now();
        if let Some(index) = self.cookies.iter().position(|(cookie, ..)| *cookie == path) {
            let (_, _, done) = self.cookies.swap_remove(index);
            // Everything before the cookie is noted by now.
            self.look();
            self.update_pending();
            let _ = done.send(());
        } else if !path.starts_with(&self.options.cookies) {
            self.dirty.add(&path, &self.shared.rules.load(), &self.files, now);
        }
    }

    fn work(&mut self) {
        let now = Instant::now();
        if std::mem::take(&mut self.has_buffers) {
            self.apply_buffers();
        }
        if self.cookies.iter().any(|(_, due, _)| now >= *due) {
            self.dirty.add_all(now);
            self.look();
            self.update_pending();
            let (late, waiting) =
                std::mem::take(&mut self.cookies).into_iter().partition(|(_, due, _)| now >= *due);
            self.cookies = waiting;
            let late: Vec<(PathBuf, Instant, Sender<()>)> = late;
            for (_, _, done) in late {
                let _ = done.send(());
            }
        }
        let is_over = |due: Option<Instant>| due.is_some_and(|due| now >= due);
        if is_over(self.poll_due) {
            self.poll_due = None;
            // Where no events come, no event tells of new rules either.
            self.n_polls += 1;
            self.dirty.rules |= self.n_polls.is_multiple_of(POLLS_WITH_RULES);
            self.dirty.add_all(now);
            self.look();
            if self.poll_due.is_none() && self.shared.lock().watching == Watching::Polling {
                self.set_poll();
            }
        }
        if is_over(self.retry_due) {
            self.retry_due = None;
            // A writer that failed once may fail for good; the last commit is whole.
            if let Err(err) = self.reopen("retry", |_| Ok(())) {
                self.fail(&err);
            }
        }
        if is_over(self.dirty.due(self.quiet(), &self.git, now)) {
            self.look();
        }
        if is_over(self.commit_due) {
            self.commit();
        }
        if is_over(self.purge.due()) {
            self.purge();
        }
        if is_over(self.rest_due) {
            self.rest_due = None;
            if let Err(err) = self.writer.rest() {
                tracing::warn!(%err, "a merge of the lexical index");
            }
        }
        self.update_pending();
    }

    fn update_pending(&self) {
        let n_dirty = self.dirty.n();
        let redacted = Arc::clone(self.files.redacted());
        self.shared.update(|state| {
            state.redacted = redacted;
            state.n_dirty = n_dirty;
            state.is_rescan_due &= n_dirty > 0;
        });
    }

    /// A file of our own in a watched folder: its event comes after those of everything written before.
    fn begin_sync(&mut self, done: Sender<()>) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.apply_buffers();
        let root = identity(&self.shared.root);
        if root.is_some() && root != self.root {
            // Another folder has the root's name; the watches are those of the one that is gone.
            if let Err(err) = self.reopen("scan", |_| Ok(())) {
                self.fail(&err);
            }
        }
        if self.watch.as_ref().is_some_and(Watch::is_complete) && cfg!(target_os = "linux") {
            let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let cookie = self.options.cookies.join(name);
            if fs::write(&cookie, "").and_then(|()| fs::remove_file(&cookie)).is_ok() {
                return self.cookies.push((cookie, Instant::now() + COOKIE_TIMEOUT, done));
            }
        }
        self.dirty.add_all(Instant::now());
        self.look();
        self.update_pending();
        let _ = done.send(());
    }

    /// Builds the index from nothing; not even stored facts are trusted.
    fn reindex(&mut self) -> Result<(), IndexError> {
        self.facts.is_bypassed.store(true, Ordering::Relaxed);
        let outcome = self.reopen("reindex", |index| match fs::remove_dir_all(index) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
            _ => Ok(()),
        });
        self.facts.is_bypassed.store(false, Ordering::Relaxed);
        outcome
    }

    /// Opens the index anew from its last commit and looks at everything. Between the two writers
    /// `prepare` has the folder for itself.
    fn reopen(
        &mut self,
        stage: &'static str,
        prepare: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), IndexError> {
        let started = Instant::now();
        self.shared.update(|state| (state.phase, state.stage) = (Phase::Scanning, stage));
        // The old writer must let go of the folder before it is opened anew.
        self.writer = IndexWriter::open(
            Storage::Memory,
            Arc::clone(&self.options.facts),
            self.source(),
            Arc::clone(&self.options.embedder),
        )?;
        let index = index_folder(self.options);
        prepare(&index).map_err(|source| IndexError::Io { path: index, source })?;
        self.writer = open_writer(self.shared, self.options, &self.facts)?;
        self.purge.resume(&mut self.writer);
        // Its vectors come back from the store.
        self.writer.set_upgrade(self.stronger.clone());
        self.files = Files::default();
        self.dirty = Dirty::default();
        self.shared.update(|state| {
            state.skipped.clear();
            state.documents.restart();
        });
        let snapshot = self.writer.snapshot();
        self.start(snapshot, started, false);
        Ok(())
    }

    fn source(&self) -> Arc<dyn TextSource> {
        Arc::clone(self.shared) as Arc<dyn TextSource>
    }

    fn start_watch(&mut self) {
        let loaded = self.shared.loaded.load_full();
        self.root = identity(&self.shared.root);
        self.watch = None;
        if loaded.config.daemon.watch {
            let events = self.events.clone();
            let mut watch =
                Watch::new(&self.shared.root, move |notice| drop(events.send(Event::Disk(notice))));
            if fs::create_dir_all(&self.options.cookies).is_ok() {
                watch.add(&self.options.cookies);
            }
            self.watch = Some(watch);
            self.watch_exclude();
        }
        self.update_watching();
    }

    /// The clone's own rules, or the folder in which they would be made.
    pub(super) fn watch_exclude(&mut self) {
        let exclude = self.shared.root.join(GIT_EXCLUDE);
        let nearest = exclude.ancestors().skip(1).take(2).find(|folder| folder.is_dir());
        if let (Some(folder), Some(watch)) = (nearest, &mut self.watch) {
            watch.add(folder);
        }
    }

    pub(super) fn update_watching(&mut self) {
        let watching = match &self.watch {
            None => Watching::Off,
            Some(watch) if watch.is_complete() => Watching::Events,
            Some(_) => Watching::Polling,
        };
        let problem = self.watch.as_ref().and_then(Watch::problem).map(str::to_owned);
        self.shared.update(|state| (state.watching, state.watch_problem) = (watching, problem));
        if watching == Watching::Polling && self.poll_due.is_none() {
            self.set_poll();
        }
    }

    fn set_poll(&mut self) {
        let seconds = self.shared.loaded.load().config.daemon.poll_interval_s.max(1);
        self.poll_due = Some(Instant::now() + Duration::from_secs(seconds));
    }

    fn commit(&mut self) {
        (self.commit_due, self.uncommitted_since) = (None, None);
        self.rest_later();
        match self.writer.commit() {
            Ok(()) => {
                self.shared.update(|state| state.problem = None);
                self.shared.publish(self.writer.snapshot());
            }
            Err(err) => self.fail(&err),
        }
    }

    pub(super) fn rest_later(&mut self) {
        self.rest_due = Some(Instant::now() + REST_AFTER);
    }

    /// Bytes of removed files leave every store.
    fn purge(&mut self) {
        let started = Instant::now();
        let n_files = self.writer.traces().len();
        match self.writer.purge() {
            Ok(()) => {
                (self.commit_due, self.uncommitted_since) = (None, None);
                self.rest_later();
                self.shared.publish(self.writer.snapshot());
                self.save_files();
                self.purge.done();
                let ms = started.elapsed().as_millis() as u64;
                tracing::info!(n_files, ms, "removed files are purged");
            }
            Err(err) => {
                self.purge.again();
                self.fail(&err);
            }
        }
    }

    pub(super) fn fail(&mut self, err: &IndexError) {
        let root = self.shared.root.display();
        tracing::error!(%err, %root, "the previous snapshot stays");
        self.retry_due = Some(Instant::now() + RETRY);
        self.shared.update(|state| state.problem = Some(err.to_string()));
    }

    fn files_table(&self) -> PathBuf {
        self.options.folder.join("files")
    }

    /// Settings under which the table of files is valid.
    fn settings(&self) -> String {
        let loaded = self.shared.loaded.load();
        let secrets = guard::secret_rules();
        format!("{} {secrets} {:?}", env!("CARGO_PKG_VERSION"), loaded.config.index)
    }

    fn save_files(&self) {
        if self.shared.lock().kept != Kept::OnDisk {
            return;
        }
        if let Err(err) = self.files.save(&self.files_table(), &self.settings()) {
            tracing::warn!(%err, "the table of files is not saved; the next start reads all files");
        }
    }

    /// Figures for the status that are too dear to take at every question.
    fn measure(&self) {
        let snapshot = self.writer.snapshot();
        let facts = snapshot.files().filter_map(|file| snapshot.facts(file));
        let n_occurrences = facts.map(|facts| facts.occurrences.len()).sum();
        let index_bytes = crate::gc::folder_bytes(&self.options.folder);
        self.shared.update(|state| {
            state.n_occurrences = n_occurrences;
            state.index_bytes = index_bytes;
        });
    }
}

fn index_folder(options: &WorkspaceOptions) -> PathBuf {
    options.folder.join("index")
}

fn open_writer(
    shared: &Arc<Shared>,
    options: &WorkspaceOptions,
    facts: &Arc<Facts>,
) -> Result<IndexWriter, IndexError> {
    let open = |storage| {
        let facts = Arc::clone(facts) as Arc<dyn FactsStore>;
        let source = Arc::clone(shared) as Arc<dyn TextSource>;
        let embedder = Arc::clone(&options.embedder);
        options.pool.install(|| IndexWriter::open(storage, facts, source, embedder))
    };
    let folder = index_folder(options);
    let opened = match crate::dirs::ensure_private(&folder, "FOVEA_DATA_DIR") {
        Ok(()) => open(Storage::Directory(folder.clone())).map_err(|err| err.to_string()),
        Err(err) => Err(err.to_string()),
    };
    let (writer, note) = match opened {
        Ok(writer) => (writer, None),
        // Another process has it, nobody may write there, or the disk is full: what is there is
        // served, everything works, and nothing is kept.
        Err(why) => (open(Storage::Copy(folder))?, Some(why)),
    };
    let kept = match (&note, writer.manifest().files.is_empty()) {
        (None, _) => Kept::OnDisk,
        (Some(_), false) => Kept::Copy,
        (Some(_), true) => Kept::InMemory,
    };
    let mut notes = Vec::new();
    notes.extend(note.map(|note| match kept {
        Kept::Copy => format!(
            "read-only: the stored index is served and changes since are kept in memory only: {note}"
        ),
        _ => format!("the index is kept in memory only: {note}"),
    }));
    if let Some(reason) = &writer.opened().rebuilt {
        tracing::info!(reason, root = %shared.root.display(), "rebuilding the index");
    }
    shared.update(|state| (state.notes, state.kept) = (notes, kept));
    Ok(writer)
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
