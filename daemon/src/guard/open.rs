//! Opening a file below a root without being led anywhere else.

use std::fs::File;
use std::path::{Component, Path};

use super::Refused;

/// Opens a plain file at `relative` below `root`.
///
/// On Linux the kernel resolves the path (`openat2`): links and mounts are not followed, whatever
/// another process changes meanwhile, so that what was decided about a name holds for the file that
/// is opened. The file is looked at before it is opened for reading, so that a FIFO or a device never is.
pub(super) fn open_beneath(root: &Path, relative: &Path) -> Result<File, Refused> {
    let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || relative.as_os_str().is_empty() {
        return Err(Refused::Outside);
    }
    open(root, relative)
}

#[cfg(target_os = "linux")]
fn open(root: &Path, relative: &Path) -> Result<File, Refused> {
    use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
    use rustix::io::Errno;

    let failed = |err: Errno| match err {
        Errno::NOENT | Errno::NOTDIR => Refused::Gone,
        Errno::XDEV => Refused::Outside,
        Errno::LOOP => Refused::Link,
        Errno::INVAL | Errno::NAMETOOLONG => Refused::Gone,
        err => Refused::Unreadable(err.into()),
    };
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, root, directory, Mode::empty()).map_err(failed)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let open = |flags: OFlags| loop {
        match openat2(&folder, relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // The tree was renamed while the kernel looked: look again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result.map_err(failed),
        }
    };
    let is_file =
        |stat: &rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let seen = fstat(open(OFlags::PATH)?).map_err(failed)?;
    if !is_file(&seen) {
        return Err(Refused::NotAFile);
    }
    let file = open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    // Swapped in between: whatever it is now, it is looked at like anything else.
    if !is_file(&fstat(&file).map_err(failed)?) {
        return Err(Refused::NotAFile);
    }
    Ok(file.into())
}

#[cfg(not(target_os = "linux"))]
fn open(root: &Path, relative: &Path) -> Result<File, Refused> {
    use std::io;

    let failed = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refused::Gone,
        _ => Refused::Unreadable(err),
    };
    let root = root.canonicalize().map_err(failed)?;
    let path = root.join(relative);
    // Canonical, as the root is, means without links.
    if path.canonicalize().map_err(failed)? != path {
        return Err(Refused::Link);
    }
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Refused::NotAFile);
    }
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Refused::NotAFile);
    }
    Ok(file)
}
