//! Reads and checks the header, the metadata and the tensor table.
//!
//! Nothing is allocated from a number in the file: arrays and strings stay where they are and are
//! kept as byte ranges, so the memory used here is bounded by the number of keys and tensors, which
//! is itself bounded. All arithmetic on file values is checked.

use std::collections::HashSet;
use std::ops::Range;

use super::value::{Array, Kind, Meta};
use super::{DType, GgufError, TensorInfo};

/// No real model comes near these; a file that does is not one.
const MAX_KEYS: u64 = 65_536;
const MAX_TENSORS: u64 = 65_536;
const MAX_KEY_BYTES: u64 = 65_535;
const MAX_STRING_BYTES: u64 = 16 << 20;
const MAX_ARRAY_ITEMS: u64 = 1 << 24;
const MAX_DIMS: u32 = 4;
const MAX_ALIGNMENT: u64 = 1 << 16;
const DEFAULT_ALIGNMENT: u64 = 32;

pub(super) struct Parsed {
    pub(super) version: u32,
    /// Sorted by key.
    pub(super) metadata: Vec<(String, Meta)>,
    /// In file order.
    pub(super) tensors: Vec<TensorInfo>,
}

/// Checks everything that can be checked without reading weights.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, GgufError> {
    let mut cursor = Cursor { bytes, at: 0 };
    let magic = cursor.take(4, "magic")?;
    if magic != b"GGUF" {
        return Err(GgufError::refused("magic", "the file does not start with `GGUF`"));
    }
    let version = cursor.u32("version")?;
    if !(2..=3).contains(&version) {
        let hint = if version.swap_bytes() <= 3 { " (big-endian file?)" } else { "" };
        return Err(GgufError::refused(
            "version",
            format!("{version} is not supported, this build reads 2 and 3{hint}"),
        ));
    }
    let n_tensors = cursor.count("tensor count", MAX_TENSORS)?;
    let n_keys = cursor.count("metadata count", MAX_KEYS)?;

    let metadata = metadata(&mut cursor, n_keys)?;
    let alignment = alignment(bytes, &metadata)?;
    let tensors = tensors(&mut cursor, n_tensors, alignment)?;
    Ok(Parsed { version, metadata, tensors })
}

fn metadata(cursor: &mut Cursor<'_>, n_keys: u64) -> Result<Vec<(String, Meta)>, GgufError> {
    let mut metadata = Vec::new();
    for index in 0..n_keys {
        let field = format!("metadata key {index}");
        let range = cursor.string(&field, MAX_KEY_BYTES)?;
        let key = text(cursor.bytes, &range, &field)?.to_owned();
        if key.is_empty() || key.chars().any(char::is_control) {
            return Err(GgufError::refused(field, "the key is empty or has control characters"));
        }
        let field = format!("metadata `{}`", shorten(&key));
        let kind = cursor.u32(&field)?;
        let value = value(cursor, kind, &field)?;
        metadata.push((key, value));
    }
    metadata.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = metadata.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let field = format!("metadata `{}`", shorten(&pair[0].0));
        return Err(GgufError::refused(field, "the key appears twice"));
    }
    Ok(metadata)
}

fn value(cursor: &mut Cursor<'_>, kind: u32, field: &str) -> Result<Meta, GgufError> {
    const STRING: u32 = 8;
    const ARRAY: u32 = 9;
    match kind {
        STRING => {
            let range = cursor.string(field, MAX_STRING_BYTES)?;
            text(cursor.bytes, &range, field)?;
            Ok(Meta::String(range))
        }
        ARRAY => array(cursor, field),
        _ => {
            let kind = scalar_kind(kind, field)?;
            let raw = cursor.take(kind.bytes() as u64, field)?;
            kind.read(raw)
                .map(Meta::Scalar)
                .ok_or_else(|| GgufError::refused(field, "a boolean is neither 0 nor 1"))
        }
    }
}

fn array(cursor: &mut Cursor<'_>, field: &str) -> Result<Meta, GgufError> {
    const STRING: u32 = 8;
    const ARRAY: u32 = 9;
    let item = cursor.u32(field)?;
    let len = cursor.count(field, MAX_ARRAY_ITEMS)?;
    let n_items = usize::try_from(len).expect("bounded by MAX_ARRAY_ITEMS");
    if item == ARRAY {
        return Err(GgufError::refused(field, "arrays of arrays are not used by any model"));
    }
    if item == STRING {
        let start = cursor.at;
        for _ in 0..len {
            let range = cursor.string(field, MAX_STRING_BYTES)?;
            text(cursor.bytes, &range, field)?;
        }
        return Ok(Meta::Array(Array { kind: None, n_items, range: start..cursor.at }));
    }
    let kind = scalar_kind(item, field)?;
    let n_bytes = len
        .checked_mul(kind.bytes() as u64)
        .ok_or_else(|| GgufError::refused(field, "the array's size overflows"))?;
    let start = cursor.at;
    let raw = cursor.take(n_bytes, field)?;
    if kind == Kind::Bool && raw.iter().any(|byte| *byte > 1) {
        return Err(GgufError::refused(field, "a boolean is neither 0 nor 1"));
    }
    Ok(Meta::Array(Array { kind: Some(kind), n_items, range: start..cursor.at }))
}

fn scalar_kind(kind: u32, field: &str) -> Result<Kind, GgufError> {
    Kind::from_id(kind)
        .ok_or_else(|| GgufError::refused(field, format!("value type {kind} does not exist")))
}

fn alignment(bytes: &[u8], metadata: &[(String, Meta)]) -> Result<u64, GgufError> {
    const KEY: &str = "general.alignment";
    let Ok(index) = metadata.binary_search_by(|(key, _)| key.as_str().cmp(KEY)) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    let found = metadata[index].1.as_u64();
    match found {
        Some(value)
            if value.is_power_of_two()
                && (8..=MAX_ALIGNMENT).contains(&value)
                && value <= bytes.len() as u64 =>
        {
            Ok(value)
        }
        Some(value) => Err(GgufError::refused(
            KEY,
            format!("{value} is not a power of two between 8 and {MAX_ALIGNMENT}"),
        )),
        None => Err(GgufError::refused(KEY, "not an unsigned integer")),
    }
}

fn tensors(
    cursor: &mut Cursor<'_>,
    n_tensors: u64,
    alignment: u64,
) -> Result<Vec<TensorInfo>, GgufError> {
    struct Entry {
        name: String,
        shape: Vec<usize>,
        dtype: DType,
        offset: u64,
        n_bytes: u64,
    }

    let mut entries: Vec<Entry> = Vec::new();
    let mut names = HashSet::new();
    for index in 0..n_tensors {
        let field = format!("tensor {index} name");
        let range = cursor.string(&field, 255)?;
        let name = text(cursor.bytes, &range, &field)?.to_owned();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(GgufError::refused(field, "the name is empty or has control characters"));
        }
        if !names.insert(name.clone()) {
            return Err(GgufError::refused(format!("tensor `{name}`"), "the name appears twice"));
        }
        let (shape, dtype, n_bytes) = layout(cursor, &name)?;
        let field = format!("tensor `{name}` offset");
        let offset = cursor.u64(&field)?;
        if offset % alignment != 0 {
            return Err(GgufError::refused(
                field,
                format!("{offset} is not a multiple of the alignment {alignment}"),
            ));
        }
        entries.push(Entry { name, shape, dtype, offset, n_bytes });
    }

    let data_start = (cursor.at as u64)
        .checked_next_multiple_of(alignment)
        .ok_or_else(|| GgufError::refused("tensor data", "the start overflows"))?;
    let file_bytes = cursor.bytes.len() as u64;
    let mut tensors = Vec::with_capacity(entries.len());
    for Entry { name, shape, dtype, offset, n_bytes } in entries {
        let range = data_start
            .checked_add(offset)
            .and_then(|start| Some(start..start.checked_add(n_bytes)?))
            .filter(|range| range.end <= file_bytes);
        let Some(range) = range else {
            return Err(GgufError::refused(
                format!("tensor `{name}`"),
                format!(
                    "{n_bytes} bytes at offset {offset} reach past the end of the file \
                     ({file_bytes} bytes); the file is cut short or damaged"
                ),
            ));
        };
        // Both ends are at most the file's length, which is a `usize`.
        let range = range.start as usize..range.end as usize;
        tensors.push(TensorInfo { name, shape, dtype, range });
    }

    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.range.start);
    if let Some(pair) = order.windows(2).find(|pair| pair[1].range.start < pair[0].range.end) {
        return Err(GgufError::refused(
            format!("tensor `{}`", pair[1].name),
            format!("its bytes overlap those of `{}`", pair[0].name),
        ));
    }
    Ok(tensors)
}

/// Shape, type and size in bytes of the next tensor.
fn layout(cursor: &mut Cursor<'_>, name: &str) -> Result<(Vec<usize>, DType, u64), GgufError> {
    let field = format!("tensor `{name}` shape");
    let n_dims = cursor.u32(&field)?;
    if n_dims == 0 || n_dims > MAX_DIMS {
        return Err(GgufError::refused(field, format!("{n_dims} dimensions, expected 1 to 4")));
    }
    let mut shape = Vec::new();
    let mut n_elements: u64 = 1;
    for _ in 0..n_dims {
        let dim = cursor.u64(&field)?;
        let fits = u32::try_from(dim).is_ok_and(|dim| dim > 0);
        n_elements = n_elements.checked_mul(dim).filter(|_| fits).ok_or_else(|| {
            GgufError::refused(&*field, format!("dimension {dim} is zero or too large"))
        })?;
        shape.push(dim as usize);
    }
    let field = format!("tensor `{name}` type");
    let id = cursor.u32(&field)?;
    let dtype = DType::from_id(id).ok_or_else(|| {
        GgufError::refused(&*field, format!("type {id} is not supported by this build"))
    })?;
    let block = dtype.block_elements();
    if !shape[0].is_multiple_of(block) {
        return Err(GgufError::refused(
            field,
            format!("rows of {} elements do not fill {dtype} blocks of {block}", shape[0]),
        ));
    }
    let n_bytes = (n_elements / block as u64)
        .checked_mul(dtype.block_bytes() as u64)
        .ok_or_else(|| GgufError::refused(field, "the size in bytes overflows"))?;
    Ok((shape, dtype, n_bytes))
}

fn text<'a>(bytes: &'a [u8], range: &Range<usize>, field: &str) -> Result<&'a str, GgufError> {
    std::str::from_utf8(&bytes[range.clone()])
        .map_err(|err| GgufError::refused(field, format!("not UTF-8: {err}")))
}

/// Names from the file go into messages; a hostile one should not fill the screen.
fn shorten(key: &str) -> String {
    if key.chars().count() <= 80 {
        return key.to_owned();
    }
    key.chars().take(77).chain("...".chars()).collect()
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n_bytes: u64, field: &str) -> Result<&'a [u8], GgufError> {
        let left = self.bytes.len() - self.at;
        match usize::try_from(n_bytes).ok().filter(|n_bytes| *n_bytes <= left) {
            Some(n_bytes) => {
                let taken = &self.bytes[self.at..self.at + n_bytes];
                self.at += n_bytes;
                Ok(taken)
            }
            None => Err(GgufError::refused(
                field,
                format!("needs {n_bytes} bytes at {}, the file has {left} left", self.at),
            )),
        }
    }

    fn u32(&mut self, field: &str) -> Result<u32, GgufError> {
        let raw = self.take(4, field)?;
        Ok(u32::from_le_bytes(raw.try_into().expect("four bytes")))
    }

    fn u64(&mut self, field: &str) -> Result<u64, GgufError> {
        let raw = self.take(8, field)?;
        Ok(u64::from_le_bytes(raw.try_into().expect("eight bytes")))
    }

    fn count(&mut self, field: &str, limit: u64) -> Result<u64, GgufError> {
        let count = self.u64(field)?;
        if count > limit {
            return Err(GgufError::refused(field, format!("count {count} is over {limit}")));
        }
        Ok(count)
    }

    fn string(&mut self, field: &str, limit: u64) -> Result<Range<usize>, GgufError> {
        let n_bytes = self.u64(field)?;
        if n_bytes > limit {
            return Err(GgufError::refused(
                field,
                format!("string of {n_bytes} bytes is over {limit}"),
            ));
        }
        let start = self.at;
        self.take(n_bytes, field)?;
        Ok(start..self.at)
    }
}
