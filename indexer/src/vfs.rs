//! Path to [`FileId`] and back, content hashes, and the overlay of unsaved buffers. Records what
//! it is told; does no I/O.

use std::sync::Arc;

/// Reads the text of a file of the workspace, through the daemon's one gate for opening files.
/// Tests use a map.
pub trait TextSource: Send + Sync {
    /// The current text of `path` (relative to the root, `/`-separated), or `None` if it is gone,
    /// excluded, binary or over the cap. Secrets are already redacted, offsets kept.
    fn read(&self, path: &str) -> Option<Arc<str>>;
}
