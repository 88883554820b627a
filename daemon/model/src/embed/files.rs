//! The gate in front of embedding models: plain files of bounded size, a safetensors header whose
//! shapes and offsets agree, values that are finite. What passes can be packed without further checks.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use tokenizers::Tokenizer;

use crate::{ModelError, gguf::DType, kernels::pack::RawMatrix};

/// What a model's folder must have, weights first.
pub const EMBEDDER_FILES: [&str; 3] = ["model.safetensors", "tokenizer.json", "config.json"];
/// How texts are pooled, where a model says so.
const POOLING: &str = "1_Pooling/config.json";

/// Larger models are not for embedding in the background of an editor.
const MAX_WEIGHT_BYTES: u64 = 2 << 30;
const MAX_TOKENIZER_BYTES: u64 = 64 << 20;
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The files of one model, read.
pub(super) struct Folder {
    folder: PathBuf,
    weights: Vec<u8>,
    tokenizer: Vec<u8>,
    config: Vec<u8>,
    pooling: Option<Vec<u8>>,
}

impl Folder {
    pub(super) fn open(folder: &Path) -> Result<Self, ModelError> {
        let read = |name: &str, limit| read(&folder.join(name), limit);
        let [weights, tokenizer, config] = EMBEDDER_FILES;
        let config = read(config, MAX_CONFIG_BYTES)?;
        let pooling = match fs::symlink_metadata(folder.join(POOLING)) {
            Ok(_) => Some(read(POOLING, MAX_CONFIG_BYTES)?),
            Err(_) => None,
        };
        let tokenizer = read(tokenizer, MAX_TOKENIZER_BYTES)?;
        let weights = read(weights, MAX_WEIGHT_BYTES)?;
        let files = Self { folder: folder.to_owned(), weights, tokenizer, config, pooling };
        files.tensors()?;
        Ok(files)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn tokenizer(&self) -> Result<Tokenizer, ModelError> {
        Tokenizer::from_bytes(&self.tokenizer).map_err(|err| {
            let path = self.path(EMBEDDER_FILES[1]);
            ModelError::Tokenizer(format!("`{}` cannot be used: {err}", path.display()))
        })
    }

    pub(super) fn config<T: DeserializeOwned>(&self) -> Result<T, ModelError> {
        self.json(EMBEDDER_FILES[2], &self.config)
    }

    pub(super) fn pooling<T: DeserializeOwned>(&self) -> Result<Option<T>, ModelError> {
        self.pooling.as_ref().map(|bytes| self.json(POOLING, bytes)).transpose()
    }

    fn json<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, ModelError> {
        serde_json::from_slice(bytes).map_err(|err| ModelError::Metadata {
            key: self.path(name).display().to_string(),
            reason: err.to_string(),
        })
    }

    /// The header's checks are those of the `safetensors` crate: offsets in order, without gap or
    /// overlap, as long as shape and type say, the file no longer than they end.
    fn tensors(&self) -> Result<SafeTensors<'_>, ModelError> {
        SafeTensors::deserialize(&self.weights).map_err(|err| ModelError::File {
            path: self.path(EMBEDDER_FILES[0]).display().to_string(),
            reason: format!("it is not a whole safetensors file ({err})"),
        })
    }

    /// True if one tensor holds a vector for each token, and there are no layers.
    pub(super) fn is_table(&self) -> Result<bool, ModelError> {
        Ok(self.tensors()?.tensor("embeddings").is_ok())
    }

    /// Rows and columns of the table.
    pub(super) fn table_shape(&self) -> Result<(usize, usize), ModelError> {
        let tensors = self.tensors()?;
        match tensors.tensor("embeddings").map(|tensor| tensor.shape().to_vec()).as_deref() {
            Ok(&[rows, columns]) if rows > 0 && columns > 0 => Ok((rows, columns)),
            _ => Err(refuse("embeddings", "is not a matrix")),
        }
    }

    /// Hash of all that decides a vector.
    pub(super) fn identity(&self, max_tokens: usize, revision: u32) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&revision.to_le_bytes());
        hasher.update(&(max_tokens as u64).to_le_bytes());
        let pooling = self.pooling.as_deref().unwrap_or_default();
        for part in [&*self.weights, &self.tokenizer, &self.config, pooling] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    pub(super) fn weights(&self) -> Result<Weights<'_>, ModelError> {
        Ok(Weights(self.tensors()?))
    }
}

/// Tensors by name, each with the shape that the caller says it must have.
pub(super) struct Weights<'a>(SafeTensors<'a>);

impl Weights<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.tensor(name).is_ok()
    }

    /// `n_rows` output rows of `width` weights.
    pub(super) fn matrix(
        &self,
        name: &str,
        n_rows: usize,
        width: usize,
    ) -> Result<RawMatrix<'_>, ModelError> {
        let (dtype, bytes) = self.tensor(name, &[n_rows, width])?;
        check_finite(name, dtype, bytes)?;
        Ok(RawMatrix { dtype, n_rows, width, bytes })
    }

    pub(super) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, ModelError> {
        let (dtype, bytes) = self.tensor(name, &[len])?;
        check_finite(name, dtype, bytes)?;
        Ok(values(dtype, bytes).collect())
    }

    /// Whole numbers below `limit`, if the tensor is there.
    pub(super) fn indices(&self, name: &str, limit: usize) -> Result<Option<Vec<u32>>, ModelError> {
        let Ok(tensor) = self.0.tensor(name) else { return Ok(None) };
        let width = match tensor.dtype() {
            Dtype::I64 | Dtype::U64 => 8,
            Dtype::I32 | Dtype::U32 => 4,
            other => return Err(refuse(name, &format!("is {other:?}, expected I64 or I32"))),
        };
        let read = |bytes: &[u8]| {
            let mut wide = [0; 8];
            wide[..width].copy_from_slice(bytes);
            let index = u64::from_le_bytes(wide);
            (index < limit as u64).then_some(index as u32)
        };
        let indices: Option<Vec<u32>> = tensor.data().chunks_exact(width).map(read).collect();
        indices.map(Some).ok_or_else(|| refuse(name, &format!("has an index beyond {limit} rows")))
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<(DType, &[u8]), ModelError> {
        let tensor = self.0.tensor(name).map_err(|_| refuse(name, "is missing"))?;
        if tensor.shape() != shape {
            let reason = format!("has shape {:?}, expected {shape:?}", tensor.shape());
            return Err(refuse(name, &reason));
        }
        let dtype = match tensor.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(refuse(name, &format!("is {other:?}, expected F32, F16 or BF16"))),
        };
        Ok((dtype, tensor.data()))
    }
}

pub(super) fn values(dtype: DType, bytes: &[u8]) -> impl Iterator<Item = f32> {
    let width = if dtype == DType::F32 { 4 } else { 2 };
    bytes.chunks_exact(width).map(move |value| match *value {
        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
        [a, b] if dtype == DType::BF16 => half::bf16::from_le_bytes([a, b]).to_f32(),
        [a, b] => half::f16::from_le_bytes([a, b]).to_f32(),
        _ => 0.0,
    })
}

fn check_finite(name: &str, dtype: DType, bytes: &[u8]) -> Result<(), ModelError> {
    match values(dtype, bytes).all(f32::is_finite) {
        true => Ok(()),
        false => Err(refuse(name, "holds NaN or infinite values")),
    }
}

pub(super) fn refuse(name: &str, reason: &str) -> ModelError {
    ModelError::Tensor { name: name.to_owned(), reason: reason.to_owned() }
}

/// Reads a plain file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let fail = |reason: String| ModelError::File { path: path.display().to_string(), reason };
    let metadata = fs::metadata(path).map_err(|err| fail(err.to_string()))?;
    // A device or a pipe would never end, or never start.
    if !metadata.is_file() {
        return Err(fail("it is not a plain file".to_owned()));
    }
    if metadata.len() > limit {
        return Err(fail(format!("it has {} bytes, the limit is {limit}", metadata.len())));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|err| fail(err.to_string()))?;
    Ok(bytes)
}
