//! Sixteen `f32` lanes, and which instructions carry them.

use super::pack::{TileU4, TileU8};
use super::quant::QuantRows;
use super::scalar::Scalar;

#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};

/// Lanes of a vector, and output rows of a weight tile.
pub(crate) const LANES: usize = 16;

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Isa {
    /// The best one of this machine.
    pub fn detect() -> Self {
        *Self::available().last().expect("scalar is always there")
    }

    /// All that this machine can run, slowest first.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "one entry"))]
        let mut found = vec![Isa(Level::Scalar)];
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(Avx2::detect().map(|token| Isa(Level::Avx2(token))));
            found.extend(Avx512::detect().map(|token| Isa(Level::Avx512(token))));
        }
        found
    }

    /// The plain Rust reference.
    pub fn scalar() -> Self {
        Isa(Level::Scalar)
    }

    /// For `status` and benchmarks.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "avx512-vnni",
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Level::Scalar => kernel.run(Scalar),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(token) => token.enter(kernel),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(token) => token.enter(kernel),
        }
    }
}

/// A loop written over [`Simd`]. `run` must be `#[inline(always)]`, so that it is compiled inside
/// the function that enables the instructions.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The operations. A value of an implementing type proves that the machine has the instructions.
pub(crate) trait Simd: Copy {
    /// 16 lanes.
    type V: Copy;
    /// Rows that attention and the matrix kernels keep in registers at once.
    const ROWS: usize;

    fn splat(self, x: f32) -> Self::V;
    fn load(self, x: &[f32; LANES]) -> Self::V;
    fn store(self, v: Self::V, to: &mut [f32; LANES]);
    /// IEEE half precision bits.
    fn load_f16(self, x: &[u16; LANES]) -> Self::V;
    fn store_f16(self, v: Self::V, to: &mut [u16; LANES]);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// To the nearest integer, ties to even.
    fn round(self, v: Self::V) -> Self::V;
    /// `2^v` for integral `v` in -126..=127.
    fn pow2(self, v: Self::V) -> Self::V;
    fn sum(self, v: Self::V) -> f32;
    fn max_lane(self, v: Self::V) -> f32;
    /// Rounds to nearest and narrows; lanes must lie in -128..=127.
    fn store_i8(self, v: Self::V, to: &mut [i8; LANES]);

    /// Rows `first_row..first_row + M` of `x` times one row of weight tiles.
    fn tile_u4<const M: usize>(
        self,
        tiles: &[TileU4],
        x: &QuantRows,
        first_row: usize,
    ) -> [[f32; LANES]; M];
    /// As [`Simd::tile_u4`], for tiles with 8 bits a weight.
    fn tile_u8<const M: usize>(
        self,
        tiles: &[TileU8],
        x: &QuantRows,
        first_row: usize,
    ) -> [[f32; LANES]; M];

    /// `e^v`, relative error below 3e-7 for results that are normal numbers; very negative lanes
    /// give about 1e-38 instead of zero.
    #[inline(always)]
    fn exp(self, v: Self::V) -> Self::V {
        let t = self.mul(v, self.splat(std::f32::consts::LOG2_E));
        let t = self.max(t, self.splat(-126.0));
        let n = self.round(t);
        let f = self.sub(t, n);
        // Minimax polynomial of 2^f on [-0.5, 0.5].
        let mut p = self.splat(1.535_336_2e-4);
        for c in [1.339_887_4e-3, 9.618_437e-3, 5.550_332_6e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0] {
            p = self.fma(p, f, self.splat(c));
        }
        self.mul(p, self.pow2(n))
    }
}
