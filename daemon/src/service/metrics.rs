//! What the daemon measures of itself: requests by method, how long they took, how many wait.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fovea_api::MethodView;

/// Latencies kept of each method; the quantiles are of these.
const N_KEPT: usize = 512;

#[derive(Default)]
pub(super) struct Metrics {
    methods: Mutex<BTreeMap<&'static str, Latencies>>,
    n_running: AtomicUsize,
}

#[derive(Default)]
struct Latencies {
    n: u64,
    n_failed: u64,
    /// Microseconds, newest last.
    kept: VecDeque<u32>,
}

/// Counts a request while it is answered.
pub(super) struct InFlight<'a>(&'a Metrics);

impl Metrics {
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.n_running.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    pub(super) fn note(&self, method: &'static str, took: Duration, is_ok: bool) {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let latencies = methods.entry(method).or_default();
        latencies.n += 1;
        latencies.n_failed += u64::from(!is_ok);
        if latencies.kept.len() == N_KEPT {
            latencies.kept.pop_front();
        }
        latencies.kept.push_back(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// Requests being answered now.
    pub(super) fn n_running(&self) -> usize {
        self.n_running.load(Ordering::Relaxed)
    }

    /// Most frequent first.
    pub(super) fn methods(&self) -> Vec<MethodView> {
        let methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let mut views: Vec<MethodView> = methods
            .iter()
            .map(|(method, latencies)| {
                let mut sorted: Vec<u32> = latencies.kept.iter().copied().collect();
                sorted.sort_unstable();
                let quantile = |percent: usize| {
                    let last = sorted.len().saturating_sub(1);
                    sorted.get(last * percent / 100).copied().unwrap_or_default()
                };
                MethodView {
                    method: (*method).to_owned(),
                    n: latencies.n,
                    n_failed: latencies.n_failed,
                    p50_us: quantile(50),
                    p99_us: quantile(99),
                    max_us: quantile(100),
                }
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.n));
        views
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.n_running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_newest_and_counts_of_all() {
        let metrics = Metrics::default();
        for _ in 0..600 {
            metrics.note("search", Duration::from_secs(9), false);
        }
        for micros in 1..=512 {
            metrics.note("search", Duration::from_micros(micros), true);
        }
        metrics.note("grep", Duration::from_micros(7), true);
        let views = metrics.methods();
        let names: Vec<&str> = views.iter().map(|view| view.method.as_str()).collect();
        assert_eq!(names, ["search", "grep"]);
        let search = &views[0];
        assert_eq!((search.n, search.n_failed), (1_112, 600));
        assert_eq!((search.p50_us, search.p99_us, search.max_us), (256, 506, 512));
    }

    #[test]
    fn requests_count_while_they_run() {
        let metrics = Metrics::default();
        let running = metrics.begin();
        assert_eq!(metrics.n_running(), 1);
        drop(running);
        assert_eq!(metrics.n_running(), 0);
    }
}
