//! Putting bytes on disk so that a model is either there, whole and checked, or not there at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::{ModelsError, io_error};
use super::report::{Report, Stage};

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) n_bytes: u64,
    pub(super) sha256: String,
}

/// Copies to a new file of mode 0600, hashing on the way, and syncs it.
pub(super) fn copy_checked(
    mut from: impl Read,
    target: &Path,
    n_expected: u64,
    report: &mut dyn Report,
) -> Result<Checked, ModelsError> {
    let mut to = create_private(target).map_err(io_error("create", target))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut n_bytes = 0;
    loop {
        let n_read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n_read) => n_read,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(io_error("read what becomes", target)(err)),
        };
        hasher.update(&buffer[..n_read]);
        to.write_all(&buffer[..n_read]).map_err(io_error("write", target))?;
        n_bytes += n_read as u64;
        report.progress(Stage::Checking, n_bytes, n_expected);
    }
    to.sync_all().map_err(io_error("write", target))?;
    Ok(Checked { n_bytes, sha256: hex(&hasher.finalize()) })
}

/// Hashes a file that is already there.
pub(super) fn sha256_of(path: &Path) -> Result<String, ModelsError> {
    let mut file = File::open(path).map_err(io_error("open", path))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher).map_err(io_error("read", path))?;
    Ok(hex(&hasher.finalize()))
}

/// Writes a small file aside and renames it into place.
pub(super) fn write_atomic(path: &Path, contents: &[u8]) -> Result<(), ModelsError> {
    let folder = path.parent().expect("records lie in the models folder");
    let mut temp = tempfile::Builder::new()
        .prefix(".record-")
        .tempfile_in(folder)
        .map_err(io_error("write in", folder))?;
    temp.write_all(contents).map_err(io_error("write", path))?;
    temp.as_file().sync_all().map_err(io_error("write", path))?;
    temp.persist(path).map_err(|err| io_error("write", path)(err.error))?;
    sync_folder(folder);
    Ok(())
}

/// Makes renames in `folder` durable, where the platform can.
pub(super) fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// Fails early, with numbers, where the disk cannot hold what comes.
pub(super) fn require_space(folder: &Path, n_bytes: u64) -> Result<(), ModelsError> {
    #[cfg(unix)]
    if let Ok(stat) = rustix::fs::statvfs(folder) {
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < n_bytes {
            return Err(ModelsError::NoSpace {
                path: folder.to_owned(),
                needed: n_bytes.div_ceil(1_000_000),
                free: free / 1_000_000,
            });
        }
    }
    #[cfg(not(unix))]
    let _ = (folder, n_bytes);
    Ok(())
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
