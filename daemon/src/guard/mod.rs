//! The one gate for opening files of a workspace: nothing outside the root, nothing that is not a
//! plain text file, nothing over the cap.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path},
    sync::Arc,
};

/// Text that may be indexed, shown and put into a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedText {
    pub text: Arc<str>,
}

/// Why a file is not opened; shown by `status --why`.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("it does not exist")]
    Gone,
    #[error("it lies outside the workspace")]
    Outside,
    #[error("it is not a plain file")]
    NotAFile,
    #[error("it has {n_bytes} bytes, the limit is {limit} (index.max-file-bytes)")]
    TooLarge { n_bytes: u64, limit: u64 },
    #[error("it is binary")]
    Binary,
    #[error("it is not UTF-8 text")]
    NotUtf8,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

/// How much of a file's start is looked at for a zero byte, which makes it binary.
const BINARY_PROBE_BYTES: usize = 8 << 10;

/// Reads `path` (relative to `root`, `/`-separated) if it may be indexed.
///
/// # Errors
/// [`Refused`] says which rule stopped it.
pub fn read(root: &Path, path: &str, max_bytes: u64) -> Result<GuardedText, Refused> {
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Refused::Outside);
    }
    let file = open_beneath(root, relative)?;
    let metadata = file.metadata().map_err(Refused::Unreadable)?;
    if !metadata.is_file() {
        return Err(Refused::NotAFile);
    }
    let too_large = |n_bytes| Refused::TooLarge { n_bytes, limit: max_bytes };
    if metadata.len() > max_bytes {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    // The file may grow while it is read.
    (&file).take(max_bytes + 1).read_to_end(&mut bytes).map_err(Refused::Unreadable)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large(bytes.len() as u64));
    }
    if memchr::memchr(0, &bytes[..bytes.len().min(BINARY_PROBE_BYTES)]).is_some() {
        return Err(Refused::Binary);
    }
    let text = String::from_utf8(bytes).map_err(|_| Refused::NotUtf8)?;
    Ok(GuardedText { text: text.into() })
}

/// Opens without following a link out of the root, and without waiting on a FIFO.
#[cfg(target_os = "linux")]
fn open_beneath(root: &Path, relative: &Path) -> Result<File, Refused> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
    let failed = |err: rustix::io::Errno| match err {
        rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => Refused::Gone,
        rustix::io::Errno::XDEV | rustix::io::Errno::LOOP => Refused::Outside,
        err => Refused::Unreadable(err.into()),
    };
    let folder =
        openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(folder, relative, flags, Mode::empty(), resolve).map_err(failed)?.into())
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(root: &Path, relative: &Path) -> Result<File, Refused> {
    let failed = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refused::Gone,
        _ => Refused::Unreadable(err),
    };
    let path = root.join(relative).canonicalize().map_err(failed)?;
    if !path.starts_with(root.canonicalize().map_err(failed)?) {
        return Err(Refused::Outside);
    }
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Refused::NotAFile);
    }
    File::open(path).map_err(failed)
}
