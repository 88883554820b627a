//! What the engine's thread tells its readers.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use fovea_indexer::{Snapshot, vfs::TextSource};

use super::{
    documents::Documents,
    files::{Overwritten, Redacted},
    seen::Seen,
};
use crate::{config::Loaded, guard, walk::Rules, watch::Watching};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Opening,
    Scanning,
    Ready,
    /// No more changes are taken; `problem` says why.
    Failed,
    Stopped,
}

/// What of the index outlives the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it.
    #[default]
    OnDisk,
    /// Nothing new: it began with what is stored.
    Copy,
    /// Nothing.
    InMemory,
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OnDisk => "disk",
            Self::Copy => "read-only",
            Self::InMemory => "memory",
        })
    }
}

/// Seen by the thread and by all handles.
pub(super) struct Shared {
    pub(super) root: PathBuf,
    pub(super) rules: ArcSwap<Rules>,
    pub(super) loaded: ArcSwap<Loaded>,
    pub(super) snapshot: ArcSwapOption<Snapshot>,
    pub(super) state: Mutex<State>,
    /// Whenever the state or the snapshot changes.
    pub(super) changed: Condvar,
    pub(super) is_stopping: AtomicBool,
    pub(super) recent: guard::Recent,
    /// When an editor last sent text.
    pub(super) typed: ArcSwapOption<Instant>,
    pub(super) seen: Seen,
    /// Requests that wait for the index to be complete.
    pub(super) n_waiting: AtomicUsize,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) stage: &'static str,
    pub(super) n_done: usize,
    pub(super) n_total: usize,
    pub(super) documents: Documents,
    /// Changes on disk that are not applied.
    pub(super) n_dirty: usize,
    /// Events were lost, and the walk that makes up for it is not done.
    pub(super) is_rescan_due: bool,
    pub(super) watching: Watching,
    pub(super) watch_problem: Option<String>,
    pub(super) skipped: BTreeMap<String, String>,
    /// What was overwritten in indexed files.
    pub(super) redacted: Arc<Redacted>,
    /// What went wrong last and still does.
    pub(super) problem: Option<String>,
    /// What the user should know but need not mend.
    pub(super) notes: Vec<String>,
    pub(super) config_problems: Vec<String>,
    pub(super) kept: Kept,
    pub(super) n_occurrences: usize,
    pub(super) index_bytes: u64,
    pub(super) last_index_ms: Option<u64>,
    pub(super) reopened: bool,
}

impl State {
    pub(super) fn n_pending(&self) -> usize {
        let scanning = match self.phase {
            Phase::Opening | Phase::Scanning => self.n_total.saturating_sub(self.n_done).max(1),
            _ => 0,
        };
        scanning + self.n_dirty + self.documents.n_pending() + usize::from(self.is_rescan_due)
    }

    /// Path, whether it is an open document, and what was overwritten in it; only where something was.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&str, bool, &[Overwritten])> + Clone {
        let saved = self.redacted.iter().filter(|(path, _)| !self.documents.is_open(path));
        let saved = saved.map(|(path, all)| (path.as_str(), false, all.as_slice()));
        saved.chain(self.documents.redacted().map(|(path, all)| (path, true, all)))
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.phase == Phase::Ready && self.n_pending() == 0 && self.watching == Watching::Events
    }

    /// Nothing more will come by itself.
    pub(super) fn is_settled(&self) -> bool {
        match self.phase {
            Phase::Opening | Phase::Scanning => false,
            Phase::Ready => self.n_pending() == 0,
            Phase::Failed | Phase::Stopped => true,
        }
    }

    /// The status in one sentence.
    pub(super) fn summary(&self, n_files: usize) -> String {
        let n_pending = self.n_pending();
        match self.phase {
            Phase::Opening => "opening the index".into(),
            Phase::Scanning if self.n_total > 0 => {
                format!("indexing: {} of {} changed files", self.n_done, self.n_total)
            }
            Phase::Scanning => "looking for changed files".into(),
            Phase::Failed => {
                format!("not indexed: {}", self.problem.as_deref().unwrap_or("the engine ended"))
            }
            Phase::Stopped => "closed".into(),
            Phase::Ready if n_files == 0 && !self.skipped.is_empty() => format!(
                "nothing to index: all {} files are skipped, `fovea status --why PATH` says by which rule",
                self.skipped.len()
            ),
            Phase::Ready if n_files == 0 => {
                "nothing to index: there are no files, or ignore rules exclude all of them".into()
            }
            Phase::Ready if n_pending > 0 => {
                format!("{n_files} files indexed, {n_pending} pending")
            }
            Phase::Ready => format!("{n_files} files indexed, up to date"),
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another thread leaves nothing half-done in the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Changes the state and wakes everybody who waits for it.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Some(Arc::new(snapshot)));
        self.seen.clear();
        self.changed.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self, path: &str) -> Result<guard::GuardedText, guard::Refused> {
        let limit = self.loaded.load().config.index.max_file_bytes;
        self.recent.read(&self.root, path, limit)
    }
}

impl TextSource for Shared {
    fn read(&self, path: &str) -> Option<Arc<str>> {
        Self::read(self, path).ok().map(|guarded| guarded.text)
    }
}
