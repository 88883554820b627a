//! Answers requests: the daemon's inside, without a socket. `--no-daemon` and tests use it in process.
//!
//! Each request runs under `catch_unwind`: a bug in one is answered as an error and the next works.

mod complete;
mod editor;
mod find;
mod imports;
mod metrics;
mod plan;
mod pool;
mod query;
mod session;
mod views;
mod walks;
mod workspaces;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use fovea_api::{
    Answer, ApiError, DaemonStatus, ErrorCode, Event, Freshness, Health, HitRate, Method,
    ModelState, Request, Response, SecretsView, TopView, WorkspaceStatus,
};

use fovea_context::{Mode, PromptFormat, TokenCounter};
use fovea_indexer::grep::GrepQuery;

use self::{
    complete::{Backends, CompleteOptions},
    find::Find,
    plan::PlanOptions,
    query::Query,
};
pub use session::{Running, Session};
pub(crate) use workspaces::background_pool;

use crate::{
    config::Layers,
    dirs::{Dirs, build_id},
    engine::{Asked, Workspace},
    gc::Limits,
    model_worker::ModelHost,
    remote::Remote,
};

/// Longest suggestion anybody may ask for.
const MAX_NEW_TOKENS: usize = 512;

/// What a service is made of.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    pub dirs: Dirs,
    /// Settings; each workspace adds its own file.
    pub layers: Layers,
    /// Where clients find us, for `status`; `None` in process.
    pub socket: Option<PathBuf>,
    /// The `fovea` executable, which runs the model; `None` is this process's own.
    pub executable: Option<PathBuf>,
}

/// The engine of every workspace, the model, and what they answer.
pub struct Service {
    options: ServiceOptions,
    started: Instant,
    n_sessions: AtomicUsize,
    next_session: AtomicU64,
    n_requests: AtomicU64,
    is_stopping: AtomicBool,
    pool: pool::Pool,
    workspaces: workspaces::Workspaces,
    model: Arc<ModelHost>,
    /// The server that the user named.
    remote: Option<Arc<Remote>>,
    next_suggestion: AtomicU64,
    metrics: metrics::Metrics,
    /// Tokens of prompts: all, and those whose state was reused.
    tokens: (AtomicU64, AtomicU64),
}

impl Service {
    #[must_use]
    pub fn new(options: ServiceOptions) -> Arc<Self> {
        let (dirs, layers) = (options.dirs.clone(), options.layers.clone());
        let workspaces = workspaces::Workspaces::new(dirs, layers, options.executable.clone());
        let config = workspaces.config().clone();
        let remote = Remote::from_config(&config, options.layers.user_file.as_deref());
        let model = ModelHost::new(options.dirs.clone(), config, options.executable.clone());
        let service = Arc::new(Self {
            options,
            started: Instant::now(),
            n_sessions: AtomicUsize::new(0),
            next_session: AtomicU64::new(1),
            n_requests: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            pool: pool::Pool::default(),
            workspaces,
            model,
            remote,
            next_suggestion: AtomicU64::new(1),
            metrics: metrics::Metrics::default(),
            tokens: Default::default(),
        });
        let weak = Arc::downgrade(&service);
        service.workspaces.budget().on_over(move || {
            // The thread that noticed belongs to a workspace that may have to be closed.
            let weak = weak.clone();
            let shrink = move || weak.upgrade().into_iter().for_each(|it| it.workspaces.shrink());
            if let Err(err) = std::thread::Builder::new().name("fovea-shrink".into()).spawn(shrink)
            {
                tracing::warn!(%err, "no memory is given back");
            }
        });
        service
    }

    /// The documents that a request is about, as its client has them open now. Called in the order in
    /// which edits and requests arrive.
    pub(crate) fn asked(&self, session: u64, request: &Request) -> Vec<Asked> {
        let paths = request.method.documents();
        let root = request.root.as_ref().filter(|_| !paths.is_empty());
        let Some(workspace) = root.and_then(|root| self.workspaces.get_open(root)) else {
            return Vec::new();
        };
        paths.into_iter().filter_map(|path| workspace.asked(session, path)).collect()
    }

    /// A new client. What it holds open is closed when the session is dropped.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> Arc<Session> {
        self.n_sessions.fetch_add(1, Ordering::Relaxed);
        if self.workspaces.is_collection_due() {
            self.collect_later();
        }
        Session::new(Arc::clone(self), self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// On a thread behind everything else.
    fn collect_later(self: &Arc<Self>) {
        let service = Arc::downgrade(self);
        let spawned = std::thread::Builder::new().name("fovea-gc".into()).spawn(move || {
            workspaces::lower_priority();
            let Some(service) = service.upgrade() else { return };
            let view = service.workspaces.collect(service.workspaces.limits(), false);
            let (n_indexes, n_facts) = (view.indexes.len(), view.n_facts);
            let (before, after) = (view.n_bytes_before, view.n_bytes_after);
            tracing::info!(n_indexes, n_facts, before, after, "collected what is not used");
        });
        if let Err(err) = spawned {
            tracing::debug!(%err, "nothing is collected");
        }
    }

    pub(crate) fn end_session(&self, session: u64) {
        self.workspaces.end_session(session);
        self.n_sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// True once a client asked the daemon to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Runs `job` on a thread for questions.
    pub(crate) fn spawn(&self, is_long: bool, job: impl FnOnce() + Send + 'static) {
        self.pool.spawn(is_long, job);
    }

    /// Saves what is not saved and ends all background work. Questions still running are answered
    /// from what is there.
    pub fn shut_down(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.model.unload();
        self.workspaces.close();
    }

    /// Answers one request; blocks until the answer is there. `events` may be called meanwhile.
    pub fn handle(&self, running: &Running, request: Request, events: &dyn Fn(Event)) -> Response {
        let id = request.id;
        self.n_requests.fetch_add(1, Ordering::Relaxed);
        let (in_flight, method) = (self.metrics.begin(), request.method.name());
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(running, request, events)));
        let (result, freshness) = outcome.unwrap_or_else(|_| {
            let log = self.options.dirs.log_file();
            let message = format!(
                "a bug ended this request; details are in `{}`, and the next request works",
                log.display()
            );
            (Err(ApiError { code: ErrorCode::Internal, message }), None)
        });
        drop(in_flight);
        self.metrics.note(method, started.elapsed(), result.is_ok());
        if let Ok(Answer::Suggestion(Some(suggestion))) = &result {
            let timings = &suggestion.timings;
            self.tokens.0.fetch_add(timings.n_prompt_tokens as u64, Ordering::Relaxed);
            self.tokens.1.fetch_add(timings.n_reused_tokens as u64, Ordering::Relaxed);
        }
        Response { id, freshness, result }
    }

    fn answer(
        &self,
        running: &Running,
        request: Request,
        events: &dyn Fn(Event),
    ) -> (Result<Answer, ApiError>, Option<Freshness>) {
        if running.is_cancelled() {
            return (Err(cancelled()), None);
        }
        let Request { root, method, .. } = request;
        // About the daemon itself.
        match method {
            Method::Cancel { id } => {
                running.session().cancel(id);
                return (Ok(Answer::Done), None);
            }
            Method::Shutdown => {
                self.is_stopping.store(true, Ordering::Relaxed);
                return (Ok(Answer::Done), None);
            }
            Method::Accepted { .. } => return (Ok(Answer::Done), None),
            Method::Top => return (Ok(Answer::Top(Box::new(self.top()))), None),
            Method::Collect { dry_run, max_bytes, unused_days } => {
                let limits = self.workspaces.limits();
                let limits = Limits {
                    max_bytes: max_bytes.unwrap_or(limits.max_bytes),
                    unused_days: unused_days.unwrap_or(limits.unused_days),
                };
                return (Ok(Answer::Collected(self.workspaces.collect(limits, dry_run))), None);
            }
            // Asking for the state must not change it, so nothing is opened.
            Method::Status => {
                let workspace = root.and_then(|root| self.workspaces.get_open(&root));
                let freshness = workspace.as_ref().map(|workspace| workspace.freshness());
                let workspace = workspace.map(|workspace| self.workspace_status(&workspace));
                return (Ok(Answer::Status { daemon: self.status(), workspace }), freshness);
            }
            _ => {}
        }
        let Some(root) = root else {
            let message = "the request names no workspace root".to_owned();
            return (Err(ApiError { code: ErrorCode::BadRequest, message }), None);
        };
        let workspace = match self.workspaces.get(&root) {
            Ok(workspace) => workspace,
            Err(err) => return (Err(err), None),
        };
        let result = self.ask(&workspace, running, method, events);
        let result = if running.is_cancelled() { Err(cancelled()) } else { result };
        let cut = running.deadline().is_some_and(|deadline| Instant::now() >= deadline);
        (result, Some(Freshness { cut, ..workspace.freshness() }))
    }

    /// Questions about a workspace, and what happens to it.
    fn ask(
        &self,
        workspace: &Arc<Workspace>,
        running: &Running,
        method: Method,
        events: &dyn Fn(Event),
    ) -> Result<Answer, ApiError> {
        let session = running.session().id();
        let cancel = running.cancel();
        let progress = |progress| events(Event::Progress(progress));
        let query = |edited: Option<&str>| Query::new(workspace, running, edited);
        match method {
            Method::Open { wait } => {
                if wait {
                    workspace.wait_until_ready(&cancel, &progress);
                }
                Ok(Answer::Workspace(self.workspace_status(workspace)))
            }
            Method::Sync => {
                workspace.sync(&cancel);
                Ok(Answer::Workspace(self.workspace_status(workspace)))
            }
            Method::Reindex => {
                workspace.reindex(&cancel, &progress);
                Ok(Answer::Workspace(self.workspace_status(workspace)))
            }
            Method::Why { path } => {
                query::check_path(&path)?;
                Ok(Answer::Path(workspace.why(&path)))
            }
            Method::Secrets => Ok(Answer::Secrets(secrets(workspace))),
            Method::Edited { path, text, .. } => {
                query::check_path(&path)?;
                workspace.edit(session, &path, &text).map(|()| Answer::Done).map_err(|rule| {
                    let message = format!("`{path}` is not indexed: {rule}");
                    ApiError { code: ErrorCode::Refused, message }
                })
            }
            Method::Closed { path } => {
                workspace.close(session, &path);
                Ok(Answer::Done)
            }
            Method::Touched { paths } => {
                paths.iter().try_for_each(|path| query::check_path(path))?;
                workspace.touched(&paths);
                Ok(Answer::Done)
            }
            Method::Dump { after, path } => {
                let query = Query::of_index(workspace, running, None)?;
                query.dump(after.as_deref(), path.as_deref())
            }
            Method::Search { query: text, limit, near, offset, like, budget_tokens } => {
                let find = Find { text, limit, near, offset, like, budget_tokens };
                query(None)?.search(find)
            }
            Method::Grep { pattern, regex, ignore_case, limit, word, path } => {
                let is_literal = !regex;
                let is_word = word;
                let lines = GrepQuery { pattern, is_literal, ignore_case, is_word, path, limit };
                query(None)?.grep(&lines)
            }
            Method::Definition { at } => query(Some(&at.path))?.definition(&at),
            Method::References { at, include_definition } => {
                query(Some(&at.path))?.references(&at, include_definition)
            }
            Method::Implementations { at } => query(Some(&at.path))?.implementations(&at),
            Method::TypeDefinition { at } => query(Some(&at.path))?.type_definition(&at),
            Method::Declaration { at } => query(Some(&at.path))?.declaration(&at),
            Method::Hierarchy { at } => query(Some(&at.path))?.hierarchy(&at),
            Method::Signature { at } => query(Some(&at.path))?.signature(&at),
            Method::Rename { at, new_name } => {
                query(Some(&at.path))?.rename(&at, new_name.as_deref())
            }
            Method::Folds { path } => query(None)?.folds(&path),
            Method::Around { cursors } => query(None)?.around(&cursors),
            Method::Callers { at } => query(Some(&at.path))?.callers(&at),
            Method::Callees { at } => query(Some(&at.path))?.callees(&at),
            Method::Impact { at, limit } => query(Some(&at.path))?.impact(&at, limit),
            Method::Tests { at, limit } => query(Some(&at.path))?.tests(&at, limit),
            Method::Documents { at } => query(Some(&at.path))?.documents(&at),
            Method::Near { at, limit } => query(Some(&at.path))?.near(&at, limit),
            Method::Path { from, to } => query(Some(&from.path))?.path(&from, &to),
            Method::Dead { path, limit, with_public } => {
                query(None)?.dead(path.as_deref(), limit, with_public)
            }
            Method::Members { at, limit } => query(Some(&at.path))?.members(&at, limit),
            Method::Symbols { query: text, limit } => {
                Ok(query(None)?.workspace_symbols(&text, limit))
            }
            Method::DocumentSymbols { path } => query(Some(&path))?.document_symbols(&path),
            Method::Lines { path, first, last } => query(Some(&path))?.lines(&path, first, last),
            Method::Outline { budget_tokens, focus } => {
                query(None)?.outline(budget_tokens, focus.as_ref())
            }
            Method::Context { at, preset, budget_tokens } => {
                // Without a model the plan is counted and laid out by estimate.
                let prepared = self.model.prepare().ok();
                let mut options = self.plan_options(preset, budget_tokens);
                options.format = prepared.as_ref().map_or(options.format, |model| model.format);
                let counter = prepared.as_deref().map(|model| model as &dyn TokenCounter);
                query(Some(&at.path))?.context(&at, options, counter)
            }
            // The text before the cursor comes with the question; the index need not have it yet.
            Method::Offers { at, limit, with_imports } => {
                query(None)?.offers(&at, limit, with_imports)
            }
            Method::Complete {
                at,
                preset,
                budget_tokens,
                max_tokens,
                with_context,
                multi_line,
                use_model,
            } => {
                let plan = PlanOptions {
                    with_context,
                    mode: if multi_line { Mode::Auto } else { Mode::Line },
                    ..self.plan_options(preset, budget_tokens)
                };
                let config = workspace.loaded().config.model.clone();
                let id = self.next_suggestion.fetch_add(1, Ordering::Relaxed);
                let max_tokens = max_tokens.unwrap_or(config.max_tokens).min(MAX_NEW_TOKENS);
                let options = CompleteOptions { plan, id, max_tokens };
                let query = query(None)?;
                if use_model && config.enabled {
                    let backends = Backends { remote: self.remote.as_ref(), local: &self.model };
                    query.complete(&at, options, backends, running, events)
                } else {
                    query.complete_from_index(&at, options, None)
                }
            }
            Method::Outgoing { at, preset, budget_tokens } => {
                let Some(remote) = &self.remote else { return Ok(Answer::Outgoing(None)) };
                let Some(at) = at else { return Ok(Answer::Outgoing(remote.last_sent())) };
                let plan = self.plan_options(preset, budget_tokens);
                let max_tokens = workspace.loaded().config.model.max_tokens.min(MAX_NEW_TOKENS);
                let options = CompleteOptions { plan, id: 0, max_tokens };
                query(Some(&at.path))?
                    .outgoing(&at, options, remote)
                    .map(|it| Answer::Outgoing(Some(it)))
            }
            Method::Status
            | Method::Top
            | Method::Cancel { .. }
            | Method::Collect { .. }
            | Method::Shutdown
            | Method::Accepted { .. } => {
                unreachable!("answered before a workspace is looked for")
            }
        }
    }

    fn plan_options(&self, preset: fovea_api::Preset, budget_tokens: Option<usize>) -> PlanOptions {
        PlanOptions {
            preset,
            budget_tokens,
            with_context: true,
            mode: Mode::Auto,
            format: PromptFormat::plain(),
        }
    }

    fn workspace_status(&self, workspace: &Workspace) -> WorkspaceStatus {
        let mut status = workspace.status();
        if let Some(problem) = self.workspaces.problem() {
            status.warnings.push(problem);
            status.health = status.health.max(Health::Warning);
        }
        if let Some(degraded) = self.workspaces.budget().degraded() {
            if self.workspaces.budget().is_over() {
                status.health = status.health.max(Health::Warning);
            }
            status.warnings.push(degraded);
        }
        status
    }

    fn top(&self) -> TopView {
        let (n_threads, n_handles, cpu_ms) = own_process();
        let (facts, texts, workspaces) = self.workspaces.top();
        TopView {
            daemon: self.status(),
            // Without the one that asks.
            n_running: self.metrics.n_running().saturating_sub(1),
            n_queued: self.pool.n_queued(),
            n_threads,
            n_handles,
            cpu_ms,
            facts,
            texts,
            tokens: HitRate {
                n_asked: self.tokens.0.load(Ordering::Relaxed),
                n_found: self.tokens.1.load(Ordering::Relaxed),
            },
            workspaces,
            methods: self.metrics.methods(),
        }
    }

    fn status(&self) -> DaemonStatus {
        DaemonStatus {
            build: build_id().to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            rss_bytes: rss_bytes("self"),
            socket: self.options.socket.clone(),
            n_clients: self.n_sessions.load(Ordering::Relaxed),
            n_requests: self.n_requests.load(Ordering::Relaxed),
            roots: self.workspaces.roots(),
            model: ModelState {
                remote: self.remote.as_ref().map(|remote| remote.state()),
                ..self.model.model_state()
            },
            memory_limit_bytes: self.workspaces.budget().limit_bytes(),
            memory_limit_source: self.workspaces.budget().source().to_owned(),
            degraded: self.workspaces.budget().degraded(),
        }
    }
}

/// A workspace of test keys may hold more; they are counted.
const MAX_SECRETS: usize = 10_000;

fn secrets(workspace: &Workspace) -> SecretsView {
    let mut secrets = workspace.secrets();
    let n_secrets = secrets.len();
    let mut paths: Vec<&str> = secrets.iter().map(|secret| secret.path.as_str()).collect();
    paths.dedup();
    let n_files = paths.len();
    secrets.truncate(MAX_SECRETS);
    SecretsView { secrets, n_secrets, n_files }
}

/// Resident memory of a process; 0 where the system does not say.
pub(crate) fn rss_bytes(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Threads, file handles and milliseconds of processor time; zeros where the system does not say.
fn own_process() -> (usize, usize, u64) {
    let entries = |folder: &str| std::fs::read_dir(folder).map_or(0, Iterator::count);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may contain anything; a tick is a hundredth of a second on Linux.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // The folder itself is a handle while it is read.
    (entries("/proc/self/task"), entries("/proc/self/fd").saturating_sub(1), ticks * 10)
}

pub(crate) fn cancelled() -> ApiError {
    ApiError { code: ErrorCode::Cancelled, message: "cancelled by the client".to_owned() }
}
