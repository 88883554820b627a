//! BERT (Devlin et al. 2019) and its RoBERTa variant as sentence encoders (Reimers and Gurevych 2019):
//! post-norm layers, bidirectional attention, mean or first-token pooling. Names of tensors are those
//! of the `transformers` library. Weights are packed to 8 bits; activations between the matrix
//! products stay `f32`.

use serde::Deserialize;

use super::files::{Folder, Weights};
use crate::{
    ModelError,
    kernels::{
        Isa,
        attention::{Attend, Scratch, attend},
        fused, gemm,
        pack::PackedMatrix,
        pool::Pool,
        quant::QuantRows,
    },
    kv::cache::LayerCache,
};

/// Query rows that are attended with at a time.
const QUERY_BLOCK: usize = 16;
/// Bounds on what a config file may ask for; shapes must agree with it besides.
const MAX_DIM: usize = 4_096;
const MAX_LAYERS: usize = 96;
const MAX_POSITIONS: usize = 8_192;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Activation {
    #[serde(rename = "gelu")]
    Gelu,
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluTanh,
    #[serde(rename = "relu")]
    Relu,
}

/// `config.json`, the keys that decide the computation.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    vocab_size: usize,
    #[serde(default)]
    type_vocab_size: usize,
    layer_norm_eps: f32,
    hidden_act: Activation,
    position_embedding_type: Option<String>,
    #[serde(default)]
    pad_token_id: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pooling {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
}

impl Config {
    pub(super) fn read(files: &Folder) -> Result<Self, ModelError> {
        let config: Self = files.config()?;
        let refuse = |key: &str, reason: String| {
            Err(ModelError::Metadata { key: format!("config.json {key}"), reason })
        };
        if !matches!(&*config.model_type, "bert" | "roberta" | "xlm-roberta" | "camembert") {
            return Err(ModelError::Architecture(format!(
                "{}, as an embedder (known are bert, roberta, xlm-roberta and model2vec tables)",
                config.model_type
            )));
        }
        if config.position_embedding_type.as_ref().is_some_and(|kind| kind != "absolute") {
            return refuse("position_embedding_type", "only `absolute` is known".into());
        }
        let (dim, heads) = (config.hidden_size, config.num_attention_heads);
        if dim == 0 || dim > MAX_DIM || heads == 0 || dim % heads != 0 || dim / heads % 16 != 0 {
            let reason =
                format!("{dim} values in {heads} heads; heads must have 16, 32, ... values");
            return refuse("hidden_size", reason);
        }
        let sizes = [
            ("intermediate_size", config.intermediate_size, 8 * MAX_DIM),
            ("num_hidden_layers", config.num_hidden_layers, MAX_LAYERS),
            ("max_position_embeddings", config.max_position_embeddings, MAX_POSITIONS + 2),
            ("vocab_size", config.vocab_size, 4_000_000),
        ];
        for (key, value, limit) in sizes {
            if value == 0 || value > limit {
                return refuse(key, format!("{value} is not between 1 and {limit}"));
            }
        }
        if config.max_tokens() < 8 {
            return refuse("pad_token_id", "leaves no positions".into());
        }
        Ok(config)
    }

    pub(super) fn dim(&self) -> usize {
        self.hidden_size
    }

    /// RoBERTa numbers positions from behind the padding token.
    fn first_position(&self) -> usize {
        if self.model_type == "bert" { 0 } else { self.pad_token_id.saturating_add(1) }
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position())
    }
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Linear {
    weight: PackedMatrix,
    bias: Vec<f32>,
}

struct Layer {
    /// Rows of queries, then keys, then values.
    qkv: Linear,
    attention: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    output_norm: Norm,
}

pub(super) struct Bert {
    config: Config,
    by_first_token: bool,
    isa: Isa,
    pool: Pool,
    words: PackedMatrix,
    /// Of each position, with the first token type's row added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    work: Work,
}

/// Working memory, kept between texts.
struct Work {
    x: Vec<f32>,
    quant: QuantRows,
    wide: Vec<f32>,
    queries: Vec<f32>,
    attended: Vec<f32>,
    narrow: Vec<f32>,
    cache: LayerCache,
}

impl Bert {
    pub(super) fn load(files: &Folder, n_threads: usize) -> Result<Self, ModelError> {
        let config = Config::read(files)?;
        let pooling: Pooling = files.pooling()?.unwrap_or_default();
        if pooling.pooling_mode_max_tokens {
            return Err(ModelError::Metadata {
                key: "1_Pooling/config.json".into(),
                reason: "only pooling by mean or by the first token is known".into(),
            });
        }
        let weights = files.weights()?;
        // Saved alone or as part of a model with a head.
        let prefixes = ["", "bert.", "roberta.", "0.auto_model."];
        let has_words =
            |prefix: &&str| weights.has(&format!("{prefix}embeddings.word_embeddings.weight"));
        let prefix = prefixes.into_iter().find(has_words).unwrap_or_default();
        let reader = Reader { weights: &weights, prefix };
        let (dim, wide) = (config.hidden_size, config.intermediate_size);
        let words = reader.matrix("embeddings.word_embeddings", config.vocab_size, dim)?;
        let positions = reader.positions(&config)?;
        let norm = reader.norm("embeddings.LayerNorm", dim)?;
        let layers = (0..config.num_hidden_layers).map(|index| {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let parts =
                ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
            Ok(Layer {
                qkv: reader.linear(&parts.each_ref().map(String::as_str), dim, dim)?,
                attention: reader.linear(&[&name("attention.output.dense")], dim, dim)?,
                attention_norm: reader.norm(&name("attention.output.LayerNorm"), dim)?,
                up: reader.linear(&[&name("intermediate.dense")], wide, dim)?,
                down: reader.linear(&[&name("output.dense")], dim, wide)?,
                output_norm: reader.norm(&name("output.LayerNorm"), dim)?,
            })
        });
        let layers = layers.collect::<Result<Vec<_>, ModelError>>()?;
        let n_threads = match n_threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()).min(8),
            n => n,
        };
        let work = Work {
            x: Vec::new(),
            quant: QuantRows::default(),
            wide: Vec::new(),
            queries: Vec::new(),
            attended: Vec::new(),
            narrow: Vec::new(),
            cache: LayerCache::new(config.num_attention_heads),
        };
        let by_first_token = pooling.pooling_mode_cls_token && !pooling.pooling_mode_mean_tokens;
        let (isa, pool) = (Isa::detect(), Pool::new(n_threads));
        Ok(Self { config, by_first_token, isa, pool, words, positions, norm, layers, work })
    }

    pub(super) fn dim(&self) -> usize {
        self.config.hidden_size
    }

    pub(super) fn n_tokens(&self) -> usize {
        self.config.vocab_size
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.config.max_tokens()
    }

    pub(super) fn weight_bytes(&self) -> usize {
        let layer = |layer: &Layer| {
            let parts = [&layer.qkv, &layer.attention, &layer.up, &layer.down];
            parts.iter().map(|linear| linear.weight.bytes()).sum::<usize>()
        };
        self.words.bytes()
            + size_of_val(self.positions.as_slice())
            + self.layers.iter().map(layer).sum::<usize>()
    }

    /// Pools the last layer of `tokens`, at most [`Self::max_tokens`] of them and all below
    /// [`Self::n_tokens`], into `out`.
    pub(super) fn embed(&mut self, tokens: &[u32], out: &mut [f32]) {
        out.fill(0.0);
        if tokens.is_empty() {
            return;
        }
        let (isa, dim) = (self.isa, self.config.hidden_size);
        let Self { work, words, positions, norm, pool, .. } = self;
        work.x.resize(tokens.len() * dim, 0.0);
        let (words, positions, norm) = (&*words, &*positions, &*norm);
        pool.chunks(
            (&mut work.x, dim),
            || (),
            |(), row, x| {
                words.read_row(tokens[row] as usize, x);
                fused::add(isa, &positions[row * dim..][..dim], x);
                fused::layer_norm(isa, &norm.weight, &norm.bias, self.config.layer_norm_eps, x);
            },
        );
        for index in 0..self.layers.len() {
            self.attention(index, tokens.len());
            self.feed_forward(index, tokens.len());
        }
        let rows = if self.by_first_token { 1 } else { tokens.len() };
        for row in self.work.x.chunks_exact(dim).take(rows) {
            fused::add(isa, row, out);
        }
    }

    fn attention(&mut self, index: usize, n_rows: usize) {
        let Self { config, isa, pool, layers, work, .. } = self;
        let (isa, layer) = (*isa, &layers[index]);
        let (dim, n_heads) = (config.hidden_size, config.num_attention_heads);
        let head_dim = dim / n_heads;
        let x = &work.x;
        work.quant
            .fill(isa, pool, n_rows, dim, |row, to| to.copy_from_slice(&x[row * dim..][..dim]));
        let stride = layer.qkv.apply(isa, pool, &work.quant, &mut work.wide);
        let qkv = &work.wide;
        work.cache.reserve(n_rows, head_dim);
        work.cache.write(isa, pool, 0, n_rows, head_dim, |row, head, key, value| {
            let at = row * stride + dim + head * head_dim;
            key.copy_from_slice(&qkv[at..][..head_dim]);
            value.copy_from_slice(&qkv[at + dim..][..head_dim]);
        });
        // Queries as [head][row][dim], rows padded to whole blocks.
        let block = n_rows.min(QUERY_BLOCK);
        let n_blocks = n_rows.div_ceil(block);
        let padded = n_blocks * block;
        let scale = 1.0 / (head_dim as f32).sqrt();
        work.queries.resize(n_heads * padded * head_dim, 0.0);
        pool.chunks(
            (&mut work.queries, head_dim),
            || (),
            |(), i, query| {
                let (head, row) = (i / padded, i % padded);
                if row < n_rows {
                    let from = &qkv[row * stride + head * head_dim..][..head_dim];
                    query.iter_mut().zip(from).for_each(|(to, x)| *to = x * scale);
                }
            },
        );
        work.attended.resize(work.queries.len(), 0.0);
        let (queries, cache) = (&work.queries, &work.cache);
        pool.chunks((&mut work.attended, block * head_dim), Scratch::default, |scratch, i, out| {
            let (head, start) = (i / n_blocks, i % n_blocks * block);
            let rows = (n_rows - start).min(block);
            let (keys, values) = cache.head(head);
            let queries = &queries[(head * padded + start) * head_dim..][..rows * head_dim];
            let out = &mut out[..rows * head_dim];
            // As one group, all rows see all positions.
            let (group, first_visible) = (rows, n_rows);
            attend(
                isa,
                Attend { keys, values, head_dim, queries, group, first_visible, out, scratch },
            );
        });
        let attended = &work.attended;
        work.quant.fill(isa, pool, n_rows, dim, |row, to| {
            for (head, to) in to.chunks_exact_mut(head_dim).enumerate() {
                to.copy_from_slice(&attended[(head * padded + row) * head_dim..][..head_dim]);
            }
        });
        let stride = layer.attention.apply(isa, pool, &work.quant, &mut work.narrow);
        add_and_norm(isa, pool, config, &layer.attention_norm, &work.narrow, stride, &mut work.x);
    }

    fn feed_forward(&mut self, index: usize, n_rows: usize) {
        let Self { config, isa, pool, layers, work, .. } = self;
        let (isa, layer) = (*isa, &layers[index]);
        let (dim, wide) = (config.hidden_size, config.intermediate_size);
        let x = &work.x;
        work.quant
            .fill(isa, pool, n_rows, dim, |row, to| to.copy_from_slice(&x[row * dim..][..dim]));
        let stride = layer.up.apply(isa, pool, &work.quant, &mut work.wide);
        let up = &work.wide;
        work.quant.fill(isa, pool, n_rows, wide, |row, to| {
            to.copy_from_slice(&up[row * stride..][..wide]);
            match config.hidden_act {
                Activation::Gelu => fused::gelu(isa, to),
                Activation::GeluTanh => fused::gelu_tanh(isa, to),
                Activation::Relu => to.iter_mut().for_each(|x| *x = x.max(0.0)),
            }
        });
        let stride = layer.down.apply(isa, pool, &work.quant, &mut work.narrow);
        add_and_norm(isa, pool, config, &layer.output_norm, &work.narrow, stride, &mut work.x);
    }
}

impl Linear {
    /// `out = x w + bias`, rows of the returned length.
    fn apply(&self, isa: Isa, pool: &Pool, x: &QuantRows, out: &mut Vec<f32>) -> usize {
        let stride = self.weight.n_padded();
        out.resize(x.n_rows() * stride, 0.0);
        gemm::matmul(isa, pool, &self.weight, x, out);
        pool.chunks((out, stride), || (), |(), _, row| fused::add(isa, &self.bias, row));
        stride
    }
}

/// `x = norm(x + added)`, row by row.
fn add_and_norm(
    isa: Isa,
    pool: &Pool,
    config: &Config,
    norm: &Norm,
    added: &[f32],
    stride: usize,
    x: &mut [f32],
) {
    let dim = config.hidden_size;
    pool.chunks(
        (x, dim),
        || (),
        |(), row, x| {
            fused::add(isa, &added[row * stride..][..dim], x);
            fused::layer_norm(isa, &norm.weight, &norm.bias, config.layer_norm_eps, x);
        },
    );
}

struct Reader<'a> {
    weights: &'a Weights<'a>,
    prefix: &'a str,
}

impl Reader<'_> {
    fn matrix(&self, name: &str, n_rows: usize, width: usize) -> Result<PackedMatrix, ModelError> {
        let name = format!("{}{name}.weight", self.prefix);
        Ok(PackedMatrix::stack(&[self.weights.matrix(&name, n_rows, width)?]))
    }

    /// Layers of the same input, one below the other.
    fn linear(&self, names: &[&str], n_rows: usize, width: usize) -> Result<Linear, ModelError> {
        let mut matrices = Vec::new();
        let mut bias = Vec::new();
        for name in names {
            let name = format!("{}{name}", self.prefix);
            matrices.push(self.weights.matrix(&format!("{name}.weight"), n_rows, width)?);
            bias.extend(self.weights.vector(&format!("{name}.bias"), n_rows)?);
        }
        Ok(Linear { weight: PackedMatrix::stack(&matrices), bias })
    }

    fn norm(&self, name: &str, dim: usize) -> Result<Norm, ModelError> {
        let vector =
            |part: &str| self.weights.vector(&format!("{}{name}.{part}", self.prefix), dim);
        Ok(Norm { weight: vector("weight")?, bias: vector("bias")? })
    }

    fn positions(&self, config: &Config) -> Result<Vec<f32>, ModelError> {
        let dim = config.hidden_size;
        let flat = |name: &str, n_rows: usize| {
            let name = format!("{}embeddings.{name}.weight", self.prefix);
            let matrix = self.weights.matrix(&name, n_rows, dim)?;
            Ok(super::files::values(matrix.dtype, matrix.bytes).collect::<Vec<f32>>())
        };
        let mut positions = flat("position_embeddings", config.max_position_embeddings)?;
        positions.drain(..config.first_position() * dim);
        if config.type_vocab_size > 0 {
            let types = flat("token_type_embeddings", config.type_vocab_size)?;
            for row in positions.chunks_exact_mut(dim) {
                row.iter_mut().zip(&types[..dim]).for_each(|(x, kind)| *x += kind);
            }
        }
        Ok(positions)
    }
}
