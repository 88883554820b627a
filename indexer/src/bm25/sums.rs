//! One number for all postings of a file, whatever order they are met in: to compare two indexes.

use super::Field;
use crate::FileId;

/// By file: the sum (wrapping) of the hashes of its postings, and how many there are.
pub(crate) struct TermSums(Vec<FileSum>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileSum {
    pub(crate) sum: u128,
    pub(crate) n_postings: u64,
}

impl TermSums {
    pub(crate) fn new(n_files: usize) -> Self {
        Self(vec![FileSum::default(); n_files])
    }

    pub(crate) fn add(
        &mut self,
        file: FileId,
        chunk: u32,
        field: Field,
        term: &[u8],
        frequency: u32,
        length: u32,
    ) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&chunk.to_le_bytes());
        hasher.update(&[field as u8]);
        hasher.update(&frequency.to_le_bytes());
        hasher.update(&length.to_le_bytes());
        hasher.update(term);
        let hash = hasher.finalize();
        let half = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
        let entry = &mut self.0[file.0 as usize];
        entry.sum = entry.sum.wrapping_add(u128::from_le_bytes(*half));
        entry.n_postings += 1;
    }

    pub(crate) fn of(&self, file: FileId) -> FileSum {
        self.0.get(file.0 as usize).copied().unwrap_or_default()
    }
}
