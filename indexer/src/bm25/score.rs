//! BM25F over committed and overlay terms together. Document frequencies are counted over live
//! chunks while scoring, so scores do not depend on what tantivy still holds of deleted files.

use std::sync::Arc;

use super::{FIELDS, Field, FileTerms, Lengths, TermSums, store::Base};
use crate::{Cancel, ChunkId, FileId};

/// Weight of one occurrence in a field, and how much the field's length counts against it.
const FIELD_WEIGHTS: [f32; FIELDS.len()] = [1.0, 2.5, 1.5];
const FIELD_B: [f32; FIELDS.len()] = [0.6, 0.3, 0.3];
/// Saturation of repeated terms; Robertson and Zaragoza 2009, section 3.
const K1: f32 = 1.2;
/// Bits of a term mask.
pub(crate) const MAX_TERMS: usize = 64;

/// One term of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueryTerm {
    pub(crate) text: String,
    pub(crate) weight: f32,
    /// The word it came from, as typed.
    pub(crate) typed: String,
    /// An alias of other terms (a whole identifier, a joined pair): a bonus where it is found, no
    /// loss where it is not.
    pub(crate) is_joined: bool,
}

/// A file's part of the lexical index.
#[derive(Clone, Debug)]
pub(crate) struct FileLexical {
    /// `None` if the committed terms are current.
    pub(crate) terms: Option<Arc<FileTerms>>,
    pub(crate) n_chunks: u32,
    pub(crate) lengths: Lengths,
}

/// What can be scored: committed terms, overlay terms, and the joint statistics.
#[derive(Clone)]
pub(crate) struct Lexical {
    base: Base,
    files: Arc<[Option<FileLexical>]>,
    /// Position of each file's first chunk in arrays over all chunks; one more than files.
    first_slot: Arc<[u32]>,
    overlay: Arc<[FileId]>,
    average: [f32; FIELDS.len()],
}

/// A chunk that has at least one of the terms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LexicalHit {
    pub(crate) chunk: ChunkId,
    pub(crate) score: f32,
    /// Which terms occur, by field.
    pub(crate) masks: [u64; FIELDS.len()],
}

/// All chunks that match, in no order, and each term's inverse document frequency.
#[derive(Clone, Debug, Default)]
pub(crate) struct LexicalMatches {
    pub(crate) hits: Vec<LexicalHit>,
    pub(crate) idf: Vec<f32>,
}

impl Lexical {
    pub(crate) fn new(base: Base, files: Vec<Option<FileLexical>>) -> Self {
        let mut first_slot = Vec::with_capacity(files.len() + 1);
        let mut overlay = Vec::new();
        let mut n_slots = 0;
        let mut sums = [0u64; FIELDS.len()];
        for (index, file) in files.iter().enumerate() {
            first_slot.push(n_slots);
            let Some(file) = file else { continue };
            n_slots += file.n_chunks;
            if file.terms.is_some() {
                overlay.push(FileId(index as u32));
            }
            for (sum, length) in sums.iter_mut().zip(file.lengths) {
                *sum += u64::from(length);
            }
        }
        first_slot.push(n_slots);
        let average = sums.map(|sum| (sum as f32 / n_slots.max(1) as f32).max(0.1));
        Self {
            base,
            files: files.into(),
            first_slot: first_slot.into(),
            overlay: overlay.into(),
            average,
        }
    }

    /// The same with other terms of `file`.
    pub(crate) fn with_file(&self, file: FileId, lexical: FileLexical) -> Self {
        let mut files = self.files.to_vec();
        if let Some(known) = files.get_mut(file.0 as usize) {
            *known = Some(lexical);
        }
        Self::new(self.base.clone(), files)
    }

    pub(crate) fn n_chunks(&self) -> u32 {
        self.first_slot[self.files.len()]
    }

    /// Files whose terms are not committed.
    pub(crate) fn n_overlay(&self) -> usize {
        self.overlay.len()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let overlay = self.overlay.iter().filter_map(|file| self.overlay_terms(*file));
        overlay.map(FileTerms::heap_bytes).sum()
    }

    /// Live chunks whose body has `term`.
    pub(crate) fn n_chunks_with(&self, term: &str) -> usize {
        let mut n = 0;
        self.postings(term, Field::Body, |_, _, _| n += 1);
        n
    }

    /// Scores all chunks that have one of `terms`. Damaged postings count as missing.
    pub(crate) fn score(&self, terms: &[QueryTerm], cancel: &Cancel) -> LexicalMatches {
        let n_slots = self.n_chunks() as usize;
        let mut slots = vec![Slot::default(); n_slots];
        let mut matched: Vec<u32> = Vec::new();
        let mut touched: Vec<u32> = Vec::new();
        let mut idf = Vec::with_capacity(terms.len());
        for (index, term) in terms.iter().take(MAX_TERMS).enumerate() {
            if cancel.is_cancelled() {
                break;
            }
            for field in FIELDS {
                self.postings(&term.text, field, |slot, frequency, length| {
                    let place = field as usize;
                    let norm =
                        1.0 - FIELD_B[place] + FIELD_B[place] * length as f32 / self.average[place];
                    let entry = &mut slots[slot as usize];
                    if entry.term_frequency == 0.0 {
                        touched.push(slot);
                    }
                    entry.term_frequency += FIELD_WEIGHTS[place] * frequency as f32 / norm;
                    entry.masks[place] |= 1 << index;
                });
            }
            let n = touched.len() as f32;
            let rarity = (1.0 + (n_slots as f32 - n + 0.5) / (n + 0.5)).ln();
            idf.push(rarity);
            for slot in touched.drain(..) {
                let entry = &mut slots[slot as usize];
                let frequency = std::mem::take(&mut entry.term_frequency);
                if entry.score == 0.0 {
                    matched.push(slot);
                }
                entry.score += term.weight * rarity * frequency * (K1 + 1.0) / (frequency + K1);
            }
        }
        idf.resize(terms.len(), 0.0);
        matched.sort_unstable();
        let mut file = 0;
        let hits = matched
            .into_iter()
            .map(|slot| {
                while self.first_slot[file + 1] <= slot {
                    file += 1;
                }
                let Slot { score, masks, .. } = slots[slot as usize];
                let index = slot - self.first_slot[file];
                LexicalHit { chunk: ChunkId { file: FileId(file as u32), index }, score, masks }
            })
            .collect();
        LexicalMatches { hits, idf }
    }

    /// Calls `sink` with slot, frequency and field length of each live posting.
    fn postings(&self, term: &str, field: Field, mut sink: impl FnMut(u32, u32, u32)) {
        let read = self.base.postings(term, field, |file, chunk, frequency, length| {
            let Some(Some(entry)) = self.files.get(file.0 as usize) else { return };
            if entry.terms.is_none() && chunk < entry.n_chunks {
                sink(self.first_slot[file.0 as usize] + chunk, frequency, length);
            }
        });
        if let Err(error) = read {
            tracing::warn!(%error, "committed postings could not be read");
        }
        for file in self.overlay.iter() {
            let Some(terms) = self.overlay_terms(*file) else { continue };
            for posting in terms.postings(term).iter().filter(|posting| posting.field == field) {
                let length = terms.lengths()[posting.chunk as usize][field as usize];
                let slot = self.first_slot[file.0 as usize] + posting.chunk;
                sink(slot, posting.frequency, length);
            }
        }
    }

    /// What [`Lexical::score`] could find in each file.
    pub(crate) fn sums(&self) -> TermSums {
        let mut sums = TermSums::new(self.files.len());
        let read = self.base.all_postings(|file, chunk, field, term, frequency, length| {
            let Some(Some(entry)) = self.files.get(file.0 as usize) else { return };
            if entry.terms.is_none() {
                sums.add(file, chunk, field, term, frequency, length);
            }
        });
        if let Err(error) = read {
            tracing::warn!(%error, "committed postings could not be read");
        }
        for file in self.overlay.iter() {
            let Some(terms) = self.overlay_terms(*file) else { continue };
            for (term, postings) in terms.iter() {
                for posting in postings {
                    let length = terms.lengths()[posting.chunk as usize][posting.field as usize];
                    let (field, frequency) = (posting.field, posting.frequency);
                    sums.add(*file, posting.chunk, field, term.as_bytes(), frequency, length);
                }
            }
        }
        sums
    }

    fn overlay_terms(&self, file: FileId) -> Option<&FileTerms> {
        self.files.get(file.0 as usize)?.as_ref()?.terms.as_deref()
    }
}

#[derive(Clone, Copy, Default)]
struct Slot {
    score: f32,
    /// Weighted frequency of the current term; zero between terms.
    term_frequency: f32,
    masks: [u64; FIELDS.len()],
}
