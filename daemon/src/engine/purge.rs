//! When the bytes of removed files are taken out of every store, and what is still to be taken out
//! after a crash.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fovea_indexer::{IndexWriter, writer::Trace};

use super::versions::Versions;

/// A file that comes back soon (a branch is switched back, an editor writes by renaming) costs nothing.
const QUIET: Duration = Duration::from_secs(10);
/// Removals without a pause are purged after this long.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// A purge that failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(20);

pub(super) struct Purge {
    /// Names what is to be purged, for the next process.
    file: PathBuf,
    versions: Versions,
    n_noted: usize,
    first: Option<Instant>,
    due: Option<Instant>,
}

impl Purge {
    pub(super) fn new(folder: &Path) -> Self {
        let versions = Versions::open(folder);
        Self { file: folder.join("purge"), versions, n_noted: 0, first: None, due: None }
    }

    /// Takes over what an earlier process could not finish.
    pub(super) fn resume(&mut self, writer: &mut IndexWriter) {
        let Ok(bytes) = fs::read(&self.file) else { return };
        let traces: Vec<Trace> = postcard::from_bytes(&bytes).unwrap_or_default();
        writer.add_traces(traces);
        self.note(writer);
    }

    /// Files may have been replaced or removed. A removed one takes its earlier versions along.
    pub(super) fn note(&mut self, writer: &mut IndexWriter) {
        let given_up = self.versions.note(writer.take_replaced());
        let removed = writer.traces().get(self.n_noted..).unwrap_or_default();
        let paths: BTreeSet<String> = removed.iter().map(|trace| trace.path.clone()).collect();
        for path in paths {
            writer.add_traces(self.versions.take(&path));
        }
        writer.add_traces(given_up);
        let traces = writer.traces();
        if traces.len() == self.n_noted {
            return;
        }
        self.n_noted = traces.len();
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        self.due = Some((now + QUIET).min(first + MAX_WAIT));
        let bytes = postcard::to_allocvec(traces).expect("plain values encode");
        if let Err(err) = fs::write(&self.file, bytes) {
            tracing::warn!(%err, "a purge would not be finished after a crash");
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn done(&mut self) {
        let _ = fs::remove_file(&self.file);
        self.versions.rewrite();
        (self.n_noted, self.first, self.due) = (0, None, None);
    }

    pub(super) fn again(&mut self) {
        self.due = Some(Instant::now() + RETRY);
    }
}
