//! One workspace: a thread that owns the index writer and applies everything that happens, and a handle
//! through which any number of readers see the newest snapshot.
//!
//! **Invariant:** only the thread mutates the index; readers keep the snapshot they started with and wait
//! for nothing but, if they ask to, the application of an edit.

mod apply;
mod disk;
mod documents;
mod files;
mod links;
mod power;
mod purge;
mod run;
mod seen;
mod state;
mod upgrade;
mod versions;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_channel::{Sender, unbounded};
use fovea_api::{
    Freshness, Health, PathOutcome, ProgressView, SecretView, SkippedFile, TopWorkspace,
    WorkspaceStatus,
};
use fovea_indexer::{
    Cancel, Snapshot,
    vector::{FileVectors, SharedEmbedder},
    writer::FactsStore,
};

pub use self::documents::{Asked, RecentDocument, Standing};
use self::{
    files::Overwritten,
    state::{Phase, Shared, State},
};
use crate::{
    budget::Budget,
    config::{Layers, Loaded},
    embedder::EmbedderHost,
    guard,
    walk::Rules,
    watch::{Notice, Watching},
};

/// Everything that can happen to a workspace.
enum Event {
    /// An editor's buffer changed, was opened or closed; the documents say how.
    Buffers,
    /// Something changed on disk.
    Disk(Notice),
    /// Answer when everything saved by now is indexed.
    Sync(Sender<()>),
    /// Extract everything anew, then answer.
    Reindex(Sender<()>),
    /// A stronger embedder is there.
    Upgrade(SharedEmbedder, Sender<()>),
    /// Vectors that it made.
    Vectors(Vec<FileVectors>, Sender<()>),
    Stop,
}

/// What a workspace is made of.
#[derive(Clone)]
pub struct WorkspaceOptions {
    /// Canonical.
    pub root: PathBuf,
    /// The index's own folder.
    pub folder: PathBuf,
    /// Where cookie files for `sync` are written.
    pub cookies: PathBuf,
    pub layers: Layers,
    pub facts: Arc<dyn FactsStore>,
    pub embedder: SharedEmbedder,
    /// A stronger one, whose vectors are filled in behind.
    pub stronger: Option<Arc<EmbedderHost>>,
    /// Threads that parse and embed, at low priority.
    pub pool: Arc<rayon::ThreadPool>,
    /// What the process may take.
    pub budget: Arc<Budget>,
}

/// The handle; the thread ends (and saves) when it is dropped.
pub struct Workspace {
    shared: Arc<Shared>,
    events: Sender<Event>,
    thread: Option<thread::JoinHandle<()>>,
    filler: Option<thread::JoinHandle<()>>,
}

/// Skipped files listed in a status.
const MAX_SKIPPED_SHOWN: usize = 50;
/// Texts of a workspace that queries read lately.
const RECENT_BYTES: usize = 8 << 20;

impl Workspace {
    /// Starts the workspace's thread; returns at once.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn open(options: WorkspaceOptions) -> std::io::Result<Self> {
        let loaded = load(&options.layers.with_root(&options.root));
        let (rules, problems) = Rules::new(&options.root, &loaded.config.index);
        let (events, received) = unbounded();
        let shared = Arc::new(Shared {
            root: options.root.clone(),
            rules: ArcSwap::from_pointee(rules),
            loaded: ArcSwap::from_pointee(loaded),
            snapshot: ArcSwapOption::empty(),
            state: State { config_problems: problems, ..State::default() }.into(),
            changed: Default::default(),
            is_stopping: AtomicBool::new(false),
            recent: guard::Recent::new(RECENT_BYTES),
            typed: ArcSwapOption::empty(),
            seen: seen::Seen::default(),
            n_waiting: AtomicUsize::new(0),
        });
        let filler = options.stronger.as_ref().map(|host| upgrade::Filler {
            shared: Arc::clone(&shared),
            events: events.clone(),
            facts: Arc::clone(&options.facts),
            host: Arc::clone(host),
        });
        let thread = {
            let (shared, events) = (Arc::clone(&shared), events.clone());
            thread::Builder::new()
                .name("fovea-engine".into())
                .spawn(move || run::run(&shared, &options, &events, &received))?
        };
        let filler = filler.and_then(|filler| {
            let named = thread::Builder::new().name("fovea-embed".into());
            // Search works without it, by the embedded vectors.
            named.spawn(move || filler.run()).ok()
        });
        Ok(Self { shared, events, thread: Some(thread), filler })
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// The settings that hold here, and what of the workspace's file is ignored.
    #[must_use]
    pub fn loaded(&self) -> Arc<Loaded> {
        self.shared.loaded.load_full()
    }

    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.shared.rules.load_full()
    }

    /// The newest snapshot; waits for the first one until `deadline`.
    #[must_use]
    pub fn snapshot(&self, cancel: &Cancel, deadline: Instant) -> Option<Arc<Snapshot>> {
        loop {
            if let Some(snapshot) = self.shared.snapshot.load_full() {
                return Some(snapshot);
            }
            let state = self.shared.lock();
            let over = matches!(state.phase, Phase::Failed | Phase::Stopped);
            if over || cancel.is_cancelled() || Instant::now() >= deadline {
                return None;
            }
            if self.shared.snapshot.load().is_none() {
                let left = deadline.saturating_duration_since(Instant::now());
                drop(self.shared.wait(state, left.min(CANCEL_CHECK)));
            }
        }
    }

    /// Waits until the newest text an editor sent for `path` is in the snapshot.
    pub fn wait_for_edit(&self, path: &str, cancel: &Cancel, deadline: Instant) {
        let mut state = self.shared.lock();
        while state.documents.is_pending(path)
            && !matches!(state.phase, Phase::Failed | Phase::Stopped)
            && !cancel.is_cancelled()
            && Instant::now() < deadline
        {
            let left = deadline.saturating_duration_since(Instant::now());
            state = self.shared.wait(state, left.min(CANCEL_CHECK));
        }
    }

    /// Waits until the first scan is complete and nothing is pending; reports progress meanwhile.
    pub fn wait_until_ready(&self, cancel: &Cancel, progress: &dyn Fn(ProgressView)) {
        let mut shown = None;
        // Editors wait too, to show how far it is; indexing makes way for their typing all the same.
        let is_urgent = !self.has_open_documents();
        let _waiting = is_urgent.then(|| Waiting::new(&self.shared));
        let mut state = self.shared.lock();
        while !state.is_settled() && !cancel.is_cancelled() {
            let now = (state.stage, state.n_done, state.n_total);
            if shown != Some(now) {
                shown = Some(now);
                let root = self.shared.root.clone();
                let (stage, n_done, n_total) = now;
                drop(state);
                progress(ProgressView { root, stage: stage.to_owned(), n_done, n_total });
                state = self.shared.lock();
                continue;
            }
            state = self.shared.wait(state, CANCEL_CHECK);
        }
    }

    /// The text of an open document as the client `session` has it, or else another client.
    #[must_use]
    pub fn document(&self, session: u64, path: &str) -> Option<Arc<str>> {
        self.shared.lock().documents.text_of(session, path)
    }

    /// The document as the client `session` has it open now, to answer a question about just that.
    #[must_use]
    pub fn asked(&self, session: u64, path: &str) -> Option<Asked> {
        self.shared.lock().documents.asked(session, path)
    }

    /// What became of a document since a question about it.
    #[must_use]
    pub fn standing(&self, session: u64, asked: &Asked) -> Standing {
        self.shared.lock().documents.standing(session, asked)
    }

    /// Drops texts that can be read again.
    pub fn shrink(&self) {
        self.shared.recent.clear();
    }

    /// True if an editor has text here that is not saved.
    #[must_use]
    pub fn has_open_documents(&self) -> bool {
        self.shared.lock().documents.n_open() > 0
    }

    /// Recently edited documents, newest first.
    #[must_use]
    pub fn recent_documents(&self) -> Vec<RecentDocument> {
        self.shared.lock().documents.recent()
    }

    /// An editor's buffer; later requests see it at once, the index a moment later.
    ///
    /// # Errors
    /// The rule that excludes `path`: its text goes nowhere.
    pub fn edit(&self, session: u64, path: &str, text: &str) -> Result<(), String> {
        // An open document that becomes excluded is closed by the engine.
        let is_open = self.shared.lock().documents.is_open(path);
        if !is_open {
            let rules = self.rules();
            let why = rules.why_excluded(path).or_else(|| links::leads_elsewhere(&rules, path));
            if let Some(why) = why {
                return Err(why);
            }
        }
        let limit = self.loaded().config.index.max_file_bytes;
        match guard::buffer(path, text, limit) {
            // Secrets are overwritten in place: offsets are the editor's.
            Ok(guarded) => {
                let redacted = Overwritten::all_of(&guarded);
                let mut state = self.shared.lock();
                state.documents.edit(session, path, guarded.text);
                state.documents.note_redacted(path, redacted);
            }
            Err(refused) => {
                let reason = refused.to_string();
                self.shared.lock().documents.refuse(session, path, reason.clone());
                self.send(Event::Buffers);
                return Err(reason);
            }
        }
        self.shared.typed.store(Some(Arc::new(Instant::now())));
        self.send(Event::Buffers);
        // A scan that rests looks up.
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Why the newest text that the client has of `path` was not taken, if it was not.
    #[must_use]
    pub fn refusal(&self, session: u64, path: &str) -> Option<String> {
        self.shared.lock().documents.refusal(session, path).map(str::to_owned)
    }

    /// The editor closed the document; the saved text counts again.
    pub fn close(&self, session: u64, path: &str) {
        self.shared.lock().documents.close(session, path);
        self.send(Event::Buffers);
    }

    /// The client is gone, and its unsaved text with it.
    pub fn end_session(&self, session: u64) {
        if self.shared.lock().documents.end_session(session) {
            self.send(Event::Buffers);
        }
    }

    /// A client saw these paths (relative to the root) change.
    pub fn touched(&self, paths: &[String]) {
        let paths = paths.iter().map(|path| self.shared.root.join(path)).collect();
        self.send(Event::Disk(Notice::Changed(paths)));
    }

    /// Returns when everything saved before the call is indexed. Changes that were noticed and would
    /// wait for a pause are looked at now.
    pub fn sync(&self, cancel: &Cancel) {
        let _waiting = Waiting::new(&self.shared);
        self.ask(cancel, Event::Sync);
    }

    /// Returns when everything was extracted anew.
    pub fn reindex(&self, cancel: &Cancel, progress: &dyn Fn(ProgressView)) {
        let (done, answer) = crossbeam_channel::bounded(1);
        let _waiting = Waiting::new(&self.shared);
        self.send(Event::Reindex(done));
        while answer.try_recv() == Err(crossbeam_channel::TryRecvError::Empty)
            && !cancel.is_cancelled()
        {
            let state = self.shared.lock();
            let (stage, n_done, n_total) = (state.stage, state.n_done, state.n_total);
            drop(self.shared.wait(state, CANCEL_CHECK));
            let root = self.shared.root.clone();
            progress(ProgressView { root, stage: stage.to_owned(), n_done, n_total });
        }
    }

    fn ask(&self, cancel: &Cancel, event: impl FnOnce(Sender<()>) -> Event) {
        let (done, answer) = crossbeam_channel::bounded(1);
        self.send(event(done));
        // An engine that ended drops the sender, which ends the wait too.
        while answer.recv_timeout(CANCEL_CHECK) == Err(crossbeam_channel::RecvTimeoutError::Timeout)
            && !cancel.is_cancelled()
        {}
    }

    fn send(&self, event: Event) {
        // An engine that ended says so in the status.
        let _ = self.events.send(event);
    }

    /// What an answer from the newest snapshot is worth.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        let state = self.shared.lock();
        let generation = self.shared.snapshot.load().as_ref().map_or(0, |s| s.generation().0);
        Freshness { generation, n_pending: state.n_pending(), fresh: state.is_fresh(), cut: false }
    }

    #[must_use]
    pub fn status(&self) -> WorkspaceStatus {
        let snapshot = self.shared.snapshot.load_full();
        let stats = snapshot.as_ref().map(|snapshot| snapshot.stats()).unwrap_or_default();
        let loaded = self.loaded();
        let state = self.shared.lock();
        let mut warnings: Vec<String> = state.config_problems.clone();
        warnings.extend(loaded.ignored.iter().map(ToString::to_string));
        warnings.extend(state.warnings());
        let health = match state.phase {
            Phase::Failed => Health::Error,
            _ if warnings.is_empty() => Health::Ok,
            _ => Health::Warning,
        };
        let skipped = state.skipped.iter().take(MAX_SKIPPED_SHOWN);
        let secrets = state.secrets();
        WorkspaceStatus {
            root: self.shared.root.clone(),
            health,
            summary: state.summary(stats.n_files),
            generation: snapshot.as_ref().map_or(0, |s| s.generation().0),
            n_pending: state.n_pending(),
            n_files: stats.n_files,
            n_symbols: stats.n_symbols,
            n_occurrences: state.n_occurrences,
            n_chunks: stats.n_chunks,
            n_overlays: state.documents.n_open(),
            source_bytes: stats.source_bytes,
            index_bytes: state.index_bytes,
            last_index_ms: state.last_index_ms,
            n_embedded: snapshot
                .as_ref()
                .and_then(|snapshot| snapshot.upgrade_progress())
                .map(|progress| progress.n_done),
            reopened: state.reopened,
            watching: state.watching.to_string(),
            kept: state.kept.to_string(),
            skipped: skipped
                .map(|(path, reason)| SkippedFile {
                    path: guard::shown(path),
                    reason: reason.clone(),
                })
                .collect(),
            n_skipped: state.skipped.len(),
            languages: snapshot.map(|snapshot| languages(&snapshot)).unwrap_or_default(),
            n_secrets: secrets.clone().map(|(_, _, all)| all.len()).sum(),
            n_files_with_secrets: secrets.count(),
            warnings,
        }
    }

    /// Every secret that was overwritten, by path and position: those of an open document count in
    /// place of the saved file's.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretView> {
        let state = self.shared.lock();
        let mut views = Vec::new();
        for (path, is_unsaved, all) in state.secrets() {
            views.extend(all.iter().map(|one| SecretView {
                path: path.to_owned(),
                line: one.line,
                column: one.column,
                rule: one.rule.clone(),
                is_unsaved,
            }));
        }
        views.sort_by(|a, b| (&a.path, a.line, a.column).cmp(&(&b.path, b.line, b.column)));
        views
    }

    /// How often texts of files were asked for, and there from earlier.
    #[must_use]
    pub fn text_hits(&self) -> (u64, u64) {
        self.shared.recent.hits()
    }

    /// The part of the status that is cheap enough to be asked every second.
    #[must_use]
    pub fn top(&self) -> TopWorkspace {
        let snapshot = self.shared.snapshot.load_full();
        let n_files = snapshot.as_ref().map_or(0, |snapshot| snapshot.stats().n_files);
        let state = self.shared.lock();
        TopWorkspace {
            root: self.shared.root.clone(),
            summary: state.summary(n_files),
            generation: snapshot.map_or(0, |snapshot| snapshot.generation().0),
            n_pending: state.n_pending(),
            n_files,
            n_overlays: state.documents.n_open(),
            unused_s: 0,
        }
    }

    /// What became of one path, and why.
    #[must_use]
    pub fn why(&self, path: &str) -> PathOutcome {
        let snapshot = self.shared.snapshot.load_full();
        let file = snapshot.as_ref().and_then(|snapshot| snapshot.file(path));
        let facts = file.and_then(|file| snapshot.as_ref()?.facts(file).cloned());
        let state = self.shared.lock();
        let skipped = state.skipped.get(path).cloned();
        let (is_overlay, is_ready) = (state.documents.is_open(path), state.is_settled());
        drop(state);
        let (outcome, reason) = match (&facts, skipped) {
            (Some(facts), _) if facts.cut => (
                "cut",
                Some("extraction stopped at a limit; what is behind it is text only".into()),
            ),
            (Some(_), _) => ("indexed", None),
            (None, Some(reason)) => ("skipped", Some(reason)),
            (None, None) => match self.rules().why_excluded(path) {
                Some(rule) => ("skipped", Some(rule)),
                None if self.shared.root.join(path).is_symlink() => {
                    ("skipped", Some("it is a link; links are not followed".into()))
                }
                None if !self.shared.root.join(path).exists() => {
                    ("unknown", Some("there is no such file".into()))
                }
                None if is_ready => match self.read(path) {
                    Ok(_) => (
                        "pending",
                        Some("the change is not noticed yet; `fovea sync` waits for it".into()),
                    ),
                    Err(refused) => ("skipped", Some(refused.to_string())),
                },
                None => ("pending", Some("the first scan is not there yet".into())),
            },
        };
        PathOutcome {
            path: guard::shown(path),
            outcome: outcome.to_owned(),
            reason,
            is_overlay,
            n_symbols: facts.as_ref().map_or(0, |facts| facts.symbols.len()),
            n_chunks: facts.as_ref().map_or(0, |facts| facts.chunks.len()),
        }
    }

    /// The saved text of a file that counts, through the gate.
    ///
    /// # Errors
    /// The rule that stopped it.
    pub fn read(&self, path: &str) -> Result<Arc<str>, guard::Refused> {
        if let Some(rule) = self.rules().why_excluded(path) {
            return Err(guard::Refused::ByRule(rule));
        }
        if let Some(reason) = self.shared.lock().skipped.get(path).cloned() {
            return Err(guard::Refused::ByRule(reason));
        }
        self.shared.read(path).map(|guarded| guarded.text)
    }

    /// Why there are no answers, if the engine failed.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let state = self.shared.lock();
        (state.phase == Phase::Failed).then(|| state.problem.clone().unwrap_or_default())
    }
}

/// While it lives, indexing does not rest.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.n_waiting.fetch_add(1, Ordering::Relaxed);
        shared.changed.notify_all();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.n_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often a waiting request looks whether its client still wants the answer.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

impl Drop for Workspace {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        self.send(Event::Stop);
        // Wakes the filler, which waits for changes.
        self.shared.update(|_| ());
        for thread in [self.filler.take(), self.thread.take()].into_iter().flatten() {
            if thread.join().is_err() {
                tracing::error!("a thread of the workspace panicked");
            }
        }
    }
}

fn languages(snapshot: &Snapshot) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for file in snapshot.files() {
        if let Some(facts) = snapshot.facts(file) {
            *counts.entry(facts.language.name()).or_insert(0usize) += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts
}

/// The settings of a workspace. The user's own mistakes were reported when the process started; here the
/// defaults serve until they are mended.
fn load(layers: &Layers) -> Loaded {
    crate::config::load(layers).unwrap_or_else(|err| {
        tracing::warn!(%err, "settings; the defaults count");
        Loaded::default()
    })
}

/// Where the watcher's state shows in a status.
impl State {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.problem.clone());
        warnings.extend(self.notes.iter().cloned());
        if let Some(problem) =
            self.watch_problem.as_ref().filter(|_| self.watching != Watching::Events)
        {
            warnings.push(format!("changes are found by walking the tree now and then: {problem}"));
        }
        warnings
    }
}
