//! Metadata values: small scalars by value, strings and arrays as validated ranges of the file.

use std::ops::Range;

/// A scalar type of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    U64,
    I64,
    F64,
}

/// A scalar, widened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
}

#[derive(Clone, Debug)]
pub(super) enum Meta {
    Scalar(Scalar),
    String(Range<usize>),
    Array(Array),
}

/// `kind` is `None` for an array of strings.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) kind: Option<Kind>,
    pub(super) n_items: usize,
    pub(super) range: Range<usize>,
}

impl Kind {
    pub(super) fn from_id(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// `raw` has exactly [`Self::bytes`] bytes; `None` only for a boolean that is neither 0 nor 1.
    pub(super) fn read(self, raw: &[u8]) -> Option<Scalar> {
        let mut low = [0; 8];
        low[..raw.len()].copy_from_slice(raw);
        let unsigned = u64::from_le_bytes(low);
        let shift = 64 - 8 * self.bytes() as u32;
        Some(match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => Scalar::Unsigned(unsigned),
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => {
                Scalar::Signed((unsigned << shift) as i64 >> shift)
            }
            Self::F32 => Scalar::Float(f64::from(f32::from_bits(unsigned as u32))),
            Self::F64 => Scalar::Float(f64::from_bits(unsigned)),
            Self::Bool if unsigned > 1 => return None,
            Self::Bool => Scalar::Bool(unsigned == 1),
        })
    }
}

impl Scalar {
    pub(super) fn as_u64(self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(value),
            Self::Signed(value) => u64::try_from(value).ok(),
            Self::Float(_) | Self::Bool(_) => None,
        }
    }

    pub(super) fn as_f64(self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(value),
            Self::Unsigned(value) => Some(value as f64),
            Self::Signed(value) => Some(value as f64),
            Self::Bool(_) => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unsigned(_) => "an unsigned integer",
            Self::Signed(_) => "a signed integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
        }
    }
}

impl Meta {
    pub(super) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Scalar(scalar) => scalar.as_u64(),
            Self::String(_) | Self::Array(_) => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Scalar(scalar) => scalar.name(),
            Self::String(_) => "a string",
            Self::Array(Array { kind: None, .. }) => "an array of strings",
            Self::Array(_) => "an array of numbers",
        }
    }
}
