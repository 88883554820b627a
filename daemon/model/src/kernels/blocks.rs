//! GGUF's block formats, read 32 weights at a time.
//!
//! Layouts are those that candle-core's `k_quants` reads. Formats whose unit of 32
//! weights is `scale * q + offset` with unsigned `q` are taken over without loss of their integers;
//! the others are dequantized and quantized again to 8 bits.

use super::quant::BLOCK;
use crate::gguf::DType;
use half::{bf16, f16};

/// 32 weights of one row.
#[derive(Clone, Debug)]
pub(crate) enum Unit {
    /// `scale * quants[i] + offset`
    Affine {
        scale: f32,
        offset: f32,
        quants: [u8; BLOCK],
    },
    Real([f32; BLOCK]),
}

impl Unit {
    pub(crate) fn value(&self, i: usize) -> f32 {
        match self {
            Unit::Affine { scale, offset, quants } => scale * f32::from(quants[i]) + offset,
            Unit::Real(values) => values[i],
        }
    }
}

/// Whether 4 bits a weight hold the quants.
pub(crate) fn is_4_bit(dtype: DType) -> bool {
    matches!(dtype, DType::Q4_0 | DType::Q4_1 | DType::Q4_K)
}

/// Bytes of a row of `width` weights; `None` if the width does not fill whole blocks.
pub(crate) fn row_bytes(dtype: DType, width: usize) -> Option<usize> {
    let weights = dtype.block_elements();
    width.is_multiple_of(weights).then(|| (width / weights).checked_mul(dtype.block_bytes()))?
}

/// Reads `dtype`'s weights `32 * unit..` of a row. Past the end of the row they are zero.
pub(crate) fn unit(dtype: DType, row: &[u8], unit: usize) -> Unit {
    match dtype {
        DType::F32 => Unit::Real(real::<4>(row, unit, f32::from_le_bytes)),
        DType::F16 => Unit::Real(real::<2>(row, unit, |bytes| f16::from_le_bytes(bytes).to_f32())),
        DType::BF16 => {
            Unit::Real(real::<2>(row, unit, |bytes| bf16::from_le_bytes(bytes).to_f32()))
        }
        DType::Q4_0 => {
            let block = &row[unit * 18..][..18];
            let scale = half(block, 0);
            Unit::Affine { scale, offset: -8.0 * scale, quants: nibbles(&block[2..]) }
        }
        DType::Q4_1 => {
            let block = &row[unit * 20..][..20];
            Unit::Affine {
                scale: half(block, 0),
                offset: half(block, 2),
                quants: nibbles(&block[4..]),
            }
        }
        DType::Q5_0 => {
            let block = &row[unit * 22..][..22];
            let scale = half(block, 0);
            Unit::Affine { scale, offset: -16.0 * scale, quants: five_bits(&block[2..]) }
        }
        DType::Q5_1 => {
            let block = &row[unit * 24..][..24];
            Unit::Affine {
                scale: half(block, 0),
                offset: half(block, 2),
                quants: five_bits(&block[4..]),
            }
        }
        DType::Q8_0 => {
            let block = &row[unit * 34..][..34];
            let scale = half(block, 0);
            let quants = std::array::from_fn(|i| block[2 + i] ^ 0x80);
            Unit::Affine { scale, offset: -128.0 * scale, quants }
        }
        DType::Q4_K => k_unit(&row[unit / 8 * 144..][..144], unit % 8, None),
        DType::Q5_K => {
            let block = &row[unit / 8 * 176..][..176];
            k_unit(block, unit % 8, Some(&block[16..48]))
        }
        DType::Q6_K => Unit::Real(q6k(&row[unit / 8 * 210..][..210], unit % 8)),
        DType::Q2_K => Unit::Real(q2k(&row[unit / 8 * 84..][..84], unit % 8)),
        DType::Q3_K => Unit::Real(q3k(&row[unit / 8 * 110..][..110], unit % 8)),
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

fn real<const N: usize>(row: &[u8], unit: usize, read: impl Fn([u8; N]) -> f32) -> [f32; BLOCK] {
    let mut values = [0.0; BLOCK];
    let start = (unit * BLOCK * N).min(row.len());
    let (elements, _) = row[start..].as_chunks::<N>();
    for (value, bytes) in values.iter_mut().zip(elements) {
        *value = read(*bytes);
    }
    values
}

/// Low nibbles are weights 0..16, high nibbles 16..32.
fn nibbles(bytes: &[u8]) -> [u8; BLOCK] {
    std::array::from_fn(|i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 })
}

/// Four bytes with the fifth bits, then nibbles.
fn five_bits(bytes: &[u8]) -> [u8; BLOCK] {
    let high = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut quants = nibbles(&bytes[4..]);
    for (i, quant) in quants.iter_mut().enumerate() {
        *quant |= ((high >> i & 1) as u8) << 4;
    }
    quants
}

/// A sub-block of `Q4_K` or, with the fifth bits in `high`, `Q5_K`.
fn k_unit(block: &[u8], sub: usize, high: Option<&[u8]>) -> Unit {
    let (d, d_min) = (half(block, 0), half(block, 2));
    // Eight 6-bit scales and eight 6-bit minima in twelve bytes.
    let packed = &block[4..16];
    let (scale, min) = if sub < 4 {
        (packed[sub] & 63, packed[sub + 4] & 63)
    } else {
        (
            packed[sub + 4] & 15 | packed[sub - 4] >> 6 << 4,
            packed[sub + 4] >> 4 | packed[sub] >> 6 << 4,
        )
    };
    let nibbles_at = if high.is_some() { 48 } else { 16 };
    let bytes = &block[nibbles_at + sub / 2 * 32..][..32];
    let quants = std::array::from_fn(|i| {
        let low = bytes[i] >> (sub % 2 * 4) & 15;
        low | high.map_or(0, |high| (high[i] >> sub & 1) << 4)
    });
    Unit::Affine { scale: d * f32::from(scale), offset: -d_min * f32::from(min), quants }
}

fn q6k(block: &[u8], sub: usize) -> [f32; BLOCK] {
    let (half_block, quarter) = (sub / 4, sub % 4);
    let low = &block[half_block * 64 + quarter % 2 * 32..][..32];
    let high = &block[128 + half_block * 32..][..32];
    let scales = &block[192 + half_block * 8 + quarter * 2..][..2];
    let d = half(block, 208);
    std::array::from_fn(|i| {
        let quant = low[i] >> (quarter / 2 * 4) & 15 | (high[i] >> (quarter * 2) & 3) << 4;
        let scale = f32::from(scales[i / 16] as i8);
        d * scale * f32::from(quant as i8 - 32)
    })
}

fn q2k(block: &[u8], sub: usize) -> [f32; BLOCK] {
    let (d, d_min) = (half(block, 80), half(block, 82));
    let bytes = &block[16 + sub / 4 * 32..][..32];
    std::array::from_fn(|i| {
        let scale = block[sub * 2 + i / 16];
        let quant = bytes[i] >> (sub % 4 * 2) & 3;
        d * f32::from(scale & 15) * f32::from(quant) - d_min * f32::from(scale >> 4)
    })
}

fn q3k(block: &[u8], sub: usize) -> [f32; BLOCK] {
    let (mask, bytes) = (&block[..32], &block[32 + sub / 4 * 32..][..32]);
    let d = half(block, 108);
    // Sixteen 6-bit scales in twelve bytes: low nibbles first, then the upper two bits.
    let packed = &block[96..108];
    std::array::from_fn(|i| {
        let index = sub * 2 + i / 16;
        let low = if index < 8 { packed[index] & 15 } else { packed[index - 8] >> 4 };
        let high = packed[8 + index % 4] >> (index / 4 * 2) & 3;
        let scale = f32::from((low | high << 4) as i8 - 32);
        let quant = (bytes[i] >> (sub % 4 * 2) & 3) as i8;
        let minus = if mask[i] >> sub & 1 == 1 { 0 } else { 4 };
        d * scale * f32::from(quant - minus)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    /// Quantizes noise with candle, reads it back with both.
    fn check_against_candle(ours: DType, theirs: GgmlDType) {
        let (rows, width) = (3, 512);
        let mut state = 7u32;
        let noise: Vec<f32> = (0..rows * width)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect();
        let tensor = Tensor::from_vec(noise, (rows, width), &Device::Cpu).unwrap();
        let quantized = QTensor::quantize(&tensor, theirs).unwrap();
        let expected: Vec<f32> =
            quantized.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let bytes = quantized.data().unwrap();
        let n_bytes = row_bytes(ours, width).unwrap();
        assert_eq!(bytes.len(), rows * n_bytes);
        for (i, expected) in expected.iter().enumerate() {
            let (row, column) = (i / width, i % width);
            let read = unit(ours, &bytes[row * n_bytes..][..n_bytes], column / BLOCK);
            let found = read.value(column % BLOCK);
            assert!((found - expected).abs() <= 1e-6, "{ours:?} weight {i}: {found} {expected}");
        }
    }

    #[test]
    fn every_format_reads_as_candle_reads_it() {
        for (ours, theirs) in [
            (DType::F32, GgmlDType::F32),
            (DType::F16, GgmlDType::F16),
            (DType::BF16, GgmlDType::BF16),
            (DType::Q4_0, GgmlDType::Q4_0),
            (DType::Q4_1, GgmlDType::Q4_1),
            (DType::Q5_0, GgmlDType::Q5_0),
            (DType::Q5_1, GgmlDType::Q5_1),
            (DType::Q8_0, GgmlDType::Q8_0),
            (DType::Q4_K, GgmlDType::Q4K),
            (DType::Q5_K, GgmlDType::Q5K),
            (DType::Q6_K, GgmlDType::Q6K),
            (DType::Q2_K, GgmlDType::Q2K),
            (DType::Q3_K, GgmlDType::Q3K),
        ] {
            check_against_candle(ours, theirs);
        }
    }
}
