//! Answers requests: the daemon's inside, without a socket. `--no-daemon` and tests use it in process.
//!
//! Each request runs under `catch_unwind`: a bug in one is answered as an error and the next works.

mod pool;
mod session;

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
    Answer, ApiError, DaemonStatus, ErrorCode, Event, Freshness, Method, Request, Response,
};

pub use session::{Running, Session};

use crate::{
    config::Layers,
    dirs::{Dirs, build_id},
};

/// What a service is made of.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    pub dirs: Dirs,
    /// Settings; each workspace adds its own file.
    pub layers: Layers,
    /// Where clients find us, for `status`; `None` in process.
    pub socket: Option<PathBuf>,
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
}

impl Service {
    #[must_use]
    pub fn new(options: ServiceOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            started: Instant::now(),
            n_sessions: AtomicUsize::new(0),
            next_session: AtomicU64::new(1),
            n_requests: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            pool: pool::Pool::default(),
        })
    }

    /// A new client. What it holds open is closed when the session is dropped.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> Arc<Session> {
        self.n_sessions.fetch_add(1, Ordering::Relaxed);
        Session::new(Arc::clone(self), self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn end_session(&self, _session: u64) {
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
    }

    /// Answers one request; blocks until the answer is there. `events` may be called meanwhile.
    pub fn handle(&self, running: &Running, request: Request, events: &dyn Fn(Event)) -> Response {
        let id = request.id;
        self.n_requests.fetch_add(1, Ordering::Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(running, request, events)));
        let (result, freshness) = outcome.unwrap_or_else(|_| {
            let log = self.options.dirs.log_file();
            let message = format!(
                "a bug ended this request; details are in `{}`, and the next request works",
                log.display()
            );
            (Err(ApiError { code: ErrorCode::Internal, message }), None)
        });
        Response { id, freshness, result }
    }

    fn answer(
        &self,
        running: &Running,
        request: Request,
        _events: &dyn Fn(Event),
    ) -> (Result<Answer, ApiError>, Option<Freshness>) {
        if running.is_cancelled() {
            return (Err(cancelled()), None);
        }
        let result = match request.method {
            Method::Status => Ok(Answer::Status { daemon: self.status(), workspace: None }),
            Method::Cancel { id } => {
                running.session().cancel(id);
                Ok(Answer::Done)
            }
            Method::Shutdown => {
                self.is_stopping.store(true, Ordering::Relaxed);
                Ok(Answer::Done)
            }
            _ => Err(ApiError {
                code: ErrorCode::Unavailable,
                message: "this build answers only status requests".to_owned(),
            }),
        };
        (result, None)
    }

    fn status(&self) -> DaemonStatus {
        DaemonStatus {
            build: build_id().to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            socket: self.options.socket.clone(),
            n_clients: self.n_sessions.load(Ordering::Relaxed),
            n_requests: self.n_requests.load(Ordering::Relaxed),
            ..DaemonStatus::default()
        }
    }
}

pub(crate) fn cancelled() -> ApiError {
    ApiError { code: ErrorCode::Cancelled, message: "cancelled by the client".to_owned() }
}
