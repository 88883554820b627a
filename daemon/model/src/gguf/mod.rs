//! The gate in front of every model file.
//!
//! [`GgufFile::open`] maps a GGUF file and checks all of its structure (sizes, counts, offsets,
//! shapes, alignment, strings, overlaps) with checked arithmetic before anyone sees a byte of it.
//! What it returns can be indexed without further checks: every tensor's slice has exactly the
//! bytes that its shape and type need. A bad file is refused with the field and the reason.
//!
//! In: a path. Out: typed metadata and tensor slices. Left to others: what the metadata means
//! ([`crate::family`], [`crate::tokenizer`], the model loaders). Chat templates in the metadata are
//! text like any other; nothing here or elsewhere runs them.

mod dtype;
mod error;
mod map;
mod parse;
#[cfg(test)]
mod tests;
mod value;
pub mod writer;

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

pub use dtype::DType;
pub use error::GgufError;
use map::FileBytes;
use value::{Array, Meta, Scalar};

/// A validated GGUF file.
#[derive(Debug)]
pub struct GgufFile {
    path: PathBuf,
    bytes: FileBytes,
    version: u32,
    architecture: String,
    metadata: Vec<(String, Meta)>,
    tensors: Vec<TensorInfo>,
    by_name: FxHashMap<String, usize>,
}

/// One row of the tensor table. `range` lies inside the file.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    pub name: String,
    /// As in the file: the innermost (contiguous) dimension first, so a linear layer's weight is
    /// `[n_in, n_out]`. One to four dimensions, none of them zero.
    pub shape: Vec<usize>,
    pub dtype: DType,
    range: Range<usize>,
}

/// A tensor and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    pub info: &'a TensorInfo,
    /// Whole blocks, row after row; starts at a multiple of the file's alignment.
    pub bytes: &'a [u8],
}

impl TensorInfo {
    #[must_use]
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes in the file.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.range.len()
    }
}

impl GgufFile {
    /// Maps `path` and checks its structure; weights are not read (see [`Self::check_weights`]).
    ///
    /// # Errors
    /// [`GgufError::Io`] if the file cannot be read, [`GgufError::NotGguf`] if it is something
    /// else, [`GgufError::Refused`] with field and reason if it is damaged or hostile.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let io_error = |source| GgufError::Io { path: path.to_owned(), source };
        // A FIFO or device would block or never end: look before opening.
        let stat = std::fs::metadata(path).map_err(io_error)?;
        if !stat.is_file() {
            return Err(not_gguf(path, "it is not a regular file"));
        }
        let mut file = File::open(path).map_err(io_error)?;
        let mut magic = [0; 4];
        let n_read = read_up_to(&mut file, &mut magic).map_err(io_error)?;
        if n_read < magic.len() {
            return Err(not_gguf(path, &format!("it has only {n_read} bytes")));
        }
        if &magic != b"GGUF" {
            return Err(not_gguf(path, "it does not start with `GGUF`"));
        }
        let bytes = FileBytes::map(&file).map_err(io_error)?;
        Self::check(path.to_owned(), bytes)
    }

    /// The same checks on bytes in memory, for fixtures.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, GgufError> {
        Self::check(PathBuf::from("<memory>"), FileBytes::Owned(bytes))
    }

    fn check(path: PathBuf, bytes: FileBytes) -> Result<Self, GgufError> {
        let parse::Parsed { version, metadata, tensors } = parse::parse(&bytes)?;
        let by_name =
            tensors.iter().enumerate().map(|(at, tensor)| (tensor.name.clone(), at)).collect();
        let mut file =
            Self { path, bytes, version, architecture: String::new(), metadata, tensors, by_name };
        file.architecture = file.require_str("general.architecture", "every model")?.to_owned();
        file.check_known_keys()?;
        Ok(file)
    }

    /// Facts that hold for every architecture we know: catching them here keeps divisions by zero
    /// and index errors out of all loaders at once.
    fn check_known_keys(&self) -> Result<(), GgufError> {
        for key in ["block_count", "embedding_length", "attention.head_count", "context_length"] {
            let key = format!("{}.{key}", self.architecture);
            if self.u32(&key)? == Some(0) {
                return Err(GgufError::refused(format!("metadata `{key}`"), "it is zero"));
            }
        }
        let tokens = self.strings("tokenizer.ggml.tokens")?;
        for (key, len) in [
            ("tokenizer.ggml.scores", self.array_len("tokenizer.ggml.scores")),
            ("tokenizer.ggml.token_type", self.array_len("tokenizer.ggml.token_type")),
        ] {
            if let (Some(tokens), Some(len)) = (&tokens, len)
                && tokens.len() != len
            {
                return Err(GgufError::refused(
                    format!("metadata `{key}`"),
                    format!("{len} entries for a vocabulary of {}", tokens.len()),
                ));
            }
        }
        if let (Some(tokens), Some(embedding)) = (&tokens, self.tensor_info("token_embd.weight")) {
            let rows = embedding.shape.get(1).copied().unwrap_or(1);
            if rows < tokens.len() {
                return Err(GgufError::refused(
                    "tensor `token_embd.weight`",
                    format!("{rows} rows for a vocabulary of {}", tokens.len()),
                ));
            }
        }
        Ok(())
    }

    /// Reads all weights once and refuses NaN and infinite values and block scales.
    ///
    /// Costs one pass over the file; done when a model is added or pulled, not at every start.
    ///
    /// # Errors
    /// [`GgufError::Refused`] with the tensor's name.
    pub fn check_weights(&self) -> Result<(), GgufError> {
        for tensor in self.tensors() {
            if !weights_are_finite(tensor) {
                return Err(GgufError::refused(
                    format!("tensor `{}`", tensor.info.name),
                    "it holds values that are not finite numbers",
                ));
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// `general.architecture`, for example `llama` or `qwen2`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// In file order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorRef<'_>> {
        self.tensors.iter().map(|info| self.tensor_ref(info))
    }

    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorRef<'_>> {
        self.tensor_info(name).map(|info| self.tensor_ref(info))
    }

    fn tensor_info(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|at| &self.tensors[*at])
    }

    fn tensor_ref<'a>(&'a self, info: &'a TensorInfo) -> TensorRef<'a> {
        TensorRef { info, bytes: &self.bytes[info.range.clone()] }
    }

    /// Metadata keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.iter().map(|(key, _)| key.as_str())
    }

    /// # Errors
    /// [`GgufError::Type`] if the value is not a string; the getters below likewise.
    pub fn str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        match self.meta(key) {
            None => Ok(None),
            Some(Meta::String(range)) => Ok(Some(utf8(&self.bytes[range.clone()]))),
            Some(other) => Err(wrong_type(key, other, "a string")),
        }
    }

    /// # Errors
    /// As [`Self::str`]; also if the number does not fit.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        match self.meta(key) {
            None => Ok(None),
            Some(meta) => meta
                .as_u64()
                .and_then(|value| u32::try_from(value).ok())
                .map(Some)
                .ok_or_else(|| wrong_type(key, meta, "an unsigned 32-bit integer")),
        }
    }

    /// Finite numbers only.
    ///
    /// # Errors
    /// As [`Self::str`]; also if the number is NaN or infinite.
    pub fn f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        let Some(meta) = self.meta(key) else { return Ok(None) };
        let value = match meta {
            Meta::Scalar(scalar) => scalar.as_f64().map(|value| value as f32),
            Meta::String(_) | Meta::Array(_) => None,
        };
        value
            .filter(|value| value.is_finite())
            .map(Some)
            .ok_or_else(|| wrong_type(key, meta, "a finite number"))
    }

    /// # Errors
    /// As [`Self::str`].
    pub fn bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        match self.meta(key) {
            None => Ok(None),
            Some(Meta::Scalar(Scalar::Bool(value))) => Ok(Some(*value)),
            Some(other) => Err(wrong_type(key, other, "a boolean")),
        }
    }

    /// # Errors
    /// As [`Self::str`].
    pub fn strings(&self, key: &str) -> Result<Option<Strings<'_>>, GgufError> {
        match self.meta(key) {
            None => Ok(None),
            Some(Meta::Array(Array { kind: None, n_items, range })) => {
                Ok(Some(Strings { bytes: &self.bytes[range.clone()], n_left: *n_items }))
            }
            Some(other) => Err(wrong_type(key, other, "an array of strings")),
        }
    }

    /// An array of numbers, widened to `f64` (exact for every 32-bit type).
    ///
    /// # Errors
    /// As [`Self::str`].
    pub fn numbers(
        &self,
        key: &str,
    ) -> Result<Option<impl ExactSizeIterator<Item = f64> + '_>, GgufError> {
        match self.meta(key) {
            None => Ok(None),
            Some(Meta::Array(Array { kind: Some(kind), range, .. }))
                if *kind != value::Kind::Bool =>
            {
                let kind = *kind;
                let items = self.bytes[range.clone()].chunks_exact(kind.bytes());
                Ok(Some(items.map(move |raw| {
                    kind.read(raw).and_then(Scalar::as_f64).expect("not a boolean")
                })))
            }
            Some(other) => Err(wrong_type(key, other, "an array of numbers")),
        }
    }

    /// As [`Self::str`], for keys that must be there.
    ///
    /// # Errors
    /// [`GgufError::Missing`] naming the key.
    pub fn require_str(&self, key: &str, needed_for: &'static str) -> Result<&str, GgufError> {
        self.str(key)?.ok_or_else(|| GgufError::Missing { key: key.to_owned(), needed_for })
    }

    /// # Errors
    /// As [`Self::require_str`].
    pub fn require_u32(&self, key: &str, needed_for: &'static str) -> Result<u32, GgufError> {
        self.u32(key)?.ok_or_else(|| GgufError::Missing { key: key.to_owned(), needed_for })
    }

    fn meta(&self, key: &str) -> Option<&Meta> {
        let at = self.metadata.binary_search_by(|(have, _)| have.as_str().cmp(key)).ok()?;
        Some(&self.metadata[at].1)
    }

    fn array_len(&self, key: &str) -> Option<usize> {
        match self.meta(key) {
            Some(Meta::Array(array)) => Some(array.n_items),
            _ => None,
        }
    }
}

/// The strings of an array, read in place.
#[derive(Clone, Debug)]
pub struct Strings<'a> {
    bytes: &'a [u8],
    n_left: usize,
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.n_left == 0 {
            return None;
        }
        self.n_left -= 1;
        let (len, rest) = self.bytes.split_first_chunk().expect("lengths checked at open");
        let len = usize::try_from(u64::from_le_bytes(*len)).expect("lengths checked at open");
        let (text, rest) = rest.split_at(len);
        self.bytes = rest;
        Some(utf8(text))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.n_left, Some(self.n_left))
    }
}

impl ExactSizeIterator for Strings<'_> {}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("strings are checked to be UTF-8 at open")
}

fn wrong_type(key: &str, found: &Meta, expected: &'static str) -> GgufError {
    GgufError::Type { key: key.to_owned(), found: found.name(), expected }
}

fn not_gguf(path: &Path, reason: &str) -> GgufError {
    GgufError::NotGguf { path: path.to_owned(), reason: reason.to_owned() }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut n_read = 0;
    while n_read < buffer.len() {
        match file.read(&mut buffer[n_read..])? {
            0 => break,
            n => n_read += n,
        }
    }
    Ok(n_read)
}

fn weights_are_finite(tensor: TensorRef<'_>) -> bool {
    let f16_is_finite = |raw: &[u8]| raw[1] & 0x7c != 0x7c;
    match tensor.info.dtype {
        DType::F32 => tensor
            .bytes
            .chunks_exact(4)
            .all(|raw| f32::from_le_bytes(raw.try_into().expect("four bytes")).is_finite()),
        DType::F16 => tensor.bytes.chunks_exact(2).all(f16_is_finite),
        DType::BF16 => tensor
            .bytes
            .chunks_exact(2)
            .all(|raw| u16::from_le_bytes([raw[0], raw[1]]) & 0x7f80 != 0x7f80),
        quantized => {
            let scales = quantized.scale_offsets();
            tensor
                .bytes
                .chunks_exact(quantized.block_bytes())
                .all(|block| scales.iter().all(|at| f16_is_finite(&block[*at..*at + 2])))
        }
    }
}
