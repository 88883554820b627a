//! Tells the engine which paths may have changed on disk.
//!
//! On Linux each folder that counts is watched by itself, so ignored folders (build output,
//! dependencies) cost nothing. Elsewhere the system watches the whole tree. File systems that send no
//! events, and trees with more folders than the system can watch, are polled.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod inotify;
// Tested everywhere, so that it is known to build.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod system;

use std::{
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

#[cfg(any(target_os = "linux", target_os = "android"))]
use self::inotify::Watcher;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use self::system::Watcher;

/// What the watcher says.
#[derive(Debug)]
pub enum Notice {
    /// These paths were created, written, renamed or removed.
    Changed(Vec<PathBuf>),
    /// Events were lost; anything may have changed.
    Lost,
}

/// How changes on disk are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watching {
    Events,
    /// By walking the tree now and then.
    Polling,
    /// Not at all: switched off.
    #[default]
    Off,
}

impl fmt::Display for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Events => "events",
            Self::Polling => "polling",
            Self::Off => "off",
        })
    }
}

/// Watches one root; the folders are added as the walk meets them.
pub struct Watch {
    watcher: Option<Watcher>,
    problem: Option<String>,
}

impl Watch {
    /// Starts a watcher without folders; `notice` is called on the watcher's thread.
    #[must_use]
    pub fn new(root: &Path, notice: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        let mut watch = Self { watcher: None, problem: None };
        if let Some(name) = silent_file_system(root) {
            watch.problem = Some(format!("`{name}` file systems send no events"));
            return watch;
        }
        match Watcher::new(root, notice) {
            Ok(watcher) => watch.watcher = Some(watcher),
            Err(err) => watch.give_up(&err),
        }
        watch
    }

    /// Watches the entries of one folder. Call it before reading them, each time: another folder may
    /// have its name by now.
    pub fn add(&mut self, folder: &Path) {
        let Some(watcher) = &self.watcher else { return };
        match watcher.add(folder) {
            Ok(()) => {}
            // Removed since the walk met it: its parent's watch tells. What cannot be opened cannot be
            // read either; its parent's watch tells when that changes.
            Err(err) if is_gone(&err) || err.kind() == ErrorKind::PermissionDenied => {}
            Err(err) => self.give_up(&err),
        }
    }

    /// Forgets a folder that is gone or no longer counts.
    pub fn remove(&mut self, folder: &Path) {
        if let Some(watcher) = &self.watcher {
            watcher.remove(folder);
        }
    }

    /// True while events arrive for every folder that was added.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.watcher.as_ref().is_some_and(|watcher| !watcher.is_broken())
    }

    /// Why the tree is polled instead.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        let is_broken = self.watcher.as_ref().is_some_and(Watcher::is_broken);
        is_broken.then_some("the system tells of no changes any more").or(self.problem.as_deref())
    }

    fn give_up(&mut self, err: &std::io::Error) {
        self.problem = Some(match err.kind() {
            ErrorKind::StorageFull => "the system's limit of watches is reached; raise it with \
                 `sysctl fs.inotify.max_user_watches=524288`"
                .to_owned(),
            _ => format!("the system cannot watch it ({err})"),
        });
        // Half the folders watched would look as if all were.
        self.watcher = None;
    }
}

fn is_gone(err: &std::io::Error) -> bool {
    matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Name of a file system whose changes may come from another machine.
#[cfg(target_os = "linux")]
fn silent_file_system(root: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(root).ok()?.f_type as u64 & 0xFFFF_FFFF;
    match kind {
        0x6969 => Some("nfs"),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => Some("smb"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("fuse"),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn silent_file_system(_: &Path) -> Option<&'static str> {
    None
}

/// The folder of a root that git writes to while it changes the working tree: `.git`, or what the file
/// `.git` of a worktree or submodule names. Nothing in it is executed or followed further.
#[must_use]
pub fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    let metadata = fs::symlink_metadata(&git).ok()?;
    if metadata.is_dir() {
        return Some(git);
    }
    if !metadata.is_file() || metadata.len() > 4_096 {
        return None;
    }
    let text = fs::read_to_string(&git).ok()?;
    let folder = root.join(text.strip_prefix("gitdir:")?.trim());
    folder.is_dir().then_some(folder)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, mpsc},
        time::Duration,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn watch(root: &Path) -> (Watch, mpsc::Receiver<Notice>) {
        let (sender, notices) = mpsc::channel();
        let sender = Mutex::new(sender);
        let notice = move |notice| drop(sender.lock().expect("not poisoned").send(notice));
        (Watch::new(root, notice), notices)
    }

    /// The last path of the next notice.
    #[cfg(target_os = "linux")]
    fn first(notices: &mpsc::Receiver<Notice>) -> PathBuf {
        match notices.recv_timeout(LIMIT).expect("an event") {
            Notice::Changed(mut paths) => paths.pop().expect("not empty"),
            Notice::Lost => panic!("nothing was lost"),
        }
    }

    #[test]
    fn a_write_is_noticed_and_a_read_is_not() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let root = temp.path().canonicalize().expect("there");
        fs::write(root.join("read.rs"), "x").expect("written");
        let (mut watch, notices) = watch(&root);
        watch.add(&root);
        assert!(watch.is_complete(), "{:?}", watch.problem());
        fs::read(root.join("read.rs")).expect("read");
        fs::write(root.join("new.rs"), "x").expect("written");
        let Notice::Changed(paths) = notices.recv_timeout(LIMIT).expect("an event") else {
            panic!("nothing was lost")
        };
        assert_eq!(paths, [root.join("new.rs")]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_of_two_roots_tells_both_until_each_is_gone() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let outer = temp.path().canonicalize().expect("there");
        let inner = outer.join("inner");
        fs::create_dir(&inner).expect("created");
        let ((mut one, of_one), (mut two, of_two)) = (watch(&outer), watch(&inner));
        one.add(&inner);
        two.add(&inner);
        fs::write(inner.join("a.rs"), "x").expect("written");
        assert_eq!(first(&of_one), inner.join("a.rs"));
        assert_eq!(first(&of_two), inner.join("a.rs"));
        drop(one);
        fs::write(inner.join("b.rs"), "x").expect("written");
        while first(&of_two) != inner.join("b.rs") {}
        assert!(of_one.iter().all(|notice| !format!("{notice:?}").contains("b.rs")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_made_again_is_watched_when_added_again() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let root = temp.path().canonicalize().expect("there");
        let folder = root.join("folder");
        fs::create_dir(&folder).expect("created");
        let (mut watch, notices) = watch(&root);
        watch.add(&folder);
        fs::remove_dir(&folder).expect("removed");
        fs::create_dir(&folder).expect("created again");
        // The end of the first one is told by its own name.
        assert_eq!(first(&notices), folder);
        watch.add(&folder);
        fs::write(folder.join("a.rs"), "x").expect("written");
        while first(&notices) != folder.join("a.rs") {}
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_renamed_folder_tells_by_its_new_name() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let root = temp.path().canonicalize().expect("there");
        let (old, new) = (root.join("old"), root.join("new"));
        fs::create_dir(&old).expect("created");
        let (mut watch, notices) = watch(&root);
        watch.add(&old);
        fs::rename(&old, &new).expect("renamed");
        // As a walk does: what it meets first, then what it does not meet any more.
        watch.add(&new);
        watch.remove(&old);
        fs::write(new.join("a.rs"), "x").expect("written");
        while first(&notices) != new.join("a.rs") {}
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_may_not_be_read_does_not_stop_the_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().expect("temporary folder");
        let root = temp.path().canonicalize().expect("there");
        let closed = root.join("closed");
        fs::create_dir(&closed).expect("created");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closed");
        let (mut watch, _notices) = watch(&root);
        watch.add(&root);
        watch.add(&closed);
        // The superuser may read it all the same; then it is watched.
        assert!(watch.is_complete(), "{:?}", watch.problem());
    }

    #[test]
    fn the_git_folder_of_a_worktree_is_found() {
        let fixture =
            "//- /main/.git/worktrees/w/HEAD\nref\n//- /w/.git\ngitdir: ../main/.git/worktrees/w\n";
        let temp = fovea_test_support::parse(fixture, "main.rs").write();
        let folder = git_folder(&temp.path().join("w")).expect("named by the file");
        assert!(folder.join("HEAD").is_file());
        assert_eq!(git_folder(temp.path()), None);
    }
}
