//! The static embedding model: one vector a word, summed with weights. The table inside the binary
//! was trained by `indexer/train` on permissively licensed sources; its README has the licence note.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use crate::{
    ContentHash,
    vector::{Embedder, SharedEmbedder, words},
};

/// First bytes of a table file; the last one is the format's version.
const MAGIC: &[u8; 8] = b"FOVEAEM1";
const TABLE: &[u8] = include_bytes!("embedding.bin");

/// Words beyond this many in one text are left out; a chunk has some hundreds.
const MAX_WORDS: usize = 4_096;

/// A table cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StaticModelError {
    #[error("embedding table is not of format FOVEAEM1; write it with the training program")]
    Format,
    #[error("embedding table ends early: {n_bytes} bytes, {expected} expected")]
    Truncated { n_bytes: usize, expected: usize },
    #[error("embedding table lists {n_words} words for {n_rows} rows")]
    Words { n_words: usize, n_rows: usize },
}

/// A loaded table. File layout, little-endian: magic, `u32` rows, `u32` dim, `f32[dim]` the common
/// component, `f32[rows]` scale of each row (word weight included), `i8[rows][dim]`, then the words
/// in row order, each ended by `\n`.
pub struct StaticModel {
    id: String,
    dim: usize,
    common: Vec<f32>,
    scales: Vec<f32>,
    rows: Vec<i8>,
    words: FxHashMap<Box<str>, u32>,
    /// Scale of a word that is not in the table.
    unknown_scale: f32,
}

/// The model inside the binary, loaded once.
///
/// # Panics
/// Never: a test loads the same bytes.
#[must_use]
pub fn embedded() -> SharedEmbedder {
    static MODEL: OnceLock<Arc<StaticModel>> = OnceLock::new();
    let model = MODEL.get_or_init(|| {
        Arc::new(StaticModel::from_bytes(TABLE).expect("the embedded table is tested"))
    });
    Arc::clone(model) as SharedEmbedder
}

impl StaticModel {
    /// Reads a table.
    ///
    /// # Errors
    /// [`StaticModelError`] if the bytes are not a whole table.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StaticModelError> {
        let u32_at = |at: usize| {
            bytes
                .get(at..at + 4)
                .map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")) as usize)
        };
        if bytes.get(..8) != Some(MAGIC) {
            return Err(StaticModelError::Format);
        }
        let (Some(n_rows), Some(dim)) = (u32_at(8), u32_at(12)) else {
            return Err(StaticModelError::Truncated { n_bytes: bytes.len(), expected: 16 });
        };
        let rows_at = 16 + 4 * (dim + n_rows);
        let words_at = n_rows.saturating_mul(dim).saturating_add(rows_at);
        if bytes.len() < words_at {
            return Err(StaticModelError::Truncated { n_bytes: bytes.len(), expected: words_at });
        }
        let floats = |range: std::ops::Range<usize>| -> Vec<f32> {
            let chunks = bytes[range].chunks_exact(4);
            chunks.map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
        };
        let common = floats(16..16 + 4 * dim);
        let scales = floats(16 + 4 * dim..rows_at);
        let rows = bytes[rows_at..words_at].iter().map(|b| b.cast_signed()).collect();
        let words: FxHashMap<Box<str>, u32> = std::str::from_utf8(&bytes[words_at..])
            .map_err(|_| StaticModelError::Format)?
            .lines()
            .enumerate()
            .map(|(row, word)| (word.into(), row as u32))
            .collect();
        if words.len() != n_rows {
            return Err(StaticModelError::Words { n_words: words.len(), n_rows });
        }
        // The rarest words of the table weigh most; a word outside it is rarer still.
        let longest = |row: usize| scales[row] * 127.0;
        let unknown_scale = (0..n_rows).map(longest).fold(0.0, f32::max) * 0.5;
        let id = format!("static-{}", &ContentHash::of(bytes).to_string()[..16]);
        Ok(Self { id, dim, common, scales, rows, words, unknown_scale })
    }

    /// Adds the vectors of the words of `text` to `out`; repeated words count with diminishing
    /// weight, `1 + ln(n)`.
    fn add_words(&self, text: &str, out: &mut [f32]) {
        let mut counts: FxHashMap<u64, (u32, Option<u32>)> = FxHashMap::default();
        let mut n_words = 0;
        words::for_each(text, |word| {
            n_words += 1;
            if n_words > MAX_WORDS {
                return;
            }
            let row = self.words.get(word).copied();
            let key = row.map_or_else(|| hash(word) | 1 << 63, u64::from);
            counts.entry(key).or_insert((0, row)).0 += 1;
        });
        let mut counts: Vec<_> = counts.into_iter().collect();
        // Summing in one order gives the same bits for the same text.
        counts.sort_unstable_by_key(|(key, _)| *key);
        for (key, (n, row)) in counts {
            let repeats = 1.0 + (n as f32).ln();
            match row {
                Some(row) => {
                    let scale = self.scales[row as usize] * repeats;
                    let row = &self.rows[row as usize * self.dim..][..self.dim];
                    out.iter_mut().zip(row).for_each(|(x, &w)| *x += scale * f32::from(w));
                }
                None => self.add_unknown(key, repeats, out),
            }
        }
    }

    /// A word outside the table gets a fixed pseudo-random sign vector: it still matches itself.
    fn add_unknown(&self, key: u64, repeats: f32, out: &mut [f32]) {
        let scale = self.unknown_scale * repeats / (self.dim as f32).sqrt();
        let mut state = key;
        for signs in out.chunks_mut(64) {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^= bits >> 31;
            for x in signs {
                *x += if bits & 1 == 0 { scale } else { -scale };
                bits >>= 1;
            }
        }
    }
}

fn hash(word: &str) -> u64 {
    // FNV-1a: stable over builds, unlike the standard library's hasher.
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Embedder for StaticModel {
    fn model_id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn fusion_weight(&self) -> f32 {
        super::TABLE_WEIGHT
    }

    fn embed(&self, texts: &[&str]) -> Vec<f32> {
        let mut out = vec![0.0; texts.len() * self.dim];
        for (text, row) in texts.iter().zip(out.chunks_exact_mut(self.dim)) {
            self.add_words(text, row);
            if row.iter().all(|x| *x == 0.0) {
                continue;
            }
            // Removing the common component follows Arora, Liang and Ma 2017, algorithm 1.
            let along: f32 = row.iter().zip(&self.common).map(|(x, c)| x * c).sum();
            row.iter_mut().zip(&self.common).for_each(|(x, c)| *x -= along * c);
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|x| *x /= norm);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(a: &str, b: &str) -> f32 {
        let model = embedded();
        let rows = model.embed(&[a, b]);
        let (a, b) = rows.split_at(model.dim());
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn related_words_are_nearer_than_unrelated_ones() {
        let near = similarity("open a socket connection", "fn connect(address: SocketAddr)");
        let far = similarity("open a socket connection", "class MarkdownHeading: level");
        assert!(near > far + 0.1, "near {near}, far {far}");
    }

    #[test]
    fn unknown_words_match_themselves_and_rows_have_unit_length() {
        let same = similarity("zzqxvwfrob", "zzqxvwfrob");
        assert!((same - 1.0).abs() < 1e-4, "{same}");
        assert!(similarity("zzqxvwfrob", "qqyxkwfrib").abs() < 0.4);
        let model = embedded();
        assert!(model.embed(&["", "12 + 3"]).iter().all(|x| *x == 0.0));
    }

    #[test]
    fn damaged_tables_are_refused() {
        assert!(matches!(StaticModel::from_bytes(b"nonsense"), Err(StaticModelError::Format)));
        let cut = &TABLE[..TABLE.len() / 2];
        assert!(matches!(StaticModel::from_bytes(cut), Err(StaticModelError::Truncated { .. })));
        let mut lying = TABLE[..64].to_vec();
        lying[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(StaticModel::from_bytes(&lying), Err(StaticModelError::Truncated { .. })));
    }
}
