//! The forward pass of Llama-like decoders (Touvron et al. 2023; Qwen2 adds biases).
//!
//! Tokens in, logits out; keys and values go into a [`KvCache`] that the caller owns. A row's
//! result does not depend on the other rows of its batch, bit for bit: that is what lets
//! speculation verify drafts without changing the output.

pub(crate) mod config;
pub(crate) mod rope;
mod weights;

use crate::kernels::attention::{Attend, Scratch, attend};
use crate::kernels::pool::Pool;
use crate::kernels::quant::QuantRows;
use crate::kernels::{Isa, fused, gemm};
use crate::kv::cache::{KvCache, LayerCache};
use crate::kv::segment::SegmentKv;
use crate::{Family, GgufFile, ModelError, family};
use config::Config;
use rope::RopeTable;
use std::sync::atomic::{AtomicBool, Ordering};
use weights::{Layer, Weights};

/// Query rows that one thread attends with at a time.
const QUERY_BLOCK: usize = 16;
/// Tokens of a prompt that go through the layers at once: large enough to use each weight often,
/// small enough for the caches and to notice a cancellation soon.
pub(crate) const BATCH: usize = 256;

/// How to load a model.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LoadOptions {
    /// Threads for inference; 0 is one for each core.
    pub n_threads: usize,
    /// Memory for cached keys and values of segments, in bytes.
    pub kv_budget_bytes: usize,
    /// Longest context in tokens; the model's own limit also holds.
    pub max_context: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { n_threads: 0, kv_budget_bytes: 192 << 20, max_context: 8_192 }
    }
}

/// Weights, ready to run. Immutable.
pub struct Model {
    pub(crate) config: Config,
    weights: Weights,
    pub(crate) rope: RopeTable,
    isa: Isa,
    pub(crate) pool: Pool,
    pub(crate) family: &'static Family,
}

/// Working memory of [`Model::forward`], kept between calls.
#[derive(Default)]
pub(crate) struct Workspace {
    x: Vec<f32>,
    quant: QuantRows,
    wide: Vec<f32>,
    queries: Vec<f32>,
    attended: Vec<f32>,
    narrow: Vec<f32>,
}

/// Rows of logits.
pub(crate) struct Logits {
    values: Vec<f32>,
    stride: usize,
    n_vocab: usize,
}

impl Logits {
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.n_vocab]
    }
}

/// Which rows of a batch get logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Nothing,
    Last,
    All,
}

impl Model {
    /// Packs the weights of `file`. The file is not needed afterwards.
    ///
    /// # Errors
    /// [`ModelError`] names the metadata key or tensor that does not fit.
    pub fn load(file: &GgufFile, options: &LoadOptions) -> Result<Self, ModelError> {
        Self::load_with(file, options, Isa::detect())
    }

    /// As [`Model::load`] on a given instruction set, for tests and benchmarks.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_with(file: &GgufFile, options: &LoadOptions, isa: Isa) -> Result<Self, ModelError> {
        let family = family::detect(file).map_err(|error| ModelError::Metadata {
            key: "tokenizer.ggml".to_owned(),
            reason: error.to_string(),
        })?;
        let mut config = Config::read(file, family)?;
        config.n_context = config.n_context.min(options.max_context.max(16));
        let weights = Weights::load(file, &config)?;
        let rope = RopeTable::new(&config, weights.rope_factors.as_deref());
        let n_threads = match options.n_threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()).min(8),
            n => n,
        };
        Ok(Model { config, weights, rope, isa, pool: Pool::new(n_threads), family })
    }

    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// Longest context in tokens.
    pub fn n_context(&self) -> usize {
        self.config.n_context
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    pub fn n_threads(&self) -> usize {
        self.pool.n_threads()
    }

    /// Memory of the packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Appends `tokens` to `cache` and returns the wanted logits. `record` receives the keys and
    /// values of these tokens, keys before rotation.
    ///
    /// # Errors
    /// [`ModelError::PromptTooLong`], or [`ModelError::Cancelled`] between two batches; `cache`
    /// then holds the batches that were finished.
    pub(crate) fn forward(
        &self,
        workspace: &mut Workspace,
        cache: &mut KvCache,
        tokens: &[u32],
        want: Want,
        cancel: &AtomicBool,
        mut record: Option<&mut SegmentKv>,
    ) -> Result<Logits, ModelError> {
        let limit = self.config.n_context;
        if cache.len() + tokens.len() > limit {
            let n_tokens = cache.len() + tokens.len();
            return Err(ModelError::PromptTooLong { n_tokens, limit });
        }
        let output = self.weights.output.as_ref().unwrap_or(&self.weights.embedding);
        let mut logits =
            Logits { values: Vec::new(), stride: output.n_padded(), n_vocab: self.config.n_vocab };
        let n_batches = tokens.len().div_ceil(BATCH);
        for (i, batch) in tokens.chunks(BATCH).enumerate() {
            if cancel.load(Ordering::Relaxed) {
                return Err(ModelError::Cancelled);
            }
            self.layers(workspace, cache, batch, cancel, record.as_deref_mut())?;
            let first_row = match want {
                Want::All => 0,
                Want::Last if i + 1 == n_batches => batch.len() - 1,
                Want::Last | Want::Nothing => continue,
            };
            self.logits(workspace, first_row, batch.len(), &mut logits);
        }
        Ok(logits)
    }

    fn layers(
        &self,
        work: &mut Workspace,
        cache: &mut KvCache,
        tokens: &[u32],
        cancel: &AtomicBool,
        mut record: Option<&mut SegmentKv>,
    ) -> Result<(), ModelError> {
        let (dim, n_rows) = (self.config.dim, tokens.len());
        work.x.resize(n_rows * dim, 0.0);
        self.pool.chunks(
            (&mut work.x, dim),
            || (),
            |(), row, x| self.weights.embedding.read_row(tokens[row] as usize, x),
        );
        let first = cache.len();
        cache.reserve(first + n_rows);
        for (index, layer) in self.weights.layers.iter().enumerate() {
            // A batch over a long context takes a second on a slow machine: look between layers.
            if cancel.load(Ordering::Relaxed) {
                return Err(ModelError::Cancelled);
            }
            let record = record.as_deref_mut();
            self.attention(work, layer, cache.layer_mut(index), first, n_rows, index, record);
            self.feed_forward(work, layer, n_rows);
        }
        cache.advance(n_rows);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, one step of it")]
    fn attention(
        &self,
        work: &mut Workspace,
        layer: &Layer,
        cache: &mut LayerCache,
        first: usize,
        n_rows: usize,
        index: usize,
        record: Option<&mut SegmentKv>,
    ) {
        let (isa, pool, config) = (self.isa, &self.pool, &self.config);
        let (dim, head_dim, group) = (config.dim, config.head_dim, config.group());
        self.norm(&work.x, &mut work.quant, &layer.attn_norm, n_rows);
        let stride = layer.attn_qkv.n_padded();
        work.wide.resize(n_rows * stride, 0.0);
        gemm::matmul(isa, pool, &layer.attn_qkv, &work.quant, &mut work.wide);
        if let Some(bias) = &layer.attn_qkv_bias {
            pool.chunks((&mut work.wide, stride), || (), |(), _, row| fused::add(isa, bias, row));
        }
        let qkv = &work.wide;
        let q_dim = config.n_heads * head_dim;
        let kv_dim = config.n_kv_heads * head_dim;
        if let Some(record) = record {
            record.append(isa, index, n_rows, |row| {
                let row = &qkv[row * stride..][..stride];
                (&row[q_dim..][..kv_dim], &row[q_dim + kv_dim..][..kv_dim])
            });
        }
        cache.write(isa, pool, first, n_rows, head_dim, |row, head, key, value| {
            let row_at = row * stride + q_dim + head * head_dim;
            key.copy_from_slice(&qkv[row_at..][..head_dim]);
            self.rope.rotate(first + row, key);
            value.copy_from_slice(&qkv[row_at + kv_dim..][..head_dim]);
        });

        // Queries as [kv head][row][query head of the group][dim], rows padded to whole blocks.
        let block = n_rows.min(QUERY_BLOCK);
        let n_blocks = n_rows.div_ceil(block);
        let (padded, width) = (n_blocks * block, group * head_dim);
        let scale = 1.0 / (head_dim as f32).sqrt();
        work.queries.resize(config.n_kv_heads * padded * width, 0.0);
        pool.chunks(
            (&mut work.queries, width),
            || (),
            |(), i, queries| {
                let (kv_head, row) = (i / padded, i % padded);
                if row >= n_rows {
                    return;
                }
                let at = row * stride + kv_head * width;
                queries.copy_from_slice(&qkv[at..][..width]);
                for head in queries.chunks_exact_mut(head_dim) {
                    self.rope.rotate(first + row, head);
                    head.iter_mut().for_each(|x| *x *= scale);
                }
            },
        );
        work.attended.resize(work.queries.len(), 0.0);
        let queries = &work.queries;
        let cache = &*cache;
        pool.chunks((&mut work.attended, block * width), Scratch::default, |scratch, i, out| {
            // The blocks that see most come first, so that no thread is left with one at the end.
            let (kv_head, query_block) = (i / n_blocks, i % n_blocks);
            let start = query_block * block;
            let n = (n_rows - start).min(block) * width;
            let (keys, values) = cache.head(kv_head);
            attend(
                isa,
                Attend {
                    keys,
                    values,
                    head_dim,
                    queries: &queries[(kv_head * padded + start) * width..][..n],
                    group,
                    first_visible: first + start + 1,
                    out: &mut out[..n],
                    scratch,
                },
            );
        });
        let attended = &work.attended;
        work.quant.fill(isa, pool, n_rows, q_dim, |row, to| {
            for (kv_head, to) in to.chunks_exact_mut(width).enumerate() {
                to.copy_from_slice(&attended[(kv_head * padded + row) * width..][..width]);
            }
        });
        let stride = layer.attn_output.n_padded();
        work.narrow.resize(n_rows * stride, 0.0);
        gemm::matmul(isa, pool, &layer.attn_output, &work.quant, &mut work.narrow);
        let narrow = &work.narrow;
        pool.chunks(
            (&mut work.x, dim),
            || (),
            |(), row, x| fused::add(isa, &narrow[row * stride..][..dim], x),
        );
    }

    fn feed_forward(&self, work: &mut Workspace, layer: &Layer, n_rows: usize) {
        let (isa, pool, dim) = (self.isa, &self.pool, self.config.dim);
        self.norm(&work.x, &mut work.quant, &layer.ffn_norm, n_rows);
        let stride = layer.ffn_gate_up.n_padded();
        work.wide.resize(n_rows * stride, 0.0);
        gemm::matmul(isa, pool, &layer.ffn_gate_up, &work.quant, &mut work.wide);
        let wide = &work.wide;
        work.quant.fill(isa, pool, n_rows, self.config.ffn_dim, |row, to| {
            fused::swiglu(isa, &wide[row * stride..][..stride], to);
        });
        let stride = layer.ffn_down.n_padded();
        work.narrow.resize(n_rows * stride, 0.0);
        gemm::matmul(isa, pool, &layer.ffn_down, &work.quant, &mut work.narrow);
        let narrow = &work.narrow;
        pool.chunks(
            (&mut work.x, dim),
            || (),
            |(), row, x| fused::add(isa, &narrow[row * stride..][..dim], x),
        );
    }

    fn norm(&self, x: &[f32], quant: &mut QuantRows, weight: &[f32], n_rows: usize) {
        let (isa, dim, epsilon) = (self.isa, self.config.dim, self.config.norm_epsilon);
        quant.fill(isa, &self.pool, n_rows, dim, |row, to| {
            fused::rms_norm(isa, &x[row * dim..][..dim], weight, epsilon, to);
        });
    }

    fn logits(&self, work: &mut Workspace, first_row: usize, n_rows: usize, to: &mut Logits) {
        let output = self.weights.output.as_ref().unwrap_or(&self.weights.embedding);
        let x = &work.x[first_row * self.config.dim..];
        let n = n_rows - first_row;
        self.norm(x, &mut work.quant, &self.weights.output_norm, n);
        let start = to.values.len();
        to.values.resize(start + n * to.stride, 0.0);
        gemm::matmul(self.isa, &self.pool, output, &work.quant, &mut to.values[start..]);
    }
}
