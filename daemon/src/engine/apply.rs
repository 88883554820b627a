//! From what may have changed to a new snapshot: looks, reads, applies, and makes way for the user.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock, atomic::Ordering},
    time::{Duration, Instant},
};

use fovea_indexer::{Cancel, ContentHash, FileChange, writer::IndexError};
use rayon::prelude::*;

use super::{
    files::{Candidate, Found, Known, Outcome, Overwritten},
    links, power,
    run::Engine,
};
use crate::{
    budget,
    config::OnBattery,
    guard::Refused,
    walk::{Rules, is_transient},
};

/// Quiet time after a publish before the index is made durable.
const COMMIT_QUIET: Duration = Duration::from_millis(500);
/// While saves go on without such a pause.
const MAX_COMMIT_WAIT: Duration = Duration::from_secs(5);
/// After a walk that could not see everything.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The first batch of a scan is small, so that something is searchable soon; each is twice the last.
const FIRST_BATCH_FILES: usize = 128;
const MAX_BATCH_FILES: usize = 8_192;
const MAX_BATCH_BYTES: u64 = 8 << 20;
/// Parsing this much leaves enough behind in the allocator to be worth giving back.
const GIVE_BACK_BYTES: u64 = 2 << 20;
/// Indexing of many files rests until nobody typed for this long.
const TYPING_PAUSE: Duration = Duration::from_millis(400);
/// But goes on after this long.
const MAX_REST: Duration = Duration::from_secs(2);

impl Engine<'_> {
    pub(super) fn scan(
        &mut self,
        folder: &str,
        deep: bool,
        forced: &std::collections::HashSet<String>,
    ) -> Found {
        let rules = self.shared.rules.load_full();
        let (root, watch) = (&self.shared.root, &mut self.watch);
        let found = self.files.scan(&rules, folder, deep, forced, &mut |folder, counts| {
            let Some(watch) = watch else { return };
            let folder = root.join(folder);
            if counts { watch.add(&folder) } else { watch.remove(&folder) }
        });
        if found.new_folders > 0 {
            self.update_watching();
        }
        found
    }

    /// Looks at everything that may have changed, and applies what did.
    pub(super) fn look(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        if dirty.is_empty() {
            return;
        }
        if dirty.settings {
            self.load_settings();
            dirty.all = true;
        }
        if dirty.rules && !self.files.linked().is_empty() {
            dirty.forced.extend(self.files.linked().iter().cloned());
            dirty.all = true;
        }
        if dirty.all {
            dirty.folders = [(String::new(), true)].into();
            self.watch_exclude();
        }
        let mut found = Found::default();
        for (folder, deep) in &dirty.folders {
            // Looked at with its parent, or gone.
            if !folder.is_empty() && !self.files.has_folder(folder) {
                continue;
            }
            let more = self.scan(folder, *deep, &dirty.forced);
            found.extend(more);
        }
        self.apply_found(found);
        self.close_excluded();
    }

    /// Rules that came later hold for open documents too.
    fn close_excluded(&mut self) {
        let rules = self.shared.rules.load_full();
        let open = self.shared.lock().documents.paths();
        let files = &self.files;
        // The tree is looked at only where the saved file is kept out and has other names.
        let may_be_linked = |path: &str| {
            files.linked().contains(path)
                && files.get(path).is_some_and(|file| matches!(file.outcome, Outcome::Skipped(_)))
        };
        let is_excluded = |path: &String| {
            rules.why_excluded(path).is_some()
                || links::behind_link(&rules, path).is_some()
                || may_be_linked(path) && links::leads_elsewhere(&rules, path).is_some()
        };
        let excluded: Vec<String> = open.into_iter().filter(is_excluded).collect();
        for path in excluded {
            self.shared.lock().documents.close_for_all(&path);
            self.has_buffers = true;
        }
        if std::mem::take(&mut self.has_buffers) {
            self.apply_buffers();
        }
    }

    /// Walks everything a little later.
    fn look_again(&mut self) {
        let due = Instant::now() + LOOK_AGAIN;
        self.poll_due = Some(self.poll_due.map_or(due, |poll| poll.min(due)));
    }

    fn load_settings(&self) {
        let loaded = super::load(&self.options.layers.with_root(&self.shared.root));
        let (rules, problems) = Rules::new(&self.shared.root, &loaded.config.index);
        self.shared.rules.store(Arc::new(rules));
        self.shared.loaded.store(Arc::new(loaded));
        self.shared.update(|state| state.config_problems = problems);
    }

    /// Reads and applies what a scan found; true if anything changed.
    pub(super) fn apply_found(&mut self, mut found: Found) -> bool {
        self.shared.update(|state| {
            found.unskipped.iter().for_each(|path| drop(state.skipped.remove(path)));
            state.skipped.extend(std::mem::take(&mut found.skipped));
        });
        let n_total = found.candidates.len();
        if !found.candidates.is_empty() || !found.removed.is_empty() {
            self.shared.update(|state| (state.n_done, state.n_total) = (0, n_total));
        }
        if found.is_incomplete {
            tracing::warn!(root = %self.shared.root.display(), "out of file handles or memory");
            self.look_again();
        }
        let mut is_changed = !found.removed.is_empty();
        let removed = found.removed.iter().map(|path| FileChange::Removed { path: path.clone() });
        if is_changed && !self.apply(removed.collect()) {
            return false;
        }
        self.purge.note(&mut self.writer);
        let (mut rest, mut max_files, mut n_done) =
            (found.candidates.as_slice(), FIRST_BATCH_FILES, 0);
        while !rest.is_empty() && !self.shared.is_stopping() {
            let (batch, tail) = rest.split_at(batch_len(rest, max_files));
            rest = tail;
            max_files = (max_files * 2).min(MAX_BATCH_FILES);
            let started = Instant::now();
            let changes = self.read(batch);
            if !changes.is_empty() {
                is_changed = true;
                if !self.apply(changes) {
                    self.forget_candidates(batch);
                    self.forget_candidates(rest);
                    return false;
                }
            }
            n_done += batch.len();
            if batch.iter().map(|candidate| candidate.n_bytes).sum::<u64>() >= GIVE_BACK_BYTES {
                budget::give_back();
            }
            self.shared.update(|state| (state.stage, state.n_done) = ("parse", n_done));
            self.apply_buffers();
            if !rest.is_empty() {
                self.make_way(started.elapsed());
            }
        }
        if self.shared.is_stopping() {
            self.forget_candidates(rest);
        }
        // What was read may have to go as well: by another of its names, or because it became binary.
        self.purge.note(&mut self.writer);
        is_changed
    }

    /// What was not applied is read again by the next scan.
    fn forget_candidates(&mut self, candidates: &[Candidate]) {
        for candidate in candidates {
            self.files.remove(&candidate.path);
        }
    }

    /// Reads candidates in parallel; notes each one's outcome and returns what the index must learn.
    fn read(&mut self, batch: &[Candidate]) -> Vec<FileChange> {
        let shared = Arc::clone(self.shared);
        let texts: Vec<_> = self
            .options
            .pool
            .install(|| batch.par_iter().map(|candidate| shared.read(&candidate.path)).collect());
        let linked = self.linked(batch);
        let max_files = self.shared.loaded.load().config.index.max_files;
        let mut changes = Vec::new();
        let mut skipped = Vec::new();
        for (Candidate { path, stat, n_bytes, .. }, text) in batch.iter().zip(texts) {
            let before = self.files.get(path).map(|known| known.outcome.clone());
            let was_indexed = match &before {
                Some(Outcome::Indexed(hash)) => Some(*hash),
                _ => None,
            };
            let text = match text {
                Ok(_) if before.is_none() && self.files.n_files() >= max_files => {
                    Err(format!("the workspace has more than {max_files} files (index.max-files)"))
                }
                Ok(_) if linked.contains_key(path) => Err(linked[path].clone()),
                Ok(text) => Ok(text),
                Err(Refused::Gone) => {
                    self.files.remove(path);
                    if was_indexed.is_some() {
                        changes.push(FileChange::Removed { path: path.clone() });
                    }
                    skipped.push((path, None));
                    continue;
                }
                // Its next write tells, and until then what was read before stands.
                Err(Refused::Changing) => {
                    if before.is_none() {
                        self.files.remove(path);
                    }
                    continue;
                }
                // As if it had not been looked at: out of file handles, for the moment.
                Err(Refused::Unreadable(err)) if is_transient(&err) => {
                    if before.is_none() {
                        self.files.remove(path);
                    }
                    self.look_again();
                    continue;
                }
                Err(refused) => Err(refused.to_string()),
            };
            let mut redacted = Vec::new();
            let outcome = match text {
                Ok(guarded) => {
                    redacted = Overwritten::all_of(&guarded);
                    let text = guarded.text;
                    let hash = ContentHash::of(text.as_bytes());
                    if was_indexed != Some(hash) {
                        changes.push(FileChange::Saved { path: path.clone(), text });
                    }
                    skipped.push((path, None));
                    Outcome::Indexed(hash)
                }
                Err(reason) => {
                    if was_indexed.is_some() {
                        changes.push(FileChange::Removed { path: path.clone() });
                    }
                    skipped.push((path, Some(reason.clone())));
                    Outcome::Skipped(reason)
                }
            };
            let stat = stat.settled();
            self.files.set(path, Known { stat, n_bytes: *n_bytes, outcome, redacted });
        }
        self.shared.update(|state| {
            for (path, reason) in skipped {
                match reason {
                    Some(reason) => drop(state.skipped.insert(path.clone(), reason)),
                    None => drop(state.skipped.remove(path)),
                }
            }
        });
        changes
    }

    /// Candidates that have another name, and that one is excluded; and why that keeps them out.
    fn linked(&self, batch: &[Candidate]) -> BTreeMap<String, String> {
        let mut suspects: HashMap<(u64, u64), Vec<String>> = HashMap::new();
        for candidate in batch.iter().filter(|candidate| candidate.is_linked) {
            if let Some(id) = links::identity(&self.shared.root.join(&candidate.path)) {
                suspects.entry(id).or_default().push(candidate.path.clone());
            }
        }
        links::excluded_elsewhere(&self.shared.rules.load(), &suspects)
    }

    /// Durable when it is quiet, and in any case soon: steady saves must not put it off for ever.
    fn plan_commit(&mut self) {
        let now = Instant::now();
        let first = *self.uncommitted_since.get_or_insert(now);
        self.commit_due = Some((now + COMMIT_QUIET).min(first + MAX_COMMIT_WAIT));
    }

    /// Between two batches of many files: lets the user type, and rests on battery, unless somebody
    /// without an editor waits for the index. The text that is typed is indexed meanwhile.
    fn make_way(&mut self, batch_took: Duration) {
        let config = self.shared.loaded.load().config.daemon.clone();
        let started = Instant::now();
        let rest = match config.on_battery {
            OnBattery::Slow if power::is_on_battery() => batch_took.min(MAX_REST),
            _ => Duration::ZERO,
        };
        loop {
            let typed = self.shared.typed.load_full();
            let pause = typed.map(|at| TYPING_PAUSE.saturating_sub(at.elapsed()));
            let pause = pause.unwrap_or_default().max(rest.saturating_sub(started.elapsed()));
            let is_waited_for = self.shared.n_waiting.load(Ordering::Relaxed) > 0;
            if pause.is_zero()
                || is_waited_for
                || self.shared.is_stopping()
                || started.elapsed() >= MAX_REST
            {
                return;
            }
            // An edit ends the wait and is applied at once.
            let state = self.shared.lock();
            drop(self.shared.wait(state, pause.min(MAX_REST)));
            self.apply_buffers();
        }
    }

    /// Applies and publishes; false if the previous snapshot had to stay.
    fn apply(&mut self, changes: Vec<FileChange>) -> bool {
        let shared = Arc::clone(self.shared);
        let cancel = Cancel::when(move || shared.is_stopping());
        let writer = &mut self.writer;
        // Over its budget the process works on one file at a time.
        let is_over = self.options.budget.is_over();
        let applied = if is_over {
            one_thread().install(|| writer.apply(changes, &mut |_| {}, &cancel))
        } else {
            self.options.pool.install(|| writer.apply(changes, &mut |_| {}, &cancel))
        };
        self.options.budget.note_growth();
        match applied {
            Ok(snapshot) => {
                self.shared.publish(snapshot);
                self.plan_commit();
                true
            }
            Err(IndexError::Cancelled { .. }) => false,
            Err(err) => {
                self.fail(&err);
                false
            }
        }
    }

    pub(super) fn apply_buffers(&mut self) {
        let documents = self.shared.lock().documents.begin();
        if documents.is_empty() {
            return;
        }
        let changes = documents.into_iter().map(|(path, text)| match text {
            Some(text) => FileChange::Edited { path, text },
            None => FileChange::Closed { path },
        });
        let due = (self.commit_due, self.uncommitted_since);
        self.apply(changes.collect());
        // Unsaved text is never made durable, so typing alone writes nothing.
        (self.commit_due, self.uncommitted_since) = due;
        self.shared.update(|state| state.documents.end());
    }
}

/// For a process that is over its memory budget. Not one of its tasks waits for another.
fn one_thread() -> &'static rayon::ThreadPool {
    static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
    POOL.get_or_init(|| crate::service::background_pool(1))
}

fn batch_len(candidates: &[Candidate], max_files: usize) -> usize {
    let mut n_bytes = 0;
    let fits = candidates.iter().take(max_files).take_while(|candidate| {
        let fits = n_bytes < MAX_BATCH_BYTES;
        n_bytes += candidate.n_bytes;
        fits
    });
    fits.count().max(1)
}
