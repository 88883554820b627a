//! Weight matrices, laid out once at load for the matrix kernels.
//!
//! A tile is 16 output rows by 32 weights: the 4 bytes that one dot-product instruction takes for
//! each of 16 rows lie side by side.

use super::blocks::{self, Unit};
use super::quant::BLOCK;
use super::simd::LANES;
use crate::gguf::DType;
use half::f16;

/// 4 bits a weight: `scale * quant + offset`, scales as half precision bits.
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct TileU4 {
    pub(crate) quants: [u8; 256],
    pub(crate) scale: [u16; LANES],
    pub(crate) offset: [u16; LANES],
}

/// 8 bits a weight, otherwise like [`TileU4`].
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct TileU8 {
    pub(crate) quants: [u8; 512],
    pub(crate) scale: [u16; LANES],
    pub(crate) offset: [u16; LANES],
}

impl TileU4 {
    const ZERO: Self = TileU4 { quants: [0; 256], scale: [0; LANES], offset: [0; LANES] };

    /// Element 0..16 is a low nibble, 16..32 the high nibble of the same byte.
    pub(crate) fn quant(&self, lane: usize, element: usize) -> u8 {
        let byte = self.quants[element % 16 / 4 * 64 + lane * 4 + element % 4];
        if element < 16 { byte & 15 } else { byte >> 4 }
    }

    fn set(&mut self, lane: usize, element: usize, quant: u8) {
        let byte = &mut self.quants[element % 16 / 4 * 64 + lane * 4 + element % 4];
        *byte |= if element < 16 { quant & 15 } else { quant << 4 };
    }
}

impl TileU8 {
    const ZERO: Self = TileU8 { quants: [0; 512], scale: [0; LANES], offset: [0; LANES] };

    pub(crate) fn quant(&self, lane: usize, element: usize) -> u8 {
        self.quants[element / 4 * 64 + lane * 4 + element % 4]
    }

    fn set(&mut self, lane: usize, element: usize, quant: u8) {
        self.quants[element / 4 * 64 + lane * 4 + element % 4] = quant;
    }
}

/// A matrix of a GGUF file: `n_rows` output rows of `width` weights.
#[derive(Clone, Copy)]
pub(crate) struct RawMatrix<'a> {
    pub(crate) dtype: DType,
    pub(crate) n_rows: usize,
    pub(crate) width: usize,
    /// `n_rows` times the bytes of a row.
    pub(crate) bytes: &'a [u8],
}

impl RawMatrix<'_> {
    fn row(&self, row: usize) -> &[u8] {
        let row_bytes = self.bytes.len() / self.n_rows;
        &self.bytes[row * row_bytes..][..row_bytes]
    }
}

/// A packed matrix. Rows beyond the last are zero up to a multiple of 16.
pub(crate) struct PackedMatrix {
    n_rows: usize,
    n_blocks: usize,
    pub(crate) tiles: Tiles,
}

pub(crate) enum Tiles {
    U4(Vec<TileU4>),
    U8(Vec<TileU8>),
}

impl PackedMatrix {
    /// Stacks the matrices' rows. All must have the same width.
    pub(crate) fn stack(sources: &[RawMatrix<'_>]) -> Self {
        let order: Vec<_> =
            sources.iter().flat_map(|m| (0..m.n_rows).map(move |row| (*m, row))).collect();
        Self::pack(&order)
    }

    /// Alternates 16 rows of `a` and 16 of `b`, so that what belongs together is computed together.
    pub(crate) fn interleave(a: RawMatrix<'_>, b: RawMatrix<'_>) -> Self {
        let order: Vec<_> = (0..a.n_rows.div_ceil(LANES))
            .flat_map(|tile| {
                let rows = tile * LANES..((tile + 1) * LANES).min(a.n_rows);
                rows.clone().map(move |row| (a, row)).chain(rows.map(move |row| (b, row)))
            })
            .collect();
        Self::pack(&order)
    }

    fn pack(order: &[(RawMatrix<'_>, usize)]) -> Self {
        let width = order.first().map_or(0, |(matrix, _)| matrix.width);
        let n_blocks = width.div_ceil(BLOCK);
        let n_tiles = order.len().div_ceil(LANES) * n_blocks;
        let tiles = if order.iter().all(|(matrix, _)| blocks::is_4_bit(matrix.dtype)) {
            let mut tiles = vec![TileU4::ZERO; n_tiles];
            each_unit(order, n_blocks, |tile, lane, unit| {
                let tile = &mut tiles[tile];
                let (scale, offset, quants) = affine(unit);
                (tile.scale[lane], tile.offset[lane]) = (scale, offset);
                quants.iter().enumerate().for_each(|(e, &quant)| tile.set(lane, e, quant));
            });
            Tiles::U4(tiles)
        } else {
            let mut tiles = vec![TileU8::ZERO; n_tiles];
            each_unit(order, n_blocks, |tile, lane, unit| {
                let tile = &mut tiles[tile];
                let (scale, offset, quants) = affine(unit);
                (tile.scale[lane], tile.offset[lane]) = (scale, offset);
                quants.iter().enumerate().for_each(|(e, &quant)| tile.set(lane, e, quant));
            });
            Tiles::U8(tiles)
        };
        PackedMatrix { n_rows: order.len(), n_blocks, tiles }
    }

    /// Columns of the kernels' output: the rows, rounded up to whole tiles.
    pub(crate) fn n_padded(&self) -> usize {
        self.n_rows.div_ceil(LANES) * LANES
    }

    pub(crate) fn n_blocks(&self) -> usize {
        self.n_blocks
    }

    pub(crate) fn bytes(&self) -> usize {
        match &self.tiles {
            Tiles::U4(tiles) => size_of_val(tiles.as_slice()),
            Tiles::U8(tiles) => size_of_val(tiles.as_slice()),
        }
    }

    /// Writes the weights of one row, for token embeddings.
    pub(crate) fn read_row(&self, row: usize, to: &mut [f32]) {
        let (tiles, lane) = (row / LANES * self.n_blocks, row % LANES);
        for (block, to) in to.chunks_mut(BLOCK).enumerate() {
            let tile = tiles + block;
            let (scale, offset) = match &self.tiles {
                Tiles::U4(tiles) => (tiles[tile].scale[lane], tiles[tile].offset[lane]),
                Tiles::U8(tiles) => (tiles[tile].scale[lane], tiles[tile].offset[lane]),
            };
            let (scale, offset) = (f16::from_bits(scale).to_f32(), f16::from_bits(offset).to_f32());
            for (element, to) in to.iter_mut().enumerate() {
                let quant = match &self.tiles {
                    Tiles::U4(tiles) => tiles[tile].quant(lane, element),
                    Tiles::U8(tiles) => tiles[tile].quant(lane, element),
                };
                *to = scale * f32::from(quant) + offset;
            }
        }
    }
}

fn each_unit(
    order: &[(RawMatrix<'_>, usize)],
    n_blocks: usize,
    mut put: impl FnMut(usize, usize, Unit),
) {
    for (index, (matrix, row)) in order.iter().enumerate() {
        let bytes = matrix.row(*row);
        for block in 0..n_blocks {
            let unit = blocks::unit(matrix.dtype, bytes, block);
            put(index / LANES * n_blocks + block, index % LANES, unit);
        }
    }
}

/// Scale and offset as half precision bits, and the quants that go with the rounded scale.
fn affine(unit: Unit) -> (u16, u16, [u8; BLOCK]) {
    match unit {
        Unit::Affine { scale, offset, quants } => (half(scale), half(offset), quants),
        Unit::Real(values) => {
            let largest = values.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
            let scale = half(largest / 127.0);
            let step = f16::from_bits(scale).to_f32();
            let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
            let quants = values
                .map(|v| ((v * inverse).round_ties_even().clamp(-127.0, 127.0) as i32 + 128) as u8);
            (scale, half(-128.0 * step), quants)
        }
    }
}

/// Clamped to the finite range: a hostile scale must not become infinite.
fn half(x: f32) -> u16 {
    if x.is_nan() { 0 } else { f16::from_f32(x.clamp(-65_504.0, 65_504.0)).to_bits() }
}
