//! Guarded texts of files that were read a moment ago.
//!
//! A query shows pieces of ten files, a plan of fifty; reading each again would scan it for secrets
//! again. A text is reused only while the opened file has the identity, size and times it was read with,
//! and only if those times had come to rest: two writes within one tick of the file system's clock
//! look the same.

use std::{
    collections::HashMap,
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::{GuardedText, Refused, open, read_identified};

/// Coarser than the clock that file systems stamp with.
const TICK: Duration = Duration::from_millis(50);

/// Texts by path, up to a number of bytes; the one not asked for the longest goes first.
pub struct Recent {
    max_bytes: usize,
    texts: Mutex<Texts>,
}

#[derive(Default)]
struct Texts {
    by_path: HashMap<String, Kept>,
    n_bytes: usize,
    n_asked: u64,
    n_found: u64,
}

struct Kept {
    identity: Identity,
    guarded: GuardedText,
    asked: u64,
}

/// What changes whenever a file's bytes do: device, inode, size, modification and change time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    n_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            n_bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// True if no write since could have left the same times.
    fn is_settled(&self, now: SystemTime) -> bool {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanoseconds) = self.changed.max(self.modified);
        match (u64::try_from(seconds), u32::try_from(nanoseconds)) {
            (Ok(seconds), Ok(nanoseconds)) => {
                Duration::new(seconds, nanoseconds) + TICK < since_epoch
            }
            _ => false,
        }
    }
}

impl Recent {
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, texts: Mutex::default() }
    }

    /// As [`super::read`], without reading a file that is as it was.
    ///
    /// # Errors
    /// As [`super::read`].
    pub fn read(&self, root: &Path, path: &str, max_bytes: u64) -> Result<GuardedText, Refused> {
        if let Some(exclusion) = super::excluded(path) {
            return Err(Refused::Excluded(exclusion));
        }
        // Opened each time: whether a path may be opened is decided now, not then.
        let file = open::open_beneath(root, Path::new(path))?;
        let identity = Identity::of(&file.metadata().map_err(Refused::Unreadable)?);
        if identity.n_bytes <= max_bytes
            && let Some(guarded) = self.lock().get(path, identity)
        {
            return Ok(guarded);
        }
        drop(file);
        let now = SystemTime::now();
        let (guarded, identity) = read_identified(root, path, max_bytes)?;
        let mut texts = self.lock();
        texts.remove(path);
        if identity.is_settled(now) && guarded.text.len() <= self.max_bytes / 4 {
            texts.insert(path, identity, &guarded, self.max_bytes);
        }
        Ok(guarded)
    }

    /// Forgets all texts.
    pub fn clear(&self) {
        let mut texts = self.lock();
        let (n_asked, n_found) = (texts.n_asked, texts.n_found);
        *texts = Texts { n_asked, n_found, ..Texts::default() };
    }

    /// Texts asked for, and how many of them were there.
    #[must_use]
    pub fn hits(&self) -> (u64, u64) {
        let texts = self.lock();
        (texts.n_asked, texts.n_found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Texts {
    fn get(&mut self, path: &str, identity: Identity) -> Option<GuardedText> {
        self.n_asked += 1;
        let kept = self.by_path.get_mut(path).filter(|kept| kept.identity == identity)?;
        kept.asked = self.n_asked;
        self.n_found += 1;
        Some(kept.guarded.clone())
    }

    fn insert(&mut self, path: &str, identity: Identity, guarded: &GuardedText, max_bytes: usize) {
        self.n_bytes += guarded.text.len();
        let kept = Kept { identity, guarded: guarded.clone(), asked: self.n_asked };
        self.by_path.insert(path.to_owned(), kept);
        while self.n_bytes > max_bytes {
            let oldest = self.by_path.iter().min_by_key(|(_, kept)| kept.asked);
            let Some(oldest) = oldest.map(|(path, _)| path.clone()) else { break };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, path: &str) {
        if let Some(kept) = self.by_path.remove(path) {
            self.n_bytes -= kept.guarded.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn aged(path: &Path) {
        let file = fs::File::options().write(true).open(path).expect("there");
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("touched");
        // The change time is the system's own; let it come to rest.
        std::thread::sleep(2 * TICK);
    }

    #[test]
    fn a_file_that_rests_is_read_once() {
        let temp = tempfile::tempdir().expect("temporary folder");
        fs::write(temp.path().join("a.rs"), "fn a() {}").expect("written");
        aged(&temp.path().join("a.rs"));
        let recent = Recent::new(1 << 20);
        let first = recent.read(temp.path(), "a.rs", 1 << 20).expect("text");
        let second = recent.read(temp.path(), "a.rs", 1 << 20).expect("text");
        assert!(std::sync::Arc::ptr_eq(&first.text, &second.text));
    }

    #[test]
    fn an_edit_of_the_same_size_and_time_is_seen() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let path = temp.path().join("a.rs");
        fs::write(&path, "fn a() {}").expect("written");
        aged(&path);
        let recent = Recent::new(1 << 20);
        recent.read(temp.path(), "a.rs", 1 << 20).expect("text");
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("time");
        fs::write(&path, "fn b() {}").expect("written");
        let file = fs::File::options().write(true).open(&path).expect("there");
        file.set_modified(modified).expect("touched");
        let text = recent.read(temp.path(), "a.rs", 1 << 20).expect("text");
        assert_eq!(&*text.text, "fn b() {}");
    }

    #[test]
    fn the_oldest_texts_make_room() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let recent = Recent::new(4_000);
        for index in 0..8 {
            let path = temp.path().join(format!("f{index}.rs"));
            fs::write(&path, "x".repeat(900)).expect("written");
        }
        std::thread::sleep(2 * TICK);
        for index in 0..8 {
            recent.read(temp.path(), &format!("f{index}.rs"), 1 << 20).expect("text");
        }
        let texts = recent.lock();
        assert_eq!((texts.by_path.len(), texts.n_bytes), (4, 3_600));
        assert!(texts.by_path.contains_key("f7.rs"));
    }
}
