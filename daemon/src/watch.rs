//! Tells the engine which paths may have changed on disk.
//!
//! On Linux each folder that counts is watched by itself, so ignored folders (build output,
//! dependencies) cost nothing. Elsewhere the system watches the whole tree. File systems that send no
//! events, and trees with more folders than the system can watch, are polled.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

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
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    problem: Option<String>,
}

/// One watch covers everything below it.
const IS_RECURSIVE: bool = !cfg!(any(target_os = "linux", target_os = "android"));

impl Watch {
    /// Starts a watcher without folders; `notice` is called on the watcher's thread.
    #[must_use]
    pub fn new(root: &Path, notice: impl Fn(Notice) + Send + 'static) -> Self {
        let mut watch = Self { watcher: None, folders: BTreeSet::new(), problem: None };
        if let Some(name) = silent_file_system(root) {
            watch.problem = Some(format!("`{name}` file systems send no events"));
            return watch;
        }
        let handler = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.need_rescan() => notice(Notice::Lost),
            // Reading is no change; our own walks would wake us otherwise.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) => notice(Notice::Changed(event.paths)),
            Err(err) => {
                tracing::warn!(%err, "watcher");
                notice(Notice::Lost);
            }
        };
        match notify::recommended_watcher(handler) {
            Ok(watcher) => watch.watcher = Some(watcher),
            Err(err) => watch.give_up(&err),
        }
        if IS_RECURSIVE {
            watch.add_mode(root, RecursiveMode::Recursive);
        }
        watch
    }

    /// Watches the entries of one folder. Call it before reading them.
    pub fn add(&mut self, folder: &Path) {
        if !IS_RECURSIVE && !self.folders.contains(folder) {
            self.add_mode(folder, RecursiveMode::NonRecursive);
        }
    }

    fn add_mode(&mut self, folder: &Path, mode: RecursiveMode) {
        let Some(watcher) = &mut self.watcher else { return };
        match watcher.watch(folder, mode) {
            Ok(()) => {
                self.folders.insert(folder.to_owned());
            }
            // Removed since the walk met it: its parent's watch tells.
            Err(err) if is_gone(&err) => {}
            // Nothing in it can be read either; its parent's watch tells when that changes.
            Err(err) if is_denied(&err) => {}
            Err(err) => self.give_up(&err),
        }
    }

    /// Forgets a folder that is gone or no longer counts.
    pub fn remove(&mut self, folder: &Path) {
        if self.folders.remove(folder)
            && let Some(watcher) = &mut self.watcher
        {
            // The kernel forgets a removed folder by itself.
            let _ = watcher.unwatch(folder);
        }
    }

    /// True while events arrive for every folder that was added.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.watcher.is_some()
    }

    /// Why the tree is polled instead.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn give_up(&mut self, err: &notify::Error) {
        self.problem = Some(match &err.kind {
            ErrorKind::MaxFilesWatch => "the system's limit of watches is reached; raise it with \
                 `sysctl fs.inotify.max_user_watches=524288`"
                .to_owned(),
            _ => format!("the system cannot watch it ({err})"),
        });
        // Half the folders watched would look as if all were.
        self.watcher = None;
        self.folders.clear();
    }
}

fn is_gone(err: &notify::Error) -> bool {
    match &err.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(err) => err.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn is_denied(err: &notify::Error) -> bool {
    matches!(&err.kind, ErrorKind::Io(err) if err.kind() == std::io::ErrorKind::PermissionDenied)
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
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn a_write_is_noticed_and_a_read_is_not() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let root = temp.path().canonicalize().expect("there");
        fs::write(root.join("read.rs"), "x").expect("written");
        let (sender, notices) = mpsc::channel();
        let mut watch = Watch::new(&root, move |notice| drop(sender.send(notice)));
        watch.add(&root);
        assert!(watch.is_complete(), "{:?}", watch.problem());
        fs::read(root.join("read.rs")).expect("read");
        fs::write(root.join("new.rs"), "x").expect("written");
        let notice = notices.recv_timeout(Duration::from_secs(10)).expect("an event");
        let Notice::Changed(paths) = notice else { panic!("nothing was lost") };
        assert_eq!(paths, [root.join("new.rs")]);
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
        let mut watch = Watch::new(&root, |_| {});
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
