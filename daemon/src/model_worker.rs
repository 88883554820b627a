//! The model, as the service uses it: a worker process that is started when a completion needs it, ends
//! when it was not needed for a while, and is started again when it died.

use std::{
    env,
    num::NonZero,
    path::{Path, PathBuf},
    process,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use fovea_api::{CompletionSource, ModelState};
use fovea_context::{PromptFormat, TokenCounter};
use fovea_indexer::Cancel;
use fovea_model::{
    LoadOptions, ModelError, family,
    gguf::GgufFile,
    tokenizer::Tokenizer,
    worker::{Generation, GenerationEvent, Silent, WorkerClient},
};

pub use crate::backend::NoModel;
use crate::{
    backend::{Backend, Task, Writing, Written},
    complete::{self, Decoding},
    config::Config,
    dirs::Dirs,
    models::{Models, NO_MODEL_HINT},
};

/// A worker that died is not started again for this long, doubled with each death.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// More do not make a small model quicker.
const MAX_DEFAULT_THREADS: usize = 8;
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// The one model of the process.
pub struct ModelHost {
    dirs: Dirs,
    config: Config,
    /// The `fovea` executable, which is the worker too.
    executable: Option<PathBuf>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Kept while the worker is unloaded: counting tokens needs no weights.
    prepared: Option<Arc<Prepared>>,
    n_deaths: u32,
    has_reaper: bool,
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    Loading,
    Ready {
        client: WorkerClient,
        used: Instant,
        /// What holds it back.
        sandbox: String,
    },
    Failed {
        reason: String,
        until: Instant,
    },
}

/// What is known of a model without its weights.
pub struct Prepared {
    pub name: String,
    pub format: &'static PromptFormat,
    path: PathBuf,
    tokenizer: Tokenizer,
}

impl TokenCounter for Prepared {
    fn count(&self, text: &str) -> usize {
        self.tokenizer.count(text)
    }
}

impl ModelHost {
    #[must_use]
    pub fn new(dirs: Dirs, config: Config, executable: Option<PathBuf>) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { dirs, config, executable, state, changed })
    }

    /// Tokenizer and prompt format of the chosen model, without starting the worker.
    ///
    /// # Errors
    /// [`NoModel`] says what to do.
    pub fn prepare(&self) -> Result<Arc<Prepared>, NoModel> {
        let models = Models::new(&self.dirs, self.config.offline);
        let chosen = models.choose(&self.config.model).map_err(|err| NoModel(err.to_string()))?;
        let Some(path) = chosen else {
            return Err(NoModel(if self.config.model.enabled {
                NO_MODEL_HINT.to_owned()
            } else {
                "the model is switched off (model.enabled), so this comes from the index alone"
                    .into()
            }));
        };
        let prepared = self.lock().prepared.clone();
        if let Some(prepared) = prepared.filter(|prepared| prepared.path == path) {
            return Ok(prepared);
        }
        let prepared = Arc::new(Prepared::open(&path)?);
        self.lock().prepared = Some(Arc::clone(&prepared));
        Ok(prepared)
    }

    /// A worker with the model loaded; starts it if needed.
    ///
    /// # Errors
    /// [`NoModel`], also if it is still loading when `cancel` stops the wait.
    pub fn worker(self: &Arc<Self>, cancel: &Cancel) -> Result<WorkerClient, NoModel> {
        let prepared = self.prepare()?;
        let mut state = self.lock();
        loop {
            match &mut state.phase {
                Phase::Ready { client, .. } if self.hangs(client) => {
                    tracing::warn!("the model's process hangs and is replaced");
                    client.kill();
                    let seconds = self.config.model.hang_s;
                    let reason = format!("the model's process did not react for {seconds} s");
                    state.note_death(&reason);
                }
                Phase::Ready { client, used, .. } if client.is_alive() => {
                    *used = Instant::now();
                    return Ok(client.clone());
                }
                Phase::Ready { .. } => {
                    state.note_death("the model's process ended");
                }
                Phase::Failed { reason, until } if Instant::now() < *until => {
                    return Err(NoModel(reason.clone()));
                }
                Phase::Failed { .. } | Phase::Idle => {
                    state.phase = Phase::Loading;
                    self.start_loading(Arc::clone(&prepared));
                }
                Phase::Loading => {
                    if cancel.is_cancelled() {
                        return Err(NoModel(
                            "the model is still loading, so this comes from the index alone".into(),
                        ));
                    }
                    let waited = self.changed.wait_timeout(state, CANCEL_CHECK);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// The loaded model, to write with.
    ///
    /// # Errors
    /// As [`Self::worker`].
    pub fn backend(self: &Arc<Self>, cancel: &Cancel) -> Result<LocalBackend, NoModel> {
        let client = self.worker(cancel)?;
        Ok(LocalBackend { host: Arc::clone(self), client, prepared: self.prepare()? })
    }

    /// True if it was told to stop something and gives no sign of life.
    pub fn hangs(&self, client: &WorkerClient) -> bool {
        let limit = Duration::from_secs(self.config.model.hang_s.max(1));
        client.overdue().is_some_and(|overdue| overdue >= limit)
    }

    /// On a thread of its own, so that a request that gives up does not stop the loading.
    fn start_loading(self: &Arc<Self>, prepared: Arc<Prepared>) {
        let host = Arc::clone(self);
        let spawned = thread::Builder::new().name("fovea-model-load".into()).spawn(move || {
            let started = Instant::now();
            let loaded = host.load(&prepared.path);
            let mut state = host.lock();
            match loaded {
                Ok((client, sandbox)) => {
                    let ms = started.elapsed().as_millis() as u64;
                    tracing::info!(model = prepared.name, ms, sandbox, "model loaded");
                    state.phase = Phase::Ready { client, used: Instant::now(), sandbox };
                    host.start_reaper(&mut state);
                }
                Err(err) => {
                    tracing::warn!(model = prepared.name, %err, "model");
                    state.note_death(&format!("model `{}`: {err}", prepared.name));
                }
            }
            drop(state);
            host.changed.notify_all();
        });
        if let Err(err) = spawned {
            tracing::warn!(%err, "the system cannot start a thread");
        }
    }

    fn load(&self, path: &Path) -> Result<(WorkerClient, String), ModelError> {
        let executable = match &self.executable {
            Some(executable) => executable.clone(),
            None => env::current_exe().map_err(|err| ModelError::WorkerDied(err.to_string()))?,
        };
        let mut command = process::Command::new(executable);
        // The worker reads one file and two pipes; nothing else of our environment concerns it.
        command.arg("model-worker").arg(path).env_clear().current_dir("/");
        if !self.config.model.sandbox {
            command.arg("--unconfined");
        }
        let client = WorkerClient::spawn(command)?;
        // How many there are is written in files that the worker cannot read.
        let n_threads = match self.config.model.threads {
            0 => thread::available_parallelism().map_or(1, NonZero::get).min(MAX_DEFAULT_THREADS),
            n_threads => n_threads,
        };
        client.load(path, &LoadOptions { n_threads, ..LoadOptions::default() })?;
        let confinement = client.confinement()?;
        Ok((client, confinement.to_string()))
    }

    /// Ends the worker when it was not used for the configured time. The thread lives only as long as
    /// the worker, so an idle daemon has no timer.
    fn start_reaper(self: &Arc<Self>, state: &mut State) {
        let idle = Duration::from_secs(self.config.model.idle_unload_s);
        if idle.is_zero() || std::mem::replace(&mut state.has_reaper, true) {
            return;
        }
        let host = Arc::downgrade(self);
        let spawned =
            thread::Builder::new().name("fovea-model-idle".into()).spawn(move || reap(&host, idle));
        if let Err(err) = spawned {
            tracing::warn!(%err, "the model stays loaded");
            state.has_reaper = false;
        }
    }

    /// Ends the worker now.
    pub fn unload(&self) {
        let mut state = self.lock();
        if let Phase::Ready { client, .. } = &state.phase {
            client.kill();
            state.phase = Phase::Idle;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A completion failed because the worker died.
    pub fn note_death(&self) {
        self.lock().note_death("the model's process ended");
    }

    /// For the status; starts nothing.
    #[must_use]
    pub fn model_state(&self) -> ModelState {
        let prepared = self.prepare();
        let state = self.lock();
        let (name, hint) = match prepared {
            Ok(prepared) => (Some(prepared.name.clone()), None),
            Err(NoModel(hint)) => (None, Some(hint)),
        };
        let (word, hint, pid) = match &state.phase {
            _ if name.is_none() => ("absent", hint, None),
            Phase::Idle => ("idle", None, None),
            Phase::Loading => ("loading", None, None),
            Phase::Ready { client, .. } => ("ready", None, client.process_id()),
            Phase::Failed { reason, .. } => ("failed", Some(reason.clone()), None),
        };
        let sandbox = match &state.phase {
            Phase::Ready { sandbox, .. } => Some(sandbox.clone()),
            _ => None,
        };
        ModelState {
            name,
            sandbox,
            state: word.to_owned(),
            worker_pid: pid,
            worker_rss_bytes: pid.map(|pid| crate::service::rss_bytes(&pid.to_string())),
            hint,
            remote: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker, for one completion.
pub struct LocalBackend {
    host: Arc<ModelHost>,
    client: WorkerClient,
    prepared: Arc<Prepared>,
}

impl Backend for LocalBackend {
    fn source(&self) -> CompletionSource {
        CompletionSource::Model
    }

    fn format(&self) -> &'static PromptFormat {
        self.prepared.format
    }

    fn counter(&self) -> &dyn TokenCounter {
        &*self.prepared
    }

    fn start(&self, task: &Task<'_>) -> Result<Box<dyn Writing>, NoModel> {
        let Task { plan, prompt, request, max_tokens, .. } = *task;
        let generate = complete::task(plan, prompt, request, &Decoding::default(), max_tokens);
        let generation = self.client.generate(generate).map_err(|err| failed(&self.host, err))?;
        Ok(Box::new(LocalWriting { host: Arc::clone(&self.host), generation }))
    }
}

struct LocalWriting {
    host: Arc<ModelHost>,
    generation: Generation,
}

impl Writing for LocalWriting {
    fn next_within(&mut self, limit: Duration) -> Result<Written, Silent> {
        let host = &self.host;
        Ok(match self.generation.next_event_within(limit)? {
            Some(GenerationEvent::Text(text)) => Written::Text(text),
            Some(GenerationEvent::Done(result)) => {
                Written::Done(result.map_err(|err| failed(host, err)))
            }
            None => Written::Done(Err(failed(host, ModelError::Cancelled))),
        })
    }

    fn canceller(&self) -> Arc<dyn Fn() + Send + Sync> {
        let canceller = self.generation.canceller();
        Arc::new(move || canceller.cancel())
    }
}

fn failed(host: &ModelHost, err: ModelError) -> NoModel {
    if let ModelError::WorkerDied(_) = &err {
        host.note_death();
    }
    NoModel(format!("the model did not answer ({err}), so this comes from the index alone"))
}

impl Drop for ModelHost {
    fn drop(&mut self) {
        self.unload();
    }
}

impl State {
    fn note_death(&mut self, reason: &str) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.n_deaths.min(16)).min(MAX_PAUSE);
        self.n_deaths += 1;
        let seconds = pause.as_secs();
        let reason =
            format!("{reason}; it is tried again after {seconds} s, until then the index answers");
        self.phase = Phase::Failed { reason, until: Instant::now() + pause };
    }
}

fn reap(host: &Weak<ModelHost>, idle: Duration) {
    while let Some(host) = host.upgrade() {
        let mut state = host.lock();
        let left = match &state.phase {
            Phase::Ready { used, .. } => idle.saturating_sub(used.elapsed()),
            _ => Duration::ZERO,
        };
        if left.is_zero() {
            if let Phase::Ready { client, .. } = &state.phase {
                tracing::info!("model unloaded after {} s without use", idle.as_secs());
                client.kill();
                state.phase = Phase::Idle;
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

impl Prepared {
    fn open(path: &Path) -> Result<Self, NoModel> {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let failed = |err: &dyn std::fmt::Display| NoModel(format!("model `{name}`: {err}"));
        let file = GgufFile::open(path).map_err(|err| failed(&err))?;
        let family = family::detect(&file).map_err(|err| failed(&err))?;
        let tokenizer = Tokenizer::from_gguf(&file).map_err(|err| failed(&err))?;
        let format = PromptFormat::named(family.name).unwrap_or(PromptFormat::plain());
        // A file without the tokens of its family is prompted as plain text.
        let is_whole = format.specials().all(|token| tokenizer.special(token).is_some());
        let format = if is_whole { format } else { PromptFormat::plain() };
        Ok(Self { name: name.clone(), format, path: path.to_owned(), tokenizer })
    }
}
