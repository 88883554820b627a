//! The bytes of a model file: mapped, or owned for fixtures. The only `unsafe` of the gate.

#![expect(unsafe_code, reason = "mapping a file is unsafe by nature, see the SAFETY comment")]

use std::fs::File;

/// File contents that stay put for as long as this lives.
#[derive(Debug)]
pub(super) enum FileBytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl FileBytes {
    pub(super) fn map(file: &File) -> std::io::Result<Self> {
        // SAFETY: the map is read-only and private to this process. Model files live in the user's
        // own data directory (0700), which nothing of Fovea rewrites in place: a new version is
        // written beside and renamed, so a mapped file keeps its bytes. Should the user truncate a
        // file under a running worker, the kernel ends that worker process, which the daemon
        // reports as an error and starts again; no value in safe code can be invalidated, because
        // every access goes through `&[u8]` whose contents are validated where they are used.
        Ok(Self::Mapped(unsafe { memmap2::Mmap::map(file)? }))
    }
}

impl std::ops::Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}
