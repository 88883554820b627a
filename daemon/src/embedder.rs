//! The stronger embedder, as workspaces use it: a worker process that is started when a text has to be
//! embedded, ends when none came for a while, and is started again when it died. Without one chosen
//! (the default) there is no process, no thread and no memory for it.

use std::{
    env,
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use fovea_indexer::vector::{self, Embedder};
use fovea_model::{EmbedInfo, EmbedKind, EmbedOptions, embed, worker::WorkerClient};

use crate::{config::Config, dirs::Dirs, models::Models};

/// Value of `index.embedder` that means the table inside the binary.
pub const EMBEDDED: &str = "embedded";
/// The worker ends after so long without a text.
const IDLE: Duration = Duration::from_secs(60);
/// A worker that died is not started again for this long, doubled with each death.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// The one stronger embedder of the process.
pub struct EmbedderHost {
    name: String,
    folder: PathBuf,
    info: OnceLock<Result<EmbedInfo, String>>,
    executable: Option<PathBuf>,
    is_confined: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    worker: Option<WorkerClient>,
    is_loading: bool,
    has_reaper: bool,
    used: Option<Instant>,
    n_deaths: u32,
    failed: Option<(String, Instant)>,
}

impl EmbedderHost {
    /// The embedder that the settings choose; `None` if that is the embedded one. Reads no weights.
    ///
    /// # Errors
    /// Why the chosen one cannot be used; search goes on with the embedded one.
    pub fn choose(
        dirs: &Dirs,
        config: &Config,
        executable: Option<PathBuf>,
    ) -> Result<Option<Arc<Self>>, String> {
        let chosen = config.index.embedder.trim();
        if chosen.is_empty() || chosen == EMBEDDED {
            return Ok(None);
        }
        let folder = if chosen.contains(['/', '\\']) {
            PathBuf::from(chosen)
        } else {
            let found = Models::new(dirs, config.offline).embedder(chosen);
            found.map_err(|err| format!("embedder `{chosen}`: {err}"))?.path
        };
        let name = folder.file_stem().map(|name| name.to_string_lossy().into_owned());
        let (name, info, state) = (name.unwrap_or_default(), OnceLock::new(), Mutex::default());
        let is_confined = config.model.sandbox;
        Ok(Some(Arc::new(Self { name, folder, info, executable, is_confined, state })))
    }

    /// What the model is. The first call reads and hashes its files, some 100 ms.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn identify(&self) -> Result<&EmbedInfo, String> {
        let identify = || {
            let identified = embed::identify(&self.folder, &options());
            identified.map_err(|err| format!("embedder `{}`: {err}", self.name))
        };
        self.info.get_or_init(identify).as_ref().map_err(Clone::clone)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The vector of a text, in whatever time that takes.
    ///
    /// # Errors
    /// One line for people; try again later.
    pub fn embed(self: &Arc<Self>, text: &str) -> Result<Vec<f32>, String> {
        let dim = self.identify()?.dim;
        let worker = self.worker()?;
        let embedded = worker.embed(vec![text.to_owned()]);
        let mut state = self.lock();
        state.used = Some(Instant::now());
        match embedded {
            Ok(vector) if vector.len() == dim => {
                (state.n_deaths, state.failed) = (0, None);
                Ok(vector)
            }
            Ok(vector) => Err(format!("embedder `{}` gave {} values", self.name, vector.len())),
            Err(err) => {
                let reason = format!("embedder `{}`: {err}", self.name);
                if !worker.is_alive() {
                    state.note_death(reason.clone());
                }
                Err(reason)
            }
        }
    }

    /// The vector of a query if the worker is there; else starts it, and the next query has one.
    fn embed_query(self: &Arc<Self>, text: &str) -> Option<Vec<f32>> {
        let mut state = self.lock();
        if state.worker.is_none() {
            let pauses = state.failed.as_ref().is_some_and(|(_, until)| Instant::now() < *until);
            if !state.is_loading && !pauses {
                state.is_loading = true;
                let host = Arc::clone(self);
                let spawned =
                    thread::Builder::new().name("fovea-embed-load".into()).spawn(move || {
                        if let Err(reason) = host.worker() {
                            tracing::warn!(reason, "embedder");
                        }
                        host.lock().is_loading = false;
                    });
                state.is_loading = spawned.is_ok();
            }
            return None;
        }
        drop(state);
        self.embed(text).ok()
    }

    /// A worker with the model loaded; starts it if needed.
    fn worker(self: &Arc<Self>) -> Result<WorkerClient, String> {
        let mut state = self.lock();
        if let Some(worker) = state.worker.as_ref().filter(|worker| worker.is_alive()) {
            return Ok(worker.clone());
        }
        if let Some((reason, until)) = &state.failed
            && Instant::now() < *until
        {
            return Err(reason.clone());
        }
        // Holding the lock: a second caller would only start a second worker.
        match self.load() {
            Ok(worker) => {
                state.worker = Some(worker.clone());
                state.used = Some(Instant::now());
                self.start_reaper(&mut state);
                Ok(worker)
            }
            Err(reason) => {
                state.note_death(reason.clone());
                Err(reason)
            }
        }
    }

    fn load(&self) -> Result<WorkerClient, String> {
        let fail = |err: &dyn std::fmt::Display| format!("embedder `{}`: {err}", self.name);
        let executable = match &self.executable {
            Some(executable) => executable.clone(),
            None => env::current_exe().map_err(|err| fail(&err))?,
        };
        let mut command = process::Command::new(executable);
        command.arg("model-worker").arg(&self.folder).env_clear().current_dir("/");
        if !self.is_confined {
            command.arg("--unconfined");
        }
        let worker = WorkerClient::spawn(command).map_err(|err| fail(&err))?;
        lower_priority(worker.process_id());
        let info = worker.load_embedder(&self.folder, &options()).map_err(|err| fail(&err))?;
        // The files may have been replaced since they were identified.
        if info.id != self.identify()?.id {
            return Err(fail(&"its files changed; restart the daemon"));
        }
        Ok(worker)
    }

    fn start_reaper(self: &Arc<Self>, state: &mut State) {
        if std::mem::replace(&mut state.has_reaper, true) {
            return;
        }
        let host = Arc::downgrade(self);
        let spawned =
            thread::Builder::new().name("fovea-embed-idle".into()).spawn(move || reap(&host));
        state.has_reaper = spawned.is_ok();
    }

    /// Process id of the worker, if it runs.
    #[must_use]
    pub fn worker_pid(&self) -> Option<u32> {
        self.lock().worker.as_ref().and_then(WorkerClient::process_id)
    }

    /// Why there is no worker, if the last one failed.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let unusable = self.info.get().and_then(|info| info.as_ref().err().cloned());
        unusable.or_else(|| self.lock().failed.as_ref().map(|(reason, _)| reason.clone()))
    }

    /// Ends the worker now.
    pub fn unload(&self) {
        if let Some(worker) = self.lock().worker.take() {
            worker.kill();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note_death(&mut self, reason: String) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.n_deaths.min(16)).min(MAX_PAUSE);
        self.n_deaths += 1;
        self.worker = None;
        self.failed = Some((reason, Instant::now() + pause));
    }
}

/// Of the worker, so that it yields to everything the user does.
fn lower_priority(process: Option<u32>) {
    let id = process.and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?));
    if let Some(id) = id
        && let Err(err) = rustix::process::setpriority_process(Some(id), 10)
    {
        tracing::debug!(%err, "priority of the embedder");
    }
}

/// One thread and little memory: it works behind everything the user does.
fn options() -> EmbedOptions {
    EmbedOptions { n_threads: 1, ..EmbedOptions::default() }
}

fn reap(host: &Weak<EmbedderHost>) {
    while let Some(host) = host.upgrade() {
        let mut state = host.lock();
        let left = state.used.map_or(Duration::ZERO, |used| IDLE.saturating_sub(used.elapsed()));
        if state.worker.is_none() || left.is_zero() {
            if let Some(worker) = state.worker.take() {
                tracing::info!(embedder = host.name, "unloaded, nothing to embed");
                worker.kill();
            }
            state.has_reaper = false;
            return;
        }
        drop(state);
        // Not while holding the host: it may end meanwhile.
        drop(host);
        thread::park_timeout(left);
    }
}

/// The host as the index sees it: for queries, which do not wait for a model to load.
pub struct HostEmbedder {
    host: Arc<EmbedderHost>,
    info: EmbedInfo,
}

impl HostEmbedder {
    /// # Errors
    /// Why the model cannot be used.
    pub fn new(host: &Arc<EmbedderHost>) -> Result<Self, String> {
        let info = host.identify()?.clone();
        Ok(Self { host: Arc::clone(host), info })
    }
}

impl Embedder for HostEmbedder {
    fn model_id(&self) -> &str {
        &self.info.id
    }

    fn dim(&self) -> usize {
        self.info.dim
    }

    fn fusion_weight(&self) -> f32 {
        match self.info.kind {
            EmbedKind::Transformer => vector::TRANSFORMER_WEIGHT,
            EmbedKind::Table => vector::TABLE_WEIGHT,
        }
    }

    fn embed(&self, texts: &[&str]) -> Vec<f32> {
        let dim = self.dim();
        let mut rows = Vec::with_capacity(texts.len() * dim);
        for text in texts {
            rows.extend(self.host.embed_query(text).unwrap_or_else(|| vec![0.0; dim]));
        }
        rows
    }
}

/// True if `path` looks like a folder with an embedding model.
#[must_use]
pub fn is_model_folder(path: &Path) -> bool {
    path.is_dir() && embed::EMBEDDER_FILES.iter().all(|name| path.join(name).is_file())
}
