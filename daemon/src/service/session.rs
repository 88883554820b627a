//! One client: its running requests, so that they can be cancelled and superseded.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use fovea_api::{Method, Request};
use fovea_context::Plan;
use fovea_indexer::Cancel;

use super::Service;
use crate::engine::Asked;

/// A connected client.
pub struct Session {
    service: Arc<Service>,
    id: u64,
    running: Mutex<HashMap<u64, Arc<StopFlag>>>,
    /// The newest completion of each document.
    newest: Mutex<HashMap<(Option<PathBuf>, String), u64>>,
    /// The last plan of each of the documents completed last, newest last.
    plans: Mutex<Vec<(PathBuf, Arc<Plan>)>>,
}

/// Documents whose last plan is kept.
const MAX_PLANS: usize = 8;

/// Set once; whoever runs the request may ask to be told.
#[derive(Default)]
struct StopFlag {
    is_set: AtomicBool,
    hooks: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl StopFlag {
    fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
        let hooks = std::mem::take(&mut *lock(&self.hooks));
        hooks.into_iter().for_each(|hook| hook());
    }

    fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }
}

/// One request between its arrival and its answer.
pub struct Running {
    session: Arc<Session>,
    id: u64,
    stop: Arc<StopFlag>,
    deadline: Option<Instant>,
    asked: Vec<Asked>,
}

impl Session {
    pub(super) fn new(service: Arc<Service>, id: u64) -> Arc<Self> {
        Arc::new(Self {
            service,
            id,
            running: Mutex::default(),
            newest: Mutex::default(),
            plans: Mutex::default(),
        })
    }

    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    #[must_use]
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Registers a request, in the order of arrival: later requests can cancel it from now on, and a
    /// completion supersedes the one before it for the same document.
    #[must_use]
    pub fn begin(self: &Arc<Self>, request: &Request) -> Running {
        let stop = Arc::<StopFlag>::default();
        let asked = self.service.asked(self.id, request);
        let mut running = lock(&self.running);
        if let Method::Complete { at, .. } = &request.method {
            let document = (request.root.clone(), at.path.clone());
            if let Some(older) = lock(&self.newest).insert(document, request.id)
                && let Some(stop) = running.get(&older)
            {
                stop.set();
            }
        }
        running.insert(request.id, Arc::clone(&stop));
        let deadline = request.deadline_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        Running { session: Arc::clone(self), id: request.id, stop, deadline, asked }
    }

    /// Stops a running request; one that is done or unknown is left alone.
    pub fn cancel(&self, id: u64) {
        if let Some(stop) = lock(&self.running).get(&id) {
            stop.set();
        }
    }

    /// Stops everything, because the client is gone.
    pub fn cancel_all(&self) {
        for stop in lock(&self.running).values() {
            stop.set();
        }
    }

    /// The plan of the last completion in a document, which the next one may build upon.
    pub(super) fn plan(&self, root: &Path, path: &str) -> Option<Arc<Plan>> {
        let plans = lock(&self.plans);
        let found = plans.iter().find(|(other, plan)| other == root && plan.path == path);
        found.map(|(_, plan)| Arc::clone(plan))
    }

    pub(super) fn remember_plan(&self, root: &Path, plan: Arc<Plan>) {
        let mut plans = lock(&self.plans);
        plans.retain(|(other, older)| other != root || older.path != plan.path);
        plans.push((root.to_owned(), plan));
        if plans.len() > MAX_PLANS {
            plans.remove(0);
        }
    }

    /// Requests not answered yet.
    #[must_use]
    pub fn n_running(&self) -> usize {
        lock(&self.running).len()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.service.end_session(self.id);
    }
}

impl Running {
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The documents it is about, as the client had them open when it asked.
    pub(super) fn asked_documents(&self) -> &[Asked] {
        &self.asked
    }

    /// True if the client does not want the answer any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop.is_set()
    }

    /// Calls `hook` when the client cancels, at once if it has.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        lock(&self.stop.hooks).push(Box::new(hook));
        if self.is_cancelled() {
            self.stop.set();
        }
    }

    /// When the answer stops being of use.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Stops at the deadline too.
    #[must_use]
    pub fn cancel(&self) -> Cancel {
        let (stop, deadline) = (Arc::clone(&self.stop), self.deadline);
        Cancel::when(move || stop.is_set() || deadline.is_some_and(|at| Instant::now() >= at))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.session.running).remove(&self.id);
        lock(&self.session.newest).retain(|_, id| *id != self.id);
    }
}

/// A panic of another thread leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
