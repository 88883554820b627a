//! The on-device model: from a checked GGUF file to text.
//!
//! In reading order: [`gguf`] the gate in front of every model file, [`tokenizer`] text to tokens,
//! [`family`] the table of special tokens and formats, [`prompt`] and [`request`] are what callers see,
//! [`embed`] texts to vectors, [`error`] what can go wrong.

pub mod embed;
pub mod error;
pub mod family;
pub mod gguf;
pub mod prompt;
pub mod request;
pub mod tokenizer;
pub mod worker;

pub use embed::{EmbedInfo, EmbedKind, EmbedModel, EmbedOptions};
pub use error::ModelError;
pub use family::Family;
pub use gguf::{GgufError, GgufFile};
pub use prompt::{Piece, Prompt, PromptSegment};
pub use request::{
    Alternative, Finish, GenerateRequest, Generated, NamePrior, Sampling, ScoreRequest, Scored,
    Stop, Timings,
};
pub use tokenizer::{Tokenizer, TokenizerError};

mod forward;
mod generate;
mod kernels;
mod kv;
mod names;
mod sample;
mod session;
mod speculate;
mod stop;
mod vocab;
pub use forward::{LoadOptions, Model};
pub use kernels::Isa;
pub use session::{Session, SessionStatus};
