//! Causal attention with grouped queries over a cache of half precision keys and values.
//!
//! Keys lie in tiles of 16 positions, `[tile][dim][16]`, so that 16 scores are computed side by
//! side; values lie `[position][dim]`. Softmax runs online over blocks of positions (Milakov and
//! Gimelshein 2018; Dao et al. 2022), so the working memory does not grow with the context.

use super::simd::{Isa, Kernel, LANES, Simd};

/// Positions that share one pass of the online softmax.
const BLOCK: usize = 128;

/// Keys and values of one head that are visible to a group of query rows.
pub(crate) struct Attend<'a> {
    pub(crate) keys: &'a [u16],
    pub(crate) values: &'a [u16],
    /// A multiple of 16.
    pub(crate) head_dim: usize,
    /// `[n_rows][head_dim]`, rotated and scaled.
    pub(crate) queries: &'a [f32],
    /// Rows that have the same position, one after the other: query heads of one key head.
    pub(crate) group: usize,
    /// Positions that the first group sees; each next group sees one more.
    pub(crate) first_visible: usize,
    /// `[n_rows][head_dim]`
    pub(crate) out: &'a mut [f32],
    pub(crate) scratch: &'a mut Scratch,
}

/// Working memory of one thread.
#[derive(Default)]
pub(crate) struct Scratch {
    /// `[n_rows][BLOCK]`
    scores: Vec<f32>,
    /// Per row: largest score so far, sum of exponentials.
    state: Vec<(f32, f32)>,
}

pub(crate) fn attend(isa: Isa, attend: Attend<'_>) {
    isa.run(attend);
}

impl Kernel for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let n_rows = self.queries.len() / self.head_dim;
        if n_rows == 0 {
            return;
        }
        self.out.fill(0.0);
        self.scratch.scores.resize(n_rows * BLOCK, 0.0);
        self.scratch.state.clear();
        self.scratch.state.resize(n_rows, (f32::NEG_INFINITY, 0.0));
        let visible = self.visible(n_rows - 1);
        for start in (0..visible).step_by(BLOCK) {
            let n = (visible - start).min(BLOCK);
            // Rows whose last visible position lies before this block are done.
            let first_row = (0..n_rows).find(|&row| self.visible(row) > start).unwrap_or(n_rows);
            self.block(simd, first_row, n_rows, start, n);
        }
        for (out, &(_, sum)) in self.out.chunks_exact_mut(self.head_dim).zip(&self.scratch.state) {
            let factor = simd.splat(1.0 / sum);
            for out in out.as_chunks_mut::<LANES>().0 {
                simd.store(simd.mul(simd.load(out), factor), out);
            }
        }
    }
}

impl Attend<'_> {
    fn visible(&self, row: usize) -> usize {
        self.first_visible + row / self.group
    }

    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, first: usize, n_rows: usize, start: usize, n: usize) {
        let mut row = first;
        while row < n_rows {
            let left = n_rows - row;
            row += if S::ROWS >= 8 && left >= 8 {
                self.scores::<8, S>(simd, row, start, n)
            } else if left >= 4 {
                self.scores::<4, S>(simd, row, start, n)
            } else if left >= 2 {
                self.scores::<2, S>(simd, row, start, n)
            } else {
                self.scores::<1, S>(simd, row, start, n)
            };
        }
        for row in first..n_rows {
            self.softmax(simd, row, start, n);
        }
        let mut row = first;
        while row < n_rows {
            let left = n_rows - row;
            row += if left >= 4 {
                self.weighted_values::<4, S>(simd, row, start, n)
            } else if left >= 2 {
                self.weighted_values::<2, S>(simd, row, start, n)
            } else {
                self.weighted_values::<1, S>(simd, row, start, n)
            };
        }
    }

    /// Scores of `M` rows against positions `start..start + n`, rounded up to whole tiles.
    #[inline(always)]
    fn scores<const M: usize, S: Simd>(
        &mut self,
        simd: S,
        row: usize,
        start: usize,
        n: usize,
    ) -> usize {
        let dim = self.head_dim;
        let queries: [&[f32]; M] = std::array::from_fn(|i| &self.queries[(row + i) * dim..][..dim]);
        for tile in 0..n.div_ceil(LANES) {
            let at = (start / LANES + tile) * dim * LANES;
            let (keys, _) = self.keys[at..at + dim * LANES].as_chunks::<LANES>();
            let mut sums = [simd.splat(0.0); M];
            for (d, keys) in keys[..dim].iter().enumerate() {
                let keys = simd.load_f16(keys);
                for i in 0..M {
                    sums[i] = simd.fma(simd.splat(queries[i][d]), keys, sums[i]);
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let at = (row + i) * BLOCK + tile * LANES;
                let to = &mut self.scratch.scores[at..at + LANES];
                simd.store(sum, to.try_into().expect("16 lanes"));
            }
        }
        M
    }

    /// Scores to weights; rescales what the row has summed so far.
    #[inline(always)]
    fn softmax<S: Simd>(&mut self, simd: S, row: usize, start: usize, n: usize) {
        let n_visible = self.visible(row).saturating_sub(start).min(n);
        let weights = &mut self.scratch.scores[row * BLOCK..(row + 1) * BLOCK];
        let n_tiled = n.div_ceil(LANES) * LANES;
        weights[n_visible..n_tiled].fill(f32::NEG_INFINITY);
        if n_visible == 0 {
            weights[..n_tiled].fill(0.0);
            return;
        }
        let (weights, _) = weights[..n_tiled].as_chunks_mut::<LANES>();
        let largest = weights
            .iter()
            .fold(simd.splat(f32::NEG_INFINITY), |largest, w| simd.max(largest, simd.load(w)));
        let (before, sum) = self.scratch.state[row];
        let largest = simd.max_lane(largest).max(before);
        let shift = simd.splat(largest);
        let mut total = simd.splat(0.0);
        for (tile, weights) in weights.iter_mut().enumerate() {
            let exp = simd.exp(simd.sub(simd.load(weights), shift));
            simd.store(exp, weights);
            let n_left = n_visible.saturating_sub(tile * LANES);
            if n_left < LANES {
                weights[n_left..].fill(0.0);
            }
            total = simd.add(total, simd.load(weights));
        }
        let rescale = if before == largest { 1.0 } else { (before - largest).exp() };
        self.scratch.state[row] = (largest, sum * rescale + simd.sum(total));
        if rescale != 1.0 {
            let factor = simd.splat(rescale);
            let out = &mut self.out[row * self.head_dim..(row + 1) * self.head_dim];
            for out in out.as_chunks_mut::<LANES>().0 {
                simd.store(simd.mul(simd.load(out), factor), out);
            }
        }
    }

    #[inline(always)]
    fn weighted_values<const M: usize, S: Simd>(
        &mut self,
        simd: S,
        row: usize,
        start: usize,
        n: usize,
    ) -> usize {
        let n_chunks = self.head_dim / LANES;
        let mut chunk = 0;
        while chunk < n_chunks {
            chunk += if S::ROWS >= 8 && n_chunks - chunk >= 4 {
                self.value_chunks::<M, 4, S>(simd, row, start, n, chunk)
            } else {
                self.value_chunks::<M, 1, S>(simd, row, start, n, chunk)
            };
        }
        M
    }

    /// Adds `weights * values` for `M` rows and `C` times 16 of the head's dimensions.
    #[inline(always)]
    fn value_chunks<const M: usize, const C: usize, S: Simd>(
        &mut self,
        simd: S,
        row: usize,
        start: usize,
        n: usize,
        chunk: usize,
    ) -> usize {
        let dim = self.head_dim;
        let mut sums = [[simd.splat(0.0); C]; M];
        let weights: [&[f32]; M] =
            std::array::from_fn(|i| &self.scratch.scores[(row + i) * BLOCK..][..n]);
        let values = &self.values[start * dim..(start + n) * dim];
        for position in 0..n {
            let values = &values[position * dim + chunk * LANES..][..C * LANES];
            let (values, _) = values.as_chunks::<LANES>();
            let values: [S::V; C] = std::array::from_fn(|c| simd.load_f16(&values[c]));
            for i in 0..M {
                let weight = simd.splat(weights[i][position]);
                for c in 0..C {
                    sums[i][c] = simd.fma(weight, values[c], sums[i][c]);
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let at = (row + i) * dim + chunk * LANES;
            let (out, _) = self.out[at..at + C * LANES].as_chunks_mut::<LANES>();
            for (out, sum) in out.iter_mut().zip(sums) {
                simd.store(simd.add(simd.load(out), sum), out);
            }
        }
        C
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    fn noise(n: usize, seed: u32, size: f32) -> Vec<f32> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / 8_388_608.0 - 1.0) * size
            })
            .collect()
    }

    /// Compares with softmax over all scores at once, in f64.
    fn check(n_positions: usize, n_queries: usize, group: usize, head_dim: usize, size: f32) {
        let capacity = n_positions.div_ceil(LANES) * LANES;
        let key = noise(n_positions * head_dim, 1, 1.0);
        let value = noise(n_positions * head_dim, 2, 1.0);
        let mut keys = vec![0u16; capacity * head_dim];
        let mut values = vec![0u16; capacity * head_dim];
        for p in 0..n_positions {
            for d in 0..head_dim {
                keys[(p / LANES * head_dim + d) * LANES + p % LANES] =
                    f16::from_f32(key[p * head_dim + d]).to_bits();
                values[p * head_dim + d] = f16::from_f32(value[p * head_dim + d]).to_bits();
            }
        }
        let queries = noise(n_queries * group * head_dim, 3, size);
        for isa in Isa::available() {
            let mut out = vec![f32::NAN; queries.len()];
            attend(
                isa,
                Attend {
                    keys: &keys,
                    values: &values,
                    head_dim,
                    queries: &queries,
                    group,
                    first_visible: n_positions - n_queries + 1,
                    out: &mut out,
                    scratch: &mut Scratch::default(),
                },
            );
            for row in 0..n_queries * group {
                let query = &queries[row * head_dim..][..head_dim];
                let visible = n_positions - n_queries + 1 + row / group;
                let scores: Vec<f64> = (0..visible)
                    .map(|p| {
                        (0..head_dim)
                            .map(|d| {
                                let k = f16::from_f32(key[p * head_dim + d]).to_f64();
                                f64::from(query[d]) * k
                            })
                            .sum()
                    })
                    .collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
                for d in 0..head_dim {
                    let expected: f64 = (0..visible)
                        .map(|p| {
                            let v = f16::from_f32(value[p * head_dim + d]).to_f64();
                            (scores[p] - largest).exp() / sum * v
                        })
                        .sum();
                    let found = f64::from(out[row * head_dim + d]);
                    assert!(
                        (found - expected).abs() < 2e-5,
                        "{} row {row} dim {d}: {found} {expected}",
                        isa.name()
                    );
                }
            }
        }
    }

    #[test]
    fn one_query_over_any_number_of_positions() {
        for n_positions in [1, 2, 15, 16, 17, 127, 128, 129, 300] {
            check(n_positions, 1, 3, 64, 1.0);
        }
    }

    #[test]
    fn a_batch_is_causal() {
        check(40, 40, 1, 32, 1.0);
        check(200, 33, 3, 64, 1.0);
        check(150, 150, 2, 80, 1.0);
    }

    #[test]
    fn large_scores_do_not_overflow() {
        check(140, 5, 2, 128, 40.0);
    }
}
