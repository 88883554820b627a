//! Which files of a root count: plain files that no rule excludes.
//!
//! Rules: `.gitignore` (with git's excludes), `.ignore`, `.foveaignore` ([`stack`]), hidden names, and
//! the configured excludes; what one of them excludes, none of the others takes back. Links are not
//! followed. Folders are visited in order, and every folder visited is reported before its entries are
//! read, so that a watch on it misses nothing.

mod stack;

use std::{
    ffi::OsStr,
    fs::{self, DirEntry, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder, Glob},
};

use self::stack::{Stack, Unknown};
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
pub fn is_transient(err: &io::Error) -> bool {
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
        let mut rules = match self.stack_above(folder) {
            Ok(rules) => rules,
            Err(unknown) => return self.skip(folder, unknown, visit),
        };
        let start = self.root.join(folder);
        if !fs::symlink_metadata(&start).is_ok_and(|metadata| metadata.is_dir()) {
            return;
        }
        // What is left of each open folder, the innermost last.
        let mut open: Vec<std::vec::IntoIter<DirEntry>> = Vec::new();
        self.enter(&start, folder, &mut rules, &mut open, visit);
        while let Some(entries) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                rules.pop();
                continue;
            };
            if let Some(folder) = self.visit(&entry, &rules, visit) {
                if shallow {
                    visit(Visit::Folder(folder));
                } else {
                    self.enter(&entry.path(), &folder, &mut rules, &mut open, visit);
                }
            }
        }
    }

    /// Reports a folder, then opens it and reads its rules.
    fn enter(
        &self,
        full: &Path,
        path: &str,
        rules: &mut Stack,
        open: &mut Vec<std::vec::IntoIter<DirEntry>>,
        visit: &mut dyn FnMut(Visit),
    ) {
        visit(Visit::Folder(path.to_owned()));
        let read = fs::read_dir(full).and_then(Iterator::collect::<io::Result<Vec<DirEntry>>>);
        let mut entries = match read {
            Ok(entries) => entries,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return,
            Err(err) => {
                let reason = format!("it cannot be read: {err}");
                return self.skip(
                    path,
                    Unknown { reason, is_transient: is_transient(&err) },
                    visit,
                );
            }
        };
        entries.sort_by_cached_key(DirEntry::file_name);
        let has = |name: &str| {
            entries.binary_search_by(|entry| (*entry.file_name()).cmp(OsStr::new(name))).is_ok()
        };
        match rules.push(full, &has) {
            Ok(()) => open.push(entries.into_iter()),
            Err(unknown) => self.skip(path, unknown, visit),
        }
    }

    /// Reports an entry that counts; the path of a folder, which is to be entered.
    fn visit(
        &self,
        entry: &DirEntry,
        rules: &Stack,
        visit: &mut dyn FnMut(Visit),
    ) -> Option<String> {
        let name = entry.file_name();
        let is_hidden = !self.hidden && name.as_encoded_bytes().starts_with(b".");
        if is_hidden || REPOSITORY_FOLDERS.iter().any(|other| name == *other) {
            return None;
        }
        let full = entry.path();
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            // It is gone since the folder was read.
            Err(err) if !is_transient(&err) => return None,
            Err(_) => {
                visit(Visit::Incomplete);
                return None;
            }
        };
        let is_dir = kind.is_dir();
        if self.excludes.matched(&full, is_dir).is_ignore()
            || rules.excluding(&full, is_dir).is_some()
        {
            return None;
        }
        let skipped = |path: String, reason: &str| Visit::Skipped { path, reason: reason.into() };
        let Some(path) = self.relative(&full) else {
            let path = full.strip_prefix(&self.root).unwrap_or(&full);
            visit(skipped(path.to_string_lossy().into_owned(), "its name is not UTF-8"));
            return None;
        };
        if is_dir {
            return Some(path);
        }
        if kind.is_file() {
            // Without metadata it is gone since the folder was read.
            if let Ok(metadata) = entry.metadata() {
                visit(Visit::File { path, metadata });
            }
        } else if kind.is_symlink() {
            visit(skipped(path, "it is a link; links are not followed"));
        } else {
            visit(skipped(path, "it is not a plain file"));
        }
        None
    }

    fn skip(&self, path: &str, unknown: Unknown, visit: &mut dyn FnMut(Visit)) {
        visit(match unknown.is_transient {
            true => Visit::Incomplete,
            false => Visit::Skipped { path: path.to_owned(), reason: unknown.reason },
        });
    }

    /// The rules of everything above `folder`, without its own.
    fn stack_above(&self, folder: &str) -> Result<Stack, Unknown> {
        let mut rules = Stack::above(&self.root)?;
        let mut full = self.root.to_path_buf();
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            rules.push(&full, &|_| true)?;
            full.push(part);
        }
        Ok(rules)
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
        let mut rules = match Stack::above(&self.root) {
            Ok(rules) => rules,
            Err(unknown) => return Some(unknown.reason),
        };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            if matches!(*part, ".." | ".") {
                return Some("it lies outside the workspace".into());
            }
            if REPOSITORY_FOLDERS.contains(part) {
                return Some(format!("`{part}` is never indexed"));
            }
            if let Err(unknown) = rules.push(&folder, &|_| true) {
                return Some(format!("of its folder: {}", unknown.reason));
            }
            folder.push(part);
            let is_dir = index + 1 < parts.len()
                || fs::symlink_metadata(&full).is_ok_and(|metadata| metadata.is_dir());
            if let Match::Ignore(glob) = self.excludes.matched(&folder, is_dir) {
                return Some(format!("index.exclude has `{}`", glob.original()));
            }
            if let Some(glob) = rules.excluding(&folder, is_dir) {
                return Some(self.named(glob));
            }
            if !self.hidden && part.starts_with('.') {
                return Some(format!("`{part}` is hidden (index.hidden is off)"));
            }
        }
        None
    }

    fn named(&self, glob: &Glob) -> String {
        let from = glob
            .from()
            .map(|from| self.relative(from).unwrap_or_else(|| from.to_string_lossy().into_owned()));
        format!("`{}` has `{}`", from.unwrap_or_else(|| "an ignore file".into()), glob.original())
    }
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
        assert_eq!(walked(""), ["", "a.rs", "in", "skipped in"]);
        assert_eq!(walked("in/deep"), ["skipped in/deep"]);
        let why = rules.why_excluded("in/deep/c.rs").expect("excluded");
        assert!(why.contains("`.foveaignore`: it is not a plain file"), "{why}");
        // A link that a repository can carry, and more than anybody wrote.
        fs::remove_file(&pipe).expect("removed");
        std::os::unix::fs::symlink("/dev/zero", &pipe).expect("linked");
        assert_eq!(walked(""), ["", "a.rs", "in", "skipped in"]);
        fs::remove_file(&pipe).expect("removed");
        fs::File::create(&pipe).and_then(|file| file.set_len(60 << 30)).expect("sparse");
        assert_eq!(walked(""), ["", "a.rs", "in", "skipped in"]);
        fs::write(&pipe, "deep/\n").expect("written");
        assert_eq!(walked(""), ["", "a.rs", "in", "in/b.rs"]);
    }

    #[test]
    fn what_one_kind_of_rule_excludes_no_other_takes_back() {
        let fixture = "\
//- /.gitignore
*.gen.rs
!keep.gen.rs
//- /.foveaignore
!*.gen.rs
!.private/
mine.rs
//- /.ignore
!mine.rs
//- /a.gen.rs
x
//- /keep.gen.rs
x
//- /mine.rs
x
//- /.private/p.rs
x
//- /deep/.gitignore
!b.gen.rs
//- /deep/b.gen.rs
x
";
        check_walk(
            fixture,
            &IndexConfig::default(),
            expect![[r"
                /
                deep/
                deep/b.gen.rs
                keep.gen.rs
            "]],
        );
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
