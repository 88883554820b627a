//! The arithmetic: the only folder of this crate with `unsafe` in it.
//!
//! [`Isa`] picks the instruction set at run time. [`simd`] is a small vector type of 16 lanes with
//! one implementation an instruction set; everything above it ([`gemm`], [`attention`], [`fused`])
//! is written once, in safe code. [`pool`] splits loops over threads.

#![expect(unsafe_code, reason = "vector instructions, and disjoint writes from several threads")]
#![expect(clippy::needless_range_loop, reason = "one index runs through several register arrays")]

pub(crate) mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod blocks;
pub(crate) mod fused;
pub(crate) mod gemm;
pub(crate) mod pack;
pub(crate) mod pool;
pub(crate) mod quant;
mod scalar;
pub(crate) mod simd;

pub use simd::Isa;
