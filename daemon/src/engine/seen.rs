//! What one client sees where another has a newer unsaved text of the same file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fovea_indexer::{Generation, Snapshot};

use super::Workspace;

/// Clients that have such a text at the same time.
const MAX_KEPT: usize = 4;

/// Snapshots made for clients, of the newest generation only, so that no text outlives its file.
#[derive(Default)]
pub(super) struct Seen(Mutex<Vec<View>>);

struct View {
    session: u64,
    of: Generation,
    /// Edits that it shows.
    edits: Vec<u64>,
    snapshot: Arc<Snapshot>,
}

impl Seen {
    /// To be called with each new generation.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<View>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workspace {
    /// `snapshot`, with the client's own texts for files of which somebody else has a newer one.
    #[must_use]
    pub fn seen_by(&self, session: u64, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let hidden = self.shared.lock().documents.hidden(session);
        if hidden.is_empty() {
            return snapshot;
        }
        let of = snapshot.generation();
        let edits: Vec<u64> = hidden.iter().map(|(_, _, edit)| *edit).collect();
        let is_kept =
            |view: &&View| view.session == session && view.of == of && view.edits == edits;
        if let Some(view) = self.shared.seen.lock().iter().find(is_kept) {
            return Arc::clone(&view.snapshot);
        }
        let mut seen = Snapshot::clone(&snapshot);
        for (path, text, _) in &hidden {
            seen = seen.with_text(path, text).unwrap_or(seen);
        }
        let seen = Arc::new(seen);
        let mut kept = self.shared.seen.lock();
        kept.retain(|view| view.session != session && view.of == of);
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        // Else it was outdated while it was made, and nobody asks for it again.
        if self.shared.snapshot.load().as_ref().is_some_and(|newest| newest.generation() == of) {
            kept.push(View { session, of, edits, snapshot: Arc::clone(&seen) });
        }
        seen
    }
}
