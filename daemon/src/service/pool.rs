//! Threads for questions. Short ones share a few named threads; those that wait for indexing or the
//! model get one each, so that they hold up nobody.

use std::{
    num::NonZero,
    sync::OnceLock,
    thread::{self, available_parallelism},
};

use crossbeam_channel::{Sender, unbounded};

type Job = Box<dyn FnOnce() + Send>;

/// Starts its threads when first used.
#[derive(Default)]
pub(super) struct Pool {
    jobs: OnceLock<Sender<Job>>,
}

impl Pool {
    /// Short questions that wait for a thread.
    pub(super) fn n_queued(&self) -> usize {
        self.jobs.get().map_or(0, Sender::len)
    }

    /// Runs `job` soon on a thread of its kind.
    pub(super) fn spawn(&self, is_long: bool, job: impl FnOnce() + Send + 'static) {
        if !is_long {
            let sent = self.jobs.get_or_init(start).send(Box::new(job));
            return sent.expect("the pool's threads live as long as the channel");
        }
        let spawned = thread::Builder::new().name("fovea-long".into()).spawn(job);
        if let Err(err) = spawned {
            // The job is dropped and its client sees no answer until it gives up or cancels.
            tracing::error!(%err, "the system cannot start a thread");
        }
    }
}

fn start() -> Sender<Job> {
    let (sender, jobs) = unbounded::<Job>();
    // Some questions wait a moment for an edit to be applied, so more than one a core.
    let n_threads = available_parallelism().map_or(2, NonZero::get) * 2;
    for index in 0..n_threads.clamp(4, 16) {
        let jobs = jobs.clone();
        thread::Builder::new()
            .name(format!("fovea-query-{index}"))
            .spawn(move || jobs.iter().for_each(|job| job()))
            .expect("the system can start a thread");
    }
    sender
}
