//! Earlier versions of the workspace's files, whose facts are kept so that switching branches is cheap,
//! and which have to go with the file.
//!
//! A log on disk, so that a file that is excluded after weeks takes all of its versions along. What
//! cannot be read of it is lost for this purpose only: the facts go when they are long unused.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use fovea_indexer::{ContentHash, writer::Trace};

/// Beyond, the oldest are given up: their facts are forgotten at once.
const MAX_VERSIONS: usize = 50_000;
const MAX_FILE_BYTES: u64 = 32 << 20;

pub(super) struct Versions {
    file: PathBuf,
    of: HashMap<String, Vec<ContentHash>>,
    /// In the order they were replaced, oldest first; some are gone from `of`.
    order: Vec<Trace>,
    n_kept: usize,
    max: usize,
}

impl Versions {
    pub(super) fn open(folder: &Path) -> Self {
        Self::with_max(folder, MAX_VERSIONS)
    }

    fn with_max(folder: &Path, max: usize) -> Self {
        let file = folder.join("versions");
        let mut this = Self { file, of: HashMap::new(), order: Vec::new(), n_kept: 0, max };
        let is_sane = fs::metadata(&this.file).is_ok_and(|known| known.len() <= MAX_FILE_BYTES);
        let bytes = if is_sane { fs::read(&this.file).unwrap_or_default() } else { Vec::new() };
        let mut rest = bytes.as_slice();
        // A crash may have cut the last one off.
        while let Ok((trace, tail)) = postcard::take_from_bytes::<Trace>(rest) {
            this.insert(trace);
            rest = tail;
        }
        this
    }

    /// True if it was not known.
    fn insert(&mut self, trace: Trace) -> bool {
        let hashes = self.of.entry(trace.path.clone()).or_default();
        let is_new = !hashes.contains(&trace.hash);
        if is_new {
            hashes.push(trace.hash);
            self.order.push(trace);
            self.n_kept += 1;
        }
        is_new
    }

    /// These texts were replaced by others. Returns those that are given up.
    pub(super) fn note(&mut self, replaced: Vec<Trace>) -> Vec<Trace> {
        let mut bytes = Vec::new();
        for trace in replaced {
            let encoded = postcard::to_allocvec(&trace).expect("plain values encode");
            if self.insert(trace) {
                bytes.extend(encoded);
            }
        }
        if bytes.is_empty() {
            return Vec::new();
        }
        if self.n_kept > self.max {
            let given_up = self.give_up();
            self.rewrite();
            return given_up;
        }
        let mut options = File::options();
        options.create(true).append(true).mode(0o600);
        if let Err(err) = options.open(&self.file).and_then(|mut file| file.write_all(&bytes)) {
            tracing::warn!(%err, "earlier versions would not be purged after a restart");
        }
        Vec::new()
    }

    /// Drops from the order what was taken, and what came again since.
    fn compact(&mut self) {
        let mut seen = HashSet::new();
        self.order.retain(|trace| {
            let is_kept = self.of.get(&trace.path).is_some_and(|all| all.contains(&trace.hash));
            is_kept && seen.insert((trace.path.clone(), trace.hash))
        });
    }

    /// The older half.
    fn give_up(&mut self) -> Vec<Trace> {
        self.compact();
        let half = self.order.len() / 2;
        let oldest: Vec<Trace> = self.order.drain(..half).collect();
        for trace in &oldest {
            if let Some(hashes) = self.of.get_mut(&trace.path) {
                hashes.retain(|hash| *hash != trace.hash);
            }
        }
        self.of.retain(|_, hashes| !hashes.is_empty());
        self.n_kept = self.order.len();
        oldest
    }

    /// All that are known of a file that is gone.
    pub(super) fn take(&mut self, path: &str) -> Vec<Trace> {
        let hashes = self.of.remove(path).unwrap_or_default();
        self.n_kept -= hashes.len();
        hashes.into_iter().map(|hash| Trace { path: path.to_owned(), hash }).collect()
    }

    /// What was taken out leaves the disk as well.
    pub(super) fn rewrite(&mut self) {
        self.compact();
        if let Err(err) = self.write_all() {
            tracing::warn!(%err, "the list of earlier versions is not shortened");
        }
    }

    fn write_all(&self) -> io::Result<()> {
        if self.order.is_empty() {
            return match fs::remove_file(&self.file) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
                _ => Ok(()),
            };
        }
        let encode = |trace| postcard::to_allocvec(trace).expect("plain values encode");
        let bytes: Vec<u8> = self.order.iter().flat_map(encode).collect();
        let aside = self.file.with_extension("new");
        let mut options = File::options();
        options.create(true).write(true).truncate(true).mode(0o600);
        options.open(&aside)?.write_all(&bytes)?;
        fs::rename(aside, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(path: &str, text: &str) -> Trace {
        Trace { path: path.to_owned(), hash: ContentHash::of(text.as_bytes()) }
    }

    #[test]
    fn all_versions_of_a_file_are_known_after_a_restart_and_a_torn_write() {
        let folder = tempfile::tempdir().expect("made");
        let mut versions = Versions::open(folder.path());
        let first = [trace("a.py", "1"), trace("b.py", "1"), trace("a.py", "2")];
        assert!(versions.note(first.to_vec()).is_empty());
        versions.note(vec![trace("a.py", "1")]);
        let mut bytes = fs::read(folder.path().join("versions")).expect("written");
        bytes.extend(&postcard::to_allocvec(&trace("c.py", "1")).expect("encodes")[..9]);
        fs::write(folder.path().join("versions"), bytes).expect("written");
        let mut versions = Versions::open(folder.path());
        assert_eq!(versions.take("a.py"), [trace("a.py", "1"), trace("a.py", "2")]);
        assert_eq!(versions.take("a.py"), []);
        assert_eq!(versions.take("c.py"), []);
        versions.rewrite();
        let mut versions = Versions::open(folder.path());
        assert_eq!(versions.take("a.py"), []);
        assert_eq!(versions.take("b.py"), [trace("b.py", "1")]);
        versions.rewrite();
        assert!(!folder.path().join("versions").exists());
    }

    #[test]
    fn of_too_many_the_oldest_are_given_up() {
        let folder = tempfile::tempdir().expect("made");
        let mut versions = Versions::with_max(folder.path(), 4);
        let texts = ["1", "2", "3", "4"];
        assert!(versions.note(texts.map(|text| trace("a.py", text)).to_vec()).is_empty());
        let given_up = versions.note(vec![trace("b.py", "5")]);
        assert_eq!(given_up, [trace("a.py", "1"), trace("a.py", "2")]);
        let mut versions = Versions::with_max(folder.path(), 4);
        assert_eq!(versions.take("a.py"), [trace("a.py", "3"), trace("a.py", "4")]);
        assert_eq!(versions.take("b.py"), [trace("b.py", "5")]);
    }

    #[test]
    fn a_version_that_comes_again_counts_once() {
        let folder = tempfile::tempdir().expect("made");
        let mut versions = Versions::with_max(folder.path(), 2);
        for _ in 0..3 {
            assert!(versions.note(vec![trace("a.py", "1")]).is_empty());
            assert_eq!(versions.take("a.py").len(), 1);
        }
        versions.note(vec![trace("a.py", "1"), trace("b.py", "1")]);
        let given_up = versions.note(vec![trace("c.py", "1")]);
        assert_eq!(given_up, [trace("a.py", "1")]);
        assert_eq!((versions.n_kept, versions.order.len()), (2, 2));
    }
}
