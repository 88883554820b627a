//! Activations as 8-bit integers: one scale for each 32 values of a row.

use super::pool::Pool;
use super::simd::{Isa, Kernel, LANES, Simd};

/// Values that share a scale, as in GGUF's `Q8_0`.
pub(crate) const BLOCK: usize = 32;

/// A batch of quantized rows.
#[derive(Default)]
pub(crate) struct QuantRows {
    n_rows: usize,
    n_blocks: usize,
    /// `[n_rows][n_blocks][32]`
    quants: Vec<i8>,
    /// `[n_rows][n_blocks]`
    scales: Vec<BlockScale>,
}

/// What 32 activations have in common.
#[derive(Clone, Copy, Default)]
pub(crate) struct BlockScale {
    pub(crate) scale: f32,
    /// `scale` times the sum of the quants.
    pub(crate) sum: f32,
    /// -128 times the sum of the quants: where an integer sum over unsigned weights starts when
    /// they are meant to count from 128.
    pub(crate) center: i32,
}

impl QuantRows {
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub(crate) fn n_blocks(&self) -> usize {
        self.n_blocks
    }

    #[inline(always)]
    pub(crate) fn quants(&self, row: usize, block: usize) -> &[i8; BLOCK] {
        let start = (row * self.n_blocks + block) * BLOCK;
        self.quants[start..start + BLOCK].try_into().expect("32 quants")
    }

    #[inline(always)]
    pub(crate) fn scale(&self, row: usize, block: usize) -> BlockScale {
        self.scales[row * self.n_blocks + block]
    }

    /// The quants of one row, for kernels that check the length once.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> (&[i8], &[BlockScale]) {
        let blocks = row * self.n_blocks..(row + 1) * self.n_blocks;
        (&self.quants[blocks.start * BLOCK..blocks.end * BLOCK], &self.scales[blocks])
    }

    /// Replaces the content by `n_rows` rows of `width` values, which `write` produces one by one.
    /// Widths that are not a multiple of 32 are padded with zeros.
    pub(crate) fn fill(
        &mut self,
        isa: Isa,
        pool: &Pool,
        n_rows: usize,
        width: usize,
        write: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        self.n_rows = n_rows;
        self.n_blocks = width.div_ceil(BLOCK);
        let padded = self.n_blocks * BLOCK;
        self.quants.resize(n_rows * padded, 0);
        self.scales.resize(n_rows * self.n_blocks, BlockScale::default());
        pool.chunks2(
            (&mut self.quants, padded),
            (&mut self.scales, self.n_blocks),
            || vec![0.0f32; padded],
            |buffer, row, quants, scales| {
                write(row, &mut buffer[..width]);
                isa.run(QuantizeRow { values: buffer, quants, scales });
            },
        );
    }
}

struct QuantizeRow<'a> {
    values: &'a [f32],
    quants: &'a mut [i8],
    scales: &'a mut [BlockScale],
}

impl Kernel for QuantizeRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (values, _) = self.values.as_chunks::<LANES>();
        let (quants, _) = self.quants.as_chunks_mut::<LANES>();
        for ((values, quants), scale) in
            values.chunks_exact(2).zip(quants.chunks_exact_mut(2)).zip(self.scales)
        {
            let (a, b) = (simd.load(&values[0]), simd.load(&values[1]));
            let zero = simd.splat(0.0);
            let abs = simd.max(simd.max(a, simd.sub(zero, a)), simd.max(b, simd.sub(zero, b)));
            let step = simd.max_lane(abs) / 127.0;
            // A row of zeros, or of values whose quotient overflows, quantizes to zero.
            let inverse = if step.is_normal() { 1.0 / step } else { 0.0 };
            let inverse = simd.splat(if inverse.is_finite() { inverse } else { 0.0 });
            let (a, b) = (simd.round(simd.mul(a, inverse)), simd.round(simd.mul(b, inverse)));
            simd.store_i8(a, &mut quants[0]);
            simd.store_i8(b, &mut quants[1]);
            let sum = simd.sum(simd.add(a, b));
            *scale = BlockScale { scale: step, sum: step * sum, center: -128 * sum as i32 };
        }
    }
}
