//! Batched quantized matrix multiplication.

use super::pack::{PackedMatrix, Tiles};
use super::pool::{Disjoint, Pool};
use super::quant::QuantRows;
use super::simd::{Isa, Kernel, LANES, Simd};
use std::ops::Range;

/// `out[row][column] = x[row] . w[column]`, shapes `[n_rows, w.n_padded()]` and row-major.
pub(crate) fn matmul(isa: Isa, pool: &Pool, w: &PackedMatrix, x: &QuantRows, out: &mut [f32]) {
    let stride = w.n_padded();
    assert_eq!(x.n_blocks(), w.n_blocks(), "inner dimensions agree");
    assert_eq!(out.len(), x.n_rows() * stride, "output shape");
    let out = Disjoint::new(out);
    pool.run(stride / LANES, |tiles| {
        isa.run(Columns { w, x, out: &out, tiles });
    });
}

/// Some columns of the output, for all rows.
struct Columns<'a> {
    w: &'a PackedMatrix,
    x: &'a QuantRows,
    out: &'a Disjoint<f32>,
    tiles: Range<usize>,
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for tile in self.tiles.clone() {
            let mut row = 0;
            while row < self.x.n_rows() {
                let left = self.x.n_rows() - row;
                row += if S::ROWS >= 8 && left >= 8 {
                    self.rows::<8, S>(simd, tile, row)
                } else if left >= 4 {
                    self.rows::<4, S>(simd, tile, row)
                } else if left >= 2 {
                    self.rows::<2, S>(simd, tile, row)
                } else {
                    self.rows::<1, S>(simd, tile, row)
                };
            }
        }
    }
}

impl Columns<'_> {
    #[inline(always)]
    fn rows<const M: usize, S: Simd>(&self, simd: S, tile: usize, row: usize) -> usize {
        let n_blocks = self.w.n_blocks();
        let blocks = tile * n_blocks..(tile + 1) * n_blocks;
        let sums: [[f32; LANES]; M] = match &self.w.tiles {
            Tiles::U4(tiles) => simd.tile_u4(&tiles[blocks], self.x, row),
            Tiles::U8(tiles) => simd.tile_u8(&tiles[blocks], self.x, row),
        };
        let stride = self.w.n_padded();
        for (i, sums) in sums.iter().enumerate() {
            // SAFETY: row and tile lie inside the output, and each tile's columns belong to one
            // call only.
            let out = unsafe { self.out.part((row + i) * stride + tile * LANES, LANES) };
            out.copy_from_slice(sums);
        }
        M
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::DType;
    use crate::kernels::pack::RawMatrix;

    pub(crate) fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    fn q4_1_bytes(n_blocks: usize, seed: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (i, x) in noise(n_blocks, seed).into_iter().enumerate() {
            bytes.extend(half::f16::from_f32(x * 0.01).to_le_bytes());
            bytes.extend(half::f16::from_f32(x * -0.05).to_le_bytes());
            bytes.extend((0..16).map(|j| (i * 37 + j * 101 + j * j * 7) as u8));
        }
        bytes
    }

    /// All instruction sets agree with an f64 product of the same quantized numbers.
    fn check(dtype: DType, bytes: &[u8], n_rows: usize, width: usize, x: &[f32], m: usize) {
        let w = PackedMatrix::stack(&[RawMatrix { dtype, n_rows, width, bytes }]);
        let pool = Pool::new(2);
        let mut weights = vec![0.0; width];
        for isa in Isa::available() {
            let mut rows = QuantRows::default();
            rows.fill(isa, &pool, m, width, |r, to| to.copy_from_slice(&x[r * width..][..width]));
            let mut out = vec![f32::NAN; m * w.n_padded()];
            matmul(isa, &pool, &w, &rows, &mut out);
            for column in 0..n_rows {
                w.read_row(column, &mut weights);
                for row in 0..m {
                    let (mut expected, mut size) = (0.0, 1e-30);
                    for (i, &weight) in weights.iter().enumerate() {
                        let quant = f64::from(rows.quants(row, i / 32)[i % 32]);
                        let scale = f64::from(rows.scale(row, i / 32).scale);
                        expected += f64::from(weight) * quant * scale;
                        size += (f64::from(weight) * quant * scale).abs();
                    }
                    let found = f64::from(out[row * w.n_padded() + column]);
                    assert!(
                        (found - expected).abs() <= 1e-5 * size,
                        "{} {dtype:?} m {m} ({row}, {column}): {found} {expected}",
                        isa.name()
                    );
                }
            }
        }
    }

    #[test]
    fn four_bit_products() {
        for (n_rows, width, m) in [(16, 32, 1), (48, 576, 13), (19, 96, 3), (32, 1_536, 8)] {
            let bytes = q4_1_bytes(n_rows * width / 32, 5);
            check(DType::Q4_1, &bytes, n_rows, width, &noise(m * width, 9), m);
        }
    }

    #[test]
    fn eight_bit_products_with_extreme_quants() {
        for fill in [0x80u8, 0x7f, 0x01] {
            let (n_rows, width, m) = (17, 128, 11);
            let block: Vec<u8> =
                [0x00, 0x2c].into_iter().chain(std::iter::repeat_n(fill, 32)).collect();
            let bytes = block.repeat(n_rows * width / 32);
            let x: Vec<f32> = (0..m * width).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
            check(DType::Q8_0, &bytes, n_rows, width, &x, m);
        }
    }

    #[test]
    fn real_weights_and_odd_shapes() {
        for (n_rows, width, m) in [(5, 7, 2), (33, 100, 5), (16, 64, 16)] {
            let bytes: Vec<u8> =
                noise(n_rows * width, 3).iter().flat_map(|x| x.to_le_bytes()).collect();
            check(DType::F32, &bytes, n_rows, width, &noise(m * width, 4), m);
        }
    }

    #[test]
    fn zeros_and_tiny_activations_stay_finite() {
        let bytes = q4_1_bytes(16 * 2, 1);
        let mut x = vec![0.0; 64 * 2];
        x[64] = f32::MIN_POSITIVE / 4.0;
        check(DType::Q4_1, &bytes, 16, 64, &x, 2);
    }
}
