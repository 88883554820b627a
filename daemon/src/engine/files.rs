//! What is known of every file on disk: its stat identity when it was read, its content's hash, or why
//! it was skipped. Finds out what changed by walking; remembers between runs what need not be read again.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use fovea_indexer::{ContentHash, text::LineIndex};
use serde::{Deserialize, Serialize};

use crate::{
    guard::{self, GuardedText},
    walk::{Rules, Visit},
};

/// Two states of a file with the same identity have the same content: every write changes the change
/// time, which programs cannot set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StatIdentity {
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
    inode: u64,
}

/// A file changed this shortly before it was read may change again within the clock's grain.
const RACY_NS: i128 = 50_000_000;

impl StatIdentity {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified_ns = since.map_or(0, |since| since.as_nanos() as i128);
        #[cfg(unix)]
        let (changed_ns, inode) = {
            use std::os::unix::fs::MetadataExt;
            let seconds = i128::from(metadata.ctime());
            (seconds * 1_000_000_000 + i128::from(metadata.ctime_nsec()), metadata.ino())
        };
        #[cfg(not(unix))]
        let (changed_ns, inode) = (modified_ns, 0);
        Self { size: metadata.len(), modified_ns, changed_ns, inode }
    }

    /// The identity to remember for a file read now.
    pub(super) fn settled(self) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = now.as_nanos() as i128 - self.changed_ns;
        // No file has this identity, so it is read again when next looked at.
        if (0..RACY_NS).contains(&age) { Self { inode: u64::MAX, ..self } } else { self }
    }
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Indexed(ContentHash),
    Skipped(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) stat: StatIdentity,
    pub(super) n_bytes: u64,
    pub(super) outcome: Outcome,
    /// The secrets that were overwritten.
    pub(super) redacted: Vec<Overwritten>,
}

/// Where a secret stood, and the rule that found it; never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Overwritten {
    /// Zero-based; in UTF-16 units.
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) rule: String,
}

impl Overwritten {
    /// In the order of the text.
    pub(super) fn all_of(guarded: &GuardedText) -> Vec<Self> {
        if guarded.redactions.is_empty() {
            return Vec::new();
        }
        let lines = LineIndex::new(&guarded.text);
        let one = |redaction: &guard::Redaction| {
            let at = lines.utf16(&guarded.text, redaction.range.start as u32);
            Self { line: at.line, column: at.col, rule: redaction.rule.to_owned() }
        };
        guarded.redactions.iter().map(one).collect()
    }
}

/// By path.
pub(super) type Redacted = BTreeMap<String, Vec<Overwritten>>;

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) path: String,
    pub(super) stat: StatIdentity,
    pub(super) n_bytes: u64,
    /// It has other names, too.
    pub(super) is_linked: bool,
}

/// What a scan found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    /// Indexed before, gone or excluded now.
    pub(super) removed: Vec<String>,
    /// Not to be read: path and reason.
    pub(super) skipped: Vec<(String, String)>,
    /// Skipped before, gone or excluded now.
    pub(super) unskipped: Vec<String>,
    pub(super) new_folders: usize,
    /// The walk could not see everything: nothing was found, and it is to be done again.
    pub(super) is_incomplete: bool,
}

impl Found {
    fn forget(&mut self, path: String, outcome: &Outcome) {
        match outcome {
            Outcome::Indexed(_) => self.removed.push(path),
            Outcome::Skipped(_) => self.unskipped.push(path),
        }
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.candidates.extend(more.candidates);
        self.removed.extend(more.removed);
        self.skipped.extend(more.skipped);
        self.unskipped.extend(more.unskipped);
        self.new_folders += more.new_folders;
        self.is_incomplete |= more.is_incomplete;
    }
}

type Folder = BTreeMap<String, Known>;

/// All files of a root, by folder.
#[derive(Default)]
pub(super) struct Files {
    folders: BTreeMap<String, Folder>,
    n_files: usize,
    /// What an earlier run knew; taken over by the first scan for files that did not change.
    remembered: BTreeMap<String, Known>,
    redacted: Arc<Redacted>,
    /// Files that had other names when a scan met them.
    linked: BTreeSet<String>,
}

/// Called for folders that count (true), each time before their entries are read, and for those that do
/// not count any more (false).
pub(super) type OnFolder<'a> = &'a mut dyn FnMut(&str, bool);

impl Files {
    /// Uses a loaded table for the scans to come.
    pub(super) fn remember(&mut self, remembered: BTreeMap<String, Known>) {
        self.remembered = remembered;
    }

    /// What the earlier run knew and no scan met is gone.
    pub(super) fn forget(&mut self) {
        self.remembered = BTreeMap::new();
    }

    pub(super) fn n_files(&self) -> usize {
        self.n_files
    }

    pub(super) fn has_folder(&self, folder: &str) -> bool {
        self.folders.contains_key(folder)
    }

    pub(super) fn get(&self, path: &str) -> Option<&Known> {
        let (folder, name) = split(path);
        self.folders.get(folder)?.get(name)
    }

    pub(super) fn set(&mut self, path: &str, known: Known) {
        if !known.redacted.is_empty() {
            Arc::make_mut(&mut self.redacted).insert(path.to_owned(), known.redacted.clone());
        } else {
            drop_redacted(&mut self.redacted, path);
        }
        let (folder, name) = split(path);
        let before = self.folders.entry(folder.to_owned()).or_default().insert(name.into(), known);
        self.n_files += usize::from(before.is_none());
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<Known> {
        let (folder, name) = split(path);
        let known = self.folders.get_mut(folder)?.remove(name)?;
        self.n_files -= 1;
        self.linked.remove(path);
        drop_redacted(&mut self.redacted, path);
        Some(known)
    }

    /// Files with other names, one of which a rule may exclude.
    pub(super) fn linked(&self) -> &BTreeSet<String> {
        &self.linked
    }

    /// Files with secrets.
    pub(super) fn redacted(&self) -> &Arc<Redacted> {
        &self.redacted
    }

    /// Looks at `folder` (and below, if `deep`), and lists what has to be read or removed. Files in
    /// `forced` are read whatever their identity says.
    pub(super) fn scan(
        &mut self,
        rules: &Rules,
        folder: &str,
        deep: bool,
        forced: &HashSet<String>,
        on_folder: OnFolder<'_>,
    ) -> Found {
        let mut found = Found::default();
        let mut to_scan = vec![(folder.to_owned(), deep)];
        while let Some((folder, deep)) = to_scan.pop() {
            let seen = self.visit(rules, &folder, deep, forced, on_folder, &mut found);
            if found.is_incomplete {
                return Found { is_incomplete: true, ..Found::default() };
            }
            if !deep {
                // New subfolders were never looked into.
                let known = |below: &String| self.folders.contains_key(below);
                to_scan.extend(
                    seen.subfolders.iter().filter(|f| !known(f)).map(|f| (f.clone(), true)),
                );
            }
            self.drop_unseen(&folder, deep, &seen, on_folder, &mut found);
        }
        found
    }

    fn visit(
        &mut self,
        rules: &Rules,
        start: &str,
        deep: bool,
        forced: &HashSet<String>,
        on_folder: OnFolder<'_>,
        found: &mut Found,
    ) -> Seen {
        let mut seen = Seen::default();
        rules.walk(start, !deep, &mut |visit| match visit {
            Visit::Folder(path) if path == start || deep => {
                // Another folder may have the name of one that is known.
                on_folder(&path, true);
                if !self.folders.contains_key(&path) {
                    self.folders.insert(path.clone(), Folder::new());
                    found.new_folders += 1;
                }
                seen.folders.insert(path);
            }
            Visit::Folder(path) => {
                seen.subfolders.insert(path);
            }
            Visit::File { path, metadata } => {
                let stat = StatIdentity::of(&metadata);
                let is_linked = n_links(&metadata) > 1;
                if is_linked {
                    self.linked.insert(path.clone());
                } else {
                    self.linked.remove(&path);
                }
                let remembered = self.remembered.remove(&path).filter(|known| known.stat == stat);
                // What rules say of its other names may have changed while nobody looked.
                if let Some(known) = remembered.filter(|_| !is_linked) {
                    self.set(&path, known);
                }
                let is_known = self.get(&path).is_some_and(|known| known.stat == stat);
                if !is_known || forced.contains(&path) {
                    let n_bytes = metadata.len();
                    found.candidates.push(Candidate {
                        path: path.clone(),
                        stat,
                        n_bytes,
                        is_linked,
                    });
                }
                seen.files.insert(path);
            }
            Visit::Incomplete => found.is_incomplete = true,
            Visit::Skipped { path, reason } => {
                if let Some(Known { outcome: Outcome::Indexed(_), .. }) = self.get(&path) {
                    found.removed.push(path.clone());
                }
                found.skipped.push((path.clone(), reason.clone()));
                // A folder that cannot be read now may be readable later; its files are gone for us.
                let stat = StatIdentity::default();
                let outcome = Outcome::Skipped(reason);
                self.set(&path, Known { stat, n_bytes: 0, outcome, redacted: Vec::new() });
                seen.files.insert(path);
            }
        });
        seen
    }

    fn drop_unseen(
        &mut self,
        start: &str,
        deep: bool,
        seen: &Seen,
        on_folder: OnFolder<'_>,
        found: &mut Found,
    ) {
        let is_below = |folder: &str| {
            start.is_empty()
                || folder == start
                || folder.strip_prefix(start).is_some_and(|rest| rest.starts_with('/'))
        };
        let stays = |folder: &str| {
            if deep {
                return seen.folders.contains(folder);
            }
            // A shallow look tells about the folder itself and its direct subfolders.
            let child =
                if start.is_empty() { folder } else { folder.get(start.len() + 1..).unwrap_or("") };
            let child = child.split('/').next().unwrap_or("");
            (seen.folders.contains(start) && folder == start)
                || (!child.is_empty() && seen.subfolders.contains(&join(start, child)))
        };
        let gone: Vec<String> = self
            .folders
            .range(start.to_owned()..)
            .map(|(folder, _)| folder)
            .take_while(|folder| start.is_empty() || folder.starts_with(start))
            .filter(|folder| is_below(folder) && !stays(folder))
            .cloned()
            .collect();
        for folder in gone {
            on_folder(&folder, false);
            let files = self.folders.remove(&folder).unwrap_or_default();
            self.n_files -= files.len();
            for (name, known) in files {
                let path = join(&folder, &name);
                self.linked.remove(&path);
                drop_redacted(&mut self.redacted, &path);
                found.forget(path, &known.outcome);
            }
        }
        for folder in &seen.folders {
            let Some(files) = self.folders.get_mut(folder) else { continue };
            let before = files.len();
            files.retain(|name, known| {
                let path = join(folder, name);
                let stays = seen.files.contains(&path);
                if !stays {
                    self.linked.remove(&path);
                    drop_redacted(&mut self.redacted, &path);
                    found.forget(path, &known.outcome);
                }
                stays
            });
            self.n_files -= before - files.len();
        }
    }
}

fn n_links(metadata: &fs::Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    return 1;
}

fn drop_redacted(redacted: &mut Arc<Redacted>, path: &str) {
    if redacted.contains_key(path) {
        Arc::make_mut(redacted).remove(path);
    }
}

#[derive(Default)]
struct Seen {
    /// Folders whose entries were looked at.
    folders: HashSet<String>,
    /// Folders met but not entered.
    subfolders: BTreeSet<String>,
    files: HashSet<String>,
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The folder a path lies in; empty for the root.
pub(super) fn folder_of(path: &str) -> &str {
    split(path).0
}

/// Raised when the layout of the saved table changes.
const FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Saved {
    format: u32,
    /// Settings that decide what is skipped; under others the table says nothing.
    settings: String,
    folders: BTreeMap<String, Folder>,
}

impl Files {
    /// Writes the table aside and renames it. A lost table only means that files are read again.
    pub(super) fn save(&self, file: &Path, settings: &str) -> io::Result<()> {
        let saved =
            Saved { format: FORMAT, settings: settings.to_owned(), folders: self.nameable() };
        let body = postcard::to_allocvec(&saved).map_err(io::Error::other)?;
        let mut bytes = blake3::hash(&body).as_bytes().to_vec();
        bytes.extend_from_slice(&body);
        let aside = file.with_extension("new");
        fs::write(&aside, bytes)?;
        fs::rename(aside, file)
    }

    /// Without paths that hold a secret; what is indexed holds none.
    fn nameable(&self) -> BTreeMap<String, Folder> {
        let kept = |folder: &str, files: &Folder| {
            let is_kept = |name: &str, known: &Known| {
                matches!(known.outcome, Outcome::Indexed(_))
                    || !guard::names_a_secret(&join(folder, name))
            };
            let files = files.iter().filter(|(name, known)| is_kept(name, known));
            files.map(|(name, known)| (name.clone(), known.clone())).collect()
        };
        let folders = self.folders.iter().filter(|(folder, _)| !guard::names_a_secret(folder));
        folders.map(|(folder, files)| (folder.clone(), kept(folder, files))).collect()
    }

    /// The saved identities of files whose content `is_indexed` confirms, for [`Files::remember`].
    pub(super) fn load(
        file: &Path,
        settings: &str,
        is_indexed: &dyn Fn(&str, ContentHash) -> bool,
    ) -> Option<BTreeMap<String, Known>> {
        let bytes = fs::read(file).ok()?;
        let (checksum, body) = bytes.split_at_checked(32)?;
        if blake3::hash(body).as_bytes() != checksum {
            tracing::info!(file = %file.display(), "ignored a damaged table of files");
            return None;
        }
        let saved: Saved = postcard::from_bytes(body).ok()?;
        if saved.format != FORMAT || saved.settings != settings {
            return None;
        }
        let mut files = BTreeMap::new();
        for (folder, known) in saved.folders {
            for (name, known) in known {
                let path = join(&folder, &name);
                let stands = match &known.outcome {
                    Outcome::Indexed(hash) => is_indexed(&path, *hash),
                    Outcome::Skipped(_) => true,
                };
                if stands {
                    files.insert(path, known);
                }
            }
        }
        Some(files)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::config::IndexConfig;

    struct Tree {
        temp: tempfile::TempDir,
        rules: Rules,
        files: Files,
    }

    impl Tree {
        fn new(fixture: &str) -> Self {
            let temp = fovea_test_support::parse(fixture, "main.rs").write();
            let root = temp.path().canonicalize().expect("there");
            let (rules, _) = Rules::new(&root, &IndexConfig::default());
            Self { temp, rules, files: Files::default() }
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.temp.path().join(path);
            fs::create_dir_all(path.parent().expect("below")).expect("folder");
            fs::write(path, text).expect("written");
        }

        /// Scans, takes all candidates as indexed, and prints what was found.
        fn scan(&mut self, folder: &str, deep: bool, forced: &[&str]) -> String {
            let forced = forced.iter().map(|path| (*path).to_owned()).collect();
            let mut text = String::new();
            let known: HashSet<String> = self.files.folders.keys().cloned().collect();
            let found =
                self.files.scan(&self.rules, folder, deep, &forced, &mut |folder, counts| {
                    if !counts || !known.contains(folder) {
                        text.push_str(&format!("{}{folder}/\n", if counts { '+' } else { '-' }));
                    }
                });
            for candidate in found.candidates {
                text.push_str(&format!("read {}\n", candidate.path));
                let outcome = Outcome::Indexed(ContentHash::of(b""));
                let redacted = Vec::new();
                let known = Known { stat: candidate.stat, n_bytes: 0, outcome, redacted };
                self.files.set(&candidate.path, known);
            }
            found.removed.iter().for_each(|path| text.push_str(&format!("removed {path}\n")));
            text
        }
    }

    const TREE: &str =
        "//- /a.rs\na\n//- /src/b.rs\nb\n//- /src/deep/c.rs\nc\n//- /src-gen/d.rs\nd\n";

    fn check(actual: &str, expected: Expect) {
        expected.assert_eq(actual);
    }

    #[test]
    fn a_second_scan_finds_nothing() {
        let mut tree = Tree::new(TREE);
        check(
            &tree.scan("", true, &[]),
            expect![[r"
                +/
                +src/
                +src/deep/
                +src-gen/
                read a.rs
                read src/b.rs
                read src/deep/c.rs
                read src-gen/d.rs
            "]],
        );
        assert_eq!(tree.files.n_files(), 4);
        check(&tree.scan("", true, &[]), expect![""]);
        check(
            &tree.scan("src", false, &["src/b.rs"]),
            expect![[r"
            read src/b.rs
        "]],
        );
    }

    #[test]
    fn a_shallow_scan_sees_new_and_removed_subfolders() {
        let mut tree = Tree::new(TREE);
        tree.scan("", true, &[]);
        fs::remove_dir_all(tree.temp.path().join("src/deep")).expect("removed");
        tree.write("src/new/far/e.rs", "e");
        tree.write("a.rs", "changed");
        check(
            &tree.scan("src", false, &[]),
            expect![[r"
                -src/deep/
                +src/new/
                +src/new/far/
                read src/new/far/e.rs
                removed src/deep/c.rs
            "]],
        );
        check(
            &tree.scan("", false, &[]),
            expect![[r"
            read a.rs
        "]],
        );
        assert_eq!(tree.files.n_files(), 4);
    }

    #[test]
    fn a_folder_that_vanished_takes_its_files_along_but_not_its_namesakes() {
        let mut tree = Tree::new(TREE);
        tree.scan("", true, &[]);
        fs::remove_dir_all(tree.temp.path().join("src")).expect("removed");
        check(
            &tree.scan("", false, &[]),
            expect![[r"
                -src/
                -src/deep/
                removed src/b.rs
                removed src/deep/c.rs
            "]],
        );
        assert_eq!(tree.files.n_files(), 2);
    }

    #[test]
    fn a_saved_table_says_nothing_under_other_settings_or_with_a_flipped_bit() {
        let mut tree = Tree::new(TREE);
        tree.scan("", true, &[]);
        let file = tree.temp.path().join("files");
        tree.files.save(&file, "s").expect("written");
        let load = |settings| Files::load(&file, settings, &|_, _| true).map(|files| files.len());
        assert_eq!(load("s"), Some(4));
        assert_eq!(load("t"), None);
        let mut bytes = fs::read(&file).expect("there");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(&file, bytes).expect("written");
        assert_eq!(load("s"), None);
    }
}
