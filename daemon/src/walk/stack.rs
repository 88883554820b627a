//! The ignore files that count for a folder: its own and those of the folders above.
//!
//! Three kinds, each of which can only add to what the others exclude: a `!` takes back rules of its
//! own kind. Within a kind the nearest folder wins; what git keeps outside of the tree (of the clone,
//! of the user) yields to `.gitignore`. All of them are read through the gate.

use std::path::{Path, PathBuf};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder, Glob},
};

use super::{IGNORE_FILE, is_transient};
use crate::{
    dirs::foreign_owner,
    guard::{self, Refused},
};

/// By kind: ours, that of search programs, git's.
const KINDS: [&str; 3] = [IGNORE_FILE, ".ignore", ".gitignore"];
const GIT: usize = 2;

/// Rules of one folder.
struct Folder {
    kinds: [Option<Gitignore>; KINDS.len()],
    /// `.git/info/exclude`, where the folder is a repository.
    clone: Option<Gitignore>,
}

/// Why the rules of a folder are not known; what they would exclude is not, either.
pub(super) struct Unknown {
    pub(super) reason: String,
    /// It passes by itself.
    pub(super) is_transient: bool,
}

/// The rules of the root's outside and of a folder and all above it, outermost first.
pub(super) struct Stack {
    folders: Vec<Folder>,
    /// The user's own, for all repositories.
    user: Gitignore,
}

impl Stack {
    /// Of the folders above `root`, as far as they are of the same repository, and of the user.
    pub(super) fn above(root: &Path) -> Result<Self, Unknown> {
        let mut is_same_repository = !root.join(".git").exists();
        let mut folders = Vec::new();
        for folder in root.ancestors().skip(1) {
            let n_kinds = if is_same_repository { KINDS.len() } else { GIT };
            let mut rules = Folder { kinds: [const { None }; KINDS.len()], clone: None };
            for (rules, name) in rules.kinds.iter_mut().zip(KINDS).take(n_kinds) {
                // Above the root lie folders where others may write, as the system's temporary one.
                if foreign_owner(&folder.join(name)).is_none() {
                    *rules = read(folder, folder, name)?;
                }
            }
            if is_same_repository {
                rules.clone = of_clone(folder)?;
                is_same_repository = !folder.join(".git").exists();
            }
            folders.push(rules);
        }
        folders.reverse();
        Ok(Self { folders, user: GitignoreBuilder::new(root).build_global().0 })
    }

    /// Adds `folder`; with `present`, only files for which it is true are looked for.
    pub(super) fn push(
        &mut self,
        folder: &Path,
        present: &dyn Fn(&str) -> bool,
    ) -> Result<(), Unknown> {
        let mut rules = Folder { kinds: [const { None }; KINDS.len()], clone: None };
        for (rules, name) in rules.kinds.iter_mut().zip(KINDS) {
            if present(name) {
                *rules = read(folder, folder, name)?;
            }
        }
        if present(".git") {
            rules.clone = of_clone(folder)?;
        }
        self.folders.push(rules);
        Ok(())
    }

    pub(super) fn pop(&mut self) {
        self.folders.pop();
    }

    /// The pattern that excludes `path`.
    pub(super) fn excluding(&self, path: &Path, is_dir: bool) -> Option<&Glob> {
        for kind in 0..KINDS.len() {
            let nearest = self.folders.iter().rev();
            let in_tree = nearest.clone().filter_map(|folder| folder.kinds[kind].as_ref());
            let beside = nearest.filter_map(|folder| folder.clone.as_ref()).chain([&self.user]);
            let beside = beside.take(if kind == GIT { usize::MAX } else { 0 });
            let mut matches = in_tree.chain(beside).map(|rules| rules.matched(path, is_dir));
            if let Some(Match::Ignore(glob)) = matches.find(|found| !found.is_none()) {
                return Some(glob);
            }
        }
        None
    }
}

/// Of the clone in `folder`, whose `.git` may be a link of the user's own.
fn of_clone(folder: &Path) -> Result<Option<Gitignore>, Unknown> {
    match folder.join(".git").canonicalize() {
        Ok(git) if git.is_dir() => read(&git, folder, "info/exclude"),
        // A worktree or submodule: its rules lie elsewhere.
        _ => Ok(None),
    }
}

/// The rules at `name` in `at`, whose patterns are relative to `folder`. Valid lines count.
fn read(at: &Path, folder: &Path, name: &str) -> Result<Option<Gitignore>, Unknown> {
    let text = match guard::read_rules(at, name) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(refused) => {
            let is_transient = matches!(&refused, Refused::Unreadable(err) if is_transient(err));
            let shown =
                at.join(name).strip_prefix(folder).map_or_else(|_| name.into(), PathBuf::from);
            let reason = format!("its rules cannot be read: `{}`: {refused}", shown.display());
            return Err(Unknown { reason, is_transient });
        }
    };
    let mut builder = GitignoreBuilder::new(folder);
    let file = at.join(name);
    for line in text.trim_start_matches('\u{feff}').lines() {
        // The pattern is text of the repository: what is wrong with it is not logged.
        let _ = builder.add_line(Some(file.clone()), line);
    }
    Ok(builder.build().ok())
}
