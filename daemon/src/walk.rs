//! Which files of a root count: plain files that no rule excludes.
//!
//! Rules: `.gitignore` (with git's excludes), `.ignore`, `.foveaignore` (with the precedence of the crate
//! `ignore`), hidden names, and the configured excludes. Links are not followed. Folders are visited in
//! order, and every folder visited is reported before its entries are read, so that a watch on it misses
//! nothing.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
    sync::Arc,
};

use ignore::{
    WalkBuilder,
    gitignore::{Gitignore, GitignoreBuilder, Glob},
};

use crate::config::IndexConfig;

/// Our own ignore file, in any folder.
pub const IGNORE_FILE: &str = ".foveaignore";

/// Names of files whose change can change which files count.
pub const IGNORE_FILES: [&str; 3] = [".gitignore", ".ignore", IGNORE_FILE];

/// Rules of one clone, which git keeps apart from the tree.
pub const GIT_EXCLUDE: &str = ".git/info/exclude";

/// Never entered, whatever the settings: they hold no text a person wrote.
const REPOSITORY_FOLDERS: [&str; 4] = [".git", ".hg", ".jj", ".svn"];

/// The rules of one root.
#[derive(Clone)]
pub struct Rules {
    root: Arc<Path>,
    hidden: bool,
    excludes: Arc<Gitignore>,
}

/// What a walk meets.
#[derive(Debug)]
pub enum Visit {
    /// A folder, relative to the root; empty for the root itself.
    Folder(String),
    /// A plain file.
    File { path: String, metadata: Metadata },
    /// Something that cannot be indexed.
    Skipped { path: String, reason: String },
    /// A folder or its rules could not be read for lack of file handles or memory: what was met may
    /// be excluded, and what was not met may be there.
    Incomplete,
}

/// True for what passes by itself: too many open files, here or on the whole machine, no memory.
#[must_use]
pub fn is_transient(err: &std::io::Error) -> bool {
    const TRANSIENT: [rustix::io::Errno; 3] =
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOMEM];
    let raw = err.raw_os_error();
    TRANSIENT.iter().any(|errno| raw == Some(errno.raw_os_error()))
}

impl Rules {
    /// `root` is canonical. Invalid patterns among the excludes are returned, not fatal.
    #[must_use]
    pub fn new(root: &Path, config: &IndexConfig) -> (Self, Vec<String>) {
        let mut builder = GitignoreBuilder::new(root);
        let mut problems = Vec::new();
        for pattern in &config.exclude {
            if let Err(err) = builder.add_line(None, pattern) {
                problems.push(format!("index.exclude pattern `{pattern}` is not valid: {err}"));
            }
        }
        let excludes = builder.build().unwrap_or_else(|err| {
            problems.push(format!("index.exclude is not valid: {err}"));
            Gitignore::empty()
        });
        let rules = Self { root: root.into(), hidden: config.hidden, excludes: Arc::new(excludes) };
        (rules, problems)
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Visits `folder` (relative; empty is the root) and, unless `shallow`, everything below.
    ///
    /// `folder` itself is taken to count; ask [`Rules::why_excluded`] for paths of unknown standing.
    pub fn walk(&self, folder: &str, shallow: bool, visit: &mut dyn FnMut(Visit)) {
        let start = self.root.join(folder);
        // The folder's own and those above it are read before any entry is seen.
        if let Some(name) = start.ancestors().find_map(odd_rules) {
            let reason = format!("its rules cannot be read: `{name}` is not a plain file");
            return visit(Visit::Skipped { path: folder.to_owned(), reason });
        }
        let excludes = Arc::clone(&self.excludes);
        let mut builder = WalkBuilder::new(&start);
        builder
            .hidden(!self.hidden)
            .follow_links(false)
            // Without a repository a .gitignore counts too; in one, those above it are another's.
            .require_git(self.root.ancestors().any(|folder| folder.join(".git").exists()))
            .add_custom_ignore_filename(IGNORE_FILE)
            .max_depth(shallow.then_some(1))
            .sort_by_file_name(Ord::cmp)
            .filter_entry(move |entry| {
                let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
                let repository = REPOSITORY_FOLDERS.iter().any(|name| entry.file_name() == *name);
                let readable = !is_dir || odd_rules(entry.path()).is_none();
                !repository && readable && !excludes.matched(entry.path(), is_dir).is_ignore()
            });
        for entry in builder.build() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(err) if err.io_error().is_some_and(is_transient) => {
                    visit(Visit::Incomplete);
                    continue;
                }
                Err(err) => {
                    if let Some((path, reason)) = self.describe(&err) {
                        visit(Visit::Skipped { path, reason });
                    }
                    continue;
                }
            };
            // A broken ignore file still lets its valid lines count.
            if let Some(err) = entry.error() {
                if err.io_error().is_some_and(is_transient) {
                    visit(Visit::Incomplete);
                }
                tracing::debug!(%err, "ignore file");
            }
            let Some(path) = self.relative(entry.path()) else {
                let path = entry.path().strip_prefix(&self.root).unwrap_or(entry.path());
                let path = path.to_string_lossy().into_owned();
                visit(Visit::Skipped { path, reason: "its name is not UTF-8".into() });
                continue;
            };
            match entry.file_type() {
                Some(kind) if kind.is_dir() => visit(Visit::Folder(path)),
                Some(kind) if kind.is_file() => {
                    // Without metadata it is gone since the folder was read.
                    if let Ok(metadata) = entry.metadata() {
                        visit(Visit::File { path, metadata });
                    }
                }
                Some(kind) if kind.is_symlink() => {
                    visit(Visit::Skipped {
                        path,
                        reason: "it is a link; links are not followed".into(),
                    });
                }
                _ => visit(Visit::Skipped { path, reason: "it is not a plain file".into() }),
            }
        }
    }

    /// `/`-separated and relative to the root; `None` for paths outside or not UTF-8.
    #[must_use]
    pub fn relative(&self, path: &Path) -> Option<String> {
        let relative = path.strip_prefix(&self.root).ok()?;
        let mut parts = Vec::new();
        for part in relative.components() {
            match part {
                std::path::Component::Normal(part) => parts.push(part.to_str()?),
                std::path::Component::CurDir => {}
                _ => return None,
            }
        }
        Some(parts.join("/"))
    }

    /// The rule that keeps `path` out, naming the file and line's pattern; `None` if none does.
    #[must_use]
    pub fn why_excluded(&self, path: &str) -> Option<String> {
        let full = self.root.join(path);
        let mut folder = PathBuf::from(&*self.root);
        let mut stack = vec![self.outer_files()];
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            if matches!(*part, ".." | ".") {
                return Some("it lies outside the workspace".into());
            }
            if REPOSITORY_FOLDERS.contains(part) {
                return Some(format!("`{part}` is never indexed"));
            }
            if let Some(name) = odd_rules(&folder) {
                return Some(format!(
                    "its folder's rules cannot be read: `{name}` is not a plain file"
                ));
            }
            stack.push(ignore_files(&folder, &IGNORE_FILES_BY_RANK));
            folder.push(part);
            let is_dir = index + 1 < parts.len() || full.is_dir();
            if let Some(reason) = self.rule(&stack, &folder, is_dir) {
                return Some(reason);
            }
            if !self.hidden && part.starts_with('.') && !is_whitelisted(&stack, &folder, is_dir) {
                return Some(format!("`{part}` is hidden (index.hidden is off)"));
            }
        }
        None
    }

    fn rule(&self, stack: &[Vec<Gitignore>], path: &Path, is_dir: bool) -> Option<String> {
        if let ignore::Match::Ignore(glob) = self.excludes.matched(path, is_dir) {
            return Some(format!("index.exclude has `{}`", glob.original()));
        }
        // The nearest folder wins, and within a folder our own file over .ignore over .gitignore.
        for file in stack.iter().rev().flatten() {
            match file.matched(path, is_dir) {
                ignore::Match::Ignore(glob) => return Some(self.named(glob)),
                ignore::Match::Whitelist(_) => return None,
                ignore::Match::None => {}
            }
        }
        None
    }

    /// Rules from outside the root, which yield to those inside: of the folders above it, as far as
    /// they are of the same repository, and of the user's git.
    fn outer_files(&self) -> Vec<Gitignore> {
        let mut is_same_repository = !self.root.join(".git").exists();
        let mut outer = Vec::new();
        for folder in self.root.ancestors().skip(1) {
            let names = if is_same_repository {
                &IGNORE_FILES_BY_RANK[..]
            } else {
                &IGNORE_FILES_BY_RANK[..2]
            };
            outer.extend(ignore_files(folder, names));
            is_same_repository &= !folder.join(".git").exists();
        }
        outer.push(GitignoreBuilder::new(&self.root).build_global().0);
        outer
    }

    fn named(&self, glob: &Glob) -> String {
        let from = glob
            .from()
            .map(|from| self.relative(from).unwrap_or_else(|| from.to_string_lossy().into_owned()));
        format!("`{}` has `{}`", from.unwrap_or_else(|| "an ignore file".into()), glob.original())
    }

    fn describe(&self, err: &ignore::Error) -> Option<(String, String)> {
        match err {
            ignore::Error::WithPath { path, err } => {
                let path = self.relative(path).unwrap_or_else(|| path.display().to_string());
                let reason = err.io_error().map_or_else(|| err.to_string(), ToString::to_string);
                Some((path, format!("it cannot be read: {reason}")))
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
                self.describe(err)
            }
            _ => None,
        }
    }
}

/// The name of a pipe or device where rules are looked for: reading it may never end, and what it would
/// have excluded is unknown, so nothing of the folder counts.
fn odd_rules(folder: &Path) -> Option<&'static str> {
    IGNORE_FILES_BY_RANK.into_iter().find(|name| {
        // Most folders have none; links count for what they lead to.
        let metadata = std::fs::metadata(folder.join(name));
        metadata.is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    })
}

/// Within one folder an earlier one wins.
const IGNORE_FILES_BY_RANK: [&str; 4] = [IGNORE_FILE, ".ignore", ".gitignore", GIT_EXCLUDE];

fn ignore_files(folder: &Path, names: &[&str]) -> Vec<Gitignore> {
    let files = names.iter().map(|name| folder.join(name)).filter(|file| file.is_file());
    files
        .filter_map(|file| {
            // Patterns are relative to the folder, wherever the file lies; valid lines count.
            let mut builder = GitignoreBuilder::new(folder);
            builder.add(file);
            builder.build().ok()
        })
        .collect()
}

fn is_whitelisted(stack: &[Vec<Gitignore>], path: &Path, is_dir: bool) -> bool {
    stack.iter().rev().flatten().any(|file| file.matched(path, is_dir).is_whitelist())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_walk(fixture: &str, config: &IndexConfig, expected: Expect) {
        let temp = fovea_test_support::parse(fixture, "main.rs").write();
        let root = temp.path().canonicalize().expect("there");
        let (rules, problems) = Rules::new(&root, config);
        let mut text = problems.join("\n");
        rules.walk("", false, &mut |visit| match visit {
            Visit::Folder(path) => text.push_str(&format!("{path}/\n")),
            Visit::File { path, .. } => text.push_str(&format!("{path}\n")),
            Visit::Skipped { path, reason } => text.push_str(&format!("{path}: {reason}\n")),
            Visit::Incomplete => text.push_str("incomplete\n"),
        });
        expected.assert_eq(&text);
    }

    const RULES: &str = "\
//- /.gitignore
*.log
/target/
//- /.foveaignore
secret/
//- /target/out.rs
x
//- /secret/key.rs
x
//- /a.log
x
//- /src/.ignore
gen.rs
//- /src/gen.rs
x
//- /src/lib.rs
x
//- /.github/ci.yml
x
//- /.git/config
x
";

    #[test]
    fn rules_of_the_clone_and_of_folders_above_are_known() {
        let fixture = "//- /.gitignore\nabove.rs\n//- /.ignore\nnotes/\n//- /repo/.git/info/exclude\nmine.rs\n//- /repo/mine.rs\nx\n//- /repo/above.rs\nx\n//- /repo/notes/a.rs\nx\n";
        let temp = fovea_test_support::parse(fixture, "main.rs").write();
        let root = temp.path().canonicalize().expect("there").join("repo");
        let (rules, _) = Rules::new(&root, &IndexConfig::default());
        let mut walked = Vec::new();
        rules.walk("", false, &mut |visit| {
            if let Visit::File { path, .. } = visit {
                walked.push(path);
            }
        });
        // A .gitignore above the repository is another one's.
        assert_eq!(walked, ["above.rs"]);
        for path in ["mine.rs", "notes/a.rs", "above.rs"] {
            let reason = rules.why_excluded(path);
            assert_eq!(reason.is_none(), walked.contains(&path.to_owned()), "{path}: {reason:?}");
        }
        let reason = rules.why_excluded("mine.rs").expect("excluded");
        assert!(reason.contains(".git/info/exclude"), "{reason}");
    }

    #[test]
    fn every_kind_of_rule_counts() {
        check_walk(
            RULES,
            &IndexConfig::default(),
            expect![[r"
                /
                src/
                src/lib.rs
            "]],
        );
    }

    #[test]
    fn hidden_files_on_request_but_never_the_repository_folder() {
        let config =
            IndexConfig { hidden: true, exclude: vec!["src".into()], ..IndexConfig::default() };
        check_walk(
            RULES,
            &config,
            expect![[r"
                /
                .foveaignore
                .github/
                .github/ci.yml
                .gitignore
            "]],
        );
    }

    #[test]
    fn the_rule_is_named() {
        let temp = fovea_test_support::parse(RULES, "main.rs").write();
        let root = temp.path().canonicalize().expect("there");
        let config = IndexConfig { exclude: vec!["*.sql".into()], ..IndexConfig::default() };
        let (rules, _) = Rules::new(&root, &config);
        let why = |path| rules.why_excluded(path).unwrap_or_default();
        expect![[r"
            `.gitignore` has `/target/`
            `.foveaignore` has `secret/`
            `src/.ignore` has `gen.rs`
            `.github` is hidden (index.hidden is off)
            `.git` is never indexed
            index.exclude has `*.sql`
            it lies outside the workspace
        "]]
        .assert_eq(
            &[
                "target/out.rs",
                "secret/key.rs",
                "src/gen.rs",
                ".github/ci.yml",
                ".git/config",
                "a.sql",
                "../x",
            ]
            .map(|path| why(path) + "\n")
            .concat(),
        );
        assert_eq!(rules.why_excluded("src/lib.rs"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn rules_that_are_no_file_are_not_read_and_exclude_their_folder() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let fixture = "//- /a.rs\nx\n//- /in/b.rs\nx\n//- /in/deep/c.rs\nx\n";
        let temp = fovea_test_support::parse(fixture, "main.rs").write();
        let root = temp.path().canonicalize().expect("there");
        let pipe = root.join("in/.foveaignore");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        let (rules, _) = Rules::new(&root, &IndexConfig::default());
        let walked = |folder: &str| {
            let mut walked = Vec::new();
            rules.walk(folder, false, &mut |visit| match visit {
                Visit::File { path, .. } | Visit::Folder(path) => walked.push(path),
                Visit::Skipped { path, .. } => walked.push(format!("skipped {path}")),
                Visit::Incomplete => walked.push("incomplete".to_owned()),
            });
            walked
        };
        assert_eq!(walked(""), ["", "a.rs"]);
        assert_eq!(walked("in/deep"), ["skipped in/deep"]);
        assert!(rules.why_excluded("in/deep/c.rs").expect("excluded").contains(".foveaignore"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_listed_and_not_followed() {
        let outside = fovea_test_support::parse("//- /o.rs\nx\n", "main.rs").write();
        let temp = fovea_test_support::parse("//- /a.rs\nx\n", "main.rs").write();
        std::os::unix::fs::symlink(outside.path(), temp.path().join("link")).expect("link");
        let root = temp.path().canonicalize().expect("there");
        let mut seen = Vec::new();
        Rules::new(&root, &IndexConfig::default())
            .0
            .walk("", false, &mut |v| seen.push(format!("{v:?}")));
        assert!(seen.iter().any(|v| v.contains("link") && v.contains("not followed")), "{seen:?}");
        assert!(!seen.iter().any(|v| v.contains("o.rs")), "{seen:?}");
    }
}
