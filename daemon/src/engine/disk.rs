//! Collects what may have changed on disk until it is time to look.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::files::{Files, folder_of};
use crate::{
    config::WORKSPACE_FILE,
    walk::{GIT_EXCLUDE, IGNORE_FILES, Rules},
};

/// Changes that come without a pause are looked at after this many quiet times.
const MAX_QUIET_TIMES: u32 = 10;

/// Folders changed beyond which one walk of everything is cheaper.
const MAX_FOLDERS: usize = 2_000;

/// While git holds its index lock the tree is in flux; a lock that stays is a leftover of a crash.
const MAX_GIT_WAIT: Duration = Duration::from_secs(10);
const GIT_CHECK: Duration = Duration::from_millis(50);

/// What to look at.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// Everything.
    pub(super) all: bool,
    /// Folders, and whether to look below them too.
    pub(super) folders: BTreeMap<String, bool>,
    /// Files to read whatever their stat identity says.
    pub(super) forced: HashSet<String>,
    /// The workspace's settings changed.
    pub(super) settings: bool,
    /// Rules may exclude other files than before; by another of its names any file with several.
    pub(super) rules: bool,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Dirty {
    pub(super) fn is_empty(&self) -> bool {
        !self.all && !self.settings && self.folders.is_empty()
    }

    /// Changes to report as pending; at least one unless empty.
    pub(super) fn n(&self) -> usize {
        let n = self.forced.len().max(self.folders.len());
        n.max(usize::from(self.all || self.settings))
    }

    pub(super) fn add_all(&mut self, now: Instant) {
        self.all = true;
        self.touch(now);
    }

    fn touch(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// Takes note of one path that may have changed.
    pub(super) fn add(&mut self, path: &Path, rules: &Rules, files: &Files, now: Instant) {
        let Some(relative) = rules.relative(path) else { return };
        if relative.is_empty() {
            return self.add_all(now);
        }
        if relative == GIT_EXCLUDE || relative == ".git/info" {
            self.rules = true;
            return self.add_all(now);
        }
        if relative == ".git" || relative.starts_with(".git/") {
            return;
        }
        let folder = folder_of(&relative).to_owned();
        let name = relative.rsplit('/').next().unwrap_or(&relative);
        if relative == WORKSPACE_FILE {
            (self.settings, self.rules) = (true, true);
        } else if IGNORE_FILES.contains(&name) {
            self.rules = true;
            *self.folders.entry(folder).or_default() = true;
        } else if files.has_folder(&relative) {
            self.folders.entry(folder).or_default();
            *self.folders.entry(relative).or_default() = true;
        } else {
            // In a folder that does not count yet, or never will: the nearest one that does decides.
            let mut known = folder.as_str();
            while !known.is_empty() && !files.has_folder(known) {
                known = folder_of(known);
            }
            let is_direct = known == folder;
            self.folders.entry(known.to_owned()).or_default();
            // A new name of a file that has one already, which no event tells of. The new one may be
            // excluded.
            if files.get(&relative).is_none() && super::links::identity(path).is_some() {
                self.all = true;
            }
            if is_direct {
                self.forced.insert(relative);
            }
        }
        self.touch(now);
        if self.folders.len() > MAX_FOLDERS {
            self.all = true;
        }
    }

    /// When to look, given the quiet time and git's lock.
    pub(super) fn due(&self, quiet: Duration, git: &GitLock, now: Instant) -> Option<Instant> {
        let (first, last) = (self.first?, self.last?);
        let due = (last + quiet).min(first + quiet * MAX_QUIET_TIMES);
        if now >= due && git.is_held() && now < first + MAX_GIT_WAIT {
            return Some(now + GIT_CHECK);
        }
        Some(due)
    }
}

/// Git's lock of the working tree's index. Only looked at, never taken.
pub(super) struct GitLock {
    lock: Option<PathBuf>,
}

impl GitLock {
    pub(super) fn new(root: &Path) -> Self {
        Self { lock: crate::watch::git_folder(root).map(|git| git.join("index.lock")) }
    }

    fn is_held(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IndexConfig;

    #[test]
    fn a_burst_is_looked_at_when_quiet_or_after_ten_quiet_times() {
        let (rules, _) = Rules::new(Path::new("/r"), &IndexConfig::default());
        let (mut dirty, files) = (Dirty::default(), Files::default());
        let git = GitLock { lock: None };
        let (start, quiet) = (Instant::now(), Duration::from_millis(30));
        assert_eq!(dirty.due(quiet, &git, start), None);
        dirty.add(Path::new("/r/a.rs"), &rules, &files, start);
        assert_eq!(dirty.due(quiet, &git, start), Some(start + quiet));
        dirty.add(Path::new("/r/b.rs"), &rules, &files, start + quiet * 12);
        assert_eq!(dirty.due(quiet, &git, start), Some(start + quiet * 10));
    }

    #[test]
    fn nothing_is_looked_at_while_git_changes_the_tree() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let lock = temp.path().join("index.lock");
        std::fs::write(&lock, "").expect("written");
        let (rules, _) = Rules::new(Path::new("/r"), &IndexConfig::default());
        let (mut dirty, files) = (Dirty::default(), Files::default());
        let git = GitLock { lock: Some(lock.clone()) };
        let (start, quiet) = (Instant::now(), Duration::from_millis(30));
        dirty.add(Path::new("/r/a.rs"), &rules, &files, start);
        let later = start + Duration::from_secs(1);
        assert_eq!(dirty.due(quiet, &git, later), Some(later + GIT_CHECK));
        std::fs::remove_file(lock).expect("removed");
        assert_eq!(dirty.due(quiet, &git, later), Some(start + quiet));
    }

    #[test]
    fn gits_own_files_are_no_change() {
        let (rules, _) = Rules::new(Path::new("/r"), &IndexConfig::default());
        let (mut dirty, files) = (Dirty::default(), Files::default());
        dirty.add(Path::new("/r/.git/index"), &rules, &files, Instant::now());
        dirty.add(Path::new("/elsewhere/a.rs"), &rules, &files, Instant::now());
        assert!(dirty.is_empty());
        dirty.add(Path::new("/r/.git/info/exclude"), &rules, &files, Instant::now());
        assert!(dirty.all, "its rules count for every file");
    }
}
