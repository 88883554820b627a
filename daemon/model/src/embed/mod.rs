//! Embedding models: a folder with `model.safetensors`, `tokenizer.json` and `config.json` in, unit
//! vectors of texts out.
//!
//! [`files`] is the gate: sizes, headers and shapes are checked before anything is computed. [`bert`]
//! is the transformer on this crate's quantized kernels, [`table`] a static table of one vector a
//! token (model2vec). Tokenizers are those of the `tokenizers` crate, whose work is bounded by cutting
//! texts first.

mod bert;
mod files;
mod table;
mod words;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokenizers::{Tokenizer, TruncationParams};

use self::{bert::Bert, files::Folder, table::Table};
use crate::ModelError;
pub use files::EMBEDDER_FILES;

/// Bytes of text looked at for each token that a model takes: code has three to four a token, and
/// the tokenizer must not see a megabyte to use a kilobyte.
const BYTES_A_TOKEN: usize = 12;
/// Tokens of a text that a static table sums; it has no limit of its own.
const TABLE_TOKENS: usize = 512;
/// Raised when texts are prepared, pooled or quantized differently: old vectors no longer fit.
const REVISION: u32 = 1;

/// How to load an embedding model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct EmbedOptions {
    /// Threads; 0 is one for each core.
    pub n_threads: usize,
    /// Tokens of a text that count, at most; the model's own limit also holds.
    pub max_tokens: usize,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self { n_threads: 1, max_tokens: 256 }
    }
}

/// What kind of model a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbedKind {
    Transformer,
    Table,
}

/// What is known of an embedding model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedInfo {
    /// Of everything that decides a vector: weights, tokenizer, pooling, limits. Vectors with
    /// different ids are never compared.
    pub id: String,
    pub kind: EmbedKind,
    pub dim: usize,
    pub max_tokens: usize,
    /// Memory of the weights once loaded.
    pub weight_bytes: usize,
}

/// A loaded embedding model.
pub struct EmbedModel {
    folder: PathBuf,
    info: EmbedInfo,
    tokenizer: Tokenizer,
    /// Says nothing of a text in a table, which has no context to guess it from.
    unknown: Option<u32>,
    net: Net,
}

enum Net {
    Bert(Box<Bert>),
    Table(Table),
}

impl EmbedModel {
    /// Reads, checks and packs the model in `folder`.
    ///
    /// # Errors
    /// [`ModelError`] names the file, the key or the tensor that does not fit.
    pub fn open(folder: &Path, options: &EmbedOptions) -> Result<Self, ModelError> {
        let files = Folder::open(folder)?;
        let mut tokenizer = files.tokenizer()?;
        let (net, kind, dim, limit, n_rows) = if files.is_table()? {
            let table = Table::load(&files)?;
            let (dim, n_rows) = (table.dim(), table.n_tokens());
            (Net::Table(table), EmbedKind::Table, dim, TABLE_TOKENS, n_rows)
        } else {
            let bert = Bert::load(&files, options.n_threads)?;
            let (dim, limit, n_rows) = (bert.dim(), bert.max_tokens(), bert.n_tokens());
            let limit = limit.min(options.max_tokens.max(8));
            (Net::Bert(Box::new(bert)), EmbedKind::Transformer, dim, limit, n_rows)
        };
        // Every id that the tokenizer can give must be a row.
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if largest >= n_rows {
            return Err(ModelError::Tokenizer(format!(
                "`{}` has token {largest}, the weights end at {n_rows}; take both files from one model",
                files.path("tokenizer.json").display()
            )));
        }
        tokenizer.with_padding(None);
        let truncation = TruncationParams { max_length: limit, ..TruncationParams::default() };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(|err| ModelError::Tokenizer(err.to_string()))?;
        let weight_bytes = match &net {
            Net::Bert(bert) => bert.weight_bytes(),
            Net::Table(table) => table.weight_bytes(),
        };
        let id = files.identity(limit, REVISION);
        let info = EmbedInfo { id, kind, dim, max_tokens: limit, weight_bytes };
        let unknown = ["[UNK]", "<unk>"].iter().find_map(|token| tokenizer.token_to_id(token));
        Ok(Self { folder: folder.to_owned(), info, tokenizer, unknown, net })
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn info(&self) -> &EmbedInfo {
        &self.info
    }

    /// Embeds `texts`, row-major, shape `[texts.len(), dim]`, in input order; rows have unit length,
    /// or are zero for a text without a token.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] if a text cannot be cut into tokens.
    pub fn embed(&mut self, texts: &[&str]) -> Result<Vec<f32>, ModelError> {
        let dim = self.info.dim;
        let mut rows = vec![0.0; texts.len() * dim];
        for (text, row) in texts.iter().zip(rows.chunks_exact_mut(dim)) {
            let text = words::spaced(cut(text, self.info.max_tokens * BYTES_A_TOKEN));
            let with_specials = matches!(self.net, Net::Bert(_));
            let tokens = self
                .tokenizer
                .encode_fast(&*text, with_specials)
                .map_err(|err| ModelError::Tokenizer(err.to_string()))?;
            match &mut self.net {
                Net::Bert(bert) if text.trim().is_empty() => bert.embed(&[], row),
                Net::Bert(bert) => bert.embed(tokens.get_ids(), row),
                Net::Table(table) => {
                    let known = tokens.get_ids().iter().copied();
                    table.embed(known.filter(|token| Some(*token) != self.unknown), row);
                }
            }
            normalize(row);
        }
        Ok(rows)
    }
}

/// The identity that [`EmbedModel::open`] would give, without packing weights.
///
/// # Errors
/// As [`EmbedModel::open`], for what can be seen in headers.
pub fn identify(folder: &Path, options: &EmbedOptions) -> Result<EmbedInfo, ModelError> {
    let files = Folder::open(folder)?;
    let (kind, dim, max_tokens) = if files.is_table()? {
        (EmbedKind::Table, files.table_shape()?.1, TABLE_TOKENS)
    } else {
        let config = bert::Config::read(&files)?;
        (EmbedKind::Transformer, config.dim(), config.max_tokens().min(options.max_tokens.max(8)))
    };
    let id = files.identity(max_tokens, REVISION);
    Ok(EmbedInfo { id, kind, dim, max_tokens, weight_bytes: 0 })
}

/// The first `n_bytes` of `text`, or a little less: a character is never cut.
fn cut(text: &str, n_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(n_bytes)]
}

fn normalize(row: &mut [f32]) {
    let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm.is_finite() && norm > 0.0 {
        row.iter_mut().for_each(|x| *x /= norm);
    } else {
        row.fill(0.0);
    }
}
