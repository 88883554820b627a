//! Reads an architecture's tensors and packs them for the kernels.

use crate::forward::config::Config;
use crate::gguf::DType;
use crate::kernels::blocks;
use crate::kernels::pack::{PackedMatrix, RawMatrix};
use crate::{GgufFile, ModelError};

pub(crate) struct Weights {
    pub(crate) embedding: PackedMatrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) output_norm: Vec<f32>,
    /// `None` if the output shares the embedding's weights.
    pub(crate) output: Option<PackedMatrix>,
    pub(crate) rope_factors: Option<Vec<f32>>,
}

pub(crate) struct Layer {
    pub(crate) attn_norm: Vec<f32>,
    /// Rows of queries, then keys, then values.
    pub(crate) attn_qkv: PackedMatrix,
    pub(crate) attn_qkv_bias: Option<Vec<f32>>,
    pub(crate) attn_output: PackedMatrix,
    pub(crate) ffn_norm: Vec<f32>,
    /// 16 rows of the gate, 16 rows of up, and so on.
    pub(crate) ffn_gate_up: PackedMatrix,
    pub(crate) ffn_down: PackedMatrix,
}

impl Weights {
    pub(crate) fn load(file: &GgufFile, config: &Config) -> Result<Self, ModelError> {
        let reader = Reader { file };
        let (dim, head_dim) = (config.dim, config.head_dim);
        let (q_dim, kv_dim) = (config.n_heads * head_dim, config.n_kv_heads * head_dim);
        let layers = (0..config.n_layers)
            .map(|i| {
                let matrix = |name: &str, n_rows, width| {
                    reader.matrix(&format!("blk.{i}.{name}.weight"), n_rows, width)
                };
                let vector = |name: &str, len| reader.vector(&format!("blk.{i}.{name}"), len);
                let biases = [("attn_q", q_dim), ("attn_k", kv_dim), ("attn_v", kv_dim)]
                    .into_iter()
                    .map(|(name, len)| vector(&format!("{name}.bias"), len))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Layer {
                    attn_norm: required(vector("attn_norm.weight", dim)?, "attn_norm.weight")?,
                    attn_qkv: PackedMatrix::stack(&[
                        matrix("attn_q", q_dim, dim)?,
                        matrix("attn_k", kv_dim, dim)?,
                        matrix("attn_v", kv_dim, dim)?,
                    ]),
                    attn_qkv_bias: stack_biases(biases, [q_dim, kv_dim, kv_dim]),
                    attn_output: PackedMatrix::stack(&[matrix("attn_output", dim, q_dim)?]),
                    ffn_norm: required(vector("ffn_norm.weight", dim)?, "ffn_norm.weight")?,
                    ffn_gate_up: PackedMatrix::interleave(
                        matrix("ffn_gate", config.ffn_dim, dim)?,
                        matrix("ffn_up", config.ffn_dim, dim)?,
                    ),
                    ffn_down: PackedMatrix::stack(&[matrix("ffn_down", dim, config.ffn_dim)?]),
                })
            })
            .collect::<Result<_, ModelError>>()?;
        let output = match file.tensor("output.weight") {
            Some(_) => {
                Some(PackedMatrix::stack(&[reader.matrix("output.weight", config.n_vocab, dim)?]))
            }
            None => None,
        };
        let embedding = reader.matrix("token_embd.weight", config.n_vocab, dim)?;
        Ok(Weights {
            embedding: PackedMatrix::stack(&[embedding]),
            layers,
            output_norm: required(reader.vector("output_norm.weight", dim)?, "output_norm.weight")?,
            output,
            rope_factors: reader.vector("rope_freqs.weight", config.rope_dim / 2)?,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        let layers: usize = self
            .layers
            .iter()
            .map(|layer| {
                layer.attn_qkv.bytes()
                    + layer.attn_output.bytes()
                    + layer.ffn_gate_up.bytes()
                    + layer.ffn_down.bytes()
            })
            .sum();
        layers + self.embedding.bytes() + self.output.as_ref().map_or(0, PackedMatrix::bytes)
    }
}

struct Reader<'a> {
    file: &'a GgufFile,
}

impl<'a> Reader<'a> {
    /// A matrix of at least `n_rows` rows; rows beyond that (padding of the vocabulary) are cut.
    fn matrix(&self, name: &str, n_rows: usize, width: usize) -> Result<RawMatrix<'a>, ModelError> {
        let tensor = self.file.tensor(name).ok_or_else(|| refuse(name, "is missing"))?;
        let [found_width, found_rows] = tensor.info.shape[..] else {
            return Err(refuse(name, "is not a matrix"));
        };
        let exact = name != "token_embd.weight" && name != "output.weight";
        if found_width != width || found_rows < n_rows || (exact && found_rows != n_rows) {
            let reason = format!(
                "has shape {found_width} x {found_rows}, the metadata says {width} x {n_rows}"
            );
            return Err(refuse(name, &reason));
        }
        let dtype = tensor.info.dtype;
        let n_bytes = blocks::row_bytes(dtype, width)
            .and_then(|row| row.checked_mul(n_rows))
            .filter(|&n| n <= tensor.bytes.len())
            .ok_or_else(|| refuse(name, "has rows that do not fill whole blocks"))?;
        Ok(RawMatrix { dtype, n_rows, width, bytes: &tensor.bytes[..n_bytes] })
    }

    fn vector(&self, name: &str, len: usize) -> Result<Option<Vec<f32>>, ModelError> {
        let Some(tensor) = self.file.tensor(name) else { return Ok(None) };
        if tensor.info.n_elements() != len {
            let reason = format!("has {} elements, expected {len}", tensor.info.n_elements());
            return Err(refuse(name, &reason));
        }
        if !matches!(tensor.info.dtype, DType::F32 | DType::F16 | DType::BF16) {
            return Err(refuse(name, &format!("is {}, expected F32", tensor.info.dtype)));
        }
        let values: Vec<f32> = (0..len)
            .map(|i| blocks::unit(tensor.info.dtype, tensor.bytes, i / 32).value(i % 32))
            .collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(refuse(name, "holds NaN or infinite values"));
        }
        Ok(Some(values))
    }
}

fn stack_biases(biases: Vec<Option<Vec<f32>>>, lens: [usize; 3]) -> Option<Vec<f32>> {
    biases.iter().any(Option::is_some).then(|| {
        biases
            .into_iter()
            .zip(lens)
            .flat_map(|(bias, len)| bias.unwrap_or_else(|| vec![0.0; len]))
            .collect()
    })
}

fn required(vector: Option<Vec<f32>>, name: &str) -> Result<Vec<f32>, ModelError> {
    vector.ok_or_else(|| refuse(name, "is missing"))
}

fn refuse(name: &str, reason: &str) -> ModelError {
    ModelError::Tensor { name: name.to_owned(), reason: reason.to_owned() }
}
