//! The numbers of an architecture, from GGUF metadata.

use crate::family::Rope;
use crate::{Family, GgufError, GgufFile, ModelError};

/// Sizes and constants of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) n_layers: usize,
    pub(crate) dim: usize,
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) ffn_dim: usize,
    pub(crate) n_vocab: usize,
    pub(crate) n_context: usize,
    pub(crate) norm_epsilon: f32,
    pub(crate) rope: Rope,
    /// Dimensions of a head that are rotated; the rest pass through.
    pub(crate) rope_dim: usize,
    pub(crate) rope_base: f32,
    /// Positions are divided by this.
    pub(crate) rope_scale: f32,
}

/// Limits far above every model that runs on a personal machine, far below what would overflow.
const MAX_LAYERS: usize = 512;
const MAX_DIM: usize = 1 << 17;
const MAX_CONTEXT: usize = 1 << 20;

impl Config {
    pub(crate) fn read(file: &GgufFile, family: &Family) -> Result<Self, ModelError> {
        let architecture = file.architecture();
        if !matches!(architecture, "llama" | "qwen2") {
            return Err(ModelError::Architecture(architecture.to_owned()));
        }
        let key = |name: &str| format!("{architecture}.{name}");
        let optional = |name: &str| -> Result<Option<usize>, ModelError> {
            Ok(file.u32(&key(name)).map_err(metadata)?.map(|n| n as usize))
        };
        let number = |name: &str, limit: usize| -> Result<usize, ModelError> {
            let value = optional(name)?.ok_or_else(|| refuse(key(name), "is missing"))?;
            if value == 0 || value > limit {
                return Err(refuse(key(name), &format!("is {value}, expected 1 to {limit}")));
            }
            Ok(value)
        };
        let real = |name: &str, default: f32| -> Result<f32, ModelError> {
            let value = file.f32(&key(name)).map_err(metadata)?.unwrap_or(default);
            if !(value.is_finite() && value > 0.0) {
                return Err(refuse(key(name), &format!("is {value}, expected a positive number")));
            }
            Ok(value)
        };
        let dim = number("embedding_length", MAX_DIM)?;
        let n_heads = number("attention.head_count", MAX_DIM)?;
        let n_kv_heads = optional("attention.head_count_kv")?.unwrap_or(n_heads);
        if n_kv_heads == 0 || !n_heads.is_multiple_of(n_kv_heads) {
            let reason = format!("is {n_kv_heads}, expected a divisor of {n_heads}");
            return Err(refuse(key("attention.head_count_kv"), &reason));
        }
        let head_dim = match optional("attention.key_length")? {
            Some(head_dim) => head_dim,
            None if dim.is_multiple_of(n_heads) => dim / n_heads,
            None => {
                let reason = format!("is {n_heads}, expected a divisor of {dim}");
                return Err(refuse(key("attention.head_count"), &reason));
            }
        };
        if head_dim == 0 || head_dim > 1024 || !head_dim.is_multiple_of(16) {
            let reason = format!("gives heads of {head_dim} dimensions, expected a multiple of 16");
            return Err(refuse(key("attention.head_count"), &reason));
        }
        if optional("attention.value_length")?.is_some_and(|n| n != head_dim) {
            return Err(refuse(key("attention.value_length"), "differs from the key length"));
        }
        let rope_dim = optional("rope.dimension_count")?.unwrap_or(head_dim);
        if rope_dim > head_dim || !rope_dim.is_multiple_of(2) {
            let reason = format!("is {rope_dim}, expected an even number up to {head_dim}");
            return Err(refuse(key("rope.dimension_count"), &reason));
        }
        let scaling = file.str(&key("rope.scaling.type")).map_err(metadata)?;
        let rope_scale = match scaling {
            Some("linear") => real("rope.scaling.factor", 1.0)?,
            // Below the original context length, which we keep to, these change nothing.
            _ => 1.0,
        };
        let n_context = number("context_length", MAX_CONTEXT)?;
        let original = optional("rope.scaling.original_context_length")?;
        let tokens = file.strings("tokenizer.ggml.tokens").map_err(metadata)?;
        let embedding_rows =
            file.tensor("token_embd.weight").and_then(|t| t.info.shape.get(1).copied());
        Ok(Config {
            n_layers: number("block_count", MAX_LAYERS)?,
            dim,
            n_heads,
            n_kv_heads,
            head_dim,
            ffn_dim: number("feed_forward_length", MAX_DIM * 4)?,
            n_vocab: tokens
                .map(|tokens| tokens.len())
                .or(embedding_rows)
                .ok_or_else(|| refuse("tokenizer.ggml.tokens".to_owned(), "is missing"))?,
            n_context: original.filter(|&n| n > 0).map_or(n_context, |n| n.min(n_context)),
            norm_epsilon: real("attention.layer_norm_rms_epsilon", 1e-5)?,
            rope: match architecture {
                "qwen2" => Rope::Halves,
                _ => family.rope,
            },
            rope_dim,
            rope_base: real("rope.freq_base", 10_000.0)?,
            rope_scale,
        })
    }

    /// Query heads that share a key head.
    pub(crate) fn group(&self) -> usize {
        self.n_heads / self.n_kv_heads
    }
}

fn refuse(key: String, reason: &str) -> ModelError {
    ModelError::Metadata { key, reason: reason.to_owned() }
}

fn metadata(error: GgufError) -> ModelError {
    ModelError::Metadata { key: "general".to_owned(), reason: error.to_string() }
}
