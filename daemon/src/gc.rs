//! Removes what is on disk and nobody uses: indexes of workspaces, facts, sockets of daemons that ended.
//!
//! What is in use by any process is never removed. An index is first renamed, so that a process that
//! is killed halfway leaves nothing that looks like one. Everything that goes can be made again from
//! the files.

use std::{
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use fovea_api::{CollectedIndex, CollectedView};

use crate::{
    dirs::Dirs,
    store::{SqliteFacts, today},
};

/// What may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// 0 means no limit.
    pub max_bytes: u64,
    /// 0 means for ever.
    pub unused_days: u64,
}

/// The index of a workspace whose folder is gone is kept this long: it may lie on a disk that is not
/// plugged in.
const GONE_DAYS: u64 = 7;

/// Sockets of other builds are looked at when they are older than this.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 3_600);

/// Names the root that an index belongs to; its date is that of the last use.
const ROOT_NAME: &str = "root";

/// Ends the name of a folder that is being removed.
const REMOVED: &str = "removed";

/// Notes that the index in `folder` is used for `root` now.
pub(crate) fn note_use(folder: &Path, root: &Path) {
    let note = folder.join(ROOT_NAME);
    let noted = match fs::read(&note) {
        Ok(bytes) if bytes == root.as_os_str().as_bytes() => fs::File::options()
            .append(true)
            .open(&note)
            .and_then(|file| file.set_modified(SystemTime::now())),
        _ => fs::write(&note, root.as_os_str().as_bytes()),
    };
    if let Err(err) = noted {
        tracing::debug!(%err, "the last use of an index is not noted");
    }
}

/// One index on disk.
struct Index {
    root: Option<PathBuf>,
    folder: PathBuf,
    n_bytes: u64,
    unused_days: u64,
}

impl Index {
    fn read(folder: PathBuf) -> Self {
        let note = folder.join(ROOT_NAME);
        let root = fs::read(&note).ok().map(|bytes| std::ffi::OsString::from_vec(bytes).into());
        let used = [note, folder.join("files"), folder.clone()]
            .iter()
            .find_map(|path| fs::metadata(path).ok()?.modified().ok());
        let age = used.and_then(|used| used.elapsed().ok()).unwrap_or_default();
        Self { root, n_bytes: folder_bytes(&folder), unused_days: age.as_secs() / 86_400, folder }
    }

    /// True if a process, this one or another, has it open for writing.
    fn is_used(&self) -> bool {
        is_locked(&self.folder.join("index").join(fovea_indexer::writer::LOCK))
    }

    fn is_gone(&self) -> bool {
        self.root.as_ref().is_some_and(|root| !root.is_dir())
    }
}

/// True if a process holds the lock.
fn is_locked(path: &Path) -> bool {
    let Ok(file) = fs::File::options().read(true).write(true).open(path) else { return false };
    matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))
}

/// What is to go.
struct Plan {
    indexes: Vec<(Index, &'static str)>,
    n_indexes: usize,
    oldest_day: i64,
    facts_max_bytes: u64,
    n_facts: u64,
    facts_bytes: u64,
    facts_bytes_before: u64,
    n_bytes_before: u64,
}

fn plan(dirs: &Dirs, facts: Option<&SqliteFacts>, limits: Limits) -> Plan {
    let mut stays: Vec<Index> = folders(&dirs.workspaces()).map(Index::read).collect();
    let n_indexes = stays.len();
    let mut days = facts.map(SqliteFacts::use_by_day).unwrap_or_default();
    let facts_bytes_before: u64 = days.iter().map(|day| day.n_bytes).sum();
    let n_bytes_before = facts_bytes_before + stays.iter().map(|index| index.n_bytes).sum::<u64>();
    let mut indexes = Vec::new();

    let why = |index: &Index| match limits.unused_days {
        _ if index.is_gone() && index.unused_days >= GONE_DAYS => Some("gone"),
        days if days > 0 && index.unused_days >= days => Some("unused"),
        _ => None,
    };
    let why = |index: &Index| why(index).filter(|_| !index.is_used());
    for index in std::mem::take(&mut stays) {
        match why(&index) {
            Some(reason) => indexes.push((index, reason)),
            None => stays.push(index),
        }
    }
    let unused_days = i64::try_from(limits.unused_days).unwrap_or(i64::MAX);
    let oldest_day = if unused_days == 0 { 0 } else { today().saturating_sub(unused_days) };
    let (mut n_facts, mut facts_bytes) = (0, 0);
    days.retain(|day| {
        let is_old = day.day < oldest_day;
        if is_old {
            n_facts += day.n_values;
            facts_bytes += day.n_bytes;
        }
        !is_old
    });

    // For space, what was used longest ago goes, be it an index or facts.
    let mut facts_max_bytes = u64::MAX;
    if limits.max_bytes > 0 {
        let mut facts_left: u64 = days.iter().map(|day| day.n_bytes).sum();
        let mut n_bytes = facts_left + stays.iter().map(|index| index.n_bytes).sum::<u64>();
        stays.sort_by_key(|index| std::cmp::Reverse(index.unused_days));
        let is_small = n_bytes <= limits.max_bytes;
        let mut stays = stays.into_iter().filter(|index| !is_small && !index.is_used()).peekable();
        let mut days = days.into_iter().peekable();
        while n_bytes > limits.max_bytes {
            let index_day = stays.peek().map(|index| today() - index.unused_days as i64);
            match (index_day, days.peek().map(|day| day.day)) {
                (None, None) => break,
                (Some(index_day), facts_day) if facts_day.is_none_or(|day| index_day <= day) => {
                    let index = stays.next().expect("peeked");
                    n_bytes -= index.n_bytes;
                    indexes.push((index, "space"));
                }
                _ => {
                    let day = days.next().expect("peeked");
                    let n_too_many = (n_bytes - limits.max_bytes).min(day.n_bytes);
                    n_bytes -= n_too_many;
                    facts_left -= n_too_many;
                    facts_max_bytes = facts_left;
                    facts_bytes += n_too_many;
                    // Values are of different sizes; an estimate until they are removed.
                    n_facts += (day.n_values * n_too_many).div_ceil(day.n_bytes.max(1));
                }
            }
        }
    }
    Plan {
        indexes,
        n_indexes,
        oldest_day,
        facts_max_bytes,
        n_facts,
        facts_bytes,
        facts_bytes_before,
        n_bytes_before,
    }
}

/// Removes what `limits` do not allow to stay, or says what that would be. `claim` renames the index
/// folder of a root unless this process has it open.
pub fn collect(
    dirs: &Dirs,
    facts: Option<&SqliteFacts>,
    limits: Limits,
    dry_run: bool,
    claim: &dyn Fn(&Path, &Path) -> bool,
) -> CollectedView {
    let plan = plan(dirs, facts, limits);
    let leftovers = leftovers(dirs);
    let mut view = CollectedView {
        is_dry_run: dry_run,
        n_facts: plan.n_facts,
        facts_bytes: plan.facts_bytes,
        n_leftovers: leftovers.len(),
        n_bytes_before: plan.n_bytes_before,
        n_indexes_before: plan.n_indexes,
        ..CollectedView::default()
    };
    for (index, reason) in plan.indexes {
        if !dry_run {
            let aside = index.folder.with_extension(REMOVED);
            if !claim(&index.folder, &aside) {
                continue;
            }
            if let Err(err) = fs::remove_dir_all(&aside) {
                tracing::warn!(%err, folder = %aside.display(), "an unused index is not removed");
            }
        }
        let Index { root, folder, n_bytes, unused_days, .. } = index;
        let reason = reason.to_owned();
        view.indexes.push(CollectedIndex { root, folder, n_bytes, unused_days, reason });
    }
    if !dry_run {
        leftovers.iter().for_each(|path| remove(path));
        if let Some(facts) = facts.filter(|_| plan.n_facts > 0) {
            match facts.collect(plan.oldest_day, plan.facts_max_bytes) {
                Ok(n_removed) => view.n_facts = n_removed,
                Err(err) => tracing::warn!(%err, "facts that are not used are not removed"),
            }
            view.facts_bytes = plan.facts_bytes_before.saturating_sub(facts.n_bytes());
        }
    }
    let indexes_bytes: u64 = view.indexes.iter().map(|index| index.n_bytes).sum();
    view.n_bytes_after = plan.n_bytes_before.saturating_sub(indexes_bytes + view.facts_bytes);
    view
}

/// Sockets and locks of builds that no process runs any more, and folders whose removal was cut off.
fn leftovers(dirs: &Dirs) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = entries(&dirs.workspaces())
        .filter(|path| path.extension().is_some_and(|extension| extension == REMOVED))
        .collect();
    let own = dirs.daemon_lock();
    for lock in entries(&dirs.runtime) {
        let is_lock = lock.extension().is_some_and(|extension| extension == "lock");
        let is_old = fs::metadata(&lock)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFTOVER_AGE));
        if is_lock && is_old && lock != own && !is_locked(&lock) {
            let socket = lock.with_extension("sock");
            found.extend(socket.exists().then_some(socket));
            found.push(lock);
        }
    }
    found
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(err) = removed {
        tracing::debug!(%err, path = %path.display(), "a leftover stays");
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Folders that hold an index.
fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    entries(folder).filter(|path| {
        path.is_dir() && path.extension().is_none_or(|extension| extension != REMOVED)
    })
}

/// Bytes of all files in and below `folder`.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let mut n_bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => n_bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    n_bytes
}

#[cfg(test)]
mod tests {
    use fovea_indexer::{
        ContentHash, Language,
        writer::{FactsKey, FactsKind, FactsStore},
    };

    use super::*;

    struct Home {
        temp: tempfile::TempDir,
        dirs: Dirs,
        facts: SqliteFacts,
    }

    impl Home {
        fn new() -> Self {
            let temp = tempfile::tempdir().expect("temporary folder");
            let dirs = Dirs::below(temp.path());
            fs::create_dir_all(dirs.workspaces()).expect("made");
            fs::create_dir_all(&dirs.runtime).expect("made");
            let facts = SqliteFacts::open(&dirs.facts()).expect("opens");
            Self { temp, dirs, facts }
        }

        /// An index of 1,000 bytes for a root that exists, last used so many days ago.
        fn index(&self, name: &str, unused_days: u64) -> PathBuf {
            let root = self.temp.path().join(name);
            fs::create_dir(&root).expect("made");
            let folder = self.dirs.workspace(&root);
            fs::create_dir_all(folder.join("index/lexical")).expect("made");
            fs::write(folder.join("index/terms"), [7; 1_000]).expect("written");
            note_use(&folder, &root);
            let at = SystemTime::now() - Duration::from_secs(unused_days * 86_400 + 60);
            let note = fs::File::options().append(true).open(folder.join(ROOT_NAME));
            note.and_then(|note| note.set_modified(at)).expect("ours");
            folder
        }

        fn put_facts(&self, n: usize) {
            let key = |i: usize| FactsKey {
                content: ContentHash::of(&i.to_le_bytes()),
                version: 1,
                kind: FactsKind::Facts(Language::Rust),
            };
            self.facts.put((0..n).map(|i| (key(i), vec![i as u8; 100])).collect());
        }

        fn collect(&self, max_bytes: u64, unused_days: u64, dry_run: bool) -> String {
            let claim = |folder: &Path, aside: &Path| fs::rename(folder, aside).is_ok();
            let limits = Limits { max_bytes, unused_days };
            let view = collect(&self.dirs, Some(&self.facts), limits, dry_run, &claim);
            let mut lines: Vec<String> = view
                .indexes
                .iter()
                .map(|index| {
                    let root = index.root.as_ref().and_then(|root| root.file_name());
                    format!("{} {}", root.unwrap_or_default().display(), index.reason)
                })
                .collect();
            lines.sort();
            if view.n_facts > 0 {
                lines.push(format!("{} facts", view.n_facts));
            }
            lines.join(", ")
        }
    }

    #[test]
    fn what_was_not_used_for_long_goes_and_a_dry_run_only_says_so() {
        let home = Home::new();
        let (old, new) = (home.index("old", 70), home.index("new", 3));
        assert_eq!(home.collect(0, 60, true), "old unused");
        assert!(old.is_dir());
        assert_eq!(home.collect(0, 60, false), "old unused");
        assert!(!old.exists() && new.is_dir());
        assert_eq!(entries(&home.dirs.workspaces()).count(), 1, "nothing is left of it");
        assert_eq!(home.collect(0, 0, false), "");
    }

    #[test]
    fn the_index_of_a_folder_that_is_gone_waits_a_week() {
        let home = Home::new();
        let (recent, long) = (home.index("recent", 2), home.index("long", 9));
        for name in ["recent", "long"] {
            fs::remove_dir(home.temp.path().join(name)).expect("removed");
        }
        assert_eq!(home.collect(0, 60, false), "long gone");
        assert!(recent.is_dir() && !long.exists());
    }

    #[test]
    fn an_index_in_use_stays() {
        let home = Home::new();
        let used = home.index("used", 99);
        let lock = used.join("index").join(fovea_indexer::writer::LOCK);
        let lock = fs::File::create(lock).expect("made");
        lock.try_lock().expect("free");
        assert_eq!(home.collect(1, 60, false), "");
        drop(lock);
        assert_eq!(home.collect(1, 60, false), "used unused");
    }

    #[test]
    fn for_space_the_longest_unused_goes_first() {
        let home = Home::new();
        for (name, days) in [("a", 1), ("b", 5), ("c", 9)] {
            home.index(name, days);
        }
        home.put_facts(50);
        // Each index has its 1,000 bytes and the root's name.
        let facts_bytes = home.facts.n_bytes();
        assert_eq!(home.collect(facts_bytes + 2_400, 60, true), "c space");
        assert_eq!(home.collect(facts_bytes + 1_200, 60, true), "b space, c space");
        let some = home.collect(facts_bytes / 2, 60, false);
        assert!(
            some.starts_with("a space, b space, c space, ") && some.ends_with(" facts"),
            "{some}"
        );
        let left = home.facts.n_bytes();
        assert!(left <= facts_bytes / 2 && left > facts_bytes / 4, "{left} of {facts_bytes}");
        assert_eq!(home.collect(facts_bytes / 2, 60, true), "");
    }

    #[test]
    fn what_a_cut_off_removal_and_daemons_of_other_builds_left_goes() {
        let home = Home::new();
        fs::create_dir(home.dirs.workspaces().join("x-1.removed")).expect("made");
        let old = SystemTime::now() - 2 * LEFTOVER_AGE;
        let lock = |name: &str| {
            let file = fs::File::create(home.dirs.runtime.join(name)).expect("made");
            file.set_modified(old).expect("ours");
            file
        };
        let (_dead, running) = (lock("1.0-dead.lock"), lock("1.0-running.lock"));
        running.try_lock().expect("free");
        fs::write(home.dirs.runtime.join("1.0-dead.sock"), "").expect("written");
        home.collect(0, 0, false);
        let left: Vec<_> = entries(&home.dirs.runtime).collect();
        assert_eq!(left, [home.dirs.runtime.join("1.0-running.lock")]);
        assert_eq!(entries(&home.dirs.workspaces()).count(), 0);
    }
}
