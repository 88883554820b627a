//! The reference: plain Rust, for any machine, and what the other implementations are tested
//! against.

use super::pack::{TileU4, TileU8};
use super::quant::{BLOCK, QuantRows};
use super::simd::{LANES, Simd};
use half::f16;
use std::array::from_fn;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar;

impl Simd for Scalar {
    type V = [f32; LANES];
    const ROWS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::V {
        *x
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32; LANES]) {
        *to = v;
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; LANES]) -> Self::V {
        from_fn(|i| f16::from_bits(x[i]).to_f32())
    }
    #[inline(always)]
    fn store_f16(self, v: Self::V, to: &mut [u16; LANES]) {
        *to = from_fn(|i| f16::from_f32(v[i]).to_bits());
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn round(self, v: Self::V) -> Self::V {
        from_fn(|i| v[i].round_ties_even())
    }
    #[inline(always)]
    fn pow2(self, v: Self::V) -> Self::V {
        from_fn(|i| f32::from_bits(((v[i] as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        v.iter().sum()
    }
    #[inline(always)]
    fn max_lane(self, v: Self::V) -> f32 {
        v.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    fn store_i8(self, v: Self::V, to: &mut [i8; LANES]) {
        *to = from_fn(|i| v[i].round_ties_even() as i8);
    }

    fn tile_u4<const M: usize>(
        self,
        tiles: &[TileU4],
        x: &QuantRows,
        first_row: usize,
    ) -> [[f32; LANES]; M] {
        from_fn(|i| {
            let mut out = [0.0; LANES];
            for (block, tile) in tiles.iter().enumerate() {
                let (quants, x) = (x.quants(first_row + i, block), x.scale(first_row + i, block));
                for (lane, out) in out.iter_mut().enumerate() {
                    let sum: i32 = (0..BLOCK)
                        .map(|e| i32::from(tile.quant(lane, e)) * i32::from(quants[e]))
                        .sum();
                    let scale = f16::from_bits(tile.scale[lane]).to_f32();
                    let offset = f16::from_bits(tile.offset[lane]).to_f32();
                    *out += scale * x.scale * sum as f32 + offset * x.sum;
                }
            }
            out
        })
    }

    fn tile_u8<const M: usize>(
        self,
        tiles: &[TileU8],
        x: &QuantRows,
        first_row: usize,
    ) -> [[f32; LANES]; M] {
        from_fn(|i| {
            let mut out = [0.0; LANES];
            for (block, tile) in tiles.iter().enumerate() {
                let (quants, x) = (x.quants(first_row + i, block), x.scale(first_row + i, block));
                for (lane, out) in out.iter_mut().enumerate() {
                    // Counted from 128, where most formats have their zero: otherwise two large
                    // terms would cancel in floating point.
                    let sum: i32 = (0..BLOCK)
                        .map(|e| (i32::from(tile.quant(lane, e)) - 128) * i32::from(quants[e]))
                        .sum();
                    let scale = f16::from_bits(tile.scale[lane]).to_f32();
                    let offset = f16::from_bits(tile.offset[lane]).to_f32() + 128.0 * scale;
                    *out += scale * x.scale * sum as f32 + offset * x.sum;
                }
            }
            out
        })
    }
}
