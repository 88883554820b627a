//! A static table of one vector a token, as model2vec writes it: the mean of a text's rows.

use serde::Deserialize;

use super::files::Folder;
use crate::{ModelError, gguf::DType, kernels::blocks};

#[derive(Deserialize)]
struct Config {
    model_type: Option<String>,
}

pub(super) struct Table {
    dim: usize,
    n_tokens: usize,
    rows: Vec<f32>,
    /// Row of each token; without it, its own number.
    mapping: Option<Vec<u32>>,
    scales: Option<Vec<f32>>,
}

impl Table {
    pub(super) fn load(files: &Folder) -> Result<Self, ModelError> {
        let config: Config = files.config()?;
        if let Some(other) = config.model_type.filter(|kind| kind != "model2vec") {
            return Err(ModelError::Architecture(format!("{other}, with a table of embeddings")));
        }
        let (n_rows, dim) = files.table_shape()?;
        let weights = files.weights()?;
        let matrix = weights.matrix("embeddings", n_rows, dim)?;
        // Newer tables share rows between tokens, or scale a row by the token's weight.
        let mapping = weights.indices("mapping", n_rows)?;
        let n_tokens = mapping.as_ref().map_or(n_rows, Vec::len);
        let scales = match weights.has("weights") {
            true => Some(weights.vector("weights", n_tokens)?),
            false => None,
        };
        let mut rows = vec![0.0; n_rows * dim];
        let row_bytes = matrix.bytes.len() / n_rows;
        let read = |row: &mut [f32], bytes: &[u8], dtype: DType| {
            for (index, block) in row.chunks_mut(32).enumerate() {
                let unit = blocks::unit(dtype, bytes, index);
                block.iter_mut().enumerate().for_each(|(i, value)| *value = unit.value(i));
            }
        };
        for (row, bytes) in
            rows.chunks_exact_mut(dim).zip(matrix.bytes.chunks_exact(row_bytes.max(1)))
        {
            read(row, bytes, matrix.dtype);
        }
        Ok(Self { dim, n_tokens, rows, mapping, scales })
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    pub(super) fn weight_bytes(&self) -> usize {
        size_of_val(self.rows.as_slice())
    }

    /// Sums the rows of `tokens`, all below [`Self::n_tokens`]; the caller scales, so the mean's divisor does not matter.
    pub(super) fn embed(&self, tokens: impl Iterator<Item = u32>, out: &mut [f32]) {
        for token in tokens {
            let token = token as usize;
            let row = self.mapping.as_ref().map_or(token, |mapping| mapping[token] as usize);
            let scale = self.scales.as_ref().map_or(1.0, |scales| scales[token]);
            let row = &self.rows[row * self.dim..][..self.dim];
            out.iter_mut().zip(row).for_each(|(x, value)| *x += scale * value);
        }
    }
}
