//! AVX2 with FMA and F16C (Intel from Haswell on, every AMD Zen). A vector is two registers.

use super::pack::{TileU4, TileU8};
use super::quant::{BLOCK, BlockScale, QuantRows};
use super::simd::{Kernel, LANES, Simd};
use std::arch::x86_64::*;

/// Proof that the machine has the instructions: only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
        .then_some(Avx2(()))
    }

    #[inline]
    pub(crate) fn enter<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn inner<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: `self` proves the features.
        unsafe { inner(self, kernel) }
    }

    /// Four signed bytes of an activation row in every lane.
    #[inline(always)]
    fn broadcast(self, bytes: &[i8; BLOCK], at: usize) -> __m256i {
        let bytes: &[i8; 4] = bytes[at..at + 4].try_into().expect("4 bytes");
        // SAFETY: `self` proves the features.
        unsafe { _mm256_set1_epi32(i32::from_ne_bytes(bytes.map(|b| b as u8))) }
    }

    #[inline(always)]
    fn quants(self, bytes: &[u8], at: usize) -> __m256i {
        let bytes: &[u8; 32] = bytes[at..at + 32].try_into().expect("32 bytes");
        // SAFETY: `self` proves the features; the reference covers 32 bytes.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    /// Sums of four products each, as `i32`. The 16-bit sums in between must not saturate: that
    /// holds for unsigned bytes up to 128.
    #[inline(always)]
    fn dot(self, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: `self` proves the features.
        unsafe { _mm256_madd_epi16(_mm256_maddubs_epi16(unsigned, signed), _mm256_set1_epi16(1)) }
    }

    #[inline(always)]
    fn float(self, v: [__m256i; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the features.
        unsafe { [_mm256_cvtepi32_ps(v[0]), _mm256_cvtepi32_ps(v[1])] }
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

macro_rules! both {
    ($f:ident, $($v:expr),+) => {
        // SAFETY: the token `self` at the place of use proves the features.
        unsafe { [$f($($v[0]),+), $f($($v[1]),+)] }
    };
}

// SAFETY of every block below: `self` proves the features, and loads and stores go through array
// references of the vectors' size.
impl Simd for Avx2 {
    type V = [__m256; 2];
    const ROWS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))] }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), v[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), v[1]);
        }
    }
    #[inline(always)]
    fn load_f16(self, x: &[u16; LANES]) -> Self::V {
        // SAFETY: see above.
        unsafe {
            [
                _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().add(8).cast())),
            ]
        }
    }
    #[inline(always)]
    fn store_f16(self, v: Self::V, to: &mut [u16; LANES]) {
        const MODE: i32 = _MM_FROUND_TO_NEAREST_INT;
        // SAFETY: see above.
        unsafe {
            _mm_storeu_si128(to.as_mut_ptr().cast(), _mm256_cvtps_ph::<MODE>(v[0]));
            _mm_storeu_si128(to.as_mut_ptr().add(8).cast(), _mm256_cvtps_ph::<MODE>(v[1]));
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_div_ps, a, b)
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        both!(_mm256_fmadd_ps, a, b, c)
    }
    #[inline(always)]
    fn round(self, v: Self::V) -> Self::V {
        const MODE: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: see above.
        unsafe { [_mm256_round_ps::<MODE>(v[0]), _mm256_round_ps::<MODE>(v[1])] }
    }
    #[inline(always)]
    fn pow2(self, v: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe {
            v.map(|v| {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            })
        }
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(v, &mut lanes);
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        lanes[0]
    }
    #[inline(always)]
    fn max_lane(self, v: Self::V) -> f32 {
        // SAFETY: see above.
        unsafe {
            let v = _mm256_max_ps(v[0], v[1]);
            let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    fn store_i8(self, v: Self::V, to: &mut [i8; LANES]) {
        // SAFETY: see above.
        unsafe {
            let words = _mm256_packs_epi32(_mm256_cvtps_epi32(v[0]), _mm256_cvtps_epi32(v[1]));
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packs_epi16(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
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
            let nibble = _mm256_set1_epi8(15);
            let mut total = [self.splat(0.0); M];
            for (block, tile) in tiles.iter().enumerate() {
                let mut sums = [[_mm256_setzero_si256(); 2]; M];
                for group in 0..4 {
                    for side in 0..2 {
                        let w = self.quants(&tile.quants, group * 64 + side * 32);
                        let low = _mm256_and_si256(w, nibble);
                        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(w), nibble);
                        for i in 0..M {
                            let at = group * 4;
                            let a = self.broadcast(&rows[i].0[block], at);
                            let b = self.broadcast(&rows[i].0[block], at + 16);
                            // 15 * 128 * 4 fits 16 bits, so the halves are added before widening.
                            let words = _mm256_add_epi16(
                                _mm256_maddubs_epi16(low, a),
                                _mm256_maddubs_epi16(high, b),
                            );
                            let words = _mm256_madd_epi16(words, _mm256_set1_epi16(1));
                            sums[i][side] = _mm256_add_epi32(sums[i][side], words);
                        }
                    }
                }
                let (scale, offset) = (self.load_f16(&tile.scale), self.load_f16(&tile.offset));
                for i in 0..M {
                    let x = &rows[i].1[block];
                    let sum = self.float(sums[i]);
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
            let center = _mm256_set1_epi8(-128);
            let mut total = [self.splat(0.0); M];
            for (block, tile) in tiles.iter().enumerate() {
                let mut sums = [[_mm256_setzero_si256(); 2]; M];
                for group in 0..8 {
                    for side in 0..2 {
                        let w = self.quants(&tile.quants, group * 64 + side * 32);
                        // Signed weights as absolute value, with the sign moved to the activation:
                        // two products of full unsigned bytes would overflow 16 bits.
                        let signed = _mm256_xor_si256(w, center);
                        let w = _mm256_abs_epi8(signed);
                        for i in 0..M {
                            let a = self.broadcast(&rows[i].0[block], group * 4);
                            let dot = self.dot(w, _mm256_sign_epi8(a, signed));
                            sums[i][side] = _mm256_add_epi32(sums[i][side], dot);
                        }
                    }
                }
                let scale = self.load_f16(&tile.scale);
                let offset = self.fma(scale, self.splat(128.0), self.load_f16(&tile.offset));
                for i in 0..M {
                    let x = &rows[i].1[block];
                    let sum = self.float(sums[i]);
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
