//! Errors of the runtime.

use serde::{Deserialize, Serialize};

/// Why a model cannot be loaded or a request cannot be answered.
///
/// The type crosses the worker's pipe, so every variant is plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    #[error(
        "model architecture `{0}` is not supported; use a GGUF file of a llama or qwen2 \
         architecture"
    )]
    Architecture(String),
    #[error("model metadata `{key}`: {reason}")]
    Metadata { key: String, reason: String },
    #[error("model tensor `{name}`: {reason}")]
    Tensor { name: String, reason: String },
    #[error("cannot read model `{path}`: {reason}")]
    File { path: String, reason: String },
    #[error("model tokenizer: {0}")]
    Tokenizer(String),
    #[error("special token `{0}` is not in this model's vocabulary")]
    UnknownSpecial(String),
    #[error("the prompt is empty")]
    EmptyPrompt,
    #[error(
        "the prompt has {n_tokens} tokens and the model's context holds {limit}; lower the \
         token budget"
    )]
    PromptTooLong { n_tokens: usize, limit: usize },
    #[error("no model is loaded")]
    NotLoaded,
    #[error("the request was cancelled")]
    Cancelled,
    #[error("the model worker ended ({0}); it is started again with the next request")]
    WorkerDied(String),
    #[error("the model worker sent something unexpected: {0}")]
    Protocol(String),
}
