//! Hard links: a file that is excluded under one name is excluded under all.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use crate::{guard, walk::Rules};

/// Entries looked at; a tree of more is one whose links nobody made by hand.
const MAX_ENTRIES: usize = 500_000;

/// Of `suspects` (files with several links, by device and inode) those that have an excluded name
/// somewhere below the root, ignored folders included, and that name.
pub(super) fn excluded_elsewhere(
    rules: &Rules,
    suspects: &HashMap<(u64, u64), Vec<String>>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if suspects.is_empty() {
        return found;
    }
    let mut folders = vec![String::new()];
    let mut n_entries = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(rules.root().join(&folder)).into_iter().flatten().flatten() {
            n_entries += 1;
            if n_entries > MAX_ENTRIES {
                return found;
            }
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = super::files::join(&folder, &name);
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && name != ".git" => folders.push(path),
                Ok(kind) if kind.is_file() => {
                    let Some(paths) = identity(&entry.path()).and_then(|id| suspects.get(&id))
                    else {
                        continue;
                    };
                    if guard::excluded(&path).is_some() || rules.why_excluded(&path).is_some() {
                        let others = paths.iter().filter(|other| **other != path);
                        found.extend(others.map(|other| (other.clone(), path.clone())));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// Device and inode of a file with several links.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::symlink_metadata(path).ok()?;
    (metadata.nlink() > 1).then(|| (metadata.dev(), metadata.ino()))
}
