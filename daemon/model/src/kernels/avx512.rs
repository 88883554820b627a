//! AVX-512 with VNNI (Intel from Ice Lake on, AMD from Zen 4 on).

use super::pack::{TileU4, TileU8};
use super::quant::{BLOCK, BlockScale, QuantRows};
use super::simd::{Kernel, LANES, Simd};
use std::arch::x86_64::*;

/// Proof that the machine has the instructions: only [`Avx512::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
        .then_some(Avx512(()))
    }

    #[inline]
    pub(crate) fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
        fn inner<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: `self` proves the features.
        unsafe { inner(self, kernel) }
    }

    /// Four signed bytes of an activation row in every lane.
    #[inline(always)]
    fn broadcast(self, bytes: &[i8; BLOCK], at: usize) -> __m512i {
        let bytes: &[i8; 4] = bytes[at..at + 4].try_into().expect("4 bytes");
        // SAFETY: `self` proves the features.
        unsafe { _mm512_set1_epi32(i32::from_ne_bytes(bytes.map(|b| b as u8))) }
    }

    #[inline(always)]
    fn quants(self, bytes: &[u8], group: usize) -> __m512i {
        let bytes: &[u8; 64] = bytes[group * 64..group * 64 + 64].try_into().expect("64 bytes");
        // SAFETY: `self` proves the features; the reference covers 64 bytes.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }
}

macro_rules! rows {
    ($x:expr, $first_row:expr, $n_blocks:expr) => {
        std::array::from_fn(|i| {
            let (quants, scales) = $x.row($first_row + i);
            // Equal lengths let the compiler drop the bounds checks of the inner loops.
            (&quants.as_chunks::<BLOCK>().0[..$n_blocks], &scales[..$n_blocks])
        })
    };
}

// SAFETY of every block below: `self` proves the features, and loads and stores go through array
// references of the vector's size.
impl Simd for Avx512 {
    type V = __m512;
    const ROWS: usize = 8;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; LANES]) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store_f16(self, v: Self::V, to: &mut [u16; LANES]) {
        // SAFETY: see above.
        unsafe {
            let half = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v);
            _mm256_storeu_si256(to.as_mut_ptr().cast(), half);
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn round(self, v: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v) }
    }
    #[inline(always)]
    fn pow2(self, v: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), v) }
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_add_ps(v) }
    }
    #[inline(always)]
    fn max_lane(self, v: Self::V) -> f32 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_max_ps(v) }
    }
    #[inline(always)]
    fn store_i8(self, v: Self::V, to: &mut [i8; LANES]) {
        // SAFETY: see above.
        unsafe {
            let bytes = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v));
            _mm_storeu_si128(to.as_mut_ptr().cast(), bytes);
        }
    }

    #[inline(always)]
    fn tile_u4<const M: usize>(
        self,
        tiles: &[TileU4],
        x: &QuantRows,
        first_row: usize,
    ) -> [[f32; LANES]; M] {
        let rows: [(&[[i8; BLOCK]], &[BlockScale]); M] = rows!(x, first_row, tiles.len());
        // SAFETY: see above.
        unsafe {
            let nibble = _mm512_set1_epi8(15);
            let mut total = [_mm512_setzero_ps(); M];
            for (block, tile) in tiles.iter().enumerate() {
                let mut low = [_mm512_setzero_si512(); M];
                let mut high = [_mm512_setzero_si512(); M];
                for group in 0..4 {
                    let w = self.quants(&tile.quants, group);
                    let w_low = _mm512_and_si512(w, nibble);
                    let w_high = _mm512_and_si512(_mm512_srli_epi16::<4>(w), nibble);
                    for i in 0..M {
                        let at = group * 4;
                        let (a, b) = (
                            self.broadcast(&rows[i].0[block], at),
                            self.broadcast(&rows[i].0[block], at + 16),
                        );
                        low[i] = _mm512_dpbusd_epi32(low[i], w_low, a);
                        high[i] = _mm512_dpbusd_epi32(high[i], w_high, b);
                    }
                }
                let (scale, offset) = (self.load_f16(&tile.scale), self.load_f16(&tile.offset));
                for i in 0..M {
                    let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(low[i], high[i]));
                    let x = &rows[i].1[block];
                    total[i] = self.fma(sum, self.mul(scale, self.splat(x.scale)), total[i]);
                    total[i] = self.fma(offset, self.splat(x.sum), total[i]);
                }
            }
            let mut out = [[0.0; LANES]; M];
            for i in 0..M {
                self.store(total[i], &mut out[i]);
            }
            out
        }
    }

    #[inline(always)]
    fn tile_u8<const M: usize>(
        self,
        tiles: &[TileU8],
        x: &QuantRows,
        first_row: usize,
    ) -> [[f32; LANES]; M] {
        let rows: [(&[[i8; BLOCK]], &[BlockScale]); M] = rows!(x, first_row, tiles.len());
        // SAFETY: see above.
        unsafe {
            let mut total = [_mm512_setzero_ps(); M];
            for (block, tile) in tiles.iter().enumerate() {
                let mut even: [__m512i; M] =
                    std::array::from_fn(|i| _mm512_set1_epi32(rows[i].1[block].center));
                let mut odd = [_mm512_setzero_si512(); M];
                for group in 0..4 {
                    let w_even = self.quants(&tile.quants, group * 2);
                    let w_odd = self.quants(&tile.quants, group * 2 + 1);
                    for i in 0..M {
                        let at = group * 8;
                        let (a, b) = (
                            self.broadcast(&rows[i].0[block], at),
                            self.broadcast(&rows[i].0[block], at + 4),
                        );
                        even[i] = _mm512_dpbusd_epi32(even[i], w_even, a);
                        odd[i] = _mm512_dpbusd_epi32(odd[i], w_odd, b);
                    }
                }
                let (scale, offset) = (self.load_f16(&tile.scale), self.load_f16(&tile.offset));
                // The accumulators started at `center`, so the quants count from 128.
                let offset = self.fma(scale, self.splat(128.0), offset);
                for i in 0..M {
                    let x = &rows[i].1[block];
                    let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(even[i], odd[i]));
                    total[i] = self.fma(sum, self.mul(scale, self.splat(x.scale)), total[i]);
                    total[i] = self.fma(offset, self.splat(x.sum), total[i]);
                }
            }
            let mut out = [[0.0; LANES]; M];
            for i in 0..M {
                self.store(total[i], &mut out[i]);
            }
            out
        }
    }
}
