//! The thread that gives a workspace the stronger embedder's vectors, behind everything else: one chunk
//! at a time, the likeliest to be asked for first. It ends with the workspace and sleeps while nothing
//! is missing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::Sender;
use fovea_indexer::{FileId, Snapshot, vector::FileVectors, writer::FactsStore};

use super::{
    Event,
    state::{Phase, Shared},
};
use crate::embedder::{EmbedderHost, HostEmbedder};

/// Vectors are handed over at least this often, so that searches profit while more are made.
const HAND_OVER: Duration = Duration::from_secs(2);
/// Files whose stored vectors are looked up at once.
const KNOWN_AT_ONCE: usize = 512;
/// After a failure of the embedder.
const PAUSE: Duration = Duration::from_secs(10);
/// A change is noticed by a notification; this is only in case one was missed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

pub(super) struct Filler {
    pub(super) shared: Arc<Shared>,
    pub(super) events: Sender<Event>,
    pub(super) facts: Arc<dyn FactsStore>,
    pub(super) host: Arc<EmbedderHost>,
}

enum Step {
    Progress,
    /// Until the next change.
    Nothing,
    Failed,
}

impl Filler {
    pub(super) fn run(self) {
        while !self.shared.is_stopping() {
            let Some(snapshot) = self.ready() else {
                self.wait(LOOK_AGAIN, |now| now.is_some());
                continue;
            };
            match self.step(&snapshot) {
                Step::Progress => {}
                Step::Nothing => {
                    let seen = Some(snapshot.generation().0);
                    drop(snapshot);
                    self.wait(LOOK_AGAIN, |now| now != seen);
                }
                Step::Failed => self.wait(PAUSE, |_| false),
            }
        }
    }

    /// The newest snapshot once the first scan is over.
    fn ready(&self) -> Option<Arc<Snapshot>> {
        let is_ready = self.shared.lock().phase == Phase::Ready;
        is_ready.then(|| self.shared.snapshot.load_full()).flatten()
    }

    fn step(&self, snapshot: &Snapshot) -> Step {
        if snapshot.upgrade_progress().is_none() {
            // After an engine started anew, too.
            return match HostEmbedder::new(&self.host) {
                Ok(embedder) => self.send(|done| Event::Upgrade(Arc::new(embedder), done)),
                Err(reason) => {
                    tracing::warn!(reason, "search goes by the embedded vectors");
                    Step::Nothing
                }
            };
        }
        let recent = self.shared.lock().documents.recent();
        let recent: Vec<FileId> =
            recent.iter().filter_map(|document| snapshot.file(&document.path)).collect();
        let missing = snapshot.upgrade_order(&recent);
        if missing.is_empty() {
            return Step::Nothing;
        }
        for files in missing.chunks(KNOWN_AT_ONCE) {
            let known = snapshot.upgrade_known(files, &*self.facts);
            if !known.is_empty() {
                return self.hand_over(known);
            }
        }
        let started = Instant::now();
        let mut failure = None;
        let mut embed = |text: &str| {
            if self.shared.is_stopping() {
                return None;
            }
            self.host.embed(text).map_err(|reason| failure = Some(reason)).ok()
        };
        let mut made = Vec::new();
        for file in missing {
            made.extend(snapshot.upgrade_file(file, &*self.facts, &mut embed));
            let is_stale = self.shared.snapshot.load().as_ref().map(|s| s.generation())
                != Some(snapshot.generation());
            if started.elapsed() > HAND_OVER || is_stale || self.shared.is_stopping() {
                break;
            }
        }
        let is_empty = made.is_empty();
        if let Some(reason) = failure {
            tracing::warn!(reason, root = %self.shared.root.display(), "vectors");
            self.hand_over(made);
            return Step::Failed;
        }
        // Texts that cannot be read now are noticed as changes.
        if is_empty { Step::Nothing } else { self.hand_over(made) }
    }

    fn hand_over(&self, vectors: Vec<FileVectors>) -> Step {
        if vectors.is_empty() {
            return Step::Nothing;
        }
        self.send(|done| Event::Vectors(vectors, done))
    }

    /// Sends, and waits until the engine has published.
    fn send(&self, event: impl FnOnce(Sender<()>) -> Event) -> Step {
        let (done, published) = crossbeam_channel::bounded(1);
        if self.events.send(event(done)).is_err() {
            return Step::Failed;
        }
        while !self.shared.is_stopping() {
            match published.recv_timeout(Duration::from_millis(200)) {
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                // An engine that ended drops the sender.
                Ok(()) | Err(_) => break,
            }
        }
        Step::Progress
    }

    /// Waits until `is_over` of the newest generation (if the first scan is over), or the time.
    fn wait(&self, time: Duration, is_over: impl Fn(Option<u64>) -> bool) {
        let until = Instant::now() + time;
        let mut state = self.shared.lock();
        loop {
            // Looked at under the lock, so that no notification falls between look and wait.
            let snapshot = self.shared.snapshot.load();
            let now = snapshot.as_ref().filter(|_| state.phase == Phase::Ready);
            let now = now.map(|snapshot| snapshot.generation().0);
            let left = until.saturating_duration_since(Instant::now());
            if self.shared.is_stopping() || left.is_zero() || is_over(now) {
                return;
            }
            state = self.shared.wait(state, left);
        }
    }
}
