//! The open workspaces, and what they share: the facts store, the embedder, the threads.

use std::{
    collections::HashMap,
    num::NonZero,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use fovea_api::{ApiError, CollectedView, ErrorCode, HitRate, TopWorkspace};
use fovea_indexer::{
    vector::{self, SharedEmbedder},
    writer::{FactsStore, MemoryFacts},
};

use crate::{
    budget::{self, Budget},
    config::{self, Config, Layers, StorageConfig},
    dirs::{self, Dirs},
    embedder::EmbedderHost,
    engine::{Workspace, WorkspaceOptions},
    gc::{self, Limits},
    root,
    store::SqliteFacts,
};

/// Opens workspaces on demand and closes those unused longest.
pub(super) struct Workspaces {
    dirs: Dirs,
    layers: Layers,
    executable: Option<PathBuf>,
    config: Config,
    open: Mutex<HashMap<PathBuf, Opened>>,
    parts: OnceLock<Parts>,
    /// When this process last looked whether there is something to collect.
    collected: Mutex<Option<Instant>>,
    budget: Arc<Budget>,
}

/// A workspace used since is not closed to save memory.
const IN_USE: Duration = Duration::from_secs(60);

/// Time between two collections.
const COLLECT_EVERY: Duration = Duration::from_secs(24 * 3_600);

struct Opened {
    workspace: Arc<Workspace>,
    used: Instant,
}

/// Made when the first workspace is opened.
struct Parts {
    facts: Arc<dyn FactsStore>,
    /// The same store, if it is the one on disk.
    sqlite: Option<Arc<SqliteFacts>>,
    problem: Option<String>,
    embedder: SharedEmbedder,
    stronger: Option<Arc<EmbedderHost>>,
    /// Why the chosen embedder cannot be used.
    embedder_problem: Option<String>,
    pool: Arc<rayon::ThreadPool>,
}

impl Workspaces {
    /// `executable` runs the embedder, if one is chosen.
    pub(super) fn new(dirs: Dirs, layers: Layers, executable: Option<PathBuf>) -> Self {
        let loaded = config::load(&layers).unwrap_or_else(|err| {
            tracing::warn!(%err, "settings; the defaults count");
            config::Loaded::default()
        });
        let (open, parts, collected) = (Mutex::default(), OnceLock::new(), Mutex::default());
        let budget = Arc::new(Budget::new(loaded.config.daemon.memory_mb));
        Self { dirs, layers, executable, config: loaded.config, open, parts, collected, budget }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The workspace at `root`, opened if it is not.
    pub(super) fn get(&self, root: &Path) -> Result<Arc<Workspace>, ApiError> {
        // Clients send the same path again and again; only an unknown one is looked at.
        if let Some(opened) = self.lock().get_mut(root) {
            opened.used = Instant::now();
            return Ok(Arc::clone(&opened.workspace));
        }
        let canonical = root::check(root)
            .map_err(|err| ApiError { code: ErrorCode::NotFound, message: err.to_string() })?;
        let mut open = self.lock();
        if let Some(opened) = open.get_mut(&canonical) {
            opened.used = Instant::now();
            return Ok(Arc::clone(&opened.workspace));
        }
        let workspace = Arc::new(self.open(canonical.clone())?);
        let opened = Opened { workspace: Arc::clone(&workspace), used: Instant::now() };
        open.insert(canonical, opened);
        let surplus = self.surplus(&mut open);
        drop(open);
        // Closing saves, which may take a moment.
        drop(surplus);
        Ok(workspace)
    }

    /// The workspace at `root`, if it is open.
    pub(super) fn get_open(&self, root: &Path) -> Option<Arc<Workspace>> {
        let open = self.lock();
        let opened = open.get(root).or_else(|| open.get(&root.canonicalize().ok()?))?;
        Some(Arc::clone(&opened.workspace))
    }

    fn open(&self, root: PathBuf) -> Result<Workspace, ApiError> {
        let unavailable = |message: String| ApiError { code: ErrorCode::Unavailable, message };
        let parts = self.parts.get_or_init(|| self.make_parts());
        let folder = self.dirs.workspace(&root);
        // A workspace may do without vectors; another one of the same daemon may not.
        let config = config::load(&self.layers.with_root(&root)).map(|loaded| loaded.config);
        let (embedder, stronger) =
            match config.unwrap_or_else(|_| self.config.clone()).index.vectors {
                true => (Arc::clone(&parts.embedder), parts.stronger.clone()),
                false => (vector::none(), None),
            };
        let options = WorkspaceOptions {
            folder,
            cookies: self.dirs.runtime.join("cookies"),
            layers: self.layers.clone(),
            facts: Arc::clone(&parts.facts),
            embedder,
            stronger,
            pool: Arc::clone(&parts.pool),
            budget: Arc::clone(&self.budget),
            root,
        };
        tracing::info!(root = %options.root.display(), "opening workspace");
        Workspace::open(options).map_err(|err| {
            unavailable(format!("the system cannot start a thread: {err}; close some programs"))
        })
    }

    fn make_parts(&self) -> Parts {
        let opened = dirs::ensure_private(&self.dirs.data, "FOVEA_DATA_DIR")
            .map_err(|err| err.to_string())
            .and_then(|()| {
                let cookies = self.dirs.runtime.join("cookies");
                if let Err(err) = dirs::ensure_private(&cookies, "FOVEA_RUNTIME_DIR") {
                    tracing::warn!(%err, "sync walks the tree");
                }
                SqliteFacts::open(&self.dirs.facts()).map_err(|err| err.to_string())
            });
        let (sqlite, problem) = match opened {
            Ok(store) => (Some(Arc::new(store)), None),
            // What an earlier run stored is of use all the same.
            Err(problem) => match SqliteFacts::open_read_only(&self.dirs.facts()) {
                Ok(store) => {
                    tracing::warn!(problem, "facts are read-only");
                    (Some(Arc::new(store)), Some(format!("stored facts are read-only: {problem}")))
                }
                Err(_) => {
                    tracing::warn!(problem, "facts are kept in memory only");
                    (None, Some(problem))
                }
            },
        };
        let facts: Arc<dyn FactsStore> = match &sqlite {
            Some(store) => Arc::clone(store) as Arc<dyn FactsStore>,
            None => Arc::new(MemoryFacts::default()),
        };
        let pool = Arc::new(background_pool(self.config.index.threads));
        let chosen = EmbedderHost::choose(&self.dirs, &self.config, self.executable.clone());
        let (stronger, embedder_problem) = match chosen {
            Ok(stronger) => (stronger, None),
            Err(problem) => {
                tracing::warn!(problem, "search goes by the embedded vectors");
                (None, Some(problem))
            }
        };
        let embedder = vector::embedded();
        Parts { facts, sqlite, problem, embedder, stronger, embedder_problem, pool }
    }

    fn surplus(&self, open: &mut HashMap<PathBuf, Opened>) -> Vec<Opened> {
        let mut surplus = Vec::new();
        while open.len() > self.config.daemon.max_workspaces.max(1) {
            let Some(oldest) = open.iter().min_by_key(|(_, opened)| opened.used) else { break };
            let root = oldest.0.clone();
            surplus.extend(open.remove(&root));
        }
        surplus
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Gives memory back until the budget is kept: texts that can be read again first, then whole
    /// workspaces that nobody uses, which open again when they are asked for.
    pub(super) fn shrink(&self) {
        let all: Vec<Arc<Workspace>> =
            self.lock().values().map(|opened| Arc::clone(&opened.workspace)).collect();
        all.iter().for_each(|workspace| workspace.shrink());
        drop(all);
        budget::give_back();
        while self.budget.look() {
            let Some(closed) = self.take_unused() else { return };
            tracing::info!(root = %closed.workspace.root().display(), "closed to save memory");
            drop(closed);
            budget::give_back();
            self.budget.note_closed(1);
        }
    }

    /// The workspace unused longest, if one is unused.
    fn take_unused(&self) -> Option<Opened> {
        let mut open = self.lock();
        let unused = open.iter().filter(|(_, opened)| {
            opened.used.elapsed() > IN_USE && !opened.workspace.has_open_documents()
        });
        let root = unused.min_by_key(|(_, opened)| opened.used)?.0.clone();
        open.remove(&root)
    }

    /// For `fovea top`: how often stored facts and texts were there, and each workspace.
    pub(super) fn top(&self) -> (HitRate, HitRate, Vec<TopWorkspace>) {
        let facts = self.parts.get().and_then(|parts| Some(parts.sqlite.as_ref()?.hits()));
        let (n_asked, n_found) = facts.unwrap_or_default();
        let facts = HitRate { n_asked, n_found };
        let open: Vec<(Arc<Workspace>, Duration)> = self
            .lock()
            .values()
            .map(|opened| (Arc::clone(&opened.workspace), opened.used.elapsed()))
            .collect();
        let mut texts = HitRate::default();
        let mut views: Vec<TopWorkspace> = open
            .into_iter()
            .map(|(workspace, unused)| {
                let (n_asked, n_found) = workspace.text_hits();
                texts.n_asked += n_asked;
                texts.n_found += n_found;
                TopWorkspace { unused_s: unused.as_secs(), ..workspace.top() }
            })
            .collect();
        views.sort_by(|a, b| a.root.cmp(&b.root));
        (facts, texts, views)
    }

    pub(super) fn roots(&self) -> Vec<PathBuf> {
        let mut roots: Vec<PathBuf> = self.lock().keys().cloned().collect();
        roots.sort();
        roots
    }

    /// What is wrong with what all workspaces share: the store, or the chosen embedder.
    pub(super) fn problem(&self) -> Option<String> {
        let parts = self.parts.get()?;
        let store = || parts.sqlite.as_ref()?.problem();
        let embedder = || parts.embedder_problem.clone();
        let stronger = || parts.stronger.as_ref()?.problem();
        parts.problem.clone().or_else(store).or_else(embedder).or_else(stronger)
    }

    /// Removes what nobody used for long, see [`gc::collect`].
    pub(super) fn collect(&self, limits: Limits, dry_run: bool) -> CollectedView {
        let parts = self.parts.get_or_init(|| self.make_parts());
        let claim = |folder: &Path, aside: &Path| {
            // While the lock is held no workspace is opened.
            let open = self.lock();
            let is_open = open.keys().any(|root| self.dirs.workspace(root) == folder);
            !is_open && std::fs::rename(folder, aside).is_ok()
        };
        gc::collect(&self.dirs, parts.sqlite.as_deref(), limits, dry_run, &claim)
    }

    /// What the settings allow to stay.
    pub(super) fn limits(&self) -> Limits {
        let StorageConfig { max_bytes, unused_days, .. } = self.config.storage;
        Limits { max_bytes, unused_days }
    }

    /// True once a day, in one of all processes.
    pub(super) fn is_collection_due(&self) -> bool {
        if !self.config.storage.collect {
            return false;
        }
        let mut checked = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.is_some_and(|at| at.elapsed() < COLLECT_EVERY) {
            return false;
        }
        *checked = Some(Instant::now());
        let mark = self.dirs.data.join("collected");
        let last = std::fs::metadata(&mark).and_then(|metadata| metadata.modified());
        if last.is_ok_and(|last| last.elapsed().is_ok_and(|age| age < COLLECT_EVERY)) {
            return false;
        }
        // Where nothing can be written there is nothing to remove either.
        std::fs::write(mark, "").is_ok()
    }

    pub(super) fn end_session(&self, session: u64) {
        let open: Vec<Arc<Workspace>> =
            self.lock().values().map(|opened| Arc::clone(&opened.workspace)).collect();
        open.iter().for_each(|workspace| workspace.end_session(session));
    }

    /// Closes and saves all.
    pub(super) fn close(&self) {
        let open = std::mem::take(&mut *self.lock());
        drop(open);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Opened>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Threads for parsing and embedding: one a core, behind everything the user does.
pub(crate) fn background_pool(n_threads: usize) -> rayon::ThreadPool {
    let n_cores = available_parallelism().map_or(1, NonZero::get);
    rayon::ThreadPoolBuilder::new()
        .num_threads(if n_threads == 0 { n_cores } else { n_threads.min(n_cores * 2) })
        .thread_name(|index| format!("fovea-index-{index}"))
        .start_handler(|_| lower_priority())
        .build()
        .expect("the system can start threads")
}

/// Of the calling thread alone (on Linux each thread has its own priority).
pub(super) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(err) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%err, "priority");
    }
}
