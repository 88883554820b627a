//! Links: a file that is excluded under one name is excluded under all.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use crate::{guard, walk::Rules};

/// Entries looked at for other names of a file.
const MAX_ENTRIES: usize = 2_000_000;

/// Device and inode.
pub(super) type Identity = (u64, u64);

/// Of `suspects` (files with several hard links) those that have an excluded name somewhere below the
/// root, ignored folders included, or may have one, and why that keeps them out.
pub(super) fn excluded_elsewhere(
    rules: &Rules,
    suspects: &HashMap<Identity, Vec<String>>,
) -> BTreeMap<String, String> {
    look_for(rules, suspects, MAX_ENTRIES)
}

fn look_for(
    rules: &Rules,
    suspects: &HashMap<Identity, Vec<String>>,
    max_entries: usize,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if suspects.is_empty() {
        return found;
    }
    // Names need not be UTF-8: those that are not are judged by what can be read of them.
    let mut folders = vec![PathBuf::new()];
    let mut n_entries = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(rules.root().join(&folder)).into_iter().flatten().flatten() {
            n_entries += 1;
            if n_entries > max_entries {
                let why =
                    "it has several names, and there are too many files to look at all of them";
                for path in suspects.values().flatten() {
                    found.entry(path.clone()).or_insert_with(|| why.to_owned());
                }
                return found;
            }
            let path = folder.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && entry.file_name() != ".git" => folders.push(path),
                Ok(kind) if kind.is_file() => {
                    let Some(paths) = identity(&entry.path()).and_then(|id| suspects.get(&id))
                    else {
                        continue;
                    };
                    let path = path.to_string_lossy();
                    if is_excluded(rules, &path) {
                        let others = paths.iter().filter(|other| **other != path);
                        let why = format!("it is the same file as `{path}`, which is excluded");
                        found.extend(others.map(|other| (other.clone(), why.clone())));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// Why text that an editor has for `path` may be that of an excluded file, or of one outside. Looks at
/// the whole tree if the file has several hard links.
pub(super) fn leads_elsewhere(rules: &Rules, path: &str) -> Option<String> {
    behind_link(rules, path).or_else(|| {
        let full = rules.root().join(path);
        let id = identity(&full.canonicalize().unwrap_or(full))?;
        excluded_elsewhere(rules, &HashMap::from([(id, vec![path.to_owned()])])).remove(path)
    })
}

/// [`leads_elsewhere`] as far as symbolic links say.
pub(super) fn behind_link(rules: &Rules, path: &str) -> Option<String> {
    let root = rules.root();
    let mut full = root.to_path_buf();
    let mut is_behind_link = false;
    for part in path.split('/') {
        full.push(part);
        match fs::symlink_metadata(&full) {
            Ok(metadata) => is_behind_link |= metadata.is_symlink(),
            // A file that is not saved yet.
            Err(err) if err.kind() == io::ErrorKind::NotFound => break,
            Err(err) => return Some(format!("it cannot be looked at: {err}")),
        }
    }
    let full = root.join(path);
    if is_behind_link {
        let Ok(target) = full.canonicalize() else {
            return Some("it is a link, or behind one, that leads nowhere".to_owned());
        };
        let Ok(inside) = target.strip_prefix(root) else {
            return Some("it is a link, or behind one, that leads out of the workspace".to_owned());
        };
        let inside = inside.to_string_lossy();
        if is_excluded(rules, &inside) {
            return Some(format!("it is a link to `{inside}`, which is excluded"));
        }
    }
    None
}

fn is_excluded(rules: &Rules, path: &str) -> bool {
    guard::excluded(path).is_some() || rules.why_excluded(path).is_some()
}

/// Device and inode of a file with several links.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::symlink_metadata(path).ok()?;
    (metadata.nlink() > 1).then(|| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};

    use super::*;
    use crate::config::IndexConfig;

    const FIXTURE: &str = "\
//- /.gitignore
private/
//- /.env
TOKEN=1
//- /private/p.py
x
//- /src/a.py
x
";

    fn tree() -> (tempfile::TempDir, Rules) {
        let temp = fovea_test_support::parse(FIXTURE, "main.py").write();
        let root = temp.path().canonicalize().expect("there");
        let (rules, _) = Rules::new(&root, &IndexConfig::default());
        (temp, rules)
    }

    #[test]
    fn an_open_file_is_what_its_links_lead_to() {
        let (_temp, rules) = tree();
        let root = rules.root();
        fs::hard_link(root.join(".env"), root.join("hard.py")).expect("linked");
        fs::hard_link(root.join("src/a.py"), root.join("twice.py")).expect("linked");
        symlink(".env", root.join("link.py")).expect("linked");
        symlink("private", root.join("pub")).expect("linked");
        symlink("src", root.join("lib")).expect("linked");
        symlink("/etc/hostname", root.join("out.py")).expect("linked");
        symlink("nothing", root.join("dangling.py")).expect("linked");
        let why = |path| leads_elsewhere(&rules, path).unwrap_or_default();
        assert_eq!(why("hard.py"), "it is the same file as `.env`, which is excluded");
        assert_eq!(why("link.py"), "it is a link to `.env`, which is excluded");
        assert_eq!(why("pub/p.py"), "it is a link to `private/p.py`, which is excluded");
        assert!(why("out.py").contains("out of the workspace"));
        assert!(why("dangling.py").contains("leads nowhere"));
        for open in ["src/a.py", "twice.py", "lib/a.py", "src/new.py", "new/folder/b.py"] {
            assert_eq!(leads_elsewhere(&rules, open), None, "{open}");
        }
    }

    #[test]
    fn folders_whose_names_are_not_utf8_are_looked_into() {
        let (_temp, rules) = tree();
        let folder = rules.root().join(std::ffi::OsStr::from_bytes(b"d\xff"));
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join(".env"), "TOKEN=2").expect("written");
        fs::hard_link(folder.join(".env"), rules.root().join("one.py")).expect("linked");
        let why = leads_elsewhere(&rules, "one.py").expect("excluded");
        assert!(why.contains(".env`, which is excluded"), "{why}");
    }

    #[test]
    fn where_not_all_names_can_be_looked_for_none_counts() {
        let (_temp, rules) = tree();
        fs::hard_link(rules.root().join("src/a.py"), rules.root().join("b.py")).expect("linked");
        let id = identity(&rules.root().join("b.py")).expect("linked");
        let suspects = HashMap::from([(id, vec!["b.py".to_owned()])]);
        assert!(look_for(&rules, &suspects, 100).is_empty());
        assert!(look_for(&rules, &suspects, 2)["b.py"].contains("too many files"));
    }
}
